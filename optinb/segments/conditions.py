"""Conditions on one row as expressions, true or false and never unknown, so that `~` is the exact complement.

Beside them what customers are looked up in beyond their own row: apps, lists, ranks and the history of campaigns.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, assert_never
from zoneinfo import ZoneInfo

import narwhals as nw

from optinb.engine import Tables, day_bounds
from optinb.errors import RuleError
from optinb.rules import (
    COMPARE,
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
    days_of,
    engine_form,
    version_numbers,
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


def _compare(rule: Compare, row: Row) -> nw.Expr:
    column, value = nw.col(rule.attribute), rule.value
    if not isinstance(value, Day | DaysAgo):
        return COMPARE[rule.op](column, value)
    day = day_of(value, row.run_date)
    if row.schema[rule.attribute] == nw.Date:
        return COMPARE[rule.op](column, day)
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


# The answer column of a lookup.
ANSWER = "optinb answer"


def with_lookup(
    customers: nw.LazyFrame[Any], lookup: Uses | InList | Rank, column: str, tables: Tables
) -> nw.LazyFrame[Any]:
    """The customers with one more column, true or false: whether the lookup finds them."""
    if isinstance(lookup, Rank):
        return _with_rank(customers, lookup, column, tables)
    found = _users(lookup, tables) if isinstance(lookup, Uses) else tables.take(tables.listed(lookup.sha256 or ""))
    return with_flag(customers, found.select("customer_id").unique("customer_id"), column)


def with_flag(customers: nw.LazyFrame[Any], found: nw.LazyFrame[Any], column: str) -> nw.LazyFrame[Any]:
    """The customers with one more column: whether they are among those found (customer_id, each once)."""
    flagged = customers.join(found.with_columns(nw.lit(True).alias(column)), on="customer_id", how="left")
    return flagged.with_columns(nw.col(column).fill_null(False))


def contacted(rule: Contacted, tables: Tables) -> nw.LazyFrame[Any]:
    """The customers (customer_id, each once) with whom campaigns did this often enough."""
    first, last = days_of(rule.window, tables.run_date)
    # whose a contact is tonight is looked up for those alone that are asked about
    history = nw.from_native(tables.contacts()).filter(nw.col("outcome") == rule.outcome, nw.col("day") <= last)
    if first is not None:
        history = history.filter(nw.col("day") >= first)
    if rule.campaign is not None:
        history = history.filter(nw.col("campaign") == rule.campaign)
    nights = tables.take(tables.contacts_of(history.to_native()))
    night = ["customer_id", "campaign", "day"]
    nights = nights.select(*night).unique(night)
    if rule.response_days is not None:
        bought = tables.rows("purchases", first, tables.run_date)
        bought = bought.filter(nw.col("day") <= tables.run_date).select("customer_id", bought=nw.col("day"))
        earlier = tables.earlier_ids()
        if earlier.height:
            theirs = bought.rename({"customer_id": "earlier"}).join(tables.take(earlier), on="earlier", how="inner")
            bought = nw.concat([bought, theirs.select("customer_id", "bought")])
        until = nw.col("day").dt.offset_by(f"{rule.response_days}d") if rule.response_days else nw.col("day")
        nights = nights.join(bought, on="customer_id", how="inner")
        nights = nights.filter(nw.col("bought") >= nw.col("day"), nw.col("bought") <= until)
        nights = nights.select(*night).unique(night)
    if rule.times == 1:
        return nights.select("customer_id").unique("customer_id")
    counted = nights.group_by("customer_id").agg(nw.len().alias(ANSWER))
    return counted.filter(nw.col(ANSWER) >= rule.times).select("customer_id")


def _users(rule: Uses, tables: Tables) -> nw.LazyFrame[Any]:
    users = tables.app_users
    if rule.app is not None:
        users = users.filter(nw.col("app_id") == rule.app)
    if rule.platform is not None:
        apps = [app for app, platform in (tables.apps or {}).items() if platform == rule.platform]
        users = users.filter(_is_one_of("app_id", apps))
    if rule.version_from is not None or rule.version_to is not None:
        # There are few versions, and no engine compares them as numbers.
        least = version_numbers(rule.version_from or "0")
        below = version_numbers(rule.version_to) if rule.version_to is not None else None
        numbers = {version: version_numbers(version) for version in tables.app_versions()}
        fitting = [v for v, n in numbers.items() if n >= least and (below is None or n < below)]
        users = users.filter(_is_one_of("app_version", fitting))
    if rule.last_used is not None:
        first, last = days_of(rule.last_used, tables.run_date)
        users = users.filter(nw.col("last_used_at") < tables.moment(day_bounds(last, tables.zone)[1]))
        if first is not None:
            users = users.filter(nw.col("last_used_at") >= tables.moment(day_bounds(first, tables.zone)[0]))
    return users


def _is_one_of(column: str, values: list[str]) -> nw.Expr:
    # an empty list has no type, which engines don't compare with a text
    return nw.col(column).is_in(values) if values else nw.col(column).is_null() & ~nw.col(column).is_null()


def _with_rank(customers: nw.LazyFrame[Any], rule: Rank, column: str, tables: Tables) -> nw.LazyFrame[Any]:
    """Finds the last value of each part of the customers that is still good enough, by counting."""
    edge, part = f"{column} edge", f"{column} part"
    within = nw.lit(1) if rule.within is None else nw.col(rule.within)
    known = tables.customers.select(nw.col(rule.attribute).alias(edge), within.alias(part))
    known = known.filter(~nw.col(edge).is_null(), ~nw.col(part).is_null())
    counted = known.group_by(part, edge).agg(nw.len().cast(nw.Int64).alias("n"))
    counted = counted.with_columns(
        nw.col("n").cum_sum().over(part, order_by=edge).cast(nw.Float64).alias("upto"),
        nw.col("n").sum().over(part).cast(nw.Float64).alias("all"),
    )
    top = rule.side == "top"
    better = nw.col("all") - nw.col("upto") if top else nw.col("upto") - nw.col("n").cast(nw.Float64)
    good = counted.filter(better * 100.0 < nw.col("all") * float(rule.percent))
    last = nw.col(edge).min() if top else nw.col(edge).max()
    edges = good.group_by(part).agg(last.alias(edge))
    ranked = customers.with_columns(within.alias(part)).join(edges, on=part, how="left")
    value = nw.col(rule.attribute)
    is_in = value >= nw.col(edge) if top else value <= nw.col(edge)
    return ranked.with_columns(is_in.fill_null(False).alias(column)).drop(edge, part)
