"""Who gets which message of a campaign with several: by variant, by app, by what Appboy filters of each."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.appboy import TemplateRules
from optinb.appboy.template_rules import VendorCap
from optinb.base.settings import PLATFORMS, AppSettings, PolicySection
from optinb.campaigns import (
    MESSAGES,
    AudienceMessage,
    Competitor,
    ContactPolicyState,
    PlacedCustomers,
    Property,
    Sent,
    TemplateSending,
    VendorState,
    build_audience,
    campaign_of,
    gets,
    message_key,
    number_of,
    split,
)
from optinb.engine.persons import Identity, Persons

if TYPE_CHECKING:
    from optinb.campaigns.campaign import Phones

IOS, ANDROID = (AppSettings(id=p, name=p, platform=p) for p in PLATFORMS[:2])
TEN = datetime(2026, 11, 23, 10)  # noqa: DTZ001 - what a clock on a wall shows
APPS_OF = {"i": ("ios",), "a": ("android",), "b": ("ios", "android")}


def people(count: int = 300) -> pl.LazyFrame:
    ids = [f"{'iab'[n % 3]}{n:04}" for n in range(count)]
    flags = {"is_blocked": False, "is_test": False, "push_opt_in": True}
    names = [None if n % 7 == 0 else f"N{n}" for n in range(count)]
    return pl.LazyFrame({"customer_id": ids, "external_user_id": ids, "first_name": names}).with_columns(
        pl.lit(value).alias(name) for name, value in flags.items()
    )


def uses(customers: pl.LazyFrame) -> pl.LazyFrame:
    """One phone or both, by the letter of the id; every other one with both used the Android phone last."""
    rows = [
        (customer_id, app, True, None, TEN + timedelta(days=(app == "android") == (int(customer_id[1:]) % 2 == 0)))
        for customer_id in customers.collect()["customer_id"]
        for app in APPS_OF[customer_id[0]]
    ]
    names = ["customer_id", "app_id", "push_enabled", "app_version", "last_used_at"]
    return pl.LazyFrame(rows, schema=names, schema_overrides={"app_version": pl.String}, orient="row")


def built(messages: list[AudienceMessage], **others: Any) -> pl.DataFrame:
    everybody = people()
    return build_audience(
        everybody.select("customer_id"), everybody, uses(everybody), messages=messages, salt="s", **others
    )


BY_PHONE = [AudienceMessage(apps=(IOS,)), AudienceMessage(apps=(ANDROID,))]
A_AND_B = [
    AudienceMessage(apps=(IOS,), properties={"word": Property(value="a")}),
    AudienceMessage(apps=(ANDROID,), properties={"word": Property(value="a")}),
    AudienceMessage(apps=(IOS, ANDROID), properties={"word": Property(value="b")}, variant=1),
]


def test_each_phone_gets_its_own_message_and_both_phones_get_both() -> None:
    rows = built(BY_PHONE)
    assert set(rows["outcome"]) == {"recipient"}
    told = {row["customer_id"][0]: row[MESSAGES] for row in rows.iter_rows(named=True)}
    assert told == {"i": 0b01, "a": 0b10, "b": 0b11}


def test_with_one_phone_each_gets_it_on_the_one_that_they_used_last() -> None:
    rows = built(BY_PHONE, phones="last_used").filter(pl.col("customer_id").str.starts_with("b"))
    for customer_id, bits in rows.select("customer_id", MESSAGES).iter_rows():
        assert bits == (0b10 if int(customer_id[1:]) % 2 == 0 else 0b01)


def test_of_phones_of_which_nobody_knows_the_use_the_first_message_counts() -> None:
    everybody = people()
    silent = uses(everybody).drop("last_used_at")
    rows = build_audience(
        everybody.select("customer_id"), everybody, silent, messages=BY_PHONE, phones="last_used", salt="s"
    )
    told = {row["customer_id"][0]: row[MESSAGES] for row in rows.iter_rows(named=True)}
    assert told == {"i": 0b01, "a": 0b10, "b": 0b01}


def test_nobody_is_a_recipient_whom_no_message_of_their_variant_reaches() -> None:
    given = [AudienceMessage(apps=(IOS,)), AudienceMessage(apps=(ANDROID,), variant=1)]
    rows = built(given, shares={"A": 0.5, "B": 0.5}, control=0.1)
    assert not rows.filter(pl.col("outcome") == "recipient", pl.col(MESSAGES) == 0).height
    left_out = rows.filter(pl.col("outcome") == "excluded")
    assert set(left_out["reason"]) == {"no_app"}
    assert {customer_id[0] for customer_id in left_out["customer_id"]} == {"i", "a"}
    assert sum(part.height for part in split(rows, 2)) == rows.height


def test_everybody_gets_the_messages_and_the_properties_of_one_variant() -> None:
    rows = built(A_AND_B, shares={"A": 0.5, "B": 0.5})
    for row in rows.iter_rows(named=True):
        is_b = bool(row[MESSAGES] & 0b100)
        assert json.loads(row["properties"]) == {"word": "b" if is_b else "a"}
        assert row[MESSAGES] == (0b100 if is_b else {"i": 0b01, "a": 0b10, "b": 0b11}[row["customer_id"][0]])
    assert 100 < gets(rows, 2).height < 200


def test_whoever_lacks_what_one_variant_says_is_left_out_of_that_alone() -> None:
    by_name = {"name": Property(attribute="first_name", exclude_empty=True)}
    messages = [
        AudienceMessage(apps=(IOS, ANDROID)),
        AudienceMessage(apps=(IOS, ANDROID), properties=by_name, variant=1),
    ]
    rows = built(messages, shares={"A": 0.5, "B": 0.5})
    nameless = people().filter(pl.col("first_name").is_null()).collect()["customer_id"]
    missing = rows.filter(pl.col("reason") == "property_missing")
    assert 0 < missing.height < nameless.len()
    assert missing["customer_id"].is_in(nameless.implode()).all()
    assert (rows.filter(pl.col("customer_id").is_in(nameless.implode()))[MESSAGES] != 2).all()
    assert gets(rows, 0)["customer_id"].is_in(nameless.implode()).any()


def test_the_control_group_is_drawn_from_all_variants_alike_and_gets_nothing() -> None:
    rows = built(A_AND_B, shares={"A": 0.5, "B": 0.5}, control=0.3)
    held = rows.filter(pl.col("outcome") == "control")
    assert (held[MESSAGES] == 0).all()
    assert {json.loads(text)["word"] for text in held["properties"]} == {"a", "b"}
    assert (
        held["customer_id"].to_list()
        == built(BY_PHONE, control=0.3).filter(pl.col("outcome") == "control")["customer_id"].to_list()
    )


def sending(template: str, **rules: Any) -> TemplateSending:
    return TemplateSending(
        app_group_id="g", template_id=template, clock="workspace", wall=TEN, rules=TemplateRules(**rules)
    )


def judged(had: list[str], *, phones: Phones = "all", caps: tuple[VendorCap, ...] = ()) -> pl.DataFrame:
    """An audience by phone, of which some had the iPhone's template yesterday and may have it once only."""
    everybody = people()
    placed = PlacedCustomers(everybody, uses(everybody))
    state = ContactPolicyState(placed, days=[TEN.date()], policy=PolicySection())
    before = pl.DataFrame({"customer_id": had}, schema={"customer_id": pl.String})
    state.vendor = VendorState(
        placed, zone="UTC", sent=[Sent("c", sending("T"), lambda of_control: before.clear() if of_control else before)]
    )
    who = Competitor(
        campaign_id="c",
        app_group_id="g",
        day=TEN.date(),
        sendings=(sending("T", again_after_s=None, caps=caps), sending("U", again_after_s=0, caps=caps)),
    )
    return build_audience(
        everybody.select("customer_id"),
        everybody,
        uses(everybody),
        messages=BY_PHONE,
        phones=phones,
        policy_state=state,
        who=who,
        salt="s",
    )


