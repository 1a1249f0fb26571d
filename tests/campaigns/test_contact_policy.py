"""Whatever campaigns, customers and nights there are: no rule of the contact policy is ever broken."""

from __future__ import annotations

import random
from datetime import date, time, timedelta
from itertools import combinations
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from optinb.base.settings import AppSettings, CapSettings, PolicySection
from optinb.campaigns import (
    AudienceMessage,
    Competitor,
    ContactPolicyState,
    PlacedCustomers,
    Schedule,
    build_audience,
    campaign_from,
    waterfall,
)
from optinb.campaigns.policy import GLOBAL_CONTROL, check_quiet, is_quiet
from optinb.engine.persons import in_share
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Iterable

APPS = (AppSettings(id="app", name="App", platform="ios"),)
FIRST = date(2026, 11, 26)  # the nights run over the end of a week and of a month
IDS = [f"c{i:02}" for i in range(12)]


class Planned(Struct, frozen=True, kw_only=True):
    """A campaign as the test plans it: on which nights, for how many days ahead, for whom."""

    id: str
    app_group: str
    priority: int
    exclusion: int
    measurement: int
    ignore: bool
    control: float
    lead: int
    nights: frozenset[int]
    members: frozenset[str]

    def on(self, night: date) -> Competitor:
        return Competitor(
            campaign_id=self.id,
            app_group_id=self.app_group,
            day=night + timedelta(days=self.lead),
            priority=self.priority,
            exclusion_days=self.exclusion,
            measurement_days=self.measurement,
            has_control=self.control > 0,
            ignore_others=self.ignore,
        )


class Contact(Struct, frozen=True):
    """What became of a customer in a campaign, on a day."""

    customer: str
    campaign: Planned
    day: date
    outcome: str


