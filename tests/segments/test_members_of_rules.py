"""Random rules on random customers: every engine against a slow and obvious reading of the rule, row by row."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_oracle import World
from rule_strategies import rules
from rule_worlds import WORDS, worlds

from optinb.errors import RuleError
from optinb.rules import Day, attr, did
from optinb.segments import members, members_of_all

if TYPE_CHECKING:
    from optinb.engine import Tables
    from optinb.rules import Rule


def found(rule: Rule, tables: Tables) -> list[str]:
    return sorted(members(rule, tables).collect("polars").to_native()["customer_id"])


@settings(max_examples=400, deadline=None)
@given(rules(WORDS), worlds)
def test_members_are_those_for_whom_the_rule_holds(rule: Rule, world: World) -> None:
    assert found(rule, world.tables()) == world.members(rule)


def test_a_customer_who_never_bought_did_it_zero_times() -> None:
    tables = World(customers=[{"customer_id": "a", "country": None}]).tables()

    def is_member(rule: Rule) -> bool:
        return found(rule, tables) == ["a"]

    assert is_member(~did("purchase"))
    assert is_member(did("purchase").at_most(3).within(days=7))
    assert is_member(did("purchase").total("amount") <= 0)
    assert is_member(~(did("purchase").average("amount") <= 0))
    assert not is_member(did("purchase").last() <= date(2026, 1, 1))
    assert not is_member(did("purchase"))
    assert not is_member(attr("country") != "DE")
    assert is_member(~(attr("country") == "DE"))


@pytest.mark.parametrize("hour", [21, 22])
def test_a_window_begins_at_midnight_in_the_zone_of_the_workspace(hour: int) -> None:
    """22:00 UTC is midnight in Berlin in summer, so that the purchase falls on the 29th or the 30th."""
    bought = [{"customer_id": "a", "occurred_at": datetime(2026, 3, 29, hour), "amount": 1.0, "category": None}]  # noqa: DTZ001
    world = World(customers=[{"customer_id": "a"}], transactions=bought)
    assert found(did("purchase").within(days=0), world.tables()) == (["a"] if hour == 22 else [])


def test_a_rule_that_does_not_fit_the_tables_is_refused() -> None:
    with pytest.raises(RuleError, match="did you mean 'country'"):
        members(attr("contry") == "DE", World().tables())
    with pytest.raises(RuleError, match=r"outside the calendar|too far"):
        found(attr("registered_at") >= Day(date(1, 1, 1)), World(customers=[{"customer_id": "a"}]).tables())


@settings(max_examples=100, deadline=None)
@given(st.lists(rules(WORDS), min_size=1, max_size=4), worlds)
def test_several_rules_at_once_have_the_members_of_each(several: list[Rule], world: World) -> None:
    together = members_of_all({f"group {i}": rule for i, rule in enumerate(several)}, world.tables())
    for i, rule in enumerate(several):
        assert sorted(together.filter(f"group {i}")["customer_id"]) == world.members(rule)


def test_a_total_on_a_border_is_the_sum_of_the_amounts_as_they_are_written() -> None:
    bought = [
        {"customer_id": "a", "occurred_at": datetime(2026, 3, day), "amount": 0.1, "quantity": 0.7}  # noqa: DTZ001
        for day in range(1, 11)
    ]
    assert sum([0.1] * 10) != 1
    tables = World(customers=[{"customer_id": "a"}], transactions=bought).tables()
    for rule in (
        did("purchase").total("amount").exactly(1),
        did("purchase").total("amount") >= 1,
        did("purchase").total("quantity") <= 7,
        did("purchase").average("quantity").exactly(0.7),
        ~(did("purchase").average("amount") < 0.1),
    ):
        assert found(rule, tables) == ["a"], rule
