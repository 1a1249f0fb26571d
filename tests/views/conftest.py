from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from optinb import did
from optinb.demo import demo_settings
from optinb.sandbox import Sandbox, demo_world
from optinb.workspace import Workspace, open_workspace
from optinb.workspace.setup import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN_DATE = date(2026, 11, 23)
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / RUN_DATE.isoformat()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with the sample imported, customers modelled, templates imported and one group saved."""
    root = tmp_path_factory.mktemp("prepared") / "data"
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world()) as sandbox:
        patch.setenv("OPTINB_SHOP_KEY", "sandbox-shop-key")
        patch.setenv("OPTINB_CLUB_KEY", "sandbox-club-key")
        patch.setenv("OPTINB_NOW", f"{RUN_DATE}T02:00:00+01:00")
        init_workspace(root, settings=demo_settings(sandbox.url))
        shutil.copytree(SAMPLE, root / "inbox" / RUN_DATE.isoformat())
        with open_workspace(root, user="ana") as ws:
            ws.import_delivery(RUN_DATE)
            ws.model()
            ws.templates.sync()
            bought, lately = did("purchase").at_least(2).within(days=365), did("purchase").within(days=60)
            ws.groups.save("Lapsed buyers", bought & ~lately)
            ws.groups.save("All buyers", did("purchase").at_least(1))
        yield root


@pytest.fixture
def open_as(prepared: Path, tmp_path: Path) -> Iterator[Callable[[str], Workspace]]:
    """Opens a test's own copy of the workspace as somebody."""
    root = tmp_path / "data"
    shutil.copytree(prepared, root, copy_function=_copy_or_link)
    opened: list[Workspace] = []

    def open_it(user: str) -> Workspace:
        opened.append(open_workspace(root, user=user))
        return opened[-1]

    yield open_it
    for ws in opened:
        ws.close()


def _copy_or_link(source: str, target: str) -> None:
    """Published tables never change, so that tests can share them; the store of campaigns does."""
    if Path(source).name.startswith("state.sqlite"):
        shutil.copyfile(source, target)
    else:
        os.link(source, target)


@pytest.fixture
def ws(open_as: Callable[[str], Workspace]) -> Workspace:
    """The workspace as its author sees it."""
    return open_as("ana")
