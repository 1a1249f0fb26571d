"""Whatever the umask, nobody but its owner reads a workspace, or the group that the settings name."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import optinb
from optinb import show
from optinb.base.files import copy_tree
from optinb.base.private import keep_private
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.cli import main
from optinb.demo import AUTHOR, RUN_DATE, demo_settings
from optinb.errors import SettingsError
from optinb.sandbox import Sandbox, demo_world
from optinb.serve.notebook_copies import copied_notebooks, folder_of_copies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.appboy import Verdict
    from optinb.workspace import Workspace

# Root may hand a folder to any group; others only to their own.
GROUP = grp.getgrnam("users") if os.geteuid() == 0 else grp.getgrgid(os.getegid())
SHARED = f'identity = "asserted"\ngroup = "{GROUP.gr_name}"'


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(root: Path) -> dict[str, set[int]]:
    """The rights of every file, and of every folder, of a workspace."""
    found: dict[str, set[int]] = {"files": set(), "folders": {stat.S_IMODE(root.stat().st_mode)}}
    for path in root.rglob("*"):
        found["folders" if path.is_dir() else "files"].add(stat.S_IMODE(path.lstat().st_mode))
    return found


def work(ws: Workspace) -> None:
    """Writes what the demo doesn't."""
    ws.lists.save("Fair", ["000001", "000002"])
    ws.unsaved.keep("a campaign", "{}")
    copied_notebooks(ws.root, ws.settings, say=print)
    shutil.copytree(ws.root / "inbox" / RUN_DATE.isoformat(), ws.root / "inbox" / "2026-11-24")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_file_of_a_night_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    root = tmp_path / "ws"
    command = [sys.executable, "-m", "optinb", "demo", "--workspace", str(root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, umask=umask, timeout=280)
    assert ran.returncode == 0, ran.stderr
    os.umask(umask)
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        work(ws)
        assert ws.forget("000001").found
        kinds = {path.suffix for path in root.rglob("*")}
        assert modes(root) == {"files": {0o600}, "folders": {0o700}}
    assert kinds >= {".parquet", ".duckdb", ".sqlite", ".sqlite-wal", ".ipynb", ".html", ".json", ".jsonl", ".csv"}


def test_a_group_of_people_shares_all_of_it_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "ws"
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1").replace('identity = "asserted"', SHARED))
    copy_tree(shared(f"data/sample/{RUN_DATE}"), root / "inbox" / RUN_DATE.isoformat())
    os.umask(0o022)
    with optinb.open_workspace(root, user=AUTHOR) as ws, Sandbox(demo_world(), journal=root / "sandbox.jsonl"):
        ws.import_delivery(RUN_DATE)
        ws.model(RUN_DATE)
        work(ws)
        copies = folder_of_copies(root, ws.settings)
        assert stat.S_IMODE(copies.stat().st_mode) == 0o2700, "but for what one of them works on"
        copies.chmod(0o2770)
        assert modes(root) == {"files": {0o660, 0o640}, "folders": {0o2770}}
        assert [path.name for path in root.rglob("*") if path.is_file() and not path.stat().st_mode & 0o020] == [
            "optinb.toml"
        ], "what a group works by is its owner's to change"
        assert {path.stat().st_gid for path in root.rglob("*")} == {GROUP.gr_gid}
        assert "only its owner and the group" in show.text(ws.doctor())


def test_a_folder_that_is_not_shared_yet_is_refused_with_the_command_that_shares_it(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1"))
    (root / "old.json").write_text("{}")
    (root / "notebooks-eve").mkdir(0o700)
    settings = root / "optinb.toml"
    alone = settings.read_text()
    settings.write_text(alone.replace('identity = "asserted"', SHARED))
    with pytest.raises(SettingsError, match="isn't shared with it; its owner runs once: chgrp -R") as refused:
        optinb.open_workspace(root, user=AUTHOR)
    root.chmod(0o1700)  # as it was made for groups
    subprocess.run(str(refused.value).split("runs once: ")[1], shell=True, check=True)
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.unsaved.keep("a campaign", "{}")
    assert stat.S_IMODE((root / "notebooks-eve").stat().st_mode) == 0o2700, "what is somebody's own stays so"
    (root / "notebooks-eve").rmdir()
    assert modes(root) == {"files": {0o660, 0o640}, "folders": {0o2770}}
    settings.write_text(alone.replace('identity = "asserted"', 'identity = "asserted"\ngroup = "no-such-group"'))
    with pytest.raises(SettingsError, match="this machine has no such group"):
        optinb.open_workspace(root, user=AUTHOR)


@pytest.mark.parametrize(
    ("state", "mode"),
    [
        ("sqlite:///other.sqlite", 0o2770),
        ("env:A_FILE", 0o2770),
        ("env:NOT_SET", 0o3770),
        ("postgresql+psycopg://ann@db:5432/optinb", 0o3770),
    ],
)
def test_a_groups_folder_is_sticky_only_without_an_sqlite_file_that_all_of_them_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, mode: int
) -> None:
    monkeypatch.setenv("A_FILE", "sqlite:///other.sqlite")
    text = demo_settings("http://127.0.0.1:1").replace('identity = "asserted"', f'{SHARED}\nstate = "{state}"')
    init_workspace(tmp_path / "ws", settings=text)
    assert stat.S_IMODE((tmp_path / "ws").stat().st_mode) == mode


def test_doctor_names_what_others_can_read_and_the_command_that_closes_it(ws: Workspace) -> None:
    def files() -> Verdict:
        (found,) = [verdict for verdict in ws.doctor().machine if verdict.about == "files"]
        return found

    assert files().standing == "good"
    (ws.root / "warehouse").chmod(0o755)  # in a folder that nobody else can enter
    assert files().standing == "good"
    ws.root.chmod(0o755)
    (ws.root / "inbox" / "late.csv").touch(0o644)
    (ws.root / "inbox").chmod(0o755)
    assert files().standing == "bad"
    assert f"{ws.root} are open to others on this machine, such as ., inbox, inbox/" in files().text
    assert (ws.doctor().exit_code, files().text in show.text(ws.doctor())) == (1, True)
    assert "open to others" in show.html(ws.doctor())
    subprocess.run(files().text.split("run: ")[1].split(" (where")[0], shell=True, check=True)
    assert ws.doctor().exit_code == 0
    assert stat.S_IMODE(ws.root.stat().st_mode) == 0o700


def test_a_folder_that_was_prepared_for_a_group_stays_so(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    os.chown(root, -1, GROUP.gr_gid)
    root.chmod(0o2770)
    assert CliRunner().invoke(main, ["init", str(root)]).exit_code == 0
    assert stat.S_IMODE(root.stat().st_mode) == 0o2770


def test_the_journal_of_a_sandbox_is_private_wherever_it_lies(tmp_path: Path) -> None:
    with Sandbox(demo_world(), journal=tmp_path / "alone.jsonl"):
        pass
    team = tmp_path / "team"
    team.mkdir()
    team.chmod(0o2770)
    with Sandbox(demo_world(), journal=team / "shared.jsonl"):
        pass
    assert stat.S_IMODE((tmp_path / "alone.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((team / "shared.jsonl").stat().st_mode) == 0o660


def test_what_a_process_makes_later_is_private_too(tmp_path: Path) -> None:
    init_workspace(tmp_path / "ws", settings=demo_settings("http://127.0.0.1:1"))
    os.umask(0o000)
    with optinb.open_workspace(tmp_path / "ws", user=AUTHOR) as ws:
        keep_private(ws.root, ws.settings)
        (tmp_path / "export.csv").write_text("customer_id\n")
    assert stat.S_IMODE((tmp_path / "export.csv").stat().st_mode) == 0o600
