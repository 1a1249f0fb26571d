"""What stands in the leaves of a rule: days, windows, versions of an app, numbers and texts.

Beside them a measure of what customers did that still waits for the value it is compared with.
"""

# Whoever writes a rule in a notebook is told what is wrong with it, though a checker would have known.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import math
import operator
import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args

from msgspec import Meta, Struct

from optinb.errors import RuleError

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Measure = Literal["count", "total", "average", "first", "last", "days_in_a_row"]
Comparison = Literal["eq", "ne", "lt", "le", "gt", "ge"]
COMPARE = {op: getattr(operator, op) for op in get_args(Comparison)}  # of values, and of an engine's columns
MAX_DAYS = 36_500
MAX_SET = 10_000
# Totals and averages are compared with so many decimals. Sums of 64-bit floats differ in their last digits with the
# order in which an engine adds; rounded so, money has one total, and one on a border falls on the same side everywhere.
DECIMALS = 6
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}", re.ASCII)


class RuleValue(Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    """Anything that stands in a rule."""


class Day(RuleValue, frozen=True, tag="day"):
    """A calendar day in the workspace's zone."""

    day: date


class DaysAgo(RuleValue, frozen=True, tag="days_ago"):
    """A day relative to the run date; negative numbers lie ahead."""

    days: Annotated[int, Meta(ge=-MAX_DAYS, le=MAX_DAYS)]


Scalar = str | bool | int | float
Value = str | bool | int | float | Day | DaysAgo
Amount = int | float | Day | DaysAgo


class Last(RuleValue, frozen=True, tag="last"):
    """The last N days up to the run date."""

    days: Annotated[int, Meta(ge=0, le=MAX_DAYS)]


class Between(RuleValue, frozen=True, tag="between"):
    """From one day to another, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the window ends ({self.last}) before it begins ({self.first}); swap the days")


Window = Last | Between


def as_value(value: object, what: str) -> Value:
    """A value as it stands in a rule. Raises RuleError naming what it was compared with, the value and the remedy."""
    if value is None:
        raise RuleError(f"{what} compared with None: write .is_missing() or .is_known() after an attribute")
    if isinstance(value, datetime):
        raise RuleError(f"{what} compared with {value!r}: compare with a day, such as date(2026, 11, 23)")
    if isinstance(value, date):
        return Day(value)
    if isinstance(value, str | bool | int | float | Day | DaysAgo):
        return value
    raise RuleError(f"{what} compared with {value!r}: only texts, numbers, True/False and days can be compared")


def is_after(one: Value, other: Value) -> bool:
    """Whether a value comes after another of its kind; false where that takes a run date, or they can't be compared."""
    match one, other:
        case Day(day), Day(other_day):
            return day > other_day
        case DaysAgo(days), DaysAgo(other_days):
            return days < other_days
        case _:
            return is_number(one) and is_number(other) and one > other  # type: ignore[operator]


def check_name(name: object, what: str) -> str:
    """A name as it is. Raises RuleError for anything but a text of 1 to 200 characters; `what` shows a right one."""
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise RuleError(f"{str(name)[:80]!r} is no name of 1 to 200 characters; write {what}")
    return name


def window_of(what: str, *, days: int | None = None, first: date | None = None, last: date | None = None) -> Window:
    """A window as builders take it. Raises RuleError naming the word `what`, the value and the remedy."""
    if days is not None or first is None or last is None:
        if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= MAX_DAYS:
            raise RuleError(f"{what}(days={days!r}): give a whole number of days from 0 to {MAX_DAYS:,}")
        return Last(days)
    if type(first) is not date or type(last) is not date:
        raise RuleError(f"{what}({first!r}, {last!r}): give two days, such as date(2026, 1, 1), date(2026, 3, 31)")
    try:
        return Between(first, last)
    except ValueError as error:
        raise RuleError(f"{what}({first}, {last}): {error}") from error


def days_of(window: Window | None, run_date: date) -> tuple[date | None, date]:
    """The first and the last day of a window, both included; the first is None for "ever", which ends today.

    Raises RuleError when the first day is outside the calendar.
    """
    match window:
        case Between(first, last):
            return first, last
        case Last(days):
            return day_before(run_date, days), run_date
        case None:
            return None, run_date


def day_of(value: Day | DaysAgo, run_date: date) -> date:
    """The calendar day that is meant. Raises RuleError when it's outside the calendar."""
    return value.day if isinstance(value, Day) else day_before(run_date, value.days)


def day_before(run_date: date, days: int) -> date:
    """The day so many days before another. Raises RuleError when it's outside the calendar."""
    try:
        return run_date - timedelta(days=days)
    except OverflowError as error:
        raise RuleError(f"{days:,} days from {run_date} is outside the calendar; use fewer days") from error


def anniversaries(first: date, last: date) -> dict[int, frozenset[int]]:
    """The days whose anniversary falls from `first` to `last`, as month * 100 + day, by the year of the anniversary.

    29 February is kept on 28 February in years without it.
    """
    found: dict[int, set[int]] = {}
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        kept = found.setdefault(day.year, set())
        kept.add(day.month * 100 + day.day)
        if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).day == 1:
            kept.add(229)
    return {year: frozenset(days) for year, days in found.items()}


