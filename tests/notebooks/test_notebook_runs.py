from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import papermill
import pytest

from optinb.demo import KEYS, demo_settings
from optinb.sandbox import Sandbox, demo_world
from optinb.workspace import open_workspace
from optinb.workspace.setup import init_workspace

RUN_DATE = date(2026, 11, 23)
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with the sample, modelled, beside a running sandbox."""
    root = tmp_path_factory.mktemp("notebooks") / "data"
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world()) as sandbox:
        patch.setenv("OPTINB_NOW", f"{RUN_DATE}T02:00:00+01:00")
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        for name, value in KEYS.items():
            patch.setenv(name, value)
        init_workspace(root, settings=demo_settings(sandbox.url))
        shutil.copytree(PROJECT / "data" / "sample" / RUN_DATE.isoformat(), root / "inbox" / RUN_DATE.isoformat())
        with open_workspace(root, user="ana") as ws:
            ws.import_delivery(RUN_DATE)
            ws.model()
        yield root


@pytest.fixture
def execute(workspace, tmp_path):
    """Runs a notebook as `ana` and returns what its cells show, as HTML."""

    def run(name: str) -> str:
        done = papermill.execute_notebook(
            str(PROJECT / "notebooks" / name),
            str(tmp_path / name),
            parameters={"workspace": str(workspace), "user": "ana"},
            kernel_name="python3",
            progress_bar=False,
        )
        outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "stream"], "a notebook shows values and prints nothing"
        return "\n".join("".join(o.get("data", {}).get("text/html", "")) for o in outputs)

    return run


def test_explore_segments_saves_a_group_with_its_exact_count(execute, workspace):
    shown = execute("explore_segments.ipynb")
    with open_workspace(workspace, user="ana") as ws:
        size = ws.groups.count("Lapsed, German-speaking")
    assert size.customers > 0
    assert f">{size.customers:,}</span>" in shown
    assert size.sentence in shown


def test_plan_and_approve_opens_on_the_templates_of_appboy(execute, workspace):
    shown = execute("plan_and_approve.ipynb")
    assert "Club" in shown
    with open_workspace(workspace, user="ana") as ws:
        assert any(template.usable for template in ws.templates.list("Club"))
