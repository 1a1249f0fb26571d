"""What the tab key offers in a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

RUN = "from optinb.cli import main; main(prog_name='optinb')"


def offered(*words: str, workspace: Path | str = "nowhere", shell: str = "bash") -> list[str]:
    """What completes the last of some words."""
    told = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        told["COMP_CWORD"] = words[-1]
    environment = {**os.environ, **told, "_OPTINB_COMPLETE": f"{shell}_complete", "OPTINB_WORKSPACE": str(workspace)}
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    return [line.split(",", 1)[1] for line in done.stdout.splitlines() if line]


def test_commands_options_and_names_are_completed(ws: Workspace, folder: Path) -> None:
    ws.groups.save("Night owls", 'attr("country") == "DE"')
    assert offered("optinb", "camp") == ["campaigns"]
    assert "--log" in offered("optinb", "nightly", "--l")
    ws.offers.save({"name": "Spring", "kind": "gift"})
    assert offered("optinb", "offers", "show", "S", workspace=folder) == ["Spring"]
    assert offered("optinb", "groups", "show", "N", workspace=folder) == ["'Night owls'"]
    assert len(offered("optinb", "groups", "count", "", workspace=folder)) == 3
    summer = ["Optimove_SummerSale_Android", "Optimove_SummerSale_iOS"]
    assert offered("optinb", "templates", "set", "Optimove_S", workspace=folder) == summer
    assert offered("optinb", "doctor", "--app-group", "S", workspace=folder) == ["Shop"]
    assert offered("optinb", "doctor", "-w", str(folder), "--app-group", "C") == ["Club"]


@pytest.mark.parametrize("problem", ["nothing", "broken", "folder"])
def test_a_workspace_that_cant_be_read_offers_nothing(tmp_path: Path, problem: str) -> None:
    root = tmp_path / "ws"
    if problem != "nothing":
        root.mkdir()
        for name in ("state.sqlite", "optinb.toml"):
            (root / name).write_bytes(b"\xff[[[") if problem == "broken" else (root / name).mkdir()
    assert offered("optinb", "campaigns", "show", "", workspace=root) == []
    assert offered("optinb", "reach", "--app-group", "", workspace=root) == []
    assert not root.exists() or len(list(root.iterdir())) == 2


def test_bash_takes_the_script_and_completes_by_it(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (command := tmp_path / "optinb").write_text(f'#!/bin/sh\nexec {sys.executable} -m optinb "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(_OPTINB_COMPLETE=bash_source optinb)"; complete -p optinb; '
        'COMP_WORDS=(optinb campaigns re); COMP_CWORD=2; _optinb_completion optinb; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([bash, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.splitlines()[1:] == ["reject", "reschedule", "resume"]


def test_completing_loads_neither_tables_nor_the_database_library(folder: Path) -> None:
    code = (
        f"import sys\ntry:\n    {RUN}\nfinally:\n    print(*{{n.split('.')[0] for n in sys.modules}}, file=sys.stderr)"
    )
    told = {"COMP_WORDS": "optinb campaigns show ", "COMP_CWORD": "3", "_OPTINB_COMPLETE": "bash_complete"}
    environment = {**os.environ, **told, "OPTINB_WORKSPACE": str(folder)}
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert time.monotonic() - begun < 20  # 0.3 s on an idle machine
    assert not {"polars", "duckdb", "sqlalchemy", "papermill"} & set(done.stderr.split()), done.stderr
