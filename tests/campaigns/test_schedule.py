from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.campaigns import Campaign, calendar, campaign_from, check_schedule, send_times
from optinb.campaigns.outlook import Going
from optinb.campaigns.schedule import WEEKDAYS, Schedule, SendTime, shift_of
from optinb.errors import CampaignError

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
TODAY = date(2026, 11, 23)


def planned(name: str = "A", **schedule: object) -> Campaign:
    fields = {"name": name, "app_group": "Shop", "template": "t", "group": "g", "schedule": {"at": "18:30", **schedule}}
    return campaign_from(fields)


def days(campaign: Campaign, *, since: date = TODAY, count: int = 90) -> list[str]:
    return [f"{g.day:%m-%d}" for g in calendar([campaign], since=since, zone=BERLIN, days=count)]


def test_the_calendar_holds_every_day_on_which_a_campaign_goes_out() -> None:
    assert days(planned(date="2026-12-01")) == ["12-01"]
    assert days(planned(every="day"), count=3) == ["11-23", "11-24", "11-25"]
    assert days(planned(every="week", days=["thursday", "monday"]), count=9) == ["11-23", "11-26", "11-30"]
    assert days(planned(every="month", day=31)) == ["11-30", "12-31", "01-31"]
    assert days(planned(every="month", day="last"), since=date(2027, 2, 1), count=60) == ["02-28", "03-31"]
    assert days(planned(every="day", step=30, start="2026-11-01")) == ["12-01", "12-31", "01-30"]
    bounded = planned(every="day", start="2026-11-25", end="2026-11-28", blackout=["2026-11-26"])
    assert days(bounded) == ["11-25", "11-27", "11-28"]


@given(
    st.dates(date(2026, 1, 1), date(2028, 1, 1)),
    st.sampled_from(["workspace", "local", "optimal"]),
    st.one_of(
        st.builds(lambda step: {"every": "day", "step": step, "start": "2026-02-27"}, st.integers(1, 40)),
        st.builds(lambda d: {"every": "week", "days": d}, st.lists(st.sampled_from(WEEKDAYS), min_size=1)),
        st.builds(lambda d: {"every": "month", "day": d}, st.one_of(st.integers(1, 31), st.just("last"))),
    ),
)
def test_the_calendar_says_what_the_nights_will_do(since: date, clock: str, rule: dict[str, object]) -> None:
    campaign = planned(**rule, clock=clock)
    listed = [going.night for going in calendar([campaign], since=since, zone=BERLIN)]
    lead = 0 if clock == "workspace" else 1
    nights = [since + timedelta(days=n - lead) for n in range(90)]
    assert listed == [night for night in nights if campaign.schedule.is_due(night)]


def test_the_calendar_is_in_the_order_of_its_moments_whatever_the_order_of_campaigns() -> None:
    two = [planned("late", every="day", at="20:00"), planned("early", every="day", at="08:00")]
    there, back = (calendar(c, since=TODAY, zone=BERLIN, days=2) for c in (two, two[::-1]))
    assert there == back
    assert [going.campaign for going in there] == ["early", "late", "early", "late"]


def test_a_time_of_each_customers_clock_is_scheduled_the_night_before_for_the_earliest_zone() -> None:
    schedule = planned(date="2026-12-02", at="08:00", clock="local").schedule
    assert [n for n in schedule.nights(TODAY)] == [date(2026, 12, 1)]  # noqa: C416
    assert schedule.send_at(date(2026, 12, 1), BERLIN) == datetime(2026, 12, 1, 18, tzinfo=UTC)
    assert schedule.is_due(date(2026, 12, 1)) and not schedule.is_due(date(2026, 12, 2))


def test_every_zone_is_shown_when_its_customers_get_the_message() -> None:
    customers = {"Europe/Berlin": 3, "America/New_York": 5, None: 1}
    shown = send_times(planned(every="day").schedule, TODAY, zone=BERLIN, customers=customers)
    assert [(t.zone, t.customers, t.wall) for t in shown] == [
        ("America/New_York", 5, "2026-11-23 12:30"),
        ("Europe/Berlin", 4, "2026-11-23 18:30"),
    ]
    own = send_times(planned(every="day", clock="local").schedule, TODAY, zone=BERLIN, customers=customers)
    assert [t.wall for t in own] == ["2026-11-24 18:30"] * 2
    assert {t.at for t in own} == {
        datetime(2026, 11, 24, 23, 30, tzinfo=UTC),
        datetime(2026, 11, 24, 17, 30, tzinfo=UTC),
    }
    best = send_times(planned(every="day", clock="optimal").schedule, TODAY, zone=BERLIN, customers=customers)
    assert {t.at for t in best} == {None}


