"""From a rule to one plan on the engine: Narwhals expressions over the customer table and what customers did.

Null semantics are those of `optinb.rules.tree`: every condition is made two-valued where it stands, so that `~` is
exact complement.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, assert_never

import narwhals as nw

from optinb.engine import Tables, day_bounds, kinds
from optinb.errors import RuleError, did_you_mean
from optinb.rules import (
    PURCHASE,
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
    behaviours_of,
    fit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo


def check(rule: Rule, tables: Tables) -> None:
    """Checks a rule against the tables. Raises RuleError with the path in the tree and the nearest known name.

    An event that was never delivered is refused too: by a slip of the pen, "didn't do it" would select everybody.
    """
    events = [behaviour.event for behaviour in behaviours_of(rule) if behaviour.event != PURCHASE]
    names = tables.event_names() if events else None
    if names is not None and not names:
        raise RuleError(
            f"no event was ever delivered, so a rule can't ask about {events[0]!r}{did_you_mean(events[0], [PURCHASE])}"
        )
    fit(
        rule,
        kinds(tables.customers),
        purchases=kinds(tables.purchases),
        events=kinds(tables.events),
        event_names=names,
    )


def members(rule: Rule, tables: Tables) -> nw.LazyFrame:
    """The customers for whom a rule holds.

    Returns a lazy frame with one column, customer_id (text), each customer once, in no particular order.
    Raises RuleError when the rule doesn't fit the tables.
    """
    check(rule, tables)
    frame = tables.customers
    measured: dict[Did, nw.Expr] = {}
    for i, behaviour in enumerate(behaviours_of(rule)):
        column = f"behaviour {i}"
        frame = frame.join(_measure(behaviour, tables, column), on="customer_id", how="left")
        measured[behaviour] = nw.col(column).fill_null(0)
    schema = tables.customers.collect_schema()
    return frame.filter(_condition(rule, _Context(schema, tables.run_date, tables.zone, measured))).select(
        "customer_id"
    )


def _measure(behaviour: Did, tables: Tables, column: str) -> nw.LazyFrame:
    """How often (or how much) each customer did something: only customers who did it at all have a row.

    The window and the filter stand below the group-by: they look only at the rows that are counted, so leaving rows
    out before counting is the same as not counting them.
    """
    rows = tables.purchases if behaviour.event == PURCHASE else tables.events.filter(nw.col("name") == behaviour.event)
    match behaviour.window:
        case Last(days):
            rows = rows.filter(nw.col("day") >= _day(tables.run_date, days), nw.col("day") <= tables.run_date)
        case Between(first, last):
            rows = rows.filter(nw.col("day") >= first, nw.col("day") <= last)
        case None:
            rows = rows.filter(nw.col("day") <= tables.run_date)
        case _:
            assert_never(behaviour.window)
    if behaviour.filter is not None:
        context = _Context(rows.collect_schema(), tables.run_date, tables.zone, {})
        rows = rows.filter(_condition(behaviour.filter, context))
    if behaviour.measure not in ("count", "total"):
        raise RuleError(f"{behaviour.to_text()}: the {behaviour.measure} of a behaviour can't be evaluated yet")
    amount = nw.len() if behaviour.column is None else nw.col(behaviour.column).sum()
    return rows.group_by("customer_id").agg(amount.alias(column))


class _Context:
    """What a condition needs to know about the frame it is applied to."""

    def __init__(
        self, schema: Mapping[str, nw.dtypes.DType], run_date: date, zone: ZoneInfo, measured: Mapping[Did, nw.Expr]
    ) -> None:
        self.schema, self.run_date, self.zone, self.measured = schema, run_date, zone, measured


def _condition(rule: Rule, context: _Context) -> nw.Expr:
    match rule:
        case AllOf(rules):
            return reduce(and_, (_condition(r, context) for r in rules))
        case AnyOf(rules):
            return reduce(or_, (_condition(r, context) for r in rules))
        case Not(inner):
            return ~_condition(inner, context)
        case Did(op=op, value=value):
            amount = context.measured[rule]
            return _with(op, amount, value)
        case Missing(attribute):
            return nw.col(attribute).is_null()
        case OneOf(attribute, values):
            return nw.col(attribute).is_in(list(values)).fill_null(False)
        case Text(attribute, op, value):
            text = nw.col(attribute).str
            found = {
                "contains": lambda: text.contains(value, literal=True),
                "starts_with": lambda: text.starts_with(value),
                "ends_with": lambda: text.ends_with(value),
            }[op]()
            return found.fill_null(False)
        case Compare():
            return _compare(rule, context).fill_null(False)
        case _:
            raise RuleError(f"{rule.to_text()}: this kind of condition can't be evaluated yet")


def _compare(rule: Compare, context: _Context) -> nw.Expr:
    column, value = nw.col(rule.attribute), rule.value
    if isinstance(value, DaysAgo):
        value = Day(_day(context.run_date, value.days))
    if isinstance(value, Day):
        if context.schema[rule.attribute] == nw.Date:
            return _with(rule.op, column, value.day)
        first, after = day_bounds(value.day, context.zone)
        return {
            "eq": (column >= first) & (column < after),
            "ne": (column < first) | (column >= after),
            "lt": column < first,
            "le": column < after,
            "gt": column >= after,
            "ge": column >= first,
        }[rule.op]
    return _with(rule.op, column, value)


def _with(op: str, column: nw.Expr, value: object) -> nw.Expr:
    match op:
        case "eq":
            return column == value
        case "ne":
            return column != value
        case "lt":
            return column < value
        case "le":
            return column <= value
        case "gt":
            return column > value
        case _:
            return column >= value


def _day(run_date: date, days: int) -> date:
    try:
        return run_date - timedelta(days=days)
    except OverflowError as error:
        raise RuleError(f"{days:,} days from {run_date} is outside the calendar; use fewer days") from error
