"""Nights in which Appboy, a key or a person gets in the way between planning and sending.

One campaign's trouble is its own, the night says so, and nobody gets anything twice.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from optinb import open_workspace
from optinb.delivery.journal import Batch, Planned
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import Exit
from optinb.nightly import Night

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from optinb.delivery.journal import FrozenAudience
    from optinb.measure import CampaignSummary, NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)


@pytest.fixture
def planned(ws: Workspace, folder: Path) -> Workspace:
    """Both campaigns of the demo, approved; a campaign stops after two refusals in a row."""
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(SUMMER, seen=approver.campaigns.preview(SUMMER))
        approver.campaigns.approve(CLUB, seen=approver.campaigns.preview(CLUB))
    settings = folder / "optinb.toml"
    text = settings.read_text(encoding="utf-8").replace("# max_refusals = 5 ", "max_refusals = 2 ")
    settings.write_text(text.replace("# window_batches = 40 ", "window_batches = 1 "), encoding="utf-8")
    return ws


def run(folder: Path, *, before_sends: Callable[[], Any] = lambda: None) -> NightSummary:
    """A night, with something that happens after the audiences are frozen."""
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    night.import_delivery()
    night.model()
    night.templates()
    night.audiences()
    before_sends()
    night.sends()
    summary = night.report()
    night.close()
    return summary


def of(summary: NightSummary, name: str) -> CampaignSummary:
    return next(campaign for campaign in summary.campaigns if campaign.name == name)


def taken(folder: Path) -> Counter[tuple[str, str]]:
    lines = [json.loads(line) for line in (folder.parent / "sandbox.jsonl").read_text().splitlines()]
    return Counter((line["campaign_id"], r["external_user_id"]) for line in lines for r in line["recipients"])


def archive(ws: Workspace, sandbox: Sandbox, *, archived: bool = True) -> None:
    """Archives the template of the first campaign in Appboy, or brings it back."""
    template = ws.templates.get("Shop", CAMPAIGNS[0]["template"])
    there = sandbox.world.group("Shop").campaign(template.id)
    assert there is not None
    sandbox.world.put_campaign("Shop", replace(there, archived=archived))


def test_a_template_archived_right_before_the_send_stops_its_campaign_and_no_other(
    planned: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as after_the_look:
        after_the_look.setattr("optinb.night.tonight.look_before", lambda *_: archive(planned, sandbox))
        summary = run(folder)
    summer, club = of(summary, SUMMER), of(summary, CLUB)
    assert (summer.refused, summer.pending, summer.accepted) == (100, summer.recipients - 100, 0)
    assert club.accepted == club.recipients > 0
    assert all(campaign.closes() for campaign in summary.campaigns)
    assert summary.exit_code == Exit.FAILED
    told = [problem for problem in summary.problems if problem.startswith(f"'{SUMMER}'")]
    assert "Appboy refused 2 requests in a row" in told[0] and "is archived" in told[0]
    assert f"{summer.pending} recipients are still to be sent" in told[1]
    assert "100 recipients get nothing, because Appboy refused their requests" in told[2]
    assert json.loads((folder / "runs" / RUN_DATE.isoformat() / "summary.json").read_text())["problems"] == [
        *summary.problems
    ]
    archive(planned, sandbox, archived=False)
    again = run(folder)
    assert (of(again, SUMMER).accepted, of(again, SUMMER).refused) == (summer.recipients - 100, 100)
    assert set(taken(folder).values()) == {1}


def test_a_night_of_which_all_was_refused_does_not_end_well(
    planned: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = folder / "optinb.toml"
    settings.write_text(settings.read_text("utf-8").replace("max_refusals = 2 ", "max_refusals = 99 "), "utf-8")
    monkeypatch.setattr("optinb.night.tonight.look_before", lambda *_: archive(planned, sandbox))
    summary = run(folder)
    assert of(summary, SUMMER).refused == of(summary, SUMMER).recipients
    assert summary.exit_code == Exit.FAILED


def test_a_send_that_came_too_late_does_not_end_well(
    planned: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTINB_NOW", "2026-11-23T17:20:00+01:00")  # 20 minutes after the club's time
    summary = run(folder)
    assert of(summary, CLUB).expired == of(summary, CLUB).recipients
    assert summary.exit_code == Exit.FAILED
    assert any("because it was too late to send" in problem for problem in summary.problems)


def test_a_key_that_is_wrong_for_one_of_two_app_groups_stops_that_one_and_goes_on_when_it_is_mended(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    right = sandbox.world.group("Shop")
    keys = tuple(replace(key, key="another") for key in right.keys)
    summary = run(folder, before_sends=lambda: sandbox.world.put(replace(right, keys=keys)))
    assert (of(summary, SUMMER).pending, of(summary, SUMMER).accepted) == (of(summary, SUMMER).recipients, 0)
    assert of(summary, CLUB).accepted == of(summary, CLUB).recipients
    assert summary.exit_code == Exit.FAILED
    (told,) = [problem for problem in summary.problems if "401" in problem]
    assert "check the app group's key" in told and right.keys[0].key not in told
    sandbox.world.put(right)
    assert of(run(folder), SUMMER).accepted == of(summary, SUMMER).recipients
    assert set(taken(folder).values()) == {1}


def test_an_earlier_night_that_cannot_be_closed_is_told_and_stops_nothing_of_this_one(
    planned: Workspace, folder: Path
) -> None:
    def spoil() -> None:
        (audience,) = (a for a in planned.store.deliveries.list(run_date=RUN_DATE) if a.campaign_name == SUMMER)
        day = timedelta(days=1)
        old = replace(audience, run_date=RUN_DATE - day, send_at=audience.send_at - day, batches=1)
        batch = Batch(campaign_id=old.campaign_id, run_date=old.run_date, number=0, first=0, size=50, state=Planned())
        planned.store.deliveries.plan(old, [batch], user="cron", now=planned.now())
        file = planned.store.deliveries.answers.path(*old.night)
        file.unlink()
        file.mkdir()

    summary = run(folder, before_sends=spoil)
    assert all(campaign.accepted == campaign.recipients > 0 for campaign in summary.campaigns)
    assert summary.exit_code == Exit.FAILED
    assert any("for 2026-11-22 can't be closed: the answers file" in problem for problem in summary.problems)


def test_what_nobody_foresaw_in_one_send_stops_no_other(
    planned: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "optinb.night.tonight.look_before"

    def broken(_ws: object, _client: object, messages: Sequence[FrozenAudience]) -> None:
        if messages[0].campaign_name == SUMMER:
            raise RecursionError("too deep")

    with monkeypatch.context() as patch:
        patch.setattr(look, broken)
        summary = run(folder)
    summer, club = of(summary, SUMMER), of(summary, CLUB)
    assert (summer.accepted, club.accepted) == (0, club.recipients)
    assert summary.exit_code == Exit.FAILED
    assert f"{SUMMER!r}: it failed (RecursionError: too deep)" in summary.problems
