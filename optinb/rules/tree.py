"""The language of target groups: a tree of frozen values.

What a rule means for missing values, everywhere and in every engine:

* A condition on an attribute is true or false, never unknown. Where the attribute is empty, every condition on it is
  false, also `!=`; only `is_missing()` is true there.
* `~rule` is true for exactly the customers for whom `rule` is false. So `~(attr("country") == "DE")` holds for
  customers without a country, and `attr("country") != "DE"` does not.
* A behaviour counts what a customer did; a customer without any row did it zero times, with a total of zero and no day
  in a row, so that `~did("purchase")` and `did("purchase").at_most(3)` hold for somebody who never bought. There is no
  average, first or last day without a row: every comparison with them is false then. Empty values of a column add
  nothing to a total and don't enter an average. Both are compared with six decimals (see `values.DECIMALS`).
* A window of N days begins at midnight, in the workspace's zone, of the day that lies N days before the run date, and
  ends with the run date. "Ever" ends with the run date too.
"""

# Whoever writes a rule in a notebook is told what is wrong with it, though a checker would have known.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from msgspec import Meta
from msgspec.structs import replace

from optinb.errors import RuleError
from optinb.rules.pattern import read_pattern
from optinb.rules.values import (
    MAX_DAYS,
    MAX_SET,
    Amount,
    Comparison,
    Day,
    DaysAgo,
    Measure,
    Measured,
    Name,
    RuleValue,
    Scalar,
    Value,
    Window,
    check_number,
    check_version,
    is_number,
    window_of,
)

PURCHASE = "purchase"


FORMS: dict[str, Callable[[Any], str]] = {}  # how rules are put into words: by modules above this one
N = TypeVar("N", bound="Node")


class Node(RuleValue, frozen=True):
    """A rule. Combine rules with `&` (and), `|` (or) and `~` (not)."""

    def __and__(self, other: Rule) -> AllOf:
        return AllOf((*parts_of(AllOf, self), *parts_of(AllOf, other)))

    def __or__(self, other: Rule) -> AnyOf:
        return AnyOf((*parts_of(AnyOf, self), *parts_of(AnyOf, other)))

    def __invert__(self) -> Rule:
        return self.rule if isinstance(self, Not) else Not(self)  # type: ignore[arg-type]

    def __bool__(self) -> NoReturn:
        raise RuleError("a rule is neither true nor false by itself: combine rules with & | ~, not with and, or, not")

    def sentence(self) -> str:
        """What the rule says, in plain English."""
        return FORMS["sentence"](self)

    def to_text(self) -> str:
        """The rule as people write it; `parse(rule.to_text()) == rule`."""
        return FORMS["text"](self)


class AllOf(Node, frozen=True, tag="all"):
    """Every one of the rules holds."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)]


class AnyOf(Node, frozen=True, tag="any"):
    """At least one of the rules holds."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)]


class Not(Node, frozen=True, tag="not"):
    """The rule does not hold."""

    rule: Rule


class Compare(Node, frozen=True, tag="compare"):
    """An attribute against a value; false where the attribute is empty."""

    attribute: Name
    op: Comparison
    value: Value

    def __post_init__(self) -> None:
        check_number(self.value)
        if isinstance(self.value, bool) and self.op not in ("eq", "ne"):
            raise ValueError("yes and no can only be compared with == and !=")


class OneOf(Node, frozen=True, tag="one_of"):
    """An attribute is one of several values; false where it is empty."""

    attribute: Name
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("an empty set of values fits nobody; give at least one")
        if len(self.values) > MAX_SET:
            raise ValueError(f"{len(self.values):,} values are too many; upload them with ws.lists.save(...)")
        for value in self.values:
            if not isinstance(value, str | bool | int | float):
                raise ValueError(f"{value!r} can't stand in a set of values; only texts and numbers can")
            check_number(value)
        if len({"number" if is_number(v) else type(v).__name__ for v in self.values}) > 1:
            raise ValueError("the values of a set must be all texts or all numbers")


class Text(Node, frozen=True, tag="text"):
    """A text attribute contains, starts or ends with a piece of text, exactly as written."""

    attribute: Name
    op: Literal["contains", "starts_with", "ends_with"]
    value: Annotated[str, Meta(min_length=1, max_length=1000)]


