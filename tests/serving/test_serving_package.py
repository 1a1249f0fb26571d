"""Whoever shares a workspace changes nothing of what an approver's pages run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from pages_server import TOKEN, serving

from optinb.base.settings import FILE_NAME, load_settings
from optinb.demo import APPROVER
from optinb.serve.notebook_copies import copied_notebooks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pages_server import PagesServer

PAGES = {"workbench": "Push campaigns"}
MODULES = ("ipykernel_launcher", "polars", "sitecustomize", "jupyter", "voila", "optinb")


@pytest.fixture(scope="module")
def shared_folder(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which an author has changed copies of pages, and left modules wherever a program may start."""
    root = tmp_path_factory.mktemp("shared") / "ws"
    shutil.copytree(modelled, root)
    folder = copied_notebooks(root, load_settings(root / FILE_NAME), say=print)
    planted = root / "planted"
    planted.mkdir()
    plant = f"open({str(planted)!r} + '/' + __name__.replace('.', '-') + '%s', 'w').close()\n"
    for name in PAGES:
        page = folder / "pages" / f"{name}.ipynb"
        content = json.loads(page.read_text("utf-8"))
        content["cells"][-1]["source"] = plant % f"-{name}"
        page.write_text(json.dumps(content), "utf-8")
    for where in (folder / "pages", folder, root):
        for name in MODULES:
            (where / f"{name}.py").write_text(plant % f"-{name}-{where.name}", "utf-8")
        (where / "optinb").mkdir()
        (where / "optinb" / "__init__.py").write_text(plant % "-package", "utf-8")
        (where / "jupyter_server_config.py").write_text(plant % "-config", "utf-8")
        # where a program looks for modules first, they do run
        subprocess.run([sys.executable, "-m", "ipykernel_launcher"], cwd=where, check=True)
        next(planted.iterdir()).unlink()
    return root


@pytest.fixture(scope="module")
def pages(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesServer]:
    """What an approver serves, who starts it in the shared folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPTINB_SHOP_KEY", "OPTINB_CLUB_KEY"):
            patch.setenv(name, "k")
        own = tmp_path_factory.mktemp("approver")
        with serving(shared_folder, own, user=APPROVER, started_in=shared_folder) as server:
            yield server


@pytest.mark.parametrize(("name", "heading"), PAGES.items())
def test_an_approver_gets_each_page_of_the_package_and_runs_nothing_that_others_left(
    pages: PagesServer, shared_folder: Path, name: str, heading: str
) -> None:
    with httpx.Client(base_url=pages.url, trust_env=False, timeout=120) as browser:
        browser.get(f"/no-such-page?token={TOKEN}")
        page = browser.get(f"/voila/render/{name}.ipynb")
    assert page.status_code == 200
    assert heading in page.text
    assert "application/vnd.jupyter.widget-view+json" in page.text, "the page's view is missing"
    assert "application/vnd.jupyter.stderr" not in page.text
    assert [path.name for path in (shared_folder / "planted").iterdir()] == []


def test_the_pages_that_somebody_changed_are_told_and_not_served(pages: PagesServer, shared_folder: Path) -> None:
    said = "".join(pages.said)
    assert f"of {shared_folder / 'notebooks'} these differ, and aren't served: " in said
    assert all(f"pages/{name}.ipynb" in said for name in PAGES)
    assert "track.ipynb" not in said
