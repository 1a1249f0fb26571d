"""Which delivered tables a rule reads, leaf by leaf."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from optinb import attr, did, in_group, in_list, received, responded, uses_app, was_in_control
from optinb.base.settings import FeatureSection
from optinb.customers import ATTRIBUTES, declared_features
from optinb.customers.attributes import origins
from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    Birthday,
    Compare,
    Did,
    InGroup,
    Matches,
    Missing,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
    tables_behind,
    tables_read,
    walk,
)

MADE = origins(
    declared_features(
        [
            FeatureSection(name="shoes", where={"category": "shoes"}),
            FeatureSection(name="searches", source="events", where={"name": "search"}),
        ]
    )
)
RULES = [
    (did("purchase").at_least(2), {"transactions"}),
    (did("purchase").where(attr("category") == "BABY").within(days=30), {"transactions"}),
    (did("purchase").total("amount") >= 100, {"transactions"}),
    (did("app_open"), {"events"}),
    (did("search").last() < date(2026, 1, 1), {"events"}),
    (uses_app("shop-ios"), {"app_users"}),
    (received("Summer"), set()),
    (was_in_control("Summer"), set()),
    (responded("Summer", days=7), {"transactions"}),
    (in_list("Fair"), set()),
    (attr("country") == "DE", {"customers"}),
    (attr("country").one_of(["DE", "FR"]), {"customers"}),
    (attr("city").contains("bad"), {"customers"}),
    (attr("city").matches("^Bad"), {"customers"}),
    (attr("city").is_missing(), {"customers"}),
    (attr("birth_date").anniversary(within_next=7), {"customers"}),
    (attr("stage") == "churned", {"transactions"}),
    (attr("value_segment").one_of(["high", "medium"]), {"transactions"}),
    (attr("churn_risk") > 0.5, {"transactions"}),
    (attr("favourite_category").matches("^B"), {"transactions"}),
    (attr("recency_days") > 30, {"transactions"}),
    (attr("average_order").is_missing(), {"transactions"}),
    (attr("tenure_days") > 30, {"customers"}),
    (attr("apps") >= 1, {"app_users"}),
    (attr("last_app_use_on") >= date(2026, 1, 1), {"app_users"}),
    (attr("micro_segment") == "active, high spend", {"transactions", "app_users"}),
    (attr("shoes") >= 1, {"transactions"}),
    (attr("searches") >= 1, {"events"}),
    (attr("future_value").top(10), {"transactions"}),
    (attr("points").top(10, within="stage"), {"customers", "transactions"}),
    (~did("purchase") & ((attr("country") == "DE") | did("app_open")), {"transactions", "customers", "events"}),
]


@pytest.mark.parametrize(("rule", "tables"), RULES, ids=[rule.to_text() for rule, _ in RULES])
def test_a_rule_reads_the_tables_that_its_conditions_are_made_of(rule: Rule, tables: set[str]) -> None:
    assert tables_read(rule, MADE) == tables
    assert tables_read(~rule, MADE) == tables


def test_every_kind_of_condition_is_among_them() -> None:
    seen = {type(node) for rule, _ in RULES for node in walk(rule)}
    kinds = {kind for part in get_args(Rule) for kind in (get_args(part) or (part,))}
    assert kinds - seen == {InGroup}
    assert {Compare, OneOf, Text, Matches, Missing, Birthday, Rank, Did, Uses, AllOf} <= seen


def test_a_rule_that_still_names_a_group_is_refused() -> None:
    with pytest.raises(RuleError, match="names the group 'Lapsed'"):
        tables_read((attr("country") == "DE") & in_group("Lapsed"), MADE)


def test_everything_that_the_models_tell_has_an_origin() -> None:
    assert {attribute.name for attribute in ATTRIBUTES} <= MADE.keys()
    assert all(tables <= {"customers", "app_users", "transactions", "events"} and tables for tables in MADE.values())


def test_attributes_that_are_made_of_nothing_else_are_delivered_with_customers() -> None:
    assert tables_behind(["first_name", "stage"], MADE) == {"customers", "transactions"}
    assert tables_behind([], MADE) == frozenset()
    delivered = {name: tables for name, tables in MADE.items() if name != "stage"}
    assert tables_behind(["stage"], delivered) == {"customers"}