def test_what_appboy_filters_on_one_phone_leaves_the_other_phones_message() -> None:
    rows = judged(["i0000", "b0002", "a0001"])
    told = {row["customer_id"]: (row["reason"], row[MESSAGES]) for row in rows.iter_rows(named=True)}
    assert told["i0000"] == ("had_template", 0)  # no other phone
    assert told["b0002"] == (None, 0b10)
    assert told["a0001"] == (None, 0b10)
    assert told["b0005"] == (None, 0b11)


def test_with_one_phone_the_other_one_counts_where_appboy_filters_the_last_used() -> None:
    rows = judged(["b0005"], phones="last_used")  # who used the iPhone last
    told = {row["customer_id"]: row[MESSAGES] for row in rows.iter_rows(named=True)}
    assert told["b0005"] == 0b10
    assert told["b0011"] == 0b01


@pytest.mark.parametrize(("caps", "bits"), [((VendorCap(1, "day"),), 0b01), ((VendorCap(2, "day"),), 0b11), ((), 0b11)])
def test_the_message_to_one_phone_counts_for_the_cap_of_the_other(caps: tuple[VendorCap, ...], bits: int) -> None:
    told = {row["customer_id"][0]: row[MESSAGES] for row in judged([], caps=caps).iter_rows(named=True)}
    assert told == {"i": 0b01, "a": 0b10, "b": bits}


