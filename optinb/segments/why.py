"""Why a customer belongs to a rule, or doesn't: the tree with every leaf marked true or false, and the value found."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_never

import narwhals as nw
from msgspec import Struct

from optinb.base.figures import exact
from optinb.rules import (
    COMPARE,
    DECIMALS,
    PURCHASE,
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
    Text,
    Uses,
    Window,
    anniversaries,
    day_of,
    days_of,
    python_form,
    sentence,
    value_words,
    version_numbers,
)
from optinb.segments.compile import members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from optinb.engine import Tables
    from optinb.rules.tree import Leaf

Row = dict[str, Any]
_HOLD = {"contains": operator.contains, "starts_with": str.startswith, "ends_with": str.endswith}


class PartVerdict(Struct, frozen=True, kw_only=True):
    """What one part of a rule says about a customer.

    `part` is all, any, not or group (of the `parts`), or leaf, where `found` is the value that decided, in words.
    """

    part: str
    text: str
    holds: bool
    found: str | None = None
    parts: tuple[PartVerdict, ...] = ()

    def lines(self, depth: int = 0) -> list[str]:
        """The tree as text, a part a line."""
        found = "" if self.found is None else f"  [{self.found}]"
        own = f"{'  ' * depth}{'✓' if self.holds else '✗'} {self.text}{found}"
        return [own, *(line for part in self.parts for line in part.lines(depth + 1))]


RESPONSES = "purchases under any id"


@dataclass(frozen=True, kw_only=True)
class Person:
    """What is known of one customer on a night.

    `rows` gives the customer's rows of purchases, events, app_users, contacts or RESPONSES; `is_listed` and `is_ranked`
    look at more than the customer; `group` gives the rule of a saved group.
    """

    row: Row
    rows: Callable[[str], list[Row]]
    is_listed: Callable[[InList], bool]
    is_ranked: Callable[[Rank], bool]
    group: Callable[[str], Rule]
    apps: Mapping[str, str]
    run_date: date
    zone: ZoneInfo

    def day(self, moment: date | datetime) -> date:
        """The day of a stored time (UTC) in the workspace's zone; a day is itself."""
        if not isinstance(moment, datetime):
            return moment
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(self.zone).date()

    def within(self, day: date, window: Window | None) -> bool:
        """Whether a day lies in a window."""
        first, last = days_of(window, self.run_date)
        return day <= last and (first is None or day >= first)


def person_of(customer_id: str, tables: Tables, *, group: Callable[[str], Rule]) -> Person | None:
    """One customer as the tables know them; None for somebody who is none. Only what a rule asks about is read."""
    mine = nw.col("customer_id") == customer_id
    row = tables.customers.filter(mine).collect("polars").rows(named=True)
    if not row:
        return None
    read: dict[str, list[Row]] = {}

    def rows(table: str) -> list[Row]:
        if table not in read:
            frame, who = getattr(tables, "purchases" if table == RESPONSES else table), mine
            if table == "contacts":
                frame = nw.from_native(tables.contacts_of(tables.contacts()))
            elif table == RESPONSES:
                others = tables.earlier_ids().filter(customer_id=customer_id)["earlier"]
                who = nw.col("customer_id").is_in([customer_id, *others])
            read[table] = list(frame.lazy().filter(who).collect("polars").rows(named=True))
        return read[table]

    return Person(
        row=row[0],
        rows=rows,
        is_listed=lambda rule: customer_id in tables.listed(rule.sha256 or "")["customer_id"],
        is_ranked=lambda rule: bool(members(rule, tables).filter(mine).collect("polars").shape[0]),
        group=group,
        apps=tables.apps or {},
        run_date=tables.run_date,
        zone=tables.zone,
    )


def judge(rule: Rule, person: Person) -> PartVerdict:
    """What a rule that fits the data says about a customer, part by part."""
    match rule:
        case AllOf(rules):
            parts = tuple(judge(r, person) for r in rules)
            return PartVerdict(part="all", text="all of these", holds=all(p.holds for p in parts), parts=parts)
        case AnyOf(rules):
            parts = tuple(judge(r, person) for r in rules)
            return PartVerdict(part="any", text="at least one of these", holds=any(p.holds for p in parts), parts=parts)
        case Not(Missing(attribute)):
            value = person.row.get(attribute)
            return _leaf(rule, value is not None, _words(value, person))
        case Not(inner):
            part = judge(inner, person)
            return PartVerdict(part="not", text="not this", holds=not part.holds, parts=(part,))
        case InGroup(name):
            part = judge(person.group(name), person)
            return PartVerdict(part="group", text=sentence(rule), holds=part.holds, parts=(part,))
        case Did():
            return _leaf(rule, *_did(rule, person))
        case Uses():
            return _leaf(rule, *_uses(rule, person))
        case Contacted():
            return _leaf(rule, *_contacted(rule, person))
        case InList():
            return _leaf(rule, (is_listed := person.is_listed(rule)), "on it" if is_listed else "not on it")
        case Rank():
            return _leaf(rule, person.is_ranked(rule), _words(person.row.get(rule.attribute), person))
        case Compare() | OneOf() | Text() | Matches() | Missing() | Birthday():
            found = _words(person.row.get(rule.attribute), person)
            return _leaf(rule, row_fits(rule, person.row, person), found)
        case _:
            assert_never(rule)