@pytest.mark.parametrize(
    ("day", "at", "zone", "shift", "wall"),
    [
        (date(2027, 3, 28), "02:30", "Europe/Berlin", "skipped", "2027-03-28 03:30"),
        (date(2026, 10, 25), "02:30", "Europe/Berlin", "twice", "2026-10-25 02:30"),
        (date(2027, 3, 28), "02:30", "Asia/Tokyo", None, "2027-03-28 02:30"),
        (date(2026, 10, 4), "02:15", "Australia/Lord_Howe", "skipped", "2026-10-04 02:45"),
    ],
)
def test_a_time_that_the_clocks_skip_or_repeat_is_resolved_and_said(
    day: date, at: str, zone: str, shift: str | None, wall: str
) -> None:
    schedule = planned(every="day", at=at, clock="local").schedule
    (shown,) = send_times(schedule, schedule.night_of(day), zone=BERLIN, customers={zone: 1})
    assert (shown.shift, shown.wall) == (shift, wall)


@given(st.dates(date(2000, 1, 1), date(2037, 1, 1)), st.times(), st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_only_skipped_times_move(day: date, at: time, name: str) -> None:
    zone = ZoneInfo(name)
    local = datetime.combine(day, at.replace(fold=0), tzinfo=zone)
    back = local.astimezone(UTC).astimezone(zone)
    assert (back.replace(tzinfo=None) != local.replace(tzinfo=None)) == (shift_of(day, at, zone) == "skipped")


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ({"every": "week"}, "days and every"),
        ({"every": "day", "days": ["monday"]}, "days and every"),
        ({"every": "week", "days": ["Monday"]}, "monday"),
        ({"every": "month"}, "day and every"),
        ({"every": "month", "day": 32}, "31"),
        ({"every": "day", "step": 2}, "start"),
        ({"date": "2026-12-01", "end": "2026-12-02"}, "neither start nor end"),
        ({"every": "day", "start": "2026-12-02", "end": "2026-12-01"}, "before it starts"),
        ({"every": "day", "clock": "moon"}, "clock"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(schedule: dict[str, object], complaint: str) -> None:
    with pytest.raises(CampaignError, match=complaint):
        planned(**schedule)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ({"date": "2026-11-22"}, "has passed"),
        ({"date": "2026-11-23", "at": "08:00", "clock": "local"}, "whose day begins first"),
        ({"date": "2027-03-01"}, "90 days"),
        ({"every": "day", "end": "2026-11-22"}, "ended on"),
        ({"every": "day", "end": "2026-11-24", "blackout": ["2026-11-23", "2026-11-24"]}, "no day left"),
    ],
)
def test_a_schedule_that_can_never_go_out_is_refused_with_the_remedy(
    schedule: dict[str, object], complaint: str
) -> None:
    with pytest.raises(CampaignError, match=complaint):
        check_schedule(planned(**schedule).schedule, now=NOW, zone=BERLIN)


@pytest.mark.parametrize(
    ("schedule", "whose"),
    [
        (planned(date="2026-11-23", at="02:00").schedule, ""),
        (planned(date="2026-11-23", at="15:00", clock="local").schedule, " for the customers whose day begins first"),
    ],
)
def test_a_single_date_is_refused_from_its_moment_on_and_not_before(schedule: Schedule, whose: str) -> None:
    moment = datetime(2026, 11, 23, 1, tzinfo=UTC)
    check_schedule(schedule, now=moment - timedelta(seconds=1), zone=BERLIN)
    with pytest.raises(CampaignError) as caught:
        check_schedule(schedule, now=moment, zone=BERLIN)
    assert str(caught.value) == (
        f"the send time 2026-11-23 {schedule.at} has passed{whose} (it is 2026-11-23 02:00 in Europe/Berlin); choose a "
        "later one"
    )


def test_a_single_date_may_lie_ninety_days_ahead_and_not_a_minute_more() -> None:
    check_schedule(planned(date="2027-02-21", at="02:00").schedule, now=NOW, zone=BERLIN)
    with pytest.raises(CampaignError, match="2027-02-21 is more than 90 days ahead"):
        check_schedule(planned(date="2027-02-21", at="02:01").schedule, now=NOW, zone=BERLIN)


