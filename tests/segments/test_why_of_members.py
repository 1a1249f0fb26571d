"""The tree that says why: for every rule and customer it says what the engine says, and names the value found."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from rule_oracle import World
from rule_strategies import rules
from rule_worlds import WORDS, worlds

from optinb.rules import InList, Rule, attr, days_ago, did, in_group, in_list, received, uses_app
from optinb.segments import PartVerdict, judge, members, person_of

RULES = rules(WORDS, max_leaves=5)


@settings(max_examples=150)
@given(RULES, worlds)
def test_the_tree_says_of_everybody_what_the_engine_says(rule: Rule, world: World) -> None:
    tables = world.tables()
    found = set(members(rule, tables).to_native().collect()["customer_id"])
    for customer in world.customers:
        person = person_of(customer["customer_id"], tables, group=lambda name: rule)
        assert person is not None
        verdict = judge(rule, person)
        assert verdict.holds == (customer["customer_id"] in found)
        assert len(verdict.lines()) >= 1


ANNA = {"customer_id": "a", "country": "DE", "email": None, "age": 30, "score": None, "vip": True, "born": None,
        "registered_at": datetime(2026, 3, 28, 23, 30)}  # fmt: skip  # noqa: DTZ001
BOUGHT = datetime(2026, 3, 1, 12)  # noqa: DTZ001
WORLD = World(
    customers=[ANNA, {**ANNA, "customer_id": "b"}],
    transactions=[
        {"customer_id": "a", "occurred_at": BOUGHT, "amount": amount, "quantity": None, "category": "TOY"}
        for amount in (10.0, 20.5)
    ],
    app_users=[
        {"customer_id": "a", "app_id": "shop-ios", "push_enabled": True, "app_version": "3.2", "last_used_at": None}
    ],
    lists={"0" * 64: ("a",)},
)


def verdict_on(rule: Rule) -> PartVerdict:
    person = person_of("a", WORLD.tables(), group=lambda name: attr("age") < 18)
    assert person is not None
    return judge(rule, person)


@pytest.mark.parametrize(
    ("rule", "holds", "found"),
    [
        (attr("country") == "AT", False, "DE"),
        (attr("email").contains("x"), False, "empty"),
        (attr("email").is_known(), False, "empty"),
        (attr("registered_at") >= days_ago(1), True, "29 March 2026"),
        (did("purchase").at_least(3), False, "2 times"),
        (did("purchase").total("amount") > 30, True, "30.5"),
        (did("purchase").average("quantity") > 1, False, "none"),
        (did("purchase").last() < days_ago(7), True, "1 March 2026"),
        (did("open").last() < days_ago(7), False, "never"),
        (did("purchase").days_in_a_row(2), False, "1 days"),
        (uses_app("shop-ios").version_at_least("3.3"), False, "shop-ios 3.2"),
        (uses_app("club-ios"), False, "none"),
        (received(), False, "0 times"),
        (InList("VIPs", "0" * 64), True, "on it"),
        (attr("age").top(50), True, "30"),
    ],
)
def test_every_leaf_names_the_value_it_found(rule: Rule, holds: bool, found: str) -> None:
    verdict = verdict_on(rule)
    assert (verdict.part, verdict.holds, verdict.found) == ("leaf", holds, found)
    assert verdict.text == rule.sentence()


def test_the_tree_shows_what_a_group_is_made_of() -> None:
    verdict = verdict_on((attr("country") == "DE") & ~(in_group("Minors") | did("purchase").at_least(5)))
    assert verdict.lines() == [
        "✓ all of these",
        "  ✓ country is DE  [DE]",
        "  ✓ not this",
        "    ✗ at least one of these",
        "      ✗ is in the group “Minors”",
        "        ✗ age is below 18  [30]",
        "      ✗ bought at least 5 times  [2 times]",
    ]


def test_nobody_is_judged_who_is_no_customer() -> None:
    assert person_of("z", WORLD.tables(), group=lambda name: in_list("x")) is None