class Matches(Node, frozen=True, tag="matches"):
    """Some part of a text attribute fits a pattern (see `optinb.rules.pattern`); false where it is empty."""

    attribute: Name
    pattern: str

    def __post_init__(self) -> None:
        read_pattern(self.pattern)


class Missing(Node, frozen=True, tag="missing"):
    """An attribute is empty."""

    attribute: Name


class Birthday(Node, frozen=True, tag="birthday"):
    """The anniversary of a day falls from `first` to `last` days after the run date, both included.

    Negative numbers lie before it. The first anniversary is a year after the day itself; 29 February is kept on
    28 February in years without it. False where the attribute is empty.
    """

    attribute: Name
    first: Annotated[int, Meta(ge=-366, le=366)]
    last: Annotated[int, Meta(ge=-366, le=366)]

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the window ends ({self.last}) before it begins ({self.first}); swap the days")


class Rank(Node, frozen=True, tag="rank"):
    """An attribute is among the highest or lowest `percent` of all customers, or of those alike in `within`.

    Of n customers who have both attributes (and the same value of `within`), those belong of whom fewer than `percent`
    % of n have a strictly better value (`better * 100.0 < percent * n` in 64-bit floats): all who tie at the border
    belong, and the best one always. False where one of the attributes is empty.
    """

    attribute: Name
    side: Literal["top", "bottom"]
    percent: int | float
    within: Name | None = None

    def __post_init__(self) -> None:
        if not is_number(self.percent) or not 0 < self.percent < 100:
            raise ValueError(f"{self.percent!r} % is no part of the customers; give a number above 0 and below 100")


class Did(Node, frozen=True, tag="did"):
    """What customers did: `"purchase"` (a transaction with a positive amount) or the name of an event.

    Compares a measure of the rows in a window with a value: how many there are (`count`), the `total` or `average` of a
    column, the `first` or `last` day, or the longest run of `days_in_a_row` with at least one row each.
    """

    event: Name
    op: Literal["ge", "le", "eq", "gt", "lt"] = "ge"
    value: Amount = 1
    measure: Measure = "count"
    column: Name | None = None
    filter: Rule | None = None
    window: Window | None = None

    def __post_init__(self) -> None:
        check_number(self.value)
        if (self.column is None) == (self.measure in ("total", "average")):
            raise ValueError("a total and an average are of one column; the other measures are of none")
        is_day = isinstance(self.value, Day | DaysAgo)
        if is_day != (self.measure in ("first", "last")):
            remedy = "with a day, such as days_ago(60)" if not is_day else "with a number"
            raise ValueError(f"{self.value!r} can't be compared with {self.measure}(...); compare it {remedy}")
        if not is_day and not is_number(self.value):
            raise ValueError(f"{self.value!r} is no number to compare with")
        is_count = self.measure in ("count", "days_in_a_row")
        if is_count and (self.value < 0 or self.value != int(self.value)):  # type: ignore[operator, arg-type]
            raise ValueError(f"a count is a whole number and not negative, not {self.value}")
        for node in walk(self.filter) if self.filter is not None else ():
            if not isinstance(node, AllOf | AnyOf | Not | Leaf):
                raise ValueError("a behaviour is filtered by its own columns, such as attr('category') == 'BABY'")

    def at_least(self, times: int) -> Did:
        """So often or more.

        Args:
            times: rows of what they did, as a whole number from 0.

        Raises:
            RuleError: for what is no whole number, or a negative one.
        """
        return self._made("at_least", op="ge", value=times)

    def at_most(self, times: int) -> Did:
        """So often or less: also true of customers who never did it.

        Args:
            times: rows of what they did, as a whole number from 0.

        Raises:
            RuleError: for what is no whole number, or a negative one.
        """
        return self._made("at_most", op="le", value=times)

    def exactly(self, times: int) -> Did:
        """Exactly so often.

        Args:
            times: rows of what they did, as a whole number from 0.

        Raises:
            RuleError: for what is no whole number, or a negative one.
        """
        return self._made("exactly", op="eq", value=times)

    def more_than(self, times: int) -> Did:
        """More often than this.

        Args:
            times: rows of what they did, as a whole number from 0.

        Raises:
            RuleError: for what is no whole number, or a negative one.
        """
        return self._made("more_than", op="gt", value=times)

    def less_than(self, times: int) -> Did:
        """Less often than this: also true of customers who never did it.

        Args:
            times: rows of what they did, as a whole number from 0.

        Raises:
            RuleError: for what is no whole number, or a negative one.
        """
        return self._made("less_than", op="lt", value=times)

    def total(self, column: str) -> Measured[Did]:
        """The sum of a column, to be compared: `did("purchase").total("amount") >= 100`.

        Args:
            column: a column of numbers of what they did. Empty values add nothing; who never did it has a total of 0.
        """
        return Measured(self, "total", column)

    def average(self, column: str) -> Measured[Did]:
        """The mean of a column, to be compared: `did("purchase").average("amount") >= 40`.

        Args:
            column: a column of numbers of what they did. Every comparison is false for customers without a value.
        """
        return Measured(self, "average", column)

    def first(self) -> Measured[Did]:
        """The first day, to be compared: `did("purchase").first() >= days_ago(30)`; false for who never did it."""
        return Measured(self, "first")

    def last(self) -> Measured[Did]:
        """The last day, to be compared: `did("purchase").last() < days_ago(60)`; false for who never did it."""
        return Measured(self, "last")

    def days_in_a_row(self, days: int) -> Did:
        """On so many days in a row or more; compare otherwise with `.days_in_a_row(3).at_most(5)`.

        Args:
            days: calendar days in the workspace's zone, as a whole number from 0.

        Raises:
            RuleError: for what is no whole number, or a negative one.
        """
        return self._made("days_in_a_row", measure="days_in_a_row", column=None, op="ge", value=days)

    def where(self, condition: Rule) -> Did:
        """Only rows that fit a condition on their own columns, such as `attr("category") == "BABY"`.

        Args:
            condition: a rule of attributes alone; given again, both must hold.

        Raises:
            RuleError: for what is no rule, or one that asks about something else than columns.
        """
        parts_of(AllOf, condition)
        return self._made("where", filter=condition if self.filter is None else self.filter & condition)

    def within(self, *, days: int) -> Did:
        """Only in the last `days` days before the run date, and on it.

        Args:
            days: whole days, 0 to 36,500; the window begins at midnight in the workspace's zone.

        Raises:
            RuleError: for what is no whole number, or out of range.
        """
        return replace(self, window=window_of("within", days=days))

    def between(self, first: date, last: date) -> Did:
        """Only from one day to another, both included.

        Args:
            first: the first day.
            last: the last day, not before the first.

        Raises:
            RuleError: for what is no date, or a last day before the first.
        """
        return replace(self, window=window_of("between", first=first, last=last))

    def _made(self, word: str, **fields: object) -> Did:
        return _changed(self, f"did({self.event!r}).{word}", fields)


