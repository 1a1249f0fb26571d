"""When customers may get a template again: campaigns that come sooner are refused, with remedies that hold."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb import attr, received, responded
from optinb.appboy import UNSTATED, TemplateRules
from optinb.appboy.template_rules import again_from
from optinb.campaigns import Campaign, CampaignRecord, CampaignState, Schedule, calendar
from optinb.campaigns.eligibility import (
    LATE,
    comes_too_soon,
    had_before,
    leaves_out,
    longest_window_s,
    shortest_gap,
    times_each,
    why_not_again,
)
from optinb.campaigns.schedule import WEEKDAYS

if TYPE_CHECKING:
    from optinb.rules import Rule

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
TODAY = date(2026, 11, 23)
EVERYBODY: Rule = attr("country") == "DE"
NEVER, DAILY = TemplateRules(again_after_s=None), TemplateRules(again_after_s=86_400)
NAME, TEMPLATE = "Club night", "Optimove_Club iOS"


def goes(**fields: Any) -> Schedule:
    return Schedule(at="18:30", **fields)


def gap(schedule: Schedule, zone: ZoneInfo = BERLIN) -> timedelta | None:
    return shortest_gap(schedule, since=TODAY, zone=zone)


def planned(schedule: Schedule, name: str = NAME) -> Campaign:
    return Campaign(name=name, app_group="Club", template=TEMPLATE, group="g", schedule=schedule)


def why(schedule: Schedule, rules: TemplateRules, rule: Rule = EVERYBODY, zone: ZoneInfo = BERLIN) -> str | None:
    return why_not_again(planned(schedule), rules, rule, template=TEMPLATE, since=TODAY, zone=zone)


@pytest.mark.parametrize(
    ("schedule", "rules", "rule", "each"),
    [
        (goes(every="day"), TemplateRules(again_after_s=0), EVERYBODY, 90),
        (goes(every="day"), UNSTATED, EVERYBODY, 1),
        (goes(every="day"), NEVER, EVERYBODY & ~received(NAME), 1),
        (goes(every="day"), TemplateRules(again_after_s=0), EVERYBODY & ~received(), 1),
        (goes(every="day"), TemplateRules(again_after_s=0), EVERYBODY & ~received("Another"), 90),
        (goes(every="day"), TemplateRules(again_after_s=0), EVERYBODY & ~received(NAME).within(days=29), 3),
        (goes(every="day"), DAILY, EVERYBODY, 45),  # each second one comes some minutes too soon
        (goes(every="day"), TemplateRules(again_after_s=22 * 3_600), EVERYBODY, 90),
        (goes(every="week", days=("monday",)), DAILY, EVERYBODY, 13),
        (goes(date=TODAY), UNSTATED, EVERYBODY, 1),
        (goes(date=TODAY + timedelta(days=200)), UNSTATED, EVERYBODY, 0),
    ],
)
def test_a_customer_gets_as_many_sends_as_template_and_target_group_let_through(
    schedule: Schedule, rules: TemplateRules, rule: Rule, each: int
) -> None:
    plan = planned(schedule)
    assert times_each(plan, rules, rule, calendar([plan], since=TODAY, zone=BERLIN)) == each


@pytest.mark.parametrize(
    ("schedule", "zone", "hours"),
    [
        (goes(every="day"), TOKYO, 24),
        (goes(every="day"), BERLIN, 23),  # in the night to 28 March
        (goes(every="day", end=date(2027, 3, 1)), BERLIN, 24),
        (goes(every="day", step=3, start=TODAY), TOKYO, 72),
        (goes(every="day", step=366, start=date(2020, 1, 1)), TOKYO, 366 * 24),
        (goes(every="week", days=("monday",)), TOKYO, 7 * 24),
        (goes(every="week", days=("monday", "sunday")), TOKYO, 24),
        (goes(every="week", days=("monday", "thursday")), TOKYO, 3 * 24),
        (goes(every="month", day=31), TOKYO, 28 * 24),
        (goes(every="day", clock="local"), TOKYO, 23),
        (goes(every="week", days=("monday",), clock="local"), BERLIN, 7 * 24 - 1),
        (goes(every="day", clock="optimal"), TOKYO, 0),
        (goes(every="week", days=("monday",), clock="optimal"), TOKYO, 6 * 24 - 1),
        (goes(every="day", start=TODAY, end=TODAY), BERLIN, None),
        (goes(date=TODAY), BERLIN, None),
    ],
)
def test_the_shortest_time_between_two_sends_is_known(schedule: Schedule, zone: ZoneInfo, hours: int | None) -> None:
    assert gap(schedule, zone) == (None if hours is None else timedelta(hours=hours))


def test_a_receipt_some_minutes_after_the_schedule_misses_the_next_day() -> None:
    a_day = timedelta(days=1)
    assert comes_too_soon(a_day, a_day)
    assert comes_too_soon(timedelta(hours=23, minutes=30), a_day)
    assert not comes_too_soon(timedelta(hours=23), a_day)
    assert not comes_too_soon(timedelta(), timedelta())
    assert comes_too_soon(None, timedelta(days=700))


SCHEDULES = st.one_of(
    st.builds(goes, every=st.just("day"), clock=st.sampled_from(["workspace", "local", "optimal"])),
    st.builds(goes, every=st.just("day"), step=st.integers(1, 40), start=st.just(TODAY)),
    st.builds(
        goes, every=st.just("week"), days=st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(tuple)
    ),
    st.builds(goes, every=st.just("month"), day=st.integers(1, 31)),
)
WINDOWS = st.integers(1, 200).map(lambda hours: TemplateRules(again_after_s=hours * 3_600))


@given(SCHEDULES, WINDOWS, st.sampled_from([BERLIN, TOKYO, ZoneInfo("America/New_York")]))
def test_every_remedy_that_is_told_holds(schedule: Schedule, rules: TemplateRules, zone: ZoneInfo) -> None:
    refused = why(schedule, rules, zone=zone)
    found = gap(schedule, zone)
    assert found is not None and rules.window is not None
    assert (refused is not None) == (found <= rules.window + LATE)
    if refused is None:
        return
    again = refused.split("--again '")[1].split("'")[0]
    assert why(schedule, TemplateRules(again_after_s=again_from(again)), zone=zone) is None
    days = int(refused.split(".within(days=")[1].split(")")[0])
    assert why(schedule, rules, EVERYBODY & ~received(NAME).within(days=days), zone=zone) is None
    assert days == 0 or why(schedule, rules, EVERYBODY & ~received(NAME).within(days=days - 1), zone=zone) is not None


@pytest.mark.parametrize("hours", [1, 23, 24, 47, 48, 49, 167, 168])
def test_the_longest_window_that_holds_is_named_in_hours_or_days(hours: int) -> None:
    fits = longest_window_s(timedelta(hours=hours))
    assert not comes_too_soon(timedelta(seconds=fits), timedelta(hours=hours))
    longer = fits + (3_600 if fits < 48 * 3_600 else 24 * 3_600)
    assert fits == 0 or comes_too_soon(timedelta(seconds=longer), timedelta(hours=hours))


@pytest.mark.parametrize(
    ("rule", "forever", "a_day"),
    [
        (EVERYBODY, False, False),
        (~received(NAME), True, True),
        (EVERYBODY & ~received(NAME), True, True),
        (EVERYBODY & ~received(), True, True),
        (EVERYBODY & (EVERYBODY & ~received(NAME)), True, True),
        (EVERYBODY & ~(received("Other") | received(NAME)), True, True),
        (EVERYBODY & ~received(NAME).within(days=1), False, True),
        (EVERYBODY & ~received(NAME).within(days=0), False, False),
        (EVERYBODY & ~received(NAME).between(TODAY, TODAY), False, False),
        (EVERYBODY & ~received(NAME).at_least(2), False, False),
        (EVERYBODY & ~received("Other"), False, False),
        (EVERYBODY & received(NAME), False, False),
        (EVERYBODY & ~responded(NAME, days=3), False, False),
        (EVERYBODY | ~received(NAME), False, False),
        (~(received(NAME) & EVERYBODY), False, False),
    ],
)
def test_only_a_condition_that_must_hold_leaves_out_who_had_it(rule: Rule, forever: bool, a_day: bool) -> None:
    assert leaves_out(rule, NAME, None) == forever
    assert leaves_out(rule, NAME, timedelta(days=1)) == a_day
    daily = goes(every="day")
    for rules in (UNSTATED, NEVER):
        assert (why(daily, rules, rule) is None) == forever
    assert (why(daily, DAILY, rule) is None) == a_day


def test_what_is_refused_names_template_statement_and_both_remedies() -> None:
    daily = goes(every="day")
    command = "optinb templates set 'Optimove_Club iOS' --again 'after 22 hours'"
    assert why(daily, UNSTATED) == (
        "'Club night' goes out every day at 18:30, but nobody has stated when customers may get its template "
        "'Optimove_Club iOS' again, and by Appboy's default they get it once, ever: allow it in the dashboard and say "
        f"so with `{command}`, or, once it is kept as a draft, add `& ~received('Club night')` to its target group"
    )
    assert "its template 'Optimove_Club iOS' is stated to be had once, ever: allow it" in (why(daily, NEVER) or "")
    assert why(daily, DAILY, zone=TOKYO) == (
        "'Club night' goes out every day at 18:30, at its nearest 1 day after the send before, but customers may get "
        "its template 'Optimove_Club iOS' again after 1 day, counted from a receipt up to 30 minutes after the send: "
        f"set its window to 23 hours in the dashboard and say so with `{command.replace('22', '23')}`, or, once it "
        "is kept as a draft, add "
        "`& ~received('Club night').within(days=1)` to its target group"
    )
    assert "let it be had at any time in the dashboard" in (why(goes(every="day", clock="optimal"), DAILY) or "")
    assert why(goes(date=TODAY), UNSTATED) is None
    assert why(daily, TemplateRules(again_after_s=0)) is None


def test_who_had_the_template_by_another_campaign_is_told_of() -> None:
    def record(name: str, state: CampaignState) -> CampaignRecord:
        now = datetime.fromisoformat("2026-11-23T02:00:00+01:00")
        return CampaignRecord(
            campaign=planned(goes(date=TODAY), name), state=state, author="mia", submitted_at=now, updated_at=now
        )

    others = [record(f"C{n}", "done") for n in range(5)]
    mine, once = planned(goes(date=TODAY)), "because it may be had once: it goes out with"

    def told(found: list[CampaignRecord], rules: TemplateRules = UNSTATED, rule: Rule = EVERYBODY) -> str | None:
        return had_before(mine, rules, rule, template=TEMPLATE, others=found)

    assert told(others[:1]) == f"customers who had {TEMPLATE} before won't get it, {once} 'C0' too"
    assert (told(others) or "").endswith(f"{once} 'C0', 'C1', 'C2' and 2 more too")
    assert told([]) is None
    assert told([record(NAME, "running"), record("D", "draft"), record("S", "submitted")]) is None
    assert (told([record("C", "cancelled")]) or "").endswith("'C' too")
    assert told(others, DAILY) is None
    assert told(others[:1], rule=EVERYBODY & ~received("C0")) is None
