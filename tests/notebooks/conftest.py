"""Workspaces at each age that notebooks are run on, made once and copied, each with its sandbox at work."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from stated_templates import state_any_time

from optinb import open_workspace
from optinb.base.settings import FILE_NAME, load_settings
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, KEYS, RUN_DATE, SCHEDULER, demo_settings
from optinb.errors import NightError
from optinb.nightly import Night
from optinb.rehearsal import JOURNAL, start_sandbox
from optinb.sandbox import Sandbox, demo_world
from optinb.sandbox.sample import write_sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optinb.workspace import Workspace

NIGHTS = 7


def two_o_clock(root: Path, day: date) -> datetime:
    return datetime.combine(day, time(2), tzinfo=load_settings(root / FILE_NAME).zone)


@pytest.fixture(scope="session")
def fresh(modelled: Path) -> Path:
    """A workspace in which nothing was planned yet."""
    return modelled


@pytest.fixture(scope="session")
def week_old(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after seven nights, each with a delivery of its own, in which people decided this and that."""
    root = tmp_path_factory.mktemp("week_old") / "ws"
    shutil.copytree(modelled, root)
    deliveries = tmp_path_factory.mktemp("deliveries")
    write_sample(deliveries, nights=NIGHTS)
    begin = two_o_clock(root, RUN_DATE)
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world(), journal=root / JOURNAL, now=begin) as appboy:
        for name, value in {**KEYS, "OPTINB_NOW": begin.isoformat()}.items():
            patch.setenv(name, value)
        (root / FILE_NAME).write_text(demo_settings(appboy.url), encoding="utf-8")
        with open_workspace(root, user=AUTHOR) as ws, open_workspace(root, user=APPROVER) as boss:
            ws.templates.sync()
            state_any_time(ws)
            plan(ws, boss)
        for number in range(NIGHTS):
            day = RUN_DATE + timedelta(days=number)
            now = two_o_clock(root, day)
            patch.setenv("OPTINB_NOW", now.isoformat())
            if number:
                appboy.move_clock(to=now)
                shutil.copytree(deliveries / f"{day}", root / "inbox" / f"{day}")
            night = Night(open_workspace(root, user=SCHEDULER), day)
            steps = (night.import_delivery, night.model, night.templates, night.audiences, night.sends, night.report)
            with suppress(NightError):  # that a person must look at something
                for step in (*steps, night.finish):
                    step()
    return root


def plan(ws: Workspace, boss: Workspace) -> None:
    """The demo's campaigns, approved, and others in states that people bring about."""
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
        boss.campaigns.approve(campaign["name"], seen=boss.campaigns.preview(campaign["name"]))
    later = {**CAMPAIGNS[1], "name": "Waits", "schedule": {"date": RUN_DATE + timedelta(days=30), "at": "17:00"}}
    ws.campaigns.submit(later)
    for name in ("Rejected", "Cancelled", "Paused"):
        ws.campaigns.submit({**CAMPAIGNS[1], "name": name})
    boss.campaigns.reject("Rejected", comment="which code?")
    ws.campaigns.cancel("Cancelled", comment="not now")
    boss.campaigns.approve("Paused", seen=boss.campaigns.preview("Paused"))
    ws.campaigns.pause("Paused")
    ws.drafts.keep({**CAMPAIGNS[1], "name": "A draft"}, seen=None)


@pytest.fixture
def at_work(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Copies a workspace, starts its sandbox where it was, and sets the clock to its newest night."""
    stack = ExitStack()
    request.addfinalizer(stack.close)

    def copied(source: Path) -> Path:
        root = tmp_path / "ws"
        shutil.copytree(source, root)
        now = two_o_clock(root, date.fromisoformat(max(path.name for path in (root / "inbox").iterdir())))
        monkeypatch.setenv("OPTINB_NOW", now.isoformat())
        port = urlsplit(load_settings(root / FILE_NAME).app_groups[0].api).port or 0
        appboy = start_sandbox(stack, root, port if port > 1 else 0, now)
        (root / FILE_NAME).write_text(demo_settings(appboy.url), encoding="utf-8")
        return root

    return copied
