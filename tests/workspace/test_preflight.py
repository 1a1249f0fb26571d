"""The look before a night: what isn't there is said in a sentence each, and all that doesn't need it goes on."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from optinb import open_workspace
from optinb.demo import APPROVER, CAMPAIGNS, KEYS, RUN_DATE, SCHEDULER
from optinb.errors import Exit, NightError
from optinb.night.steps import examine_night
from optinb.nightly import Night
from optinb.planning import bad

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import CampaignSummary, NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)


@pytest.fixture
def planned(ws: Workspace, folder: Path) -> Workspace:
    """Both campaigns of the demo, approved: one to the app group Shop, one to Club."""
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(SUMMER, seen=approver.campaigns.preview(SUMMER))
        approver.campaigns.approve(CLUB, seen=approver.campaigns.preview(CLUB))
    return ws


def run(folder: Path) -> NightSummary:
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
        step()
    summary = night.report()
    night.close()
    return summary


def of(summary: NightSummary, name: str) -> CampaignSummary:
    return next(campaign for campaign in summary.campaigns if campaign.name == name)


def test_a_missing_key_ends_the_night_with_2_and_stops_its_own_app_group_only(
    planned: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPTINB_SHOP_KEY")
    summary = run(folder)
    assert summary.exit_code == Exit.WRONG_USE
    (told,) = summary.problems
    assert told.startswith("'Shop' isn't ready") and "set the environment variable OPTINB_SHOP_KEY" in told
    assert (of(summary, SUMMER).held, of(summary, SUMMER).accepted) == (told, 0)
    assert of(summary, CLUB).accepted == of(summary, CLUB).recipients > 0
    assert summary.imported["customers"].loaded > 2_000
    monkeypatch.setenv("OPTINB_SHOP_KEY", KEYS["OPTINB_SHOP_KEY"])
    again = run(folder)
    assert (again.exit_code, again.problems) == (Exit.DONE, ())
    assert of(again, SUMMER).accepted == of(again, SUMMER).recipients > 0


def test_a_key_of_an_app_group_that_is_not_due_is_not_asked_for(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.campaigns.submit(CAMPAIGNS[1])
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(CLUB, seen=approver.campaigns.preview(CLUB))
    monkeypatch.delenv("OPTINB_SHOP_KEY")
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    found = night.preflight()
    night.close()
    assert [health.app_group for health in found.app_groups] == ["Club"]
    assert found.exit_code == Exit.DONE


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": "another"}, "401"),
        ({"permissions": ("campaigns.trigger.schedule.create",)}, "campaigns.list"),
    ],
)
def test_a_key_that_is_refused_or_may_not_read_is_told_before_the_import(
    planned: Workspace, folder: Path, sandbox: Sandbox, wrong: dict[str, object], said: str
) -> None:
    shop = sandbox.world.group("Shop")
    sandbox.world.put(replace(shop, keys=tuple(replace(key, **wrong) for key in shop.keys)))
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    found = night.preflight()
    night.close()
    assert not bad(found.machine)
    assert {h.app_group: bool(bad(h.verdicts)) for h in found.app_groups} == {"Club": False, "Shop": True}
    shop_health = next(h for h in found.app_groups if h.app_group == "Shop")
    assert any(said in v.about + v.text for v in bad(shop_health.verdicts))
    assert all(key.key not in v.text for key in shop.keys for v in shop_health.verdicts)


def test_want_of_room_is_told_and_the_night_goes_on(
    planned: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    summary = run(folder)
    assert summary.exit_code == Exit.WRONG_USE
    assert "1 MB are free, and a night needs about" in summary.problems[0]
    assert all(campaign.accepted == campaign.recipients > 0 for campaign in summary.campaigns)


def test_a_clock_behind_an_earlier_night_is_told(planned: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    planned.store.runs.start(RUN_DATE, user=SCHEDULER, now=planned.now() + timedelta(hours=2))
    monkeypatch.delenv("OPTINB_NOW")  # nobody minds a clock that is pretended
    (told,) = bad(examine_night(planned, RUN_DATE, ()).machine)
    assert told.about == "clock" and "set it by NTP" in told.text


def test_a_delivery_that_may_not_be_read_is_told(
    planned: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "inbox" / RUN_DATE.isoformat() / "customers.csv"
    monkeypatch.setattr("os.access", lambda path, _mode: path != closed)
    (told,) = bad(examine_night(planned, RUN_DATE, ()).machine)
    assert "customers.csv" in told.text and "give it the right" in told.text


def test_the_notebook_of_a_night_ends_with_2_for_the_scheduler(
    planned: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPTINB_CLUB_KEY")
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends, night.report):
        step()
    with pytest.raises(NightError, match="OPTINB_CLUB_KEY") as error:
        night.finish()
    assert error.value.exit_code == Exit.WRONG_USE
