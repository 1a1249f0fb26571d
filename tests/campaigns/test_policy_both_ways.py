"""Whoever may get a message gets it, and nobody else: every customer's outcome, compared with a plain oracle."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from policy_oracle import Contact, Limit, Person, Plan, Rules, Use, expected, is_quiet_for, moment

from optinb.base.settings import AppSettings, CapSettings, PolicySection
from optinb.campaigns import (
    AudienceMessage,
    Competitor,
    ContactPolicyState,
    PlacedCustomers,
    Property,
    Schedule,
    build_audience,
    waterfall,
)
from optinb.campaigns.policy import check_quiet, days_back, is_quiet, quiet_zones
from optinb.errors import CampaignError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

SDK: dict[str, str | None] = {"ios": "3.2", "android": None}
APPS = tuple(AppSettings(id=app, name=app, platform=app, sdk_from_version=SDK[app]) for app in ("ios", "android"))  # type: ignore[arg-type]
HOME = "Europe/Berlin"
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Australia/Lord_Howe"]
# The clocks change on three of them, and a week, a month or a year ends with the others.
DAYS = [
    date(2026, 3, 29),
    date(2026, 10, 25),
    date(2026, 11, 1),
    date(2026, 12, 31),
    date(2027, 1, 3),
    date(2028, 2, 29),
]
HOURS = st.sampled_from(["00:00", "01:30", "02:30", "06:00", "08:00", "12:00", "18:30", "21:00", "22:00", "23:59"])
PLANS = st.builds(
    Plan,
    id=st.sampled_from("ABCD"),
    app_group=st.sampled_from(["shop", "club"]),
    priority=st.integers(0, 2),
    exclusion=st.integers(0, 4),
    measurement=st.integers(0, 4),
    ignore=st.booleans(),
    control=st.sampled_from([0.0, 0.3, 1.0]),
    needs_city=st.booleans(),
    apps=st.sampled_from([("ios",), ("android",), ("ios", "android")]),
)
RULES = st.builds(
    Rules,
    global_control=st.sampled_from([0.0, 0.2]),
    caps=st.lists(
        st.builds(
            lambda messages, days, per, group: Limit(
                messages=messages, days=days, per=None if days else per, app_group=group
            ),
            st.integers(1, 3),
            st.none() | st.integers(1, 5),
            st.sampled_from(["day", "week", "month"]),
            st.sampled_from([None, "shop"]),
        ),
        max_size=2,
    ).map(tuple),
    quiet_from=HOURS,
    quiet_until=HOURS,
)


def section(rules: Rules) -> PolicySection:
    caps = tuple(
        CapSettings(messages=cap.messages, days=cap.days, per=cap.per, app_group=cap.app_group)  # type: ignore[arg-type]
        for cap in rules.caps
    )
    return PolicySection(
        global_control=rules.global_control, caps=caps, quiet_from=rules.quiet_from, quiet_until=rules.quiet_until
    )


def some_people(chance: random.Random, count: int = 40) -> list[Person]:
    """Customers of whom most may get a message, and everything is wrong or not known with some."""

    def flag(usual: bool) -> bool | None:
        return chance.choice([not usual, None, *[usual] * 14])

    return [
        Person(
            id=f"c{n:02}",
            external_id=chance.choice([None, "", *[f"u{n // 3}"] * 4, *[f"u{n}x"] * 8]),
            blocked=flag(False),
            test=flag(False),
            opted_in=flag(True),
            zone=chance.choice([None, *ZONES]),
            city=chance.choice([None, *["Ulm"] * 5]),
            uses=tuple(
                Use(
                    app, chance.choice([True, True, True, False, None]), chance.choice(["3.1.9", "3.2.0", "3.10", None])
                )
                for app in ("ios", "android", "ipad")
                if chance.random() < 0.7
            ),
        )
        for n in range(count)
    ]


def frames(people: Sequence[Person]) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    customers = pl.LazyFrame(
        [(p.id, p.external_id, p.blocked, p.test, p.opted_in, p.zone, p.city) for p in people],
        schema={
            "customer_id": pl.String,
            "external_user_id": pl.String,
            "is_blocked": pl.Boolean,
            "is_test": pl.Boolean,
            "push_opt_in": pl.Boolean,
            "time_zone": pl.String,
            "city": pl.String,
        },
        orient="row",
    )
    schema = {"customer_id": pl.String, "app_id": pl.String, "push_enabled": pl.Boolean, "app_version": pl.String}
    uses = [(p.id, use.app, use.push, use.version) for p in people for use in p.uses]
    return customers, pl.LazyFrame(uses, schema=schema, orient="row")


def competitor(plan: Plan, day: date) -> Competitor:
    return Competitor(
        campaign_id=plan.id,
        app_group_id=plan.app_group,
        day=day,
        priority=plan.priority,
        exclusion_days=plan.exclusion,
        measurement_days=plan.measurement,
        has_control=plan.control > 0,
        ignore_others=plan.ignore,
    )


def told(
    plan: Plan,
    rules: Rules,
    people: Sequence[Person],
    policy_state: ContactPolicyState,
    *,
    night: date,
    schedule: Schedule,
    home: str = HOME,
) -> dict[str, str]:
    """Everybody's outcome or reason, as the package says, which is then promised to the night's other campaigns."""
    customers, users = frames(people)
    zones = policy_state.placed.zones(unknown=home)
    assert zones == {z: sum((p.zone or home) == z for p in people) for z in {p.zone or home for p in people}}
    who = competitor(plan, schedule.day_of(night))
    rows = build_audience(
        customers.select("customer_id"),
        customers,
        users,
        messages=[
            AudienceMessage(
                apps=tuple(app for app in APPS if app.id in plan.apps),
                properties={"city": Property(attribute="city", exclude_empty=True)} if plan.needs_city else {},
            )
        ],
        control=plan.control,
        salt=plan.id,
        quiet=quiet_zones(section(rules), schedule, night, zone=ZoneInfo(home), zones=zones),
        zone=home,
        policy_state=policy_state,
        who=who,
    )
    policy_state.promise(rows, who)
    figures = waterfall(rows)
    assert figures.recipients + figures.control + sum(figures.excluded.values()) == figures.target == len(people)
    return {row["customer_id"]: row["reason"] or row["outcome"] for row in rows.iter_rows(named=True)}


@settings(max_examples=120)
@given(
    st.lists(PLANS, min_size=1, max_size=4, unique_by=lambda plan: plan.id),
    RULES,
    st.sampled_from(DAYS),
    st.lists(st.tuples(HOURS, st.sampled_from(["workspace", "local"])), min_size=4, max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(ZONES),
)
def test_whoever_may_get_a_message_gets_it_and_nobody_else(
    plans: list[Plan],
    rules: Rules,
    night: date,
    times: list[tuple[str, str]],
    chance: random.Random,
    home: str,
) -> None:
    people = some_people(chance)
    contacts = [
        Contact(person.id, plan, night + timedelta(days=chance.randint(-6, 2)), chance.random() < 0.3)
        for person in people
        for plan in plans
        if chance.random() < 0.25
    ]
    customers, users = frames(people)
    schedules = {p.id: Schedule(every="day", at=at, clock=clock) for p, (at, clock) in zip(plans, times, strict=False)}  # type: ignore[arg-type]
    days = {schedule.day_of(night) for schedule in schedules.values()}
    policy_state = ContactPolicyState(PlacedCustomers(customers, users), days=days, policy=section(rules))
    for contact in contacts:
        policy_state.add(pl.Series([contact.customer]), competitor(contact.plan, contact.day), control=contact.held_out)
    in_turn = sorted(plans, key=lambda p: (schedules[p.id].day_of(night), -p.priority, p.id))
    assert in_turn == sorted(plans, key=lambda p: competitor(p, schedules[p.id].day_of(night)).order)
    for plan in in_turn:
        schedule = schedules[plan.id]
        day = schedule.day_of(night)
        at = moment(night, schedule.at, home) if schedule.clock == "workspace" else None
        should = expected(plan, rules, people, contacts, apps=SDK, day=day, at=at, zone=home)
        assert told(plan, rules, people, policy_state, night=night, schedule=schedule, home=home) == should
        contacts += [Contact(i, plan, day, s == "control") for i, s in should.items() if s in ("recipient", "control")]


SHOP = Plan(
    id="new",
    app_group="shop",
    priority=0,
    exclusion=0,
    measurement=0,
    ignore=False,
    control=0.0,
    needs_city=False,
    apps=("ios",),
)
ANN = Person(
    id="ann",
    external_id="u",
    blocked=False,
    test=False,
    opted_in=True,
    zone=None,
    city=None,
    uses=(Use("ios", True, None),),
)
FREE = Rules(global_control=0.0, caps=(), quiet_from=None, quiet_until=None)
NIGHT = date(2026, 11, 26)


def outcome_of_ann(
    *,
    before: int = 0,
    held_out: bool = False,
    caps: tuple[Limit, ...] = (),
    new: dict[str, object] | None = None,
    night: date = NIGHT,
    **old: object,
) -> str:
    """What happens to one customer who was contacted, by a campaign with these fields, so many days before."""
    rules, customers_users = replace(FREE, caps=caps), frames([ANN])
    policy_state = ContactPolicyState(PlacedCustomers(*customers_users), days=[night], policy=section(rules))
    other = replace(SHOP, id="old", **old)
    day = night - timedelta(days=before)
    policy_state.add(pl.Series(["ann"]), competitor(other, day), control=held_out)
    schedule = Schedule(every="day", at="10:00")
    return told(replace(SHOP, **(new or {})), rules, [ANN], policy_state, night=night, schedule=schedule)["ann"]


@pytest.mark.parametrize("days", [1, 2, 7, 30])
def test_every_window_ends_on_its_day_and_not_a_day_later_or_earlier(days: int) -> None:
    rolling = (Limit(messages=1, days=days, per=None, app_group=None),)
    for last, after in (
        (outcome_of_ann(before=days - 1, exclusion=days), outcome_of_ann(before=days, exclusion=days)),
        (
            outcome_of_ann(before=1 - days, new={"exclusion": days}),
            outcome_of_ann(before=-days, new={"exclusion": days}),
        ),
    ):
        assert (last, after) == ("exclusion_period", "recipient")
    held = [outcome_of_ann(before=gap, held_out=True, measurement=days) for gap in (days - 1, days)]
    assert held == ["held_out", "recipient"]
    for gap in (days, -days):
        assert outcome_of_ann(before=gap, caps=rolling) == "recipient"
        assert outcome_of_ann(before=gap - 1 if gap > 0 else gap + 1, caps=rolling) == "frequency_cap"
    own = {"measurement": days, "control": 1e-12}
    assert [outcome_of_ann(before=-gap, new=own) for gap in (days - 1, days)] == ["exclusion_period", "recipient"]


@pytest.mark.parametrize(
    ("per", "before", "said"),
    [
        ("day", 0, "frequency_cap"),
        ("day", 1, "recipient"),
        ("week", 3, "frequency_cap"),  # Monday before that Thursday
        ("week", 4, "recipient"),
        ("week", -3, "frequency_cap"),
        ("week", -4, "recipient"),
        ("month", 25, "frequency_cap"),  # November 1
        ("month", 26, "recipient"),
        ("month", -4, "frequency_cap"),
        ("month", -5, "recipient"),
        ("week", 364, "recipient"),  # the same week of another year, and the same month
        ("month", 365, "recipient"),
    ],
)
def test_a_calendar_cap_counts_in_its_own_period_alone(per: str, before: int, said: str) -> None:
    caps = (Limit(messages=1, days=None, per=per, app_group=None),)
    assert outcome_of_ann(before=before, caps=caps) == said
    assert outcome_of_ann(before=before, caps=caps, held_out=True) == "recipient"


def test_a_week_that_two_years_share_is_one_week() -> None:
    caps = (Limit(messages=1, days=None, per="week", app_group=None),)
    said = [outcome_of_ann(night=date(2027, 1, 1), before=before, caps=caps) for before in (4, 5)]
    assert said == ["frequency_cap", "recipient"]


@pytest.mark.parametrize(("days", "per"), [(3, None), (None, "day"), (None, "week"), (None, "month")])
def test_the_cap_of_an_app_group_counts_and_keeps_back_its_own_messages_alone(
    days: int | None, per: str | None
) -> None:
    caps = (Limit(messages=1, days=days, per=per, app_group="shop"),)
    said = {
        (old, new): outcome_of_ann(caps=caps, app_group=old, new={"app_group": new})
        for old in ("shop", "club")
        for new in ("shop", "club")
    }
    assert said.pop(("shop", "shop")) == "frequency_cap"
    assert set(said.values()) == {"recipient"}


@given(HOURS, HOURS, st.times())
def test_quiet_hours_of_any_kind_are_kept_to_the_minute(begin: str, end: str, at: time) -> None:
    policy = PolicySection(quiet_from=begin, quiet_until=end)
    rules = Rules(global_control=0, caps=(), quiet_from=begin, quiet_until=end)
    assert is_quiet(policy, at) == is_quiet_for(rules, "UTC", moment(NIGHT, f"{at:%H:%M}", "UTC"))
    local = Schedule(every="day", at=f"{at:%H:%M}", clock="local")
    if is_quiet(policy, local.time):
        with pytest.raises(CampaignError, match=f"lies in the quiet hours, {begin} to {end}"):
            check_quiet(policy, local)
    else:
        check_quiet(policy, local)
    check_quiet(policy, Schedule(every="day", at=local.at))
    check_quiet(PolicySection(), Schedule(every="day", at=local.at, clock="optimal"))
    assert not is_quiet(PolicySection(quiet_until=end), at) and not is_quiet(PolicySection(quiet_from=begin), at)


@settings(max_examples=60)
@given(PLANS, st.lists(PLANS, max_size=3), RULES, st.sampled_from(DAYS), st.integers(0, 40), st.booleans())
def test_a_contact_older_than_the_policy_looks_back_changes_nothing(
    plan: Plan, others: list[Plan], rules: Rules, day: date, more: int, held_out: bool
) -> None:
    old = [competitor(other, day) for other in others]
    back = days_back(section(rules), old)  # type: ignore[arg-type]
    for other in others:
        contact = Contact("ann", other, day - timedelta(days=back + more), held_out)
        said = [
            expected(plan, rules, [ANN], mine, apps=SDK, day=day, at=None, zone=HOME)["ann"] for mine in ([], [contact])
        ]
        assert said[0] == said[1]
    assert back <= max([1, 31, *(cap.days or 0 for cap in rules.caps)])


def test_the_policy_looks_back_as_far_as_each_window_and_no_further() -> None:
    def back(**cap: object) -> int:
        return days_back(PolicySection(caps=(CapSettings(messages=1, **cap),)), [])  # type: ignore[arg-type]

    assert [back(days=40), back(per="day"), back(per="week"), back(per="month")] == [40, 1, 7, 31]
    assert days_back(PolicySection(), []) == 1
    for exclusion, measurement in ((9, 3), (3, 9)):
        plan = Competitor(
            campaign_id="a", app_group_id="b", day=NIGHT, exclusion_days=exclusion, measurement_days=measurement
        )
        assert days_back(PolicySection(), [plan]) == 9  # type: ignore[list-item]
