"""What a rule says about one customer, in plain Python: slow, obvious, and row by row."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl

from optinb.engine import Tables
from optinb.rules import (
    AllOf,
    AnyOf,
    Between,
    Birthday,
    Compare,
    Contacted,
    Day,
    DaysAgo,
    Did,
    InList,
    Last,
    Matches,
    Missing,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
    python_form,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Rows = list[dict[str, Any]]
RUN = date(2026, 3, 30)  # the night after the clocks changed
ZONE = ZoneInfo("Europe/Berlin")
APPS = {"shop-ios": "ios", "shop-android": "android", "club-ios": "ios"}
EVENT_NAMES = ("open", "view", "never")
CAMPAIGNS = ("spring", "sale")
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "customers": {
        "customer_id": pl.String,
        "country": pl.String,
        "email": pl.String,
        "age": pl.Int64,
        "score": pl.Float64,
        "vip": pl.Boolean,
        "born": pl.Date,
        "registered_at": pl.Datetime("us"),
    },
    "purchases": {
        "customer_id": pl.String,
        "occurred_at": pl.Datetime("us"),
        "day": pl.Date,
        "amount": pl.Float64,
        "quantity": pl.Float64,
        "category": pl.String,
    },
    "events": {
        "customer_id": pl.String,
        "occurred_at": pl.Datetime("us"),
        "day": pl.Date,
        "name": pl.String,
        "value": pl.Float64,
    },
    "app_users": {
        "customer_id": pl.String,
        "app_id": pl.String,
        "push_enabled": pl.Boolean,
        "app_version": pl.String,
        "last_used_at": pl.Datetime("us"),
    },
    "contacts": {"customer_id": pl.String, "campaign": pl.String, "day": pl.Date, "outcome": pl.String},
}


@dataclass(frozen=True, kw_only=True)
class World:
    """All that is known on a night, as rows; `lists` by SHA-256."""

    customers: Rows = field(default_factory=list)
    transactions: Rows = field(default_factory=list)
    events: Rows = field(default_factory=list)
    app_users: Rows = field(default_factory=list)
    contacts: Rows = field(default_factory=list)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of_day(self, rows: Rows) -> Rows:
        """The rows with the day in the workspace's zone."""
        return [{**row, "day": local_day(row["occurred_at"])} for row in rows]

    @property
    def purchases(self) -> Rows:
        """The transactions that are purchases."""
        return self.of_day([row for row in self.transactions if (row["amount"] or 0) > 0])

    def frames(self) -> dict[str, pl.DataFrame]:
        """The tables as Polars frames."""
        rows = {
            "customers": self.customers,
            "purchases": self.purchases,
            "events": self.of_day(self.events),
            "app_users": self.app_users,
            "contacts": self.contacts,
        }
        return {name: pl.DataFrame(found, schema=SCHEMAS[name]) for name, found in rows.items()}

    def list_frame(self, sha256: str) -> pl.DataFrame:
        """The customers of a list."""
        return pl.DataFrame({"customer_id": self.lists[sha256]}, schema={"customer_id": pl.String})

    def known(self) -> dict[str, Any]:
        """What tables of any engine know beside the frames of the engine."""
        frames = self.frames()
        return {
            "event_names": lambda: frozenset(EVENT_NAMES),
            "run_date": RUN,
            "zone": ZONE,
            "apps": APPS,
            "contacts": lambda: frames["contacts"],
            "lists": self.list_frame,
        }

    def tables(self) -> Tables:
        """The tables on Polars."""
        frames = {n: nw.from_native(f.lazy()) for n, f in self.frames().items() if n != "contacts"}
        return Tables(**frames, **self.known())

    def members(self, rule: Rule) -> list[str]:
        """The ids of those for whom the rule holds, sorted."""
        return sorted(c["customer_id"] for c in self.customers if holds(rule, c, self))


def local_day(moment: datetime) -> date:
    """The day of a moment (UTC) in the workspace's zone."""
    return moment.replace(tzinfo=UTC).astimezone(ZONE).date()


def holds(rule: Rule, row: dict[str, Any], world: World) -> bool:
    """Whether a rule holds for one row."""
    match rule:
        case AllOf(rules):
            return all(holds(r, row, world) for r in rules)
        case AnyOf(rules):
            return any(holds(r, row, world) for r in rules)
        case Not(inner):
            return not holds(inner, row, world)
        case Missing(name):
            return row[name] is None
        case OneOf(name, values):
            return row[name] is not None and row[name] in values
        case Text(name, op, value):
            tests = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}
            return row[name] is not None and tests[op](row[name], value)
        case Matches(name, pattern):
            return row[name] is not None and re.search(python_form(pattern), row[name]) is not None
        case Compare(name, op, value):
            return row[name] is not None and compared(as_day(row[name], value), op, value)
        case Birthday(name, first, last):
            return row[name] is not None and birthday(as_day(row[name], Day(RUN)), first, last)
        case Rank():
            return ranked(rule, row, world)
        case Did():
            return did(rule, row["customer_id"], world)
        case Uses():
            return any(uses(rule, use) for use in world.app_users if use["customer_id"] == row["customer_id"])
        case Contacted():
            return len(contacts(rule, row["customer_id"], world)) >= rule.times
        case InList(_, sha256):
            return row["customer_id"] in world.lists[sha256 or ""]
        case _:
            raise AssertionError(rule)


