"""Every notebook runs on a workspace of every age, and once more on what its first run left."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from subprocess import run
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import Widget

from optinb import demo, views
from optinb.base.share import shared
from optinb.demo import AUTHOR, CAMPAIGNS
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.ipynb"))
TRIAL = "start_here.ipynb"  # makes a workspace of its own
ON_A_WORKSPACE = [name for name in NOTEBOOKS if name != TRIAL]
AGES = ("fresh", "finished", "week_old")
in_kernels = pytest.mark.timeout(1200)  # the first of them makes a week of nights


def parameters_of(name: str, root: Path) -> dict[str, str]:
    """Of a workspace and its author, those that a notebook has."""
    book = nbformat.read(shared(f"notebooks/{name}"), as_version=4)
    (cell,) = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ())]
    known = {target.id for node in ast.parse(cell.source).body for target in node.targets}
    return {key: value for key, value in {"workspace": str(root), "user": AUTHOR}.items() if key in known}


def executed(name: str, root: Path, out: Path) -> list[Any]:
    """What the cells of a notebook show, in a kernel of its own."""
    done = papermill.execute_notebook(
        str(shared(f"notebooks/{name}")),
        str(out / Path(name).name),
        parameters=parameters_of(name, root),
        kernel_name="python3",
        progress_bar=False,
    )
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream"]
    return [output.data for output in outputs if output.output_type == "execute_result"]


def run_here(name: str, root: Path) -> list[Any]:
    """What the cells of a notebook end with, run one after another in this process, which is quick."""
    shell = InteractiveShell()
    views.install(shell)
    shell.push(dict.fromkeys(("In", "Out")))
    found = []
    for cell in nbformat.read(shared(f"notebooks/{name}"), as_version=4).cells:
        if cell.cell_type != "code":
            continue
        done = shell.run_cell(cell.source)
        done.raise_error()
        shell.display_formatter.format(done.result)
        found.append(done.result)
        if "parameters" in cell.metadata.get("tags", ()):
            shell.push(parameters_of(name, root))
    return found


@pytest.mark.parametrize("age", ["fresh", "finished"])
@pytest.mark.parametrize("name", ON_A_WORKSPACE)
def test_a_notebook_runs_twice(
    name: str, age: str, at_work: Callable[[Path], Path], request: pytest.FixtureRequest
) -> None:
    root = at_work(request.getfixturevalue(age))
    for _ in range(2):
        found = run_here(name, root)
        if name.startswith("pages/"):
            assert isinstance(found[-1], Widget), "a page shows its view, and no sentence about what is wrong"


@pytest.mark.notebooks
@in_kernels
@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("name", ON_A_WORKSPACE)
def test_a_notebook_runs_twice_in_kernels(
    name: str, age: str, at_work: Callable[[Path], Path], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = at_work(request.getfixturevalue(age))
    for _ in range(2):
        found = executed(name, root, tmp_path)
        if name.startswith("pages/"):
            assert "application/vnd.jupyter.widget-view+json" in found[-1]


@pytest.mark.notebooks
@in_kernels
def test_the_trial_runs_again_in_a_folder_that_is_kept(tmp_path: Path) -> None:
    names = [CAMPAIGNS[0]["name"], f"{CAMPAIGNS[0]['name']} 2"]
    for times in (1, 2):
        executed(TRIAL, tmp_path / "trial", tmp_path)
        with open_workspace(tmp_path / "trial", user=AUTHOR) as ws:
            states = {record.campaign.name: record.state for record in ws.campaigns.list()}
        assert states == dict.fromkeys(names[:times], "done")


def test_a_trial_that_sent_its_campaign_plans_a_copy_and_one_that_did_not_plans_the_same_again(
    fresh: Path, finished: Path, at_work: Callable[[Path], Path]
) -> None:
    first = CAMPAIGNS[0]["name"]
    with open_workspace(fresh, user=AUTHOR) as ws:
        assert demo.campaign(ws)["name"] == first
    with open_workspace(at_work(finished), user=AUTHOR) as ws:
        for _ in range(2):
            campaign = demo.campaign(ws)
            assert campaign["name"] == f"{first} 2"
            assert ws.campaigns.submit(campaign).version == 1


@pytest.mark.notebooks
@in_kernels
@pytest.mark.parametrize("last", ["import_delivery", "model"])
def test_a_trial_that_was_ended_while_it_was_made_goes_on_in_its_folder(last: str, tmp_path: Path) -> None:
    begin = f"from optinb import demo; ws = demo.start({str(tmp_path / 'trial')!r})"
    killed = f"import os; from optinb.workspace import Workspace as W; W.{last} = lambda *_, **__: os._exit(9); {begin}"
    assert run([sys.executable, "-c", killed], capture_output=True, check=False).returncode == 9
    planned = "ws.campaigns.submit(demo.campaign(ws)).state"
    told = f"{begin}; print(ws.snapshot().model_date, len(ws.groups.list()), {planned})"
    again = run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert again.stdout.split() == [f"{demo.RUN_DATE}", f"{len(demo.GROUPS)}", "submitted"], again.stderr
