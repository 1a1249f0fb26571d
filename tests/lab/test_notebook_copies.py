"""People work on copies of the notebooks in the workspace; a newer optinb takes away nothing that they wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import optinb
from optinb.base.settings import parse_settings
from optinb.errors import UsageError
from optinb.serve.lab import run_lab
from optinb.serve.notebook_copies import changed_copies, copied_notebooks

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE = parse_settings("")
TRACKED = Path(__file__).parents[2] / "notebooks"


def notebook(text: str, *, output: str = "") -> str:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [output]}] if output else []
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": text, "outputs": outputs, "execution_count": 1}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What comes with optinb: a checkout's folder, in which somebody has run a notebook."""
    folder = tmp_path / "checkout" / "notebooks"
    (folder / "pages").mkdir(parents=True)
    (folder / "guides").mkdir()
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "track.ipynb").write_text(notebook("1", output="Ada Mustermann"))
    (folder / "pages" / "plan.ipynb").write_text(notebook("2"))
    (folder / "guides" / "nights.md").write_text("old")
    (folder / ".ipynb_checkpoints" / "track-checkpoint.ipynb").write_text(notebook("0"))
    monkeypatch.setattr("optinb.serve.notebook_copies.shared", lambda _name: folder)
    return folder


@pytest.fixture
def copies(tmp_path: Path) -> Callable[[], tuple[Path, list[str]]]:
    root = tmp_path / "ws"
    root.mkdir()

    def copy() -> tuple[Path, list[str]]:
        said: list[str] = []
        return copied_notebooks(root, ALONE, say=said.append), said

    return copy


def test_copies_lie_in_the_workspace_without_what_others_left_in_them(
    shipped: Path, copies: Callable[[], tuple[Path, list[str]]]
) -> None:
    folder, said = copies()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"track.ipynb", "pages/plan.ipynb", "guides/nights.md", ".copied.json"}
    assert "Ada" not in (folder / "track.ipynb").read_text()
    assert said == []
    assert "Ada" in (shipped / "track.ipynb").read_text()


def test_a_newer_version_replaces_what_was_only_run_and_keeps_what_was_changed(
    shipped: Path, copies: Callable[[], tuple[Path, list[str]]]
) -> None:
    folder, _ = copies()
    (folder / "track.ipynb").write_text(notebook("1", output="ran"))
    (folder / "pages" / "plan.ipynb").write_text(notebook("2 + my own"))
    (folder / "own.ipynb").write_text(notebook("mine"))
    assert copies()[1] == [
        f"Not as they come with optinb, in {folder}: pages/plan.ipynb. They stay; remove one for ours."
    ]
    assert "ran" in (folder / "track.ipynb").read_text()

    (shipped / "track.ipynb").write_text(notebook("new 1"))
    (shipped / "pages" / "plan.ipynb").write_text(notebook("new 2"))
    (shipped / "guides" / "nights.md").write_text("new")
    _, said = copies()
    assert "new 1" in (folder / "track.ipynb").read_text()
    assert (folder / "guides" / "nights.md").read_text() == "new"
    assert "my own" in (folder / "pages" / "plan.ipynb").read_text()
    assert "mine" in (folder / "own.ipynb").read_text()
    assert len(said) == 1 and ": pages/plan.ipynb (newer in this one: pages/plan.ipynb). They stay" in said[0]

    (folder / "pages" / "plan.ipynb").unlink()
    assert copies()[1] == []
    assert "new 2" in (folder / "pages" / "plan.ipynb").read_text()


def test_a_copy_of_an_earlier_version_without_a_record_stays(
    shipped: Path, copies: Callable[[], tuple[Path, list[str]]]
) -> None:
    folder, _ = copies()
    (folder / ".copied.json").unlink()
    (folder / "track.ipynb").write_text(notebook("of long ago"))
    assert "track.ipynb" in copies()[1][0]
    assert "of long ago" in (folder / "track.ipynb").read_text()


def test_a_copy_that_is_only_older_than_this_optinb_counts_as_nobodys_change(
    shipped: Path, copies: Callable[[], tuple[Path, list[str]]]
) -> None:
    folder, _ = copies()
    for page in ("pages/plan.ipynb", "track.ipynb"):
        (shipped / page).write_text(notebook("newer"))
    assert changed_copies(folder) == ()
    (folder / "pages" / "plan.ipynb").write_text(notebook("mine"))
    assert changed_copies(folder) == ("pages/plan.ipynb",)


def test_a_copy_that_cannot_be_read_counts_as_changed(
    copies: Callable[[], tuple[Path, list[str]]], shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = copies()
    assert changed_copies(folder) == ()
    (folder / "track.ipynb").write_text('{"cells":' + "[" * 100_000)
    assert changed_copies(folder) == ("track.ipynb",)
    closed = folder / "guides" / "nights.md"
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert changed_copies(folder) == ("guides/nights.md", "track.ipynb")


def test_notebooks_that_cannot_be_copied_are_said_in_a_sentence(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be copied"):
        copied_notebooks(tmp_path / "file", ALONE, say=print)


def test_lab_works_on_copies_from_a_checkout_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(optinb.serve.lab, "run", lambda command, *_: commands.append(command) or 0)
    before = {path: path.read_bytes() for path in TRACKED.rglob("*") if path.is_file()}
    run_lab(folder, rehearse=False, options=["--allow-root"], say=print)
    (option,) = [option for option in commands[0] if option.startswith("--notebook-dir=")]
    worked_in = Path(option.split("=", 1)[1])
    assert worked_in == folder / "notebooks"
    (worked_in / "track.ipynb").write_text(notebook("1", output="Ada Mustermann"))
    assert {path: path.read_bytes() for path in TRACKED.rglob("*") if path.is_file()} == before
    assert {path.relative_to(TRACKED) for path in before if path.suffix == ".ipynb"} <= {
        path.relative_to(worked_in) for path in worked_in.rglob("*.ipynb")
    }