def as_day(found: Any, value: Any) -> Any:
    """A moment as its day, where it is compared with a day."""
    return local_day(found) if isinstance(found, datetime) and isinstance(value, Day | DaysAgo) else found


def compared(found: Any, op: str, value: Any) -> bool:
    if isinstance(value, DaysAgo):
        value = RUN - timedelta(days=value.days)
    if isinstance(value, Day):
        value = value.day
    return getattr(operator, op)(found, value)


def birthday(born: date, first: int, last: int) -> bool:
    """Whether one of the days of the window is an anniversary of the day itself."""
    for number in range(first, last + 1):
        day = RUN + timedelta(days=number)
        on_28 = (born.month, born.day) == (2, 29) and (day + timedelta(days=1)).day == 1 and day.day == 28
        same = (day.month, day.day) == (born.month, born.day) or (day.month == 2 and on_28)
        if same and day.year > born.year:
            return True
    return False


def ranked(rule: Rank, row: dict[str, Any], world: World) -> bool:
    def part(customer: dict[str, Any]) -> Any:
        return True if rule.within is None else customer[rule.within]

    if row[rule.attribute] is None or part(row) is None:
        return False
    values = [c[rule.attribute] for c in world.customers if c[rule.attribute] is not None and part(c) == part(row)]
    mine = row[rule.attribute]
    better = sum(value > mine if rule.side == "top" else value < mine for value in values)
    return better * 100.0 < rule.percent * len(values)


def did(rule: Did, customer_id: str, world: World) -> bool:
    everything = world.purchases if rule.event == "purchase" else world.of_day(world.events)
    rows = [
        row
        for row in everything
        if row["customer_id"] == customer_id
        and (rule.event == "purchase" or row["name"] == rule.event)
        and in_window(rule.window, row["day"])
        and (rule.filter is None or holds(rule.filter, row, world))
    ]
    values = [row[rule.column] for row in rows if row[rule.column] is not None] if rule.column else []
    days = {row["day"] for row in rows}
    match rule.measure:
        case "count":
            return compared(len(rows), rule.op, rule.value)
        case "total":
            return compared(float(exact(values)), rule.op, rule.value)
        case "average":
            return bool(values) and compared(float(exact(values) / len(values)), rule.op, rule.value)
        case "first":
            return bool(days) and compared(min(days), rule.op, rule.value)
        case "last":
            return bool(days) and compared(max(days), rule.op, rule.value)
        case "days_in_a_row":
            return compared(max((run_from(day, days) for day in days), default=0), rule.op, rule.value)


def exact(values: list[float]) -> Fraction:
    """The sum of amounts as people write them."""
    return sum((Fraction(str(value)) for value in values), Fraction(0))


def run_from(day: date, days: set[date]) -> int:
    length = 0
    while day + timedelta(days=length) in days:
        length += 1
    return length


def in_window(window: Last | Between | None, day: date) -> bool:
    match window:
        case Last(days):
            return RUN - timedelta(days=days) <= day <= RUN
        case Between(first, last):
            return first <= day <= last
        case None:
            return day <= RUN


def uses(rule: Uses, use: dict[str, Any]) -> bool:
    """Whether one app of a customer fits."""
    version, used = use["app_version"], use["last_used_at"]
    return (
        (rule.app is None or use["app_id"] == rule.app)
        and (rule.platform is None or APPS.get(use["app_id"]) == rule.platform)
        and (rule.version_from is None or (version is not None and numbers(version) >= numbers(rule.version_from)))
        and (rule.version_to is None or (version is not None and numbers(version) < numbers(rule.version_to)))
        and (rule.last_used is None or (used is not None and in_window(rule.last_used, local_day(used))))
    )


def numbers(version: str) -> list[int]:
    return [*map(int, re.findall(r"[0-9]+", version)), 0, 0, 0, 0][:4]


def contacts(rule: Contacted, customer_id: str, world: World) -> set[tuple[str, date]]:
    """The campaigns and nights that count."""
    outcome = {"responded": "received"}.get(rule.what, rule.what)
    bought = [p["day"] for p in world.purchases if p["customer_id"] == customer_id and p["day"] <= RUN]
    return {
        (contact["campaign"], contact["day"])
        for contact in world.contacts
        if contact["customer_id"] == customer_id
        and contact["outcome"] == outcome
        and rule.campaign in (None, contact["campaign"])
        and in_window(rule.window, contact["day"])
        and (
            rule.response_days is None or any(0 <= (day - contact["day"]).days <= rule.response_days for day in bought)
        )
    }
