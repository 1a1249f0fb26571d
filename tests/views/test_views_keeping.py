"""Drafts are kept as one edits, and two people on one campaign see each other's changes."""

from __future__ import annotations

import re

import pytest
from page_text import text_of
from planned import fill

from optinb.demo import APPROVER, AUTHOR
from optinb.views.plan.planner import Planner
from optinb.workspace import open_workspace


@pytest.fixture
def other(folder):
    """The workspace as a second person has it open."""
    with open_workspace(folder, user=APPROVER) as opened:
        yield opened


@pytest.fixture
def planner(ws) -> Planner:
    made = fill(Planner(ws))
    made.name.value = "Winter"
    return made


@pytest.fixture
def theirs(planner, other) -> Planner:
    """The second person's planner, with the same draft open."""
    made = Planner(other)
    made.campaign.value = other.campaigns.get("Winter").id
    return made


def test_looking_at_the_planner_saves_nothing(ws):
    Planner(ws)
    assert not ws.campaigns.list()


def test_every_change_is_in_the_store(planner, ws):
    planner.control.value = 33
    planner.schedule.often.value = "day"
    planner.offer.name.value = "Two for one"
    planner.properties.rows["promo_code"].value.value = "WINTER"
    kept = ws.campaigns.get("Winter")
    assert (kept.state, kept.author) == ("draft", AUTHOR)
    assert kept.campaign.control == 0.33
    assert kept.campaign.schedule.every == "day"
    assert kept.campaign.offer.name == "Two for one"
    assert kept.campaign.properties["promo_code"].value == "WINTER"
    assert "draft Saved Mon 23 Nov 2026" in text_of(planner.keeper.state.value)


def test_planner_opened_again_goes_on_with_the_draft(planner, ws):
    planner.app_group.value = "Club"
    planner.template.value = "Optimove_Points_iOS"
    planner.schedule.often.value = "month"
    planner.schedule.day.value = "last"
    planner.priority.value = 7
    again = Planner(ws)
    assert again.fields() == planner.fields()
    assert again.keeper.record == ws.campaigns.get("Winter")
    assert ("Winter (draft, demo-author)", ws.campaigns.get("Winter").id) in again.campaign.options


def test_opening_a_draft_changes_nothing(planner, ws):
    before = ws.campaigns.get("Winter")
    Planner(ws)
    assert ws.campaigns.get("Winter") == before


def test_new_name_moves_the_draft_and_leaves_no_second_one(planner, ws):
    planner.name.value = "Winter, second try"
    assert [r.campaign.name for r in ws.drafts.open()] == ["Winter, second try"]
    planner.name.value = "Winter"
    assert [r.campaign.name for r in ws.drafts.open()] == ["Winter"]


def test_draft_that_says_nothing_sensible_yet_is_named_and_the_last_one_stays(planner, ws):
    planner.control.value = 20
    planner.schedule.often.value = "week"
    assert "Not saved:" in text_of(planner.keeper.state.value)
    assert ws.campaigns.get("Winter").campaign.control == 0.2
    planner.schedule.days.boxes["friday"].value = True
    assert ws.campaigns.get("Winter").campaign.schedule.days == ("friday",)


def test_another_campaign_can_be_opened_and_left_again(planner, ws):
    winter = planner.keeper.record.id
    planner.campaign.value = ""
    assert planner.name.value != "Winter"
    planner.control.value = 44
    planner.campaign.value = winter
    assert (planner.name.value, planner.control.value) == ("Winter", 10)


def test_approved_campaign_is_not_touched_before_it_is_submitted_again(planner, ws, other):
    planner.properties.rows["promo_code"].value.value = "WINTER"
    planner.submit.click()
    other.campaigns.approve("Winter", seen=other.campaigns.preview("Winter"))
    planner._look_again()
    assert "approved" in text_of(planner.keeper.state.value)
    planner.control.value = 50
    assert ws.campaigns.get("Winter").state == "approved"
    assert ws.campaigns.get("Winter").campaign.control == 0.1
    planner.submit.click()
    assert ws.campaigns.get("Winter").state == "submitted"
    assert ws.campaigns.get("Winter").campaign.control == 0.5


def test_change_by_somebody_else_shows_with_name_and_time(planner, theirs):
    theirs.control.value = 25
    assert planner._look_again()
    assert planner.control.value == 25
    assert re.search(r"demo-approver changed this at \d\d:\d\d\.", text_of(planner.keeper.news.value))
    assert not planner.keeper.is_dirty


def test_two_versions_at_odds_are_left_to_their_writer(planner, theirs, ws):
    theirs.control.value = 25
    planner.priority.value = 90
    assert ws.campaigns.get("Winter").campaign.control == 0.25
    assert "demo-approver changed this" in text_of(planner.keeper.news.value)
    assert "What you wrote since then isn't saved" in text_of(planner.keeper.news.value)
    planner.submit.click()
    assert "Somebody else changed this campaign" in text_of(planner.result.value)
    planner.keeper.mine.click()
    kept = ws.campaigns.get("Winter").campaign
    assert (kept.control, kept.priority) == (0.1, 90)


def test_their_version_can_be_shown_instead_of_mine(planner, theirs):
    theirs.control.value = 25
    planner.priority.value = 90
    planner.keeper.theirs.click()
    assert (planner.control.value, planner.priority.value) == (25, 50)
    assert not planner.keeper.is_dirty


def test_reason_of_a_rejection_stands_above_the_draft(planner, ws, other):
    planner.properties.rows["promo_code"].value.value = "WINTER"
    planner.submit.click()
    other.campaigns.reject("Winter", comment="too <many>")
    planner._look_again()
    assert "rejected" in text_of(planner.keeper.state.value)
    assert "too <many>" in text_of(planner.keeper.state.value)
    assert "demo-approver rejected this" in text_of(planner.keeper.news.value)