CAMPAIGNS = st.lists(
    st.builds(
        Planned,
        id=st.sampled_from("ABCDE"),
        app_group=st.sampled_from(["shop", "club"]),
        priority=st.integers(1, 2),
        exclusion=st.integers(0, 4),
        measurement=st.integers(0, 4),
        ignore=st.booleans(),
        control=st.sampled_from([0.0, 0.3]),
        lead=st.integers(0, 1),
        nights=st.frozensets(st.integers(0, 5), min_size=1),
        members=st.frozensets(st.sampled_from(IDS), min_size=4),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda campaign: campaign.id,
)
CAPS = st.builds(
    lambda messages, days, per, group: CapSettings(
        messages=messages, days=days, per=None if days else per, app_group=group
    ),
    st.integers(1, 3),
    st.none() | st.integers(1, 6),
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from([None, "shop"]),
)
POLICIES = st.builds(
    PolicySection, global_control=st.sampled_from([0.0, 0.2]), caps=st.lists(CAPS, max_size=3).map(tuple)
)


def night_of(campaigns: Iterable[Planned], night: date, past: list[Contact], policy: PolicySection) -> list[Contact]:
    """One night as the workspace runs it, with customers and contacts in any order."""
    ids = IDS.copy()
    random.shuffle(ids)
    due = [c for c in campaigns if (night - FIRST).days in c.nights]
    people = pl.LazyFrame(
        {"customer_id": ids, "external_user_id": ids, "is_blocked": [i == "c01" for i in ids]}
    ).with_columns(is_test=False, push_opt_in=True)
    uses = pl.LazyFrame({"customer_id": ids}).with_columns(
        app_id=pl.lit("app"), push_enabled=pl.lit(True), app_version=pl.lit(None, dtype=pl.String)
    )
    policy_state = ContactPolicyState(PlacedCustomers(people, uses), days=[c.on(night).day for c in due], policy=policy)
    sent: dict[tuple[Planned, date, str], list[str]] = {}
    for contact in random.sample(past, len(past)):
        sent.setdefault((contact.campaign, contact.day, contact.outcome), []).append(contact.customer)
    for (campaign, day, outcome), customers in sent.items():
        on = campaign.on(day - timedelta(days=campaign.lead))
        policy_state.add(pl.Series(customers), on, control=outcome == "control")
    found: list[Contact] = []
    for campaign in sorted(due, key=lambda c: c.on(night).order):
        who = campaign.on(night)
        audience = build_audience(
            people.filter(pl.col("customer_id").is_in(list(campaign.members))),
            people,
            uses,
            messages=[AudienceMessage(apps=tuple(APPS))],
            control=campaign.control,
            salt=campaign.id,
            policy_state=policy_state,
            who=who,
        )
        figures = waterfall(audience)
        assert figures.target == len(campaign.members) == audience["customer_id"].n_unique()
        assert figures.target == figures.recipients + figures.control + sum(figures.excluded.values())
        assert figures.steps()[-1][2] == figures.recipients
        policy_state.promise(audience, who)
        kept = audience.filter(pl.col("outcome") != "excluded")
        found += [Contact(i, campaign, who.day, o) for i, o in kept.select("customer_id", "outcome").rows()]
    return found


def windows(cap: CapSettings) -> list[set[date]]:
    """Every window of a cap that the nights touch."""
    every = [FIRST + timedelta(days=n) for n in range(-7, 20)]
    if cap.days:
        return [{day + timedelta(days=n) for n in range(cap.days)} for day in every]
    keys = {"day": str, "week": lambda d: d.isocalendar()[:2], "month": lambda d: (d.year, d.month)}
    key = keys[cap.per or "day"]
    return [{d for d in every if key(d) == key(day)} for day in every]


@settings(max_examples=25)
@given(CAMPAIGNS, POLICIES, st.randoms())
def test_no_cap_exclusion_or_control_is_ever_broken_and_nothing_depends_on_order(
    campaigns: list[Planned], policy: PolicySection, shuffle: random.Random
) -> None:
    told: list[Contact] = []
    for n in range(6):
        night = FIRST + timedelta(days=n)
        new = night_of(campaigns, night, told, policy)
        again = night_of(shuffle.sample(campaigns, len(campaigns)), night, told, policy)
        assert sorted(new, key=repr) == sorted(again, key=repr)
        told += new

    sent = [c for c in told if c.outcome == "recipient"]
    never = pl.Series(IDS).filter(in_share(pl.Series(IDS), salt=GLOBAL_CONTROL, share=policy.global_control))
    assert not {c.customer for c in told} & {"c01", *never}
    for customer in IDS:
        mine = [c for c in sent if c.customer == customer]
        for cap in policy.caps:
            counted = [c.day for c in mine if cap.app_group in (None, c.campaign.app_group)]
            assert all(sum(day in window for day in counted) <= cap.messages for window in windows(cap))
        held = [c for c in told if c.customer == customer and c.outcome == "control"]
        for one, other in combinations(mine + held, 2):
            for first, then in ((one, other), (other, one)):
                gap = (then.day - first.day).days
                if then.outcome != "recipient" or gap < 0:
                    continue
                assert first.outcome != "control" or gap >= first.campaign.measurement
                assert first.campaign.id == then.campaign.id or gap >= first.campaign.exclusion or then.campaign.ignore


PEOPLE = pl.LazyFrame({"customer_id": IDS, "external_user_id": IDS}).with_columns(
    is_blocked=False, is_test=False, push_opt_in=True
)
USES = PEOPLE.select("customer_id", app_id=pl.lit("app"), push_enabled=True, app_version=pl.lit("1"))


def competing(policy: PolicySection | None = None) -> ContactPolicyState:
    return ContactPolicyState(PlacedCustomers(PEOPLE, USES), days=[FIRST], policy=policy or PolicySection())


def audience_of(who: Competitor, policy_state: ContactPolicyState, *, control: float = 0.0) -> dict[str, str]:
    rows = build_audience(
        PEOPLE,
        PEOPLE,
        USES,
        messages=[AudienceMessage(apps=tuple(APPS))],
        control=control,
        salt=who.campaign_id,
        policy_state=policy_state,
        who=who,
    )
    policy_state.promise(rows, who)
    return {row["customer_id"]: row["reason"] or row["outcome"] for row in rows.iter_rows(named=True)}


def rival(name: str, day: date = FIRST, **fields: object) -> Competitor:
    return Competitor(campaign_id=name, app_group_id="shop", day=day, **fields)  # type: ignore[arg-type]


def test_the_first_reason_of_the_policy_is_told() -> None:
    policy = PolicySection(caps=(CapSettings(messages=1, days=7),))
    policy_state = competing(policy)
    policy_state.add(pl.Series(IDS[:2]), rival("old", FIRST - timedelta(days=6)))
    policy_state.add(pl.Series(IDS[1:3]), rival("other", FIRST - timedelta(days=2), exclusion_days=3))
    policy_state.add(pl.Series(IDS[2:4]), rival("test", FIRST - timedelta(days=3), measurement_days=4), control=True)
    said = audience_of(rival("new"), policy_state)
    assert [said[i] for i in IDS[:5]] == ["frequency_cap", "exclusion_period", "held_out", "held_out", "recipient"]


def test_a_campaign_may_ignore_exclusion_periods_but_neither_caps_nor_control_groups() -> None:
    policy = PolicySection(caps=(CapSettings(messages=1, per="day"),))
    policy_state = competing(policy)
    policy_state.add(pl.Series(IDS[:1]), rival("e", FIRST - timedelta(days=1), exclusion_days=9))
    policy_state.add(pl.Series(IDS[1:2]), rival("t", FIRST - timedelta(days=1), measurement_days=9), control=True)
    policy_state.add(pl.Series(IDS[2:3]), rival("s", FIRST))
    said = audience_of(rival("new", ignore_others=True), policy_state)
    assert [said[i] for i in IDS[:3]] == ["recipient", "held_out", "frequency_cap"]


def test_whoever_was_in_a_campaigns_control_group_stays_there_while_it_is_measured() -> None:
    before = FIRST - timedelta(days=2)
    policy_state = competing()
    policy_state.add(pl.Series(IDS[:3]), rival("a", before, measurement_days=5), control=True)
    said = audience_of(rival("a", measurement_days=5, has_control=True), policy_state, control=1e-9)
    assert [i for i, outcome in said.items() if outcome == "control"] == IDS[:3]


@pytest.mark.parametrize(("at", "quiet"), [("21:59", False), ("22:00", True), ("00:30", True), ("08:00", False)])
def test_quiet_hours_run_over_midnight(at: str, quiet: bool) -> None:
    policy = PolicySection(quiet_from="22:00", quiet_until="08:00")
    assert is_quiet(policy, time.fromisoformat(at)) is quiet


def test_what_the_policy_knows_of_a_campaign_is_the_campaigns_own() -> None:
    fields: dict[str, object] = {
        "name": "A",
        "app_group": "Shop",
        "template": "t",
        "group": "g",
        "schedule": {"every": "day", "at": "18:30"},
    }
    plain = campaign_from(fields)
    assert Competitor.of(plain, app_group_id="shop", day=FIRST) == Competitor(
        campaign_id=plain.id, app_group_id="shop", day=FIRST
    )
    more = {"priority": 7, "exclusion_days": 3, "measurement_days": 14, "control": 0.1, "ignore_others": True}
    told = campaign_from({**fields, **more})
    assert Competitor.of(told, app_group_id="shop", day=FIRST) == Competitor(
        campaign_id=told.id,
        app_group_id="shop",
        day=FIRST,
        priority=7,
        exclusion_days=3,
        measurement_days=14,
        has_control=True,
        ignore_others=True,
    )


def test_a_time_that_appboy_chooses_is_refused_where_there_are_quiet_hours() -> None:
    chosen = Schedule(at="12:00", every="day", clock="optimal")
    check_quiet(PolicySection(), chosen)
    with pytest.raises(CampaignError) as caught:
        check_quiet(PolicySection(quiet_from="22:00", quiet_until="08:00"), chosen)
    assert str(caught.value) == (
        'with clock = "optimal" Appboy chooses the time, and nobody can promise that it keeps the quiet hours, '
        '22:00 to 08:00; choose clock = "local", or take quiet_from and quiet_until out of [policy]'
    )
