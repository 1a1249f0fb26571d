"""A whole night on a delivery that lost a column: whoever had said no gets nothing, whoever may gets the message."""

from __future__ import annotations

import json
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest
from stated_templates import state_any_time

from optinb import attr, open_workspace
from optinb.demo import APPROVER, AUTHOR, RUN_DATE, SCHEDULER, demo_settings
from optinb.errors import Exit
from optinb.night import Night

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox

NEXT = RUN_DATE + timedelta(days=1)
CAMPAIGN = {
    "name": "Hello",
    "channel": "Appboy Push",
    "app_group": "Shop",
    "template": "Optimove_SummerSale_iOS",
    "group": "Germans",
    "schedule": {"every": "day", "at": "18:30"},
    "properties": {"first_name": {"value": "you"}, "promo_code": {"value": "X"}},
}
# e1 and e2 may get it; the others have each said no in one way
FLAGS = ("external_user_id", "push_opt_in", "is_blocked", "is_test")
PEOPLE = {
    "1": ("e1", "true", "false", "false"),
    "2": ("e2", "true", "false", "false"),
    "3": ("e3", "false", "false", "false"),
    "4": ("e4", "true", "true", "false"),
    "5": ("e5", "true", "false", "true"),
    "6": ("e6", "true", "false", "false"),
}
OFF = ("6",)


def deliver(root: Path, day: date, *, without: str = "") -> None:
    folder = root / "inbox" / day.isoformat()
    folder.mkdir(parents=True)
    kept = [i for i, name in enumerate(FLAGS) if name != without]
    lines = [["customer_id", "registered_at", "country", *(FLAGS[i] for i in kept)]]
    lines += [[one, "2026-01-05", "DE", *(values[i] for i in kept)] for one, values in PEOPLE.items()]
    (folder / "customers.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    enabled = without != "push_enabled"
    uses = "".join(f"{one},shop-ios,3.9.0{f',{one not in OFF}' if enabled else ''}\n" for one in PEOPLE)
    header = "customer_id,app_id,app_version" + (",push_enabled" if enabled else "")
    (folder / "app_users.csv").write_text(f"{header}\n{uses}")


@pytest.mark.parametrize("column", [*FLAGS, "push_enabled"])
def test_a_night_on_a_delivery_without_a_column_writes_to_whom_it_wrote_before(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    root = tmp_path / "ws"
    deliver(root, RUN_DATE)
    (root / "optinb.toml").write_text(demo_settings(sandbox.url), encoding="utf-8")
    with open_workspace(root, user=AUTHOR) as ws:
        ws.import_delivery(RUN_DATE)
        ws.model(RUN_DATE)
        ws.templates.sync()
        state_any_time(ws)
        ws.groups.save("Germans", attr("country") == "DE")
        ws.campaigns.submit(CAMPAIGN)
        zone = ws.settings.zone
    with open_workspace(root, user=APPROVER) as boss:
        boss.campaigns.approve("Hello", seen=boss.campaigns.preview("Hello"))
    now = datetime.combine(NEXT, time(2), tzinfo=zone)
    monkeypatch.setenv("OPTINB_NOW", now.isoformat())
    sandbox.move_clock(to=now)
    deliver(root, NEXT, without=column)

    blocked = night(root)
    assert blocked.exit_code == Exit.DATA_BLOCKED and column in str(blocked.problems)
    assert sent(tmp_path) == []
    with open_workspace(root, user=AUTHOR) as ws:
        ws.import_delivery(NEXT, accept_anyway="the column comes back tomorrow")
    assert night(root).exit_code == Exit.DONE
    assert sent(tmp_path) == ["e1", "e2"]


def night(root: Path) -> NightSummary:
    run = Night(open_workspace(root, user=SCHEDULER), NEXT)
    try:
        for step in (run.import_delivery, run.model, run.templates, run.audiences, run.sends):
            step()
        return run.report()
    finally:
        run.close()


def sent(home: Path) -> list[str]:
    journal = home / "sandbox.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return sorted(r["external_user_id"] for line in lines for r in json.loads(line).get("recipients") or [])
