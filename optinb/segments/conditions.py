"""Conditions on one row as expressions, true or false and never unknown, so that `~` is the exact complement."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import assert_never
from zoneinfo import ZoneInfo

import narwhals as nw

from optinb.engine import day_bounds
from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    AnyOf,
    Birthday,
    Compare,
    Contacted,
    Day,
    DaysAgo,
    Did,
    InGroup,
    InList,
    Matches,
    Missing,
    Not,
    OneOf,
    Rank,
    Rule,
    Scalar,
    Text,
    Uses,
    anniversaries,
    day_of,
    engine_form,
)

# Nobody's birthday lies before it, and a moment's anniversaries are looked for year by year.
FIRST_YEAR = 1900


@dataclass(frozen=True)
class Row:
    """What is known of the rows that a condition looks at.

    `answers`: for conditions that are answered already, or by other tables, the expression that holds their answer.
    `moment`: how the engine compares a stored time with a moment in UTC without a zone.
    """

    schema: Mapping[str, nw.dtypes.DType]
    run_date: date
    zone: ZoneInfo
    moment: Callable[[datetime], object]
    answers: Mapping[Rule, nw.Expr]


def condition(rule: Rule, row: Row) -> nw.Expr:
    """Whether a rule holds for each row. Raises RuleError for a day outside the calendar."""
    if rule in row.answers:
        return row.answers[rule]
    match rule:
        case AllOf(rules):
            return reduce(and_, (condition(r, row) for r in rules))
        case AnyOf(rules):
            return reduce(or_, (condition(r, row) for r in rules))
        case Not(inner):
            return ~condition(inner, row)
        case Missing(attribute):
            return nw.col(attribute).is_null()
        case OneOf(attribute, values):
            return _one_of(attribute, values, row.schema[attribute])
        case Text(attribute, op, value):
            text = nw.col(attribute).str
            found = {
                "contains": lambda: text.contains(value, literal=True),
                "starts_with": lambda: text.starts_with(value),
                "ends_with": lambda: text.ends_with(value),
            }[op]()
            return found.fill_null(False)
        case Matches(attribute, pattern):
            return nw.col(attribute).str.contains(engine_form(pattern)).fill_null(False)
        case Compare():
            return _compare(rule, row).fill_null(False)
        case Birthday(attribute, first, last):
            return _birthday(attribute, first, last, row).fill_null(False)
        case Did() | Contacted() | Uses() | InList() | Rank():
            raise RuleError(f"{rule.to_text()}: nothing here answers it")
        case InGroup(group):
            raise RuleError(f"the group {group!r} isn't filled in yet; expand the rule first")
        case _:
            assert_never(rule)


def compared(op: str, subject: nw.Expr, value: object) -> nw.Expr:
    """A comparison by its name."""
    match op:
        case "eq":
            return subject == value
        case "ne":
            return subject != value
        case "lt":
            return subject < value
        case "le":
            return subject <= value
        case "gt":
            return subject > value
        case _:
            return subject >= value


def _compare(rule: Compare, row: Row) -> nw.Expr:
    column, value = nw.col(rule.attribute), rule.value
    if not isinstance(value, Day | DaysAgo):
        return compared(rule.op, column, value)
    day = day_of(value, row.run_date)
    if row.schema[rule.attribute] == nw.Date:
        return compared(rule.op, column, day)
    first, after = (row.moment(moment) for moment in day_bounds(day, row.zone))
    return {
        "eq": (column >= first) & (column < after),
        "ne": (column < first) | (column >= after),
        "lt": column < first,
        "le": column < after,
        "gt": column >= after,
        "ge": column >= first,
    }[rule.op]


def _one_of(attribute: str, values: tuple[Scalar, ...], kind: nw.dtypes.DType) -> nw.Expr:
    column = nw.col(attribute)
    if isinstance(values[0], bool):
        return reduce(or_, (column == value for value in values)).fill_null(False)
    # A list has one type, and an engine may round to it what it compares.
    if kind.is_integer():
        fitting: list[object] = [int(v) for v in values if not isinstance(v, str) and v == int(v)]
        return column.is_in(fitting).fill_null(False) if fitting else column.is_null() & ~column.is_null()
    return column.is_in([float(v) if kind.is_float() else v for v in values]).fill_null(False)


def _birthday(attribute: str, first: int, last: int, row: Row) -> nw.Expr:
    days = anniversaries(row.run_date + timedelta(days=first), row.run_date + timedelta(days=last))
    column = nw.col(attribute)
    if row.schema[attribute] == nw.Date:
        of_year = column.dt.month().cast(nw.Int32) * 100 + column.dt.day().cast(nw.Int32)
        found = [of_year.is_in(sorted(kept)) & (column.dt.year() < year) for year, kept in days.items()]
        return reduce(or_, found)
    # A stored moment belongs to a day of the workspace's zone, which is compared without any engine's time zones.
    spans = []
    for year in range(FIRST_YEAR, max(days)):
        born = sorted(_born(year, frozenset().union(*(kept for when, kept in days.items() if year < when))))
        spans += _joined([day_bounds(day, row.zone) for day in born])
    return reduce(or_, ((column >= row.moment(a)) & (column < row.moment(b)) for a, b in spans))


def _born(year: int, days: frozenset[int]) -> list[date]:
    """The days of a year that are given as month * 100 + day."""
    found = []
    for number in days:
        month, day = divmod(number, 100)
        if (month, day) != (2, 29) or isleap(year):
            found.append(date(year, month, day))
    return found


def _joined(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Sorted spans, each of those that follow one another made into one."""
    found: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found