def row_fits(rule: Rule, row: Row, person: Person) -> bool:
    """Whether a condition on the columns of one row holds."""
    match rule:
        case AllOf(rules):
            return all(row_fits(r, row, person) for r in rules)
        case AnyOf(rules):
            return any(row_fits(r, row, person) for r in rules)
        case Not(inner):
            return not row_fits(inner, row, person)
        case Missing(attribute):
            return row.get(attribute) is None
        case Compare() | OneOf() | Text() | Matches() | Birthday():
            value = row.get(rule.attribute)
            return value is not None and _value_fits(rule, value, person)
        case _:
            raise TypeError(f"{type(rule).__name__} isn't a condition on a row")


def _value_fits(rule: Leaf, value: Any, person: Person) -> bool:
    match rule:
        case Compare(_, op, Day() | DaysAgo() as day):
            return COMPARE[op](person.day(value), day_of(day, person.run_date))
        case Compare(_, op, other):
            return COMPARE[op](value, other)
        case OneOf(_, values):
            return value in values
        case Text(_, op, text):
            return _HOLD[op](value, text)
        case Matches(_, pattern):
            return re.search(python_form(pattern), value) is not None
        case Birthday(_, first, last):
            day, run = person.day(value), person.run_date
            kept = anniversaries(run + timedelta(days=first), run + timedelta(days=last))
            return any(day.month * 100 + day.day in days and day.year < year for year, days in kept.items())
        case Missing():
            return False


def _did(rule: Did, person: Person) -> tuple[bool, str]:
    rows = person.rows("purchases" if rule.event == PURCHASE else "events")
    rows = [r for r in rows if rule.event in (PURCHASE, r.get("name")) and person.within(r["day"], rule.window)]
    rows = [r for r in rows if rule.filter is None or row_fits(rule.filter, r, person)]
    values = [r[rule.column] for r in rows if r[rule.column] is not None] if rule.column else []
    days = sorted({r["day"] for r in rows})
    compare = COMPARE[rule.op]
    match rule.measure:
        case "count":
            return compare(len(rows), rule.value), f"{len(rows):,} times"
        case "total":
            total = round(sum(values), DECIMALS)
            return compare(total, rule.value), exact(total, separators=True)
        case "average":
            mean = round(sum(values) / len(values), DECIMALS) if values else None
            return mean is not None and compare(mean, rule.value), "none" if mean is None else exact(
                mean, separators=True
            )
        case "days_in_a_row":
            longest = longest_run(days)
            return compare(longest, rule.value), f"{longest:,} days"
        case "first" | "last":
            if not days:
                return False, "never"
            day = days[0] if rule.measure == "first" else days[-1]
            return compare(day, day_of(rule.value, person.run_date)), value_words(Day(day))  # type: ignore[arg-type]


def longest_run(days: list[date]) -> int:
    """The largest number of days in a row among sorted, distinct days."""
    longest = run = 0
    for i, day in enumerate(days):
        run = run + 1 if i and day - days[i - 1] == timedelta(days=1) else 1
        longest = max(longest, run)
    return longest


def _uses(rule: Uses, person: Person) -> tuple[bool, str]:
    uses = [
        use
        for use in person.rows("app_users")
        if rule.app in (None, use["app_id"]) and rule.platform in (None, person.apps.get(use["app_id"]))
    ]
    shown = [f"{u['app_id']} {u.get('app_version') or 'in an unknown version'}" for u in uses]
    return any(_use_fits(rule, use, person) for use in uses), ", ".join(shown) or "none"


def _use_fits(rule: Uses, use: Row, person: Person) -> bool:
    version, last = use.get("app_version"), use.get("last_used_at")
    numbers = None if version is None else version_numbers(version)
    if rule.version_from is not None and (numbers is None or numbers < version_numbers(rule.version_from)):
        return False
    if rule.version_to is not None and (numbers is None or numbers >= version_numbers(rule.version_to)):
        return False
    return rule.last_used is None or (last is not None and person.within(person.day(last), rule.last_used))


def _contacted(rule: Contacted, person: Person) -> tuple[bool, str]:
    found = [
        c
        for c in person.rows("contacts")
        if c["outcome"] == rule.outcome
        and rule.campaign in (None, c["campaign"])
        and person.within(c["day"], rule.window)
    ]
    if rule.response_days is not None:
        bought = [p["day"] for p in person.rows(RESPONSES) if p["day"] <= person.run_date]
        until = timedelta(days=rule.response_days)
        found = [c for c in found if any(c["day"] <= day <= c["day"] + until for day in bought)]
    nights = {(c["campaign"], c["day"]) for c in found}
    return len(nights) >= rule.times, f"{len(nights):,} times"


def _leaf(rule: Rule, holds: bool, found: str) -> PartVerdict:
    return PartVerdict(part="leaf", text=sentence(rule), holds=holds, found=found)


def _words(value: Any, person: Person) -> str:
    if value is None:
        return "empty"
    return value_words(Day(person.day(value))) if isinstance(value, date) else value_words(value)