class Uses(Node, frozen=True, tag="uses"):
    """Uses an app: this one, or any on a platform, or any at all, all conditions holding in one and the same app.

    Versions compare number by number (`3.10` comes after `3.9`). What isn't known of an app fits no bound; `last_used`
    is the day in the workspace's zone.
    """

    app: Name | None = None
    platform: Name | None = None
    version_from: Name | None = None
    version_to: Name | None = None
    last_used: Window | None = None

    def __post_init__(self) -> None:
        check_version(self.version_from)
        check_version(self.version_to)

    def version_at_least(self, version: str) -> Uses:
        """Has this version or a later one.

        Args:
            version: one to four numbers with points between, such as `"3.2.1"`; `3.10` comes after `3.9`.

        Raises:
            RuleError: for what is no version.
        """
        return _changed(self, "uses_app(...).version_at_least", {"version_from": version})

    def version_below(self, version: str) -> Uses:
        """Has an earlier version than this.

        Args:
            version: one to four numbers with points between, such as `"3.2.1"`; `3.10` comes after `3.9`.

        Raises:
            RuleError: for what is no version.
        """
        return _changed(self, "uses_app(...).version_below", {"version_to": version})

    def used_within(self, *, days: int) -> Uses:
        """Used it last in the last `days` days before the run date, or on it.

        Args:
            days: whole days, 0 to 36,500; the window begins at midnight in the workspace's zone.

        Raises:
            RuleError: for what is no whole number, or out of range.
        """
        return replace(self, last_used=window_of("used_within", days=days))

    def used_between(self, first: date, last: date) -> Uses:
        """Used it last from one day to another, both included.

        Args:
            first: the first day.
            last: the last day, not before the first.

        Raises:
            RuleError: for what is no date, or a last day before the first.
        """
        return replace(self, last_used=window_of("used_between", first=first, last=last))


