"""Drafts are kept as one edits, and two people on one campaign see each other's changes."""

from __future__ import annotations

import re
from datetime import time

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
    said = "Kept for you; others see it once it is whole. Still missing: days of the week."
    assert said in text_of(planner.keeper.state.value)
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


def test_what_is_not_whole_yet_is_there_again_when_the_planner_is_opened_again(planner, ws):
    planner.priority.value = 90
    planner.schedule.at.value = None
    assert ws.campaigns.get("Winter").campaign.schedule.at == "18:30"
    again = Planner(ws)
    assert (again.priority.value, again.schedule.at.value) == (90, None)
    assert again.keeper.is_dirty
    again.schedule.at.value = planner_time = time(9, 0)
    assert ws.campaigns.get("Winter").campaign.schedule.time == planner_time
    assert not Planner(ws).keeper.is_dirty


def test_what_was_written_before_somebody_else_changed_it_is_kept_beside_theirs(planner, theirs, ws):
    planner.schedule.at.value, planner.priority.value = None, 90
    planner.close()
    theirs.control.value = 25
    again = Planner(ws)
    assert again.priority.value == 90 and "Which one is to count" in text_of(again.keeper.news.value)
    again.keeper.theirs.click()
    assert (again.priority.value, again.control.value) == (50, 25)


def test_a_sitting_makes_two_entries_of_the_trail_however_many_letters_are_written(planner, ws):
    import asyncio

    async def write() -> None:
        for letters in ("W", "Wi", "Win", "Wint"):
            planner.notes.value = letters
            await asyncio.sleep(0)
        planner.keeper._save_soon()  # the pause is over, which begins the sitting
        planner.keeper.save()
        for letters in ("Winte", "Winter", "Winter!"):
            planner.notes.value = letters
            planner.keeper._keep_text()
        assert ws.unsaved.get(planner.keeper.key_of(planner.keeper.record)) is not None
        assert "others see it in a moment" in text_of(planner.keeper.state.value)

    before = len(ws.store.audit.list())
    asyncio.run(write())
    assert len(ws.store.audit.list()) == before + 1
    planner.campaign.value = ""
    assert len(ws.store.audit.list()) == before + 2
    assert ws.campaigns.get("Winter").campaign.notes == "Winter!"


def test_the_last_changes_are_taken_back_one_by_one(planner, ws):
    planner.control.value = 20
    planner.priority.value = 70
    planner.keeper.undo.click()
    assert (planner.priority.value, planner.control.value) == (50, 20)
    planner.keeper.undo.click()
    assert planner.control.value == 10
    assert ws.campaigns.get("Winter").campaign.control == 0.1


def test_a_draft_that_is_discarded_can_be_brought_back(planner, ws):
    planner.control.value = 20
    planner.keeper.discard.click()
    assert not ws.drafts.open() and planner.campaign.value == ""
    assert "“Winter” is discarded" in text_of(planner.keeper.news.value)
    planner.keeper.bring_back.click()
    (record,) = ws.drafts.open()
    assert (record.campaign.name, record.campaign.control, record.archived) == ("Winter", 0.2, False)
    assert (planner.name.value, planner.control.value) == ("Winter", 20)


def test_comments_and_who_else_is_there_show_to_both(planner, theirs, ws, other):
    theirs.talk.text.value = "Please wait for <Monday>"
    theirs.talk.say.click()
    planner._look_again()
    shown = text_of(planner.talk.comments.value)
    assert "demo-approver" in shown and "Please wait for <Monday>" in shown and "on version" in shown
    assert "demo-approver has this campaign open" in text_of(planner.talk.people.value)
    assert "Waits for you , since" in text_of(planner.talk.people.value)
    theirs.close()
    theirs._look_again()
    planner._look_again()
    assert "has this campaign open" not in text_of(planner.talk.people.value)


def test_after_submit_the_way_for_the_approver_is_said(planner, other):
    planner.properties.rows["promo_code"].value.value = "WINTER"
    planner.submit.click()
    assert "optinb campaigns approve Winter" in text_of(planner.result.value)
    assert "Waits for an approver (demo-approver), since" in text_of(planner.talk.people.value)
