"""Random rules on random customers: the compiled plan against a slow and obvious reading of the rule, row by row."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.engine import Tables
from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    Day,
    DaysAgo,
    Did,
    Last,
    Missing,
    Not,
    OneOf,
    Rule,
    Text,
    attr,
    days_ago,
    did,
)
from optinb.segments import members

RUN = date(2026, 3, 30)  # the night after the clocks changed
ZONE = ZoneInfo("Europe/Berlin")
CUSTOMERS = {
    "customer_id": pl.String,
    "country": pl.String,
    "age": pl.Int64,
    "score": pl.Float64,
    "vip": pl.Boolean,
    "born": pl.Date,
    "registered_at": pl.Datetime("us"),
}
PURCHASES = {
    "customer_id": pl.String,
    "occurred_at": pl.Datetime("us"),
    "day": pl.Date,
    "amount": pl.Float64,
    "category": pl.String,
}
EVENTS = {
    "customer_id": pl.String,
    "occurred_at": pl.Datetime("us"),
    "day": pl.Date,
    "name": pl.String,
    "value": pl.Float64,
}
Rows = list[dict[str, Any]]


def local_day(moment: datetime) -> date:
    return moment.replace(tzinfo=UTC).astimezone(ZONE).date()


def tables(customers: Rows, transactions: Rows, events: Rows) -> Tables:
    purchases = [{**row, "day": local_day(row["occurred_at"])} for row in transactions if (row["amount"] or 0) > 0]
    happened = [{**row, "day": local_day(row["occurred_at"])} for row in events]
    return Tables(
        customers=nw.from_native(pl.LazyFrame(customers, schema=CUSTOMERS)),
        purchases=nw.from_native(pl.LazyFrame(purchases, schema=PURCHASES)),
        events=nw.from_native(pl.LazyFrame(happened, schema=EVENTS)),
        app_users=nw.from_native(pl.LazyFrame(schema={"customer_id": pl.String})),
        event_names=lambda: frozenset({"open", "view", "never"}),
        run_date=RUN,
        zone=ZONE,
    )


def holds(rule: Rule, row: dict[str, Any], transactions: Rows, events: Rows) -> bool:
    """What the rule says about one row, in plain Python."""
    match rule:
        case AllOf(rules):
            return all(holds(r, row, transactions, events) for r in rules)
        case AnyOf(rules):
            return any(holds(r, row, transactions, events) for r in rules)
        case Not(inner):
            return not holds(inner, row, transactions, events)
        case Missing(name):
            return row[name] is None
        case OneOf(name, values):
            return row[name] is not None and row[name] in values
        case Text(name, op, value):
            tests = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}
            return row[name] is not None and tests[op](row[name], value)
        case Compare(name, op, value):
            found = row[name]
            if found is None:
                return False
            if isinstance(value, DaysAgo):
                value = Day(RUN - timedelta(days=value.days))
            if isinstance(value, Day):
                value, found = value.day, local_day(found) if isinstance(found, datetime) else found
            return {
                "eq": found == value,
                "ne": found != value,
                "lt": found < value,
                "le": found <= value,
                "gt": found > value,
                "ge": found >= value,
            }[op]
        case Did():
            bought = [t for t in transactions if (t["amount"] or 0) > 0]
            rows = bought if rule.event == "purchase" else [e for e in events if e["name"] == rule.event]
            rows = [r for r in rows if r["customer_id"] == row["customer_id"]]
            rows = [r for r in rows if in_window(rule, local_day(r["occurred_at"]))]
            if rule.filter is not None:
                rows = [r for r in rows if holds(rule.filter, r, [], [])]
            amount = sum((r[rule.column] or 0) for r in rows) if rule.column else len(rows)
            return {"ge": amount >= rule.value, "le": amount <= rule.value, "eq": amount == rule.value}[rule.op]


def in_window(rule: Did, day: date) -> bool:
    match rule.window:
        case Last(days):
            return RUN - timedelta(days=days) <= day <= RUN
        case Between(first, last):
            return first <= day <= last
        case _:
            return day <= RUN


countries = st.sampled_from(["DE", "AT", "", "d", None])
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 4, 2))  # noqa: DTZ001
halves = st.integers(-4, 8).map(lambda n: n / 2)  # sums of halves are exact in any order
people = st.lists(
    st.fixed_dictionaries(
        {
            "country": countries,
            "age": st.one_of(st.none(), st.integers(0, 5)),
            "score": st.one_of(st.none(), halves),
            "vip": st.sampled_from([True, False, None]),
            "born": st.one_of(st.none(), st.dates(date(2026, 3, 20), date(2026, 4, 2))),
            "registered_at": st.one_of(st.none(), moments),
        }
    ),
    max_size=6,
).map(lambda rows: [{"customer_id": f"{i:03}", **row} for i, row in enumerate(rows)])
ids = st.integers(0, 5).map(lambda i: f"{i:03}")
transactions_of = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": ids,
            "occurred_at": moments,
            "amount": halves,
            "category": st.sampled_from(["BABY", "TOY", None]),
        }
    ),
    max_size=12,
)
events_of = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": ids,
            "occurred_at": moments,
            "name": st.sampled_from(["open", "view"]),
            "value": st.one_of(st.none(), halves),
        }
    ),
    max_size=8,
)
operators = st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"])
day_values = st.one_of(st.dates(date(2026, 3, 20), date(2026, 4, 2)).map(Day), st.integers(-2, 9).map(DaysAgo))
leaves = st.one_of(
    st.builds(Compare, st.just("country"), st.sampled_from(["eq", "ne"]), st.sampled_from(["DE", "", "AT"])),
    st.builds(Compare, st.sampled_from(["age", "score"]), operators, st.one_of(st.integers(0, 5), halves)),
    st.builds(Compare, st.just("vip"), st.sampled_from(["eq", "ne"]), st.booleans()),
    st.builds(Compare, st.sampled_from(["born", "registered_at"]), operators, day_values),
    st.builds(OneOf, st.just("country"), st.just(("DE", "AT"))),
    st.builds(OneOf, st.just("age"), st.just((1, 3))),
    st.builds(
        Text,
        st.just("country"),
        st.sampled_from(["contains", "starts_with", "ends_with"]),
        st.sampled_from(["D", "E", "."]),
    ),
    st.builds(Missing, st.sampled_from(list(CUSTOMERS)[1:])),
)
windows = st.one_of(
    st.none(),
    st.integers(0, 40).map(Last),
    st.tuples(*[st.dates(date(2026, 1, 1), date(2026, 4, 3))] * 2).map(lambda d: Between(min(d), max(d))),
)
purchase_filters = st.one_of(
    st.none(),
    st.just(attr("category") == "BABY"),
    st.just(~(attr("category") == "BABY")),
    st.just((attr("amount") >= 2) | attr("category").is_missing()),
    st.just(attr("occurred_at") >= days_ago(3)),
)
behaviours = st.one_of(
    st.integers(0, 3).map(lambda amount: did("purchase").total("amount") >= amount),
    st.builds(
        Did,
        st.just("purchase"),
        st.sampled_from(["ge", "le", "eq"]),
        st.integers(0, 3),
        st.just("count"),
        st.none(),
        purchase_filters,
        windows,
    ),
    st.builds(
        Did,
        st.sampled_from(["open", "view", "never"]),
        st.sampled_from(["ge", "le", "eq"]),
        st.integers(0, 2),
        st.just("total"),
        st.just("value"),
        st.sampled_from([None, attr("value") > 0]),
        windows,
    ),
)


def combined(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    pairs = st.tuples(inner, inner)
    return st.one_of(inner.map(lambda r: ~r), pairs.map(lambda p: p[0] & p[1]), pairs.map(lambda p: p[0] | p[1]))


rules = st.recursive(st.one_of(leaves, behaviours), combined, max_leaves=6)


@settings(max_examples=300, deadline=None)
@given(rules, people, transactions_of, events_of)
def test_members_are_those_for_whom_the_rule_holds(
    rule: Rule, customers: Rows, transactions: Rows, events: Rows
) -> None:
    found = members(rule, tables(customers, transactions, events)).to_native().collect()["customer_id"].to_list()
    expected = [c["customer_id"] for c in customers if holds(rule, c, transactions, events)]
    assert sorted(found) == expected


def test_a_customer_who_never_bought_did_it_zero_times() -> None:
    data = tables([{"customer_id": "a", "country": None}], [], [])

    def is_member(rule: Rule) -> bool:
        return members(rule, data).to_native().collect().height == 1

    assert is_member(~did("purchase"))
    assert is_member(did("purchase").at_most(3).within(days=7))
    assert is_member(did("purchase").total("amount").at_most(0))
    assert not is_member(did("purchase"))
    assert not is_member(attr("country") != "DE")
    assert is_member(~(attr("country") == "DE"))


@pytest.mark.parametrize("hour", [21, 22])
def test_a_window_begins_at_midnight_in_the_zone_of_the_workspace(hour: int) -> None:
    """22:00 UTC is midnight in Berlin in summer, so that the purchase falls on the 29th or the 30th."""
    bought = [{"customer_id": "a", "occurred_at": datetime(2026, 3, 29, hour), "amount": 1.0, "category": None}]  # noqa: DTZ001
    found = members(did("purchase").within(days=0), tables([{"customer_id": "a"}], bought, [])).to_native().collect()
    assert found.height == (1 if hour == 22 else 0)


def test_a_rule_that_does_not_fit_the_tables_is_refused() -> None:
    with pytest.raises(RuleError, match="did you mean 'country'"):
        members(attr("contry") == "DE", tables([], [], []))
    with pytest.raises(RuleError, match=r"outside the calendar|too far"):
        members(attr("registered_at") >= Day(date(1, 1, 1)), tables([{"customer_id": "a"}], [], [])).collect()
