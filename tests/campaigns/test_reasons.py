"""Reasons of exclusion go by their names, and there is one order of them: that of their type."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from itertools import permutations
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from optinb.appboy.template_rules import TemplateRules, VendorCap
from optinb.base.settings import AppSettings
from optinb.base.settings.sections import CapSettings, PolicySection
from optinb.campaigns import (
    REASONS,
    AudienceMessage,
    Competitor,
    ContactPolicyState,
    Exclusion,
    PlacedCustomers,
    Property,
    Sent,
    TemplateSending,
    VendorState,
    build_audience,
    waterfall,
)
from optinb.campaigns.policy_state import ContactPolicyDay
from optinb.segments import CODES, first_against

GUIDE = Path(__file__).parents[2] / "notebooks" / "guides" / "campaigns.md"
ORDER: tuple[Exclusion, ...] = get_args(Exclusion)
DAY = date(2026, 11, 23)
APP = AppSettings(id="app", name="App", platform="ios", sdk_from_version="3.0")


def test_the_type_the_words_and_the_numbers_have_one_order() -> None:
    assert tuple(REASONS) == tuple(CODES) == ORDER
    assert 0 not in CODES.values() and len(set(CODES.values())) == len(ORDER)


def test_the_guide_names_every_reason_in_the_order_in_which_they_are_examined() -> None:
    (paragraph,) = re.findall(r"^\*\*The audience\*\*.*$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(name for name in re.findall(r"`(\w+)`", paragraph) if name in REASONS) == ORDER


@pytest.mark.parametrize("names", [*permutations(("test", "no_app", "frequency_cap"))])
def test_the_first_reason_counts_however_the_conditions_are_listed(names: tuple[Exclusion, ...]) -> None:
    applies = {"no_app": [1, 0, 0, 0], "test": [1, 1, 0, 0], "frequency_cap": [1, 1, 1, 0]}
    found = first_against({name: np.array(applies[name], dtype=np.bool_) for name in names})
    assert found.tolist() == [CODES["no_app"], CODES["test"], CODES["frequency_cap"], 0]


def against(customer: int, reason: Exclusion) -> bool:
    """Whether a reason applies to a customer: to the one of a place in the order, it and all that follow."""
    return ORDER.index(reason) >= customer


def test_of_all_that_applies_to_somebody_an_audience_says_the_first() -> None:
    numbers = range(len(ORDER) + 1)
    ids = [f"c{n:02}" for n in numbers]
    named = [n > ORDER.index("no_external_id") for n in numbers]
    # who has an external user id shares it with somebody whose id stands before theirs, where that is against them
    doubles = [f"a{n:02}" for n in numbers if named[n] and against(n, "same_external_id")]
    people = pl.DataFrame(
        {
            "customer_id": ids,
            "external_user_id": [f"e{n:02}" if named[n] else None for n in numbers],
            "is_blocked": [against(n, "blocked") for n in numbers],
            "is_test": [against(n, "test") for n in numbers],
            "push_opt_in": [not against(n, "opted_out") for n in numbers],
            "time_zone": ["Asia/Tokyo" if against(n, "quiet_hours") else "UTC" for n in numbers],
            "first_name": [None if against(n, "property_missing") else "Ada" for n in numbers],
        }
    )
    fine = {"is_blocked": False, "is_test": False, "push_opt_in": True, "time_zone": "UTC", "first_name": "Ada"}
    twins = [{"customer_id": one, "external_user_id": f"e{one[1:]}", **fine} for one in doubles]
    people = pl.concat([people, pl.DataFrame(twins, schema=people.schema)])
    uses = pl.DataFrame(
        {
            "customer_id": people["customer_id"],
            "app_id": ["other" if i == ids[0] else "app" for i in people["customer_id"]],
            "push_enabled": [i not in ids[:3] for i in people["customer_id"]],
            "app_version": ["2.9" if i in ids[:2] else "3.0" for i in people["customer_id"]],
        }
    )
    policy = PolicySection(caps=(CapSettings(messages=1, days=7),))
    placed = PlacedCustomers(people.lazy(), uses.lazy())
    policy_state = ContactPolicyState(placed, days=[DAY], policy=policy)
    in_control = placed.index["customer_id"].is_in(
        [i for n, i in zip(numbers, ids, strict=True) if against(n, "global_control")]
    )
    mine = {
        reason: pl.DataFrame({"customer_id": [i for n, i in zip(numbers, ids, strict=True) if against(n, reason)]})
        for reason in get_args(Exclusion)
    }
    tonight = TemplateSending(
        app_group_id="g",
        template_id="T",
        clock="workspace",
        wall=datetime.combine(DAY, time(10)),
        rules=TemplateRules(caps=(VendorCap(1, "day"),)),
    )
    policy_state.vendor = VendorState(
        placed,
        zone="UTC",
        sent=[
            Sent("V", replace(tonight, wall=tonight.wall - timedelta(days=9)), lambda _: mine["had_template"]),
            Sent("W", replace(tonight, template_id="U"), lambda _: mine["vendor_cap"]),
        ],
        controls={
            "g": pl.DataFrame({"external_user_id": [f"e{i[1:]}" for i in mine["vendor_control"]["customer_id"]]})
        }.get,
    )
    policy_state._days[DAY] = ContactPolicyDay(in_control.to_numpy(), day=DAY, policy=policy)
    before = {"app_group_id": "g", "day": DAY - timedelta(days=1), "priority": 1}
    contacts: tuple[tuple[Exclusion, Competitor, bool], ...] = (
        ("held_out", Competitor(campaign_id="X", measurement_days=9, **before), True),
        ("exclusion_period", Competitor(campaign_id="Y", exclusion_days=9, **before), False),
        ("frequency_cap", Competitor(campaign_id="Z", **before), False),
    )
    for reason, who, control in contacts:
        policy_state.add(mine[reason], who, control=control)
    audience = build_audience(
        people.lazy(),
        people.lazy(),
        uses.lazy(),
        messages=[AudienceMessage(apps=(APP,), properties={"name": Property(attribute="first_name")})],
        quiet=["Asia/Tokyo"],
        policy_state=policy_state,
        who=Competitor(campaign_id="A", app_group_id="g", day=DAY, priority=1, sendings=(tonight,)),
    )
    assert audience.filter(pl.col("customer_id").is_in(ids))["reason"].to_list() == [*ORDER, None]
    assert tuple(waterfall(audience).excluded) == ORDER
