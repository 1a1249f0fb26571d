"""Nights on which a table has stopped coming: what reads it is held, the rest is sent, and the night says so."""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from optinb import attr, did, in_group, open_workspace
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import Exit
from optinb.night import Night

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optinb.measure import CampaignSummary, NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

CLUB = CAMPAIGNS[1]
RULES = {
    "purchases": ~did("purchase").within(days=30),
    "by way of a group": in_group("purchases") & (attr("country") == "DE"),
    "by the model": attr("stage") == "churned",
    "events": did("app_open"),
    "country": attr("country") == "DE",
}


@pytest.fixture
def go(ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., NightSummary]:
    """Runs the night so many days after the sample's, with the tables of the sample that are named delivered anew."""
    for name, rule in RULES.items():
        ws.groups.save(name, rule)
        ws.campaigns.submit({**CLUB, "name": name, "group": name, "control": 0.0})
    shown = {**CLUB["properties"], "promo_code": {"attribute": "favourite_category", "default": "CLUB"}}
    ws.campaigns.submit({**CLUB, "name": "property", "group": "country", "control": 0.0, "properties": shown})
    with open_workspace(folder, user=APPROVER) as approver:
        for name in (*RULES, "property"):
            approver.campaigns.approve(name, seen=approver.campaigns.preview(name))

    def night(days: int, *tables: str, more: str = "", delivered: bool = True) -> NightSummary:
        day = RUN_DATE + timedelta(days=days)
        now = datetime.combine(day, time(3), tzinfo=ws.settings.zone)
        monkeypatch.setenv("OPTINB_NOW", now.isoformat())
        sandbox.move_clock(to=now)
        home = folder / "inbox" / day.isoformat()
        if delivered and days:
            home.mkdir(exist_ok=True)
            for path in sorted((folder / "inbox" / RUN_DATE.isoformat()).iterdir()):
                if path.name.split(".")[0].split("-")[0] in tables:
                    shutil.copy2(path, home)
        if more:
            settings = folder / "optinb.toml"
            settings.write_text(settings.read_text().replace("[import]", f"[import]\n{more}\n"))
            run(folder, day)  # how old data may be is approved, so that another limit holds until it is
            with open_workspace(folder, user=APPROVER) as approver:
                for record in approver.campaigns.list():
                    if record.state == "held":
                        approver.campaigns.approve(
                            record.campaign.name, seen=approver.campaigns.preview(record.campaign.name)
                        )
        return run(folder, day)

    return night


def run(folder: Path, day: date) -> NightSummary:
    night = Night(open_workspace(folder, user=SCHEDULER), day)
    try:
        for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
            step()
        return night.report()
    finally:
        night.close()


def held(summary: NightSummary) -> dict[str, str]:
    return {c.name: c.held for c in summary.campaigns if c.held}


def of(summary: NightSummary, name: str) -> CampaignSummary:
    return next(c for c in summary.campaigns if c.name == name)


ALL = ("customers", "app_users", "transactions", "events")


def test_a_table_that_stops_holds_what_reads_it_and_the_night_says_so(
    go: Callable[..., NightSummary], folder: Path
) -> None:
    # the events of the sample, delivered again, have old rows only
    fresh = go(0, *ALL, more="max_age = { events = 30 }")
    assert fresh.stale == {} and held(fresh) == {}
    first = go(1, "customers", "app_users", "events")
    assert first.stale == {} and held(first) == {} and first.exit_code == Exit.DONE
    assert any(w.startswith("transactions was not in the delivery of 2026-11-24") for w in first.warnings)
    third = go(3, "customers", "app_users", "events")
    assert set(third.stale) == {"transactions"}
    assert third.exit_code == Exit.CAMPAIGN_HELD
    assert set(held(third)) == {"purchases", "by way of a group", "by the model", "property"}
    for reason in held(third).values():
        assert "transactions was delivered last on 2026-11-23, 3 days before this night (max_age_days = 2)" in reason
        assert "have it delivered again" in reason
    assert of(third, "country").accepted > 0 and of(third, "events").recipients == of(third, "events").accepted
    assert of(third, "purchases").excluded["held"] > 0 and all(c.closes() for c in third.campaigns)
    written = json.loads((folder / "runs" / "2026-11-26" / "summary.json").read_text())
    assert set(written["stale"]) == {"transactions"} and written["stale"]["transactions"] in written["warnings"]
    assert "transactions was delivered last on 2026-11-23" in (folder / "runs/2026-11-26/report.html").read_text()
    back = go(4, *ALL)
    # the rows are those of the sample: old by now, and told, but not for longer than max_age_days
    assert "transactions" not in back.stale or "newest row" in back.stale["transactions"]


def test_the_same_old_rows_every_night_are_held_too(go: Callable[..., NightSummary]) -> None:
    go(0, *ALL)
    for days in (1, 2):
        summary = go(days, *ALL)
        assert "transactions" not in summary.stale
    last = go(3, *ALL)
    assert set(last.stale) >= {"transactions"}
    assert (
        "purchases" in held(last) and "none newer has come since the delivery of 2026-11-23" in held(last)["purchases"]
    )
    assert "country" not in held(last)


def test_a_table_that_nobody_reads_holds_nobody_and_is_told(go: Callable[..., NightSummary], ws: Workspace) -> None:
    for name in ("events", "purchases", "by way of a group", "by the model", "property"):
        ws.campaigns.pause(name)
    go(0, *ALL)
    summary = go(3, "customers", "app_users")
    assert set(summary.stale) == {"transactions", "events"}
    assert held(summary) == {} and summary.exit_code == Exit.DONE
    assert all(reason in summary.warnings for reason in summary.stale.values())


def test_a_limit_of_its_own_lets_a_weekly_table_be(go: Callable[..., NightSummary]) -> None:
    go(0, *ALL)
    summary = go(3, "customers", "app_users", "events", more="max_age = { transactions = 8 }")
    assert "transactions" not in summary.stale and not any("transactions" in warning for warning in summary.warnings)
    assert "purchases" not in held(summary)


def test_stale_customers_hold_everybody_since_their_consent_is_old(go: Callable[..., NightSummary]) -> None:
    go(0, *ALL)
    summary = go(3, "app_users", "transactions", "events", more='required = ["app_users"]')
    assert set(held(summary)) == {*RULES, "property"}
    assert all("customers was delivered last on 2026-11-23" in reason for reason in held(summary).values())


def test_nights_without_any_delivery_are_told_once(go: Callable[..., NightSummary]) -> None:
    go(0, *ALL)
    summary = go(1, delivered=False)
    assert [w for w in summary.warnings if "delivery" in w] == [
        "there is no delivery of 2026-11-24 in the inbox; the night goes on with the tables of 2026-11-23"
    ]
    assert summary.stale == {} and held(summary) == {}