@given(
    st.lists(st.floats(0.05, 20), min_size=2, max_size=5),
    st.integers(0, 4),
)
def test_a_variant_that_ends_moves_nobody_but_its_own_customers(weights: list[float], gone: int) -> None:
    shares = {f"v{n}": weight for n, weight in enumerate(weights)}
    ended = list(shares)[gone % len(shares)]
    ids = pl.DataFrame({"customer_id": [f"c{n}" for n in range(400)]}).with_columns(external_user_id="customer_id")
    persons, everybody = Persons(ids, Identity()), np.arange(400, dtype=np.uint32)
    names = np.array(list(shares))
    before = names[persons.dealt(everybody, salt="s", shares=shares)]
    left = {name: weight for name, weight in shares.items() if name != ended}
    after = np.array(list(left))[persons.dealt(everybody, salt="s", shares=left)]
    assert (before[before != ended] == after[before != ended]).all()


def test_variants_are_dealt_in_their_shares_and_independently_of_the_control_group() -> None:
    count = 40_000
    ids = pl.DataFrame({"customer_id": [f"c{n}" for n in range(count)]}).with_columns(external_user_id="customer_id")
    persons, everybody = Persons(ids, Identity()), np.arange(count, dtype=np.uint32)
    dealt = persons.dealt(everybody, salt="s", shares={"a": 1, "b": 2, "c": 5})
    assert np.bincount(dealt) / count == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.01)
    control = persons.drawn(everybody, salt="s", share=0.25)
    assert np.bincount(dealt[control]) / control.sum() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.02)
    other = persons.dealt(everybody, salt="t", shares={"a": 1, "b": 2, "c": 5})
    assert np.bincount(other[dealt == 0]) / (dealt == 0).sum() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.02)


def test_two_ids_of_one_person_get_one_variant() -> None:
    ids = pl.DataFrame({"customer_id": [f"c{n}" for n in range(200)]}).with_columns(external_user_id="customer_id")
    links = pl.DataFrame(
        {
            "customer_id": [f"c{n}" for n in range(0, 200, 2)],
            "person_id": [f"c{n + 1}" for n in range(0, 200, 2)],
            "drawn": [True] * 100,
        }
    )
    persons = Persons(ids, Identity(persons=links))
    dealt = persons.dealt(np.arange(200, dtype=np.uint32), salt="s", shares={"a": 1, "b": 1})
    assert (dealt[0::2] == dealt[1::2]).all()
    alone = Persons(ids, Identity()).dealt(np.arange(200, dtype=np.uint32), salt="s", shares={"a": 1, "b": 1})
    assert (dealt[1::2] == alone[1::2]).all()  # the person's own id decides, as before the merge
    assert 0 < dealt.sum() < 200


def test_an_audience_apart_loses_nobody_and_gives_nobody_a_message_of_others() -> None:
    rows = built(A_AND_B, shares={"A": 0.5, "B": 0.5}, control=0.2)
    first, *others = split(rows, 3)
    assert set(rows["customer_id"]) == set(pl.concat([first, *others])["customer_id"])
    for number, part in enumerate((first, *others)):
        mine = part.filter(pl.col("outcome") == "recipient")["customer_id"].to_list()
        assert mine == gets(rows, number)["customer_id"].to_list()
    assert all(set(part["outcome"]) == {"recipient"} for part in others)
    assert (first["outcome"] == "control").sum() == (rows["outcome"] == "control").sum()


def test_an_audience_of_one_message_is_not_taken_apart() -> None:
    rows = built([AudienceMessage(apps=(IOS, ANDROID))])
    assert split(rows, 1)[0] is rows


def test_a_message_key_tells_the_campaign_and_the_number() -> None:
    assert [message_key("c0ffee", n) for n in (0, 1, 12)] == ["c0ffee", "c0ffee.1", "c0ffee.12"]
    assert [(campaign_of(k), number_of(k)) for k in ("c0ffee", "c0ffee.12")] == [("c0ffee", 0), ("c0ffee", 12)]
