"""A build packs the files that are listed, without outputs, whatever lies in the folder that it is built in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from optinb.base.stripped import stripped

ROOT = Path(__file__).parents[2]
NAME = "Ada Mustermann-Qx7"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LISTED = PROJECT["tool"]["hatch"]["build"]["hooks"]["custom"]["files"]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which somebody has worked: a name in outputs, and in files beside the listed ones."""
    root = tmp_path_factory.mktemp("build") / "optinb"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "optinb", root / "optinb", ignore=ignore)
    for name in (*LISTED, "pyproject.toml", ".ci/hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    for path in root.rglob("*.ipynb"):
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            cell["metadata"]["widget"] = NAME
            if cell["cell_type"] == "code":
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [NAME]}]
                cell["execution_count"] = 3
        notebook["metadata"]["widgets"] = {"state": NAME}
        path.write_text(json.dumps(notebook))
    for beside in (
        "notebooks/mine.ipynb",
        "notebooks/.ipynb_checkpoints/track-checkpoint.ipynb",
        "data/sample/2026-11-23/more.csv",
        "data/state.sqlite",
        "optinb/members.csv",
        "optinb/mine.ipynb",
        "trial/customers.csv",
    ):
        (root / beside).parent.mkdir(parents=True, exist_ok=True)
        (root / beside).write_text(NAME)
    return root


def build(root: Path, kind: str, out: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    (made,) = out.iterdir()
    return made


def from_wheel(made: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(made) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def from_source(made: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(made) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            if stream is not None:
                found[member.name.split("/", 1)[1]] = stream.read()
    return found


def test_a_wheel_has_the_listed_files_and_the_code_and_no_outputs(dirty: Path, tmp_path: Path) -> None:
    packed = from_wheel(build(dirty, "wheel", tmp_path))
    assert "optinb/py.typed" in packed, "type checkers of others would take nothing from optinb"
    assert [name for name, content in packed.items() if NAME.encode() in content] == []
    assert {name for name in packed if name.startswith("optinb/share/")} == {f"optinb/share/{name}" for name in LISTED}
    for name in LISTED:
        content = (ROOT / name).read_bytes()
        expected = stripped(content) if name.endswith(".ipynb") else content
        assert packed[f"optinb/share/{name}"] == expected, name
    code = {path.relative_to(dirty).as_posix() for path in (dirty / "optinb").rglob("*") if path.is_file()}
    assert code - {"optinb/members.csv", "optinb/mine.ipynb"} == {
        name for name in packed if name.startswith("optinb/") and not name.startswith("optinb/share/")
    }


def test_what_sources_are_packed_from_has_no_outputs_either_and_builds_the_same_wheel(
    dirty: Path, tmp_path: Path
) -> None:
    made = build(dirty, "sdist", tmp_path / "sources")
    packed = from_source(made)
    assert [name for name, content in packed.items() if NAME.encode() in content] == []
    with tarfile.open(made) as archive:
        archive.extractall(tmp_path, filter="data")
    again = from_wheel(build(tmp_path / made.name.removesuffix(".tar.gz"), "wheel", tmp_path / "again"))
    first = from_wheel(build(dirty, "wheel", tmp_path / "first"))
    assert again == first


def test_every_notebook_and_guide_of_the_project_is_listed() -> None:
    there = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "notebooks").rglob("*")
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    ]
    assert sorted(there) == sorted(name for name in LISTED if name.startswith("notebooks/"))