def version_numbers(version: str) -> tuple[int, int, int, int]:
    """The first four numbers of a version, so that `3.10` comes after `3.9` and `3.2` equals `3.2.0`."""
    numbers = [int(n) for n in re.findall(r"[0-9]+", version)[:4]]
    return (*numbers, 0, 0, 0, 0)[:4]  # type: ignore[return-value]


def check_version(version: str | None) -> None:
    """Raises ValueError for what isn't one to four numbers with points between."""
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise ValueError(f'{version!r} is no version; write numbers with points between, in quotes, such as "3.2.1"')


def is_number(value: object) -> bool:
    """Whether a value is a number (and neither True nor False)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_number(value: object) -> None:
    """Raises ValueError for numbers that no engine can compare with."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number to compare with")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} is too large; numbers are below 2**63")


Made = TypeVar("Made")


class Comparable(Generic[Made]):
    """Something that waits to be compared with a value, which makes a rule of it."""

    __slots__ = ()
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __eq__(self, value: object) -> Made:  # type: ignore[override]
        return self._compared("eq", value)

    def __ne__(self, value: object) -> Made:  # type: ignore[override]
        return self._compared("ne", value)

    def __lt__(self, value: object) -> Made:
        return self._compared("lt", value)

    def __le__(self, value: object) -> Made:
        return self._compared("le", value)

    def __gt__(self, value: object) -> Made:
        return self._compared("gt", value)

    def __ge__(self, value: object) -> Made:
        return self._compared("ge", value)

    def _compared(self, op: Comparison, value: object) -> Made:
        raise NotImplementedError


class Measured(Comparable[Made]):
    """A measure of what customers did (`tree.Did`, which knows this module), waiting for a number or a day."""

    __slots__ = ("_column", "_did", "_measure")

    def __init__(self, did: Any, measure: Measure, column: str | None = None) -> None:
        self._did = did
        self._measure: Measure = measure
        self._column = column

    def __repr__(self) -> str:
        return f"did({self._did.event!r}).{self._measure}({'' if self._column is None else repr(self._column)})"

    def at_least(self, value: Amount | date) -> Made:
        """This much or more.

        Args:
            value: a number, or of the first or last day a day.

        Raises:
            RuleError: for a value that this measure can't be compared with.
        """
        return self >= value

    def at_most(self, value: Amount | date) -> Made:
        """This much or less: a total, also of customers who never did it.

        Args:
            value: a number, or of the first or last day a day.

        Raises:
            RuleError: for a value that this measure can't be compared with.
        """
        return self <= value

    def exactly(self, value: Amount | date) -> Made:
        """Exactly this much.

        Args:
            value: a number, or of the first or last day a day.

        Raises:
            RuleError: for a value that this measure can't be compared with.
        """
        return self == value

    def within(self, *, days: int) -> Measured[Made]:
        """Only in the last `days` days before the run date, and on it.

        Args:
            days: whole days, 0 to 36,500; the window begins at midnight in the workspace's zone.

        Raises:
            RuleError: for what is no whole number, or out of range.
        """
        return Measured(self._did.within(days=days), self._measure, self._column)

    def between(self, first: date, last: date) -> Measured[Made]:
        """Only from one day to another, both included.

        Args:
            first: the first day.
            last: the last day, not before the first.

        Raises:
            RuleError: for what is no date, or a last day before the first.
        """
        return Measured(self._did.between(first, last), self._measure, self._column)

    def where(self, condition: Any) -> Measured[Made]:
        """Only rows that fit a condition on their own columns.

        Args:
            condition: a rule of attributes alone, such as `attr("category") == "BABY"`.

        Raises:
            RuleError: for what is no rule, or one that asks about something else than columns.
        """
        return Measured(self._did.where(condition), self._measure, self._column)

    def _compared(self, op: Comparison, value: object) -> Made:
        if op == "ne":
            raise RuleError(f"{self!r} can't be compared with !=; write ~({self!r} == {value!r})")
        fields = {"op": op, "value": as_value(value, repr(self)), "measure": self._measure, "column": self._column}
        return self._did._made(self._measure, **fields)
