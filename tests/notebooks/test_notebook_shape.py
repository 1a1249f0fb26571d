from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").rglob("*.ipynb"))
LOOPS_AND_DEFINITIONS = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.Try,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.GeneratorExp,
)
SQL = re.compile(r"\bselect\b.+\bfrom\b|\binsert\s+into\b|\bcreate\s+table\b", re.IGNORECASE | re.DOTALL)
CREDENTIAL = re.compile(r"bearer\s|api_?key|password|secret|token\s*=|environ", re.IGNORECASE)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_is_a_notebook_for_each_kind_of_work():
    wanted = ("start_here", "explore_segments", "plan_and_approve", "nightly_send")
    assert {f"{name}.ipynb" for name in wanted} <= {path.name for path in NOTEBOOKS}


def test_notebook_is_valid_and_of_the_default_kernel(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


def test_notebook_has_no_outputs(code):
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_notebook_has_one_cell_of_parameters(code):
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", ())]
    assert len(tagged) == 1
    assert all(isinstance(node, ast.Assign) for node in ast.parse(tagged[0].source).body)


def test_cells_are_short(code):
    assert max(len(cell.source.splitlines()) for cell in code) <= 8


def test_cells_hold_calls_and_no_programs(code):
    for cell in code:
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, LOOPS_AND_DEFINITIONS), cell.source
        assert not SQL.search(cell.source), cell.source


def test_notebook_holds_no_credentials(notebook):
    for cell in notebook.cells:
        assert not CREDENTIAL.search(cell.source), cell.source


def test_notebook_explains_itself_first(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