class Contacted(Node, frozen=True, tag="contacted"):
    """What campaigns did with a customer, at least so many times (nights of one campaign count once each).

    `received`: was a recipient, and Appboy accepted the request. `in_control`: was held out as control. `responded`:
    received it and bought on the day it was sent or in the `response_days` days after it. `opened` and `not_opened`:
    Appboy says that it arrived, and that its push was opened, or not so far; of whom Appboy wasn't asked about, neither
    holds. The window is of the day of sending, in the workspace's zone.
    """

    what: Literal["received", "in_control", "responded", "opened", "not_opened"]
    campaign: Name | None = None
    times: Annotated[int, Meta(ge=1, le=10_000)] = 1
    response_days: Annotated[int, Meta(ge=0, le=MAX_DAYS)] | None = None
    window: Window | None = None

    def __post_init__(self) -> None:
        if (self.what == "responded") != (self.response_days is not None):
            raise ValueError("a response needs the days in which it counts, and only a response has them")

    @property
    def outcome(self) -> Literal["received", "in_control", "opened", "not_opened"]:
        """What the contacts have to say of a night for it to count."""
        return "received" if self.what == "responded" else self.what

    def at_least(self, times: int) -> Contacted:
        """So many times or more; write `~` in front for less.

        Args:
            times: nights, 1 to 10,000; a night of one campaign counts once.

        Raises:
            RuleError: for what is no whole number, or out of range.
        """
        if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 10_000:
            raise RuleError(f"{self.what}(...).at_least({times!r}): give a whole number from 1 to 10,000")
        return replace(self, times=times)

    def within(self, *, days: int) -> Contacted:
        """Sent in the last `days` days before the run date, or on it.

        Args:
            days: whole days, 0 to 36,500; the window begins at midnight in the workspace's zone.

        Raises:
            RuleError: for what is no whole number, or out of range.
        """
        return replace(self, window=window_of("within", days=days))

    def between(self, first: date, last: date) -> Contacted:
        """Sent from one day to another, both included.

        Args:
            first: the first day.
            last: the last day, not before the first.

        Raises:
            RuleError: for what is no date, or a last day before the first.
        """
        return replace(self, window=window_of("between", first=first, last=last))


class InGroup(Node, frozen=True, tag="in_group"):
    """Belongs to another saved group. `expand` puts that group's rule in its place before anything is evaluated."""

    group: Name


class InList(Node, frozen=True, tag="in_list"):
    """Stands on an uploaded list of customers.

    `expand` adds the SHA-256 of the list's content, so that a changed list makes another rule.
    """

    name: Name
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None


Leaf = Compare | OneOf | Text | Matches | Missing | Birthday
Rule = Leaf | Rank | AllOf | AnyOf | Not | Did | Uses | Contacted | InGroup | InList


def children(rule: Rule) -> tuple[tuple[str, Rule], ...]:
    """The rules that a rule is made of, each with its step in the path (the filter of a behaviour not among them)."""
    match rule:
        case AllOf(rules):
            return tuple((f".all[{i}]", r) for i, r in enumerate(rules))
        case AnyOf(rules):
            return tuple((f".any[{i}]", r) for i, r in enumerate(rules))
        case Not(inner):
            return ((".not", inner),)
        case _:
            return ()


def walk(rule: Rule) -> list[Rule]:
    """Every node of a rule without the filters of behaviours, parents first. Doesn't recurse, so depth is no danger."""
    found: list[Rule] = []
    waiting: list[Rule] = [rule]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(child for _, child in reversed(children(node)))
    return found


def parts_of(kind: type[AllOf | AnyOf], node: Node) -> tuple[Rule, ...]:
    """The rules that a rule joins by this kind; itself where it doesn't. Raises RuleError for what is no rule."""
    if not isinstance(node, Node):
        raise RuleError(f"{node!r} is no rule; write something like attr('country') == 'DE'")
    return node.rules if isinstance(node, kind) else (node,)  # type: ignore[return-value]


def _changed(node: N, words: str, fields: Mapping[str, object]) -> N:
    try:
        return replace(node, **fields)
    except (ValueError, TypeError) as error:
        raise RuleError(f"{words}: {error}") from error
