from __future__ import annotations

from datetime import date

import pytest
from page_text import text_of

from optinb.demo import APPROVER, CAMPAIGNS
from optinb.views.sends_view import Calendar, weeks_of
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
    assert "Mon 23 Nov 18:30 Summer, lapsed" in shown.replace("17:00 Club night, regulars ", "")


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
