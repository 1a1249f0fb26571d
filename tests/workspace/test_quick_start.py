"""What is quick stays so: the shortest questions to a workspace load no library that they have no use for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from optinb import attr, open_workspace
from optinb.base.workspace_folder import init_workspace
from optinb.demo import demo_settings

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = [
    "alembic",
    "altair",
    "duckdb",
    "httpx",
    "IPython",
    "narwhals",
    "numpy",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
]
ASK = """
import json, sys
from optinb import open_workspace
with open_workspace(sys.argv[1]) as ws:
    eval(sys.argv[2])
print(json.dumps([name for name in sys.argv[3:] if name in sys.modules]))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a group, and no delivery."""
    root = tmp_path_factory.mktemp("quick") / "workspace"
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1"))
    with open_workspace(root, user="demo-author") as ws:
        ws.groups.save("Germans", attr("country") == "DE")
    return root


@pytest.mark.parametrize(
    "asked", ["ws.groups.list()", "ws.groups.get('germans')", "ws.lists.list()", "ws.groups.rule('Germans')"]
)
def test_saved_things_are_told_without_heavy_libraries(saved: Path, asked: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(saved), asked, *HEAVY], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_the_command_that_lists_groups_loads_none_of_them_either(saved: Path) -> None:
    ask = (
        "import json, sys\nfrom optinb.cli import main\n"
        "main(['groups', 'list', '--workspace', sys.argv[1]], standalone_mode=False)\n"
        "print(json.dumps([name for name in sys.argv[2:] if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", ask, str(saved), *HEAVY], capture_output=True, text=True, check=True)
    assert "Germans" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == []
