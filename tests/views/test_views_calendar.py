from __future__ import annotations

import re
from datetime import date

import pytest
from msgspec.structs import replace
from page_text import text_of

from optinb.demo import APPROVER, CAMPAIGNS
from optinb.views.calendar_view import Calendar, weeks_of
from optinb.workspace import open_workspace


@pytest.fixture
def submitted(ws):
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    return ws


def test_weeks_begin_with_the_monday_of_this_one():
    weeks = weeks_of((), today=date(2026, 11, 26), weeks=2)
    assert [len(week) for week in weeks] == [7, 7]
    assert weeks[0][0].day == date(2026, 11, 23)
    assert [cell.is_past for cell in weeks[0]] == [True] * 3 + [False] * 4


def test_what_goes_out_stands_on_its_day_with_its_time(submitted, folder):
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve("Club night, regulars", seen=approver.campaigns.preview("Club night, regulars"))
    shown = text_of(Calendar(submitted).pane.value)
    assert shown.count("17:00 Club night, regulars") == 5 * 7
    assert shown.count("18:30 Summer, lapsed not approved yet") == 1
    assert "Mon 23 Nov 18:30 Summer, lapsed" in re.sub(r"17:00 Club night, regulars [\d,]+ customers ", "", shown)


def test_calendar_shows_as_many_weeks_as_are_asked_for(submitted):
    calendar = Calendar(submitted)
    calendar.weeks.value = 2
    assert text_of(calendar.pane.value).count("17:00 Club night, regulars not approved yet") == 2 * 7


def test_empty_calendar_says_how_a_campaign_comes_into_it(ws):
    assert "Nothing goes out in these weeks. A campaign shows here once it is submitted" in text_of(
        Calendar(ws).pane.value
    )


def test_calendar_follows_what_others_decide(submitted):
    calendar = Calendar(submitted)
    submitted.campaigns.cancel("Club night, regulars")
    assert calendar._look_again()
    assert "Club night" not in calendar.pane.value
    calendar.close()
    assert not calendar._look_again()


def test_each_entry_says_how_many_it_reaches_counted_by_todays_tables(submitted):
    reached = submitted.campaigns.preview("Summer, lapsed").waterfall.recipients
    shown = text_of(Calendar(submitted).pane.value)
    assert f"Summer, lapsed not approved yet {reached:,} customers" in shown and "about" not in shown


def test_an_entry_that_is_chosen_opens_in_the_planner_and_moves_after_it_is_said_what_that_does(submitted, folder):
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve("Summer, lapsed", seen=approver.campaigns.preview("Summer, lapsed"))
    opened: list[str] = []
    calendar = Calendar(submitted, open_campaign=opened.append)
    record = submitted.campaigns.get("Summer, lapsed")
    assert f'data-pick="{record.id}"' in calendar.pane.value
    calendar.chosen.value = record.id
    assert "approved" in text_of(calendar.about.value)
    calendar.open_it.click()
    assert opened == ["Summer, lapsed"]
    calendar.to.value = date(2026, 11, 26)
    calendar.move.click()
    assert "must be approved again" in text_of(calendar.result.value)
    assert submitted.campaigns.get(record.id).state == "approved"
    calendar.sure.click()
    moved = submitted.campaigns.get(record.id)
    assert (moved.state, moved.campaign.schedule.date, moved.approval) == ("submitted", date(2026, 11, 26), None)
    assert "once it is approved" in text_of(calendar.result.value)
    calendar.chosen.value = submitted.campaigns.get("Club night, regulars").id
    assert calendar.to.layout.display == calendar.move.layout.display == "none"
    assert "ob-moving" not in calendar._dom_classes
    calendar.day.value = "2026-11-27"  # of what recurs, which no day can be moved of
    assert calendar.result.value == "" and calendar.sure.layout.display == "none"


def test_a_day_that_is_clicked_or_dropped_on_is_asked_about_each_time_and_moves_only_what_is_confirmed(submitted):
    calendar = Calendar(submitted)
    lapsed, club = (submitted.campaigns.get(one["name"]) for one in CAMPAIGNS)
    shown = {lapsed.id: 1, club.id: 5 * 7}
    for key, times in shown.items():
        assert calendar.pane.value.count(f'data-pick="{key}"') == times
    assert calendar.pane.value.count('draggable="true"') == 1
    assert calendar.pane.value.count("Move here") == calendar.pane.value.count("ondrop") == 5 * 7
    assert "ob-moving" not in calendar._dom_classes
    calendar.chosen.value = lapsed.id
    assert "ob-moving" in calendar._dom_classes
    for _ in range(2):
        calendar.day.value = "2026-11-27"
        assert "is submitted for 2026-11-27" in text_of(calendar.result.value)
        calendar.leave.click()
        assert calendar.result.value == ""
    calendar.day.value = "2026-11-23"
    assert "goes out on 2026-11-23 already" in text_of(calendar.result.value)
    assert calendar.sure.layout.display == "none"
    calendar.day.value = "2026-11-27"
    assert submitted.campaigns.get(lapsed.id).campaign.schedule.date == date(2026, 11, 23)
    calendar.sure.click()
    assert submitted.campaigns.get(lapsed.id).campaign.schedule.date == date(2026, 11, 27)


def test_a_campaign_that_changed_since_it_was_shown_or_a_day_that_has_passed_is_not_moved(submitted):
    calendar = Calendar(submitted)
    record = submitted.campaigns.get("Summer, lapsed")
    calendar.chosen.value = record.id
    calendar.to.value = date(2026, 11, 1)
    calendar.move.click()
    assert "has passed" in text_of(calendar.result.value)
    calendar.to.value = date(2026, 11, 27)
    calendar.move.click()
    submitted.campaigns.submit(replace(record.campaign, priority=77))
    calendar.sure.click()
    assert "was changed since you looked at it" in text_of(calendar.result.value)
    assert submitted.campaigns.get(record.id).campaign.schedule.date == record.campaign.schedule.date