def test_a_schedule_ends_with_its_last_day_in_the_workspaces_zone() -> None:
    schedule, noon = planned(every="day", end="2026-11-23", at="23:00").schedule, datetime(2026, 11, 23, 12, tzinfo=UTC)
    check_schedule(schedule, now=noon, zone=BERLIN)
    with pytest.raises(CampaignError, match="ended on 2026-11-23, and today is 2026-11-24"):
        check_schedule(schedule, now=noon, zone=ZoneInfo("Pacific/Auckland"))
    at_the_moment = datetime(2026, 11, 23, 22, tzinfo=UTC)
    check_schedule(schedule, now=at_the_moment - timedelta(seconds=1), zone=BERLIN)
    with pytest.raises(CampaignError, match="no day left"):
        check_schedule(schedule, now=at_the_moment, zone=BERLIN)


def test_a_schedule_that_starts_beyond_a_year_is_looked_at_from_its_start() -> None:
    far = {"every": "week", "days": ["monday"], "start": "2028-11-23"}
    check_schedule(planned(**far).schedule, now=NOW, zone=BERLIN)
    with pytest.raises(CampaignError, match="no day left"):
        check_schedule(planned(**far, end="2028-11-26").schedule, now=NOW, zone=BERLIN)


def test_the_calendar_says_of_each_day_who_goes_out_when_and_ends_before_the_day_after() -> None:
    campaign = planned("A", every="day", at="08:00", clock="local")
    (going,) = calendar([campaign], since=TODAY, zone=BERLIN, days=1)
    assert going == Going(
        day=TODAY,
        night=TODAY - timedelta(days=1),
        at=datetime(2026, 11, 22, 18, tzinfo=UTC),
        campaign="A",
        campaign_id=campaign.id,
    )
    (here,) = calendar([planned(every="day")], since=TODAY, zone=BERLIN, days=1)
    assert here.at == datetime(2026, 11, 23, 17, 30, tzinfo=UTC)
    once = planned(date="2026-11-25")
    assert days(once, count=2) == []
    assert days(once, count=3) == ["11-25"]


def test_the_night_of_a_single_date_is_found_from_that_night_on() -> None:
    schedule = planned(date="2026-11-23").schedule
    assert list(schedule.nights(TODAY)) == [TODAY]
    assert list(schedule.nights(TODAY + timedelta(days=1))) == []


def test_zones_of_equal_size_stand_in_the_order_of_their_names_also_where_appboy_chooses_the_time() -> None:
    customers = {"Europe/Paris": 2, "America/New_York": 2, None: 3}
    found = send_times(planned(every="day", clock="optimal").schedule, TODAY, zone=BERLIN, customers=customers)
    wall = "2026-11-24 at Appboy's time"
    assert found == (
        SendTime(zone="Europe/Berlin", customers=3, wall=wall, at=None),
        SendTime(zone="America/New_York", customers=2, wall=wall, at=None),
        SendTime(zone="Europe/Paris", customers=2, wall=wall, at=None),
    )


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ({"date": "2026-12-01"}, "on Tue 1 Dec 2026 at 18:30"),
        ({"every": "day"}, "every day at 18:30"),
        ({"every": "day", "start": "2026-12-01"}, "every day at 18:30 from Tue 1 Dec 2026"),
        ({"every": "day", "step": 3, "start": "2026-12-01"}, "every 3 days from Tue 1 Dec 2026 on at 18:30"),
        ({"every": "week", "days": ["monday"]}, "every Monday at 18:30"),
        ({"every": "week", "days": ["friday", "monday"]}, "every Monday and Friday at 18:30"),
        (
            {"every": "week", "days": ["sunday", "friday", "wednesday", "monday"]},
            "every Monday, Wednesday, Friday and Sunday at 18:30",
        ),
        ({"every": "month", "day": 15}, "on day 15 of every month at 18:30"),
        (
            {"every": "month", "day": "last", "end": "2026-12-31", "clock": "local"},
            "on the last day of every month at 18:30 of each customer's own clock until Thu 31 Dec 2026",
        ),
        (
            {"every": "day", "clock": "optimal", "blackout": ["2026-12-25"]},
            "every day at the time of day that Appboy finds best for each customer but not on Fri 25 Dec 2026",
        ),
    ],
)
def test_schedules_are_read_aloud(schedule: dict[str, object], sentence: str) -> None:
    assert planned(**schedule).schedule.sentence() == sentence
