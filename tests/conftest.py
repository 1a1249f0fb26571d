"""Workspaces for tests: the committed sample, imported and modelled once, and copied for each test that changes it."""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fast_files import FAST
from hypothesis import settings
from postgres_server import address as address
from postgres_server import cluster as cluster
from remembered import remembered
from stated_templates import state_any_time

import optinb
from optinb.base.settings import parse_settings
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.customers import modelling
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, GROUPS, KEYS, RUN_DATE, SCHEDULER, demo_settings
from optinb.measure import report
from optinb.nightly import Night
from optinb.rehearsal import JOURNAL
from optinb.sandbox import Sandbox, demo_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from optinb.workspace import Workspace

START = datetime.combine(RUN_DATE, time(2), tzinfo=parse_settings(demo_settings("http://127.0.0.1:1")).zone)
# A busy machine makes no test wrong.
settings.register_profile("optinb", deadline=None)
settings.load_profile("optinb")

PLACEHOLDER = "http://127.0.0.1:1"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Passes over other files where only fast tests are wanted: importing them all takes longer than running these."""
    if config.option.markexpr != "fast" or not collection_path.match("test_*.py"):
        return None
    return collection_path.relative_to(Path(__file__).parent).as_posix() not in FAST or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of the files above as fast."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix() in FAST:
            item.add_marker("fast")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings leak into a test; everybody is the scheduler until a test says otherwise."""
    for name in [n for n in os.environ if n.startswith("OPTINB_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "OPTINB_NOW": START.isoformat(), "OPTINB_USER": SCHEDULER}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session", autouse=True)
def _remembered() -> Iterator[None]:
    """What the models and charts of the same tables are is found out once for all tests of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelling, "model_customers", remembered(modelling.model_customers))
        for name in ("pauses", "chances"):
            patch.setattr(report, name, remembered(getattr(report, name)))
        yield


@pytest.fixture(scope="session")
def modelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace folder with the sample imported and modelled, whose templates come from nowhere yet."""
    root = tmp_path_factory.mktemp("modelled") / "ws"
    init_workspace(root, settings=demo_settings(PLACEHOLDER))
    shutil.copytree(shared(f"data/sample/{RUN_DATE}"), root / "inbox" / RUN_DATE.isoformat())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTINB_NOW", START.isoformat())
        with optinb.open_workspace(root, user=AUTHOR) as ws:
            ws.import_delivery(RUN_DATE)
            ws.model(RUN_DATE)
            for name, rule in GROUPS.items():
                ws.groups.save(name, rule)
    return root


@pytest.fixture(scope="session")
def finished(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the modelled workspace after its night, which sent both campaigns; its sandbox's journal lies in it."""
    root = tmp_path_factory.mktemp("finished") / "ws"
    shutil.copytree(modelled, root)
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world(), journal=root / JOURNAL, now=START) as appboy:
        for name, value in {**KEYS, "OPTINB_NOW": START.isoformat()}.items():
            patch.setenv(name, value)
        point_at(root, appboy.url)
        with optinb.open_workspace(root, user=AUTHOR) as ws, optinb.open_workspace(root, user=APPROVER) as boss:
            ws.templates.sync()
            state_any_time(ws)
            for campaign in CAMPAIGNS:
                ws.campaigns.submit(campaign)
                boss.campaigns.approve(campaign["name"], seen=boss.campaigns.preview(campaign["name"]))
        night = Night(optinb.open_workspace(root, user=SCHEDULER), RUN_DATE)
        for step in (night.import_delivery, night.templates, night.audiences, night.sends, night.report, night.finish):
            step()
    return root


def point_at(root: Path, url: str) -> None:
    """Has the app groups of a workspace at another address."""
    file = root / "optinb.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"http://127\.0\.0\.1:\d+", url, text), encoding="utf-8")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """An Appboy on loopback whose clock stands on the sample's night; its journal is `sandbox.jsonl`."""
    with Sandbox(demo_world(), journal=tmp_path / "sandbox.jsonl", now=START) as running:
        yield running


@pytest.fixture
def folder(modelled: Path, sandbox: Sandbox, tmp_path: Path) -> Path:
    """A copy of the modelled workspace, for one test, that talks to `sandbox`."""
    root = tmp_path / "ws"
    shutil.copytree(modelled, root)
    point_at(root, sandbox.url)
    return root


@pytest.fixture
def ws(folder: Path) -> Iterator[Workspace]:
    """The workspace of one test, opened by the author of campaigns, with templates."""
    with optinb.open_workspace(folder, user=AUTHOR) as workspace:
        workspace.templates.sync()
        state_any_time(workspace)
        yield workspace


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A session on two threads of this machine, in a zone that is nobody's, so that none is taken by mistake."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "700m",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.session.timeZone": "America/New_York",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
