"""An event that was never delivered can't be asked about: "didn't do it" would select everybody."""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

import optinb
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.demo import AUTHOR, RUN_DATE, demo_settings
from optinb.engine import tables_of
from optinb.errors import RuleError
from optinb.rules import did
from optinb.segments import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optinb.warehouse import Snapshot
    from optinb.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Callable[[str | None], Workspace]:
    """Makes a workspace of one customer, with these events (the lines of a file) or without any."""

    def make(events: str | None) -> Workspace:
        root = tmp_path / "ws"
        init_workspace(root, settings=demo_settings("http://127.0.0.1:1"))
        inbox = root / "inbox" / RUN_DATE.isoformat()
        shutil.copytree(shared(f"data/sample/{RUN_DATE}"), inbox)
        for file in inbox.glob("events*"):
            file.unlink()
        if events is not None:
            (inbox / "events.csv").write_text("event_id,customer_id,name,occurred_at\n" + events)
        ws = optinb.open_workspace(root, user=AUTHOR)
        ws.import_delivery(RUN_DATE)
        return ws

    return make


def test_a_misspelt_event_is_refused_with_the_nearest_name(workspace: Callable[[str | None], Workspace]) -> None:
    with workspace("e1,000001,app_open,2026-11-20T10:00:00Z\ne2,000002,wishlist,2026-11-20T10:00:00Z\n") as ws:
        assert ws.groups.count(did("app_open")).customers == 1
        for text, near in (("purchse", "purchase"), ("app_opened", "app_open")):
            with pytest.raises(RuleError, match=f"nobody ever did '{text}'; did you mean '{near}'"):
                ws.groups.count(f'~did("{text}").within(days=60)')
            with pytest.raises(RuleError, match=near):
                ws.groups.save("Typing error", ~did(text))


def test_where_no_event_was_ever_delivered_it_is_said(workspace: Callable[[str | None], Workspace]) -> None:
    with workspace(None) as ws:
        assert ws.groups.count(did("purchase")).customers > 0
        with pytest.raises(RuleError, match=r"no event was ever delivered.*did you mean 'purchase'"):
            ws.groups.count(~did("purchse"))


class Counted:
    """A snapshot that counts how often its events are read."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, self.reads = snapshot, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.snapshot, name)

    def scan(self, name: str, **days: object) -> object:
        found = self.snapshot.scan(name, **days)
        if name == "events":
            self.reads += 1
        return found


def test_events_are_read_once_a_version_and_only_when_asked_about(
    workspace: Callable[[str | None], Workspace],
) -> None:
    with workspace("e1,000001,app_open,2026-11-20T10:00:00Z\n") as ws:
        snapshot = Counted(ws.snapshot())
        tables = [tables_of(snapshot, run_date=date(2026, 11, 23), zone=ZoneInfo("UTC")) for _ in range(3)]  # type: ignore[arg-type]
        assert snapshot.reads == 3  # the lazy frame of each
        check(did("purchase"), tables[0])
        assert snapshot.reads == 3
        for each in tables:
            check(did("app_open"), each)
        assert snapshot.reads == 4
