"""The language of target groups: a tree of frozen values.

What a rule means for missing values, everywhere and in every engine:

* A condition on an attribute is true or false, never unknown. Where the attribute is empty, every condition on it is
  false, also `!=`; only `is_missing()` is true there.
* `~rule` is true for exactly the customers for whom `rule` is false. So `~(attr("country") == "DE")` holds for
  customers without a country, and `attr("country") != "DE"` does not.
* A behaviour counts what a customer did; a customer without any row did it zero times, so that
  `~did("purchase")` and `did("purchase").at_most(3)` hold for somebody who never bought.
* A window of N days begins at midnight, in the workspace's zone, of the day that lies N days before the run date, and
  ends with the run date.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Literal, NoReturn

from msgspec import Meta, Struct
from msgspec.structs import replace

from optinb.errors import RuleError

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Comparison = Literal["eq", "ne", "lt", "le", "gt", "ge"]
PURCHASE = "purchase"


class _Value(Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    """Anything that stands in a rule."""


class Day(_Value, frozen=True, tag="day"):
    """A calendar day in the workspace's zone."""

    day: date


class DaysAgo(_Value, frozen=True, tag="days_ago"):
    """A day relative to the run date; negative numbers lie ahead."""

    days: int


Scalar = str | bool | int | float
Value = str | bool | int | float | Day | DaysAgo


class Last(_Value, frozen=True, tag="last"):
    """The last N days up to the run date."""

    days: Annotated[int, Meta(ge=0, le=36_500)]


class Between(_Value, frozen=True, tag="between"):
    """From one day to another, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the window ends ({self.last}) before it begins ({self.first}); swap the days")


Window = Last | Between


class Node(_Value, frozen=True):
    """A rule. Combine rules with `&` (and), `|` (or) and `~` (not)."""

    def __and__(self, other: Rule) -> AllOf:
        return AllOf((*_parts(AllOf, self), *_parts(AllOf, other)))

    def __or__(self, other: Rule) -> AnyOf:
        return AnyOf((*_parts(AnyOf, self), *_parts(AnyOf, other)))

    def __invert__(self) -> Rule:
        return self.rule if isinstance(self, Not) else Not(self)  # type: ignore[arg-type]

    def __bool__(self) -> NoReturn:
        raise RuleError("a rule is neither true nor false by itself: combine rules with & | ~, not with and, or, not")


class Compare(Node, frozen=True, tag="compare"):
    """An attribute against a value; false where the attribute is empty."""

    attribute: Name
    op: Comparison
    value: Value

    def __post_init__(self) -> None:
        _check_number(self.value)
        if isinstance(self.value, bool) and self.op not in ("eq", "ne"):
            raise ValueError("yes and no can only be compared with == and !=")


class OneOf(Node, frozen=True, tag="one_of"):
    """An attribute is one of several values; false where it is empty."""

    attribute: Name
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("an empty set of values fits nobody; give at least one")
        for value in self.values:
            _check_number(value)
        if len({"number" if _is_number(v) else type(v).__name__ for v in self.values}) > 1:
            raise ValueError("the values of a set must be all texts or all numbers")


class Text(Node, frozen=True, tag="text"):
    """A text attribute contains, starts or ends with a piece of text, exactly as written."""

    attribute: Name
    op: Literal["contains", "starts_with", "ends_with"]
    value: Annotated[str, Meta(min_length=1, max_length=1000)]


class Missing(Node, frozen=True, tag="missing"):
    """An attribute is empty."""

    attribute: Name


class AllOf(Node, frozen=True, tag="all"):
    """Every one of the rules holds."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)]


class AnyOf(Node, frozen=True, tag="any"):
    """At least one of the rules holds."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)]


class Not(Node, frozen=True, tag="not"):
    """The rule does not hold."""

    rule: Rule


class Did(Node, frozen=True, tag="did"):
    """What customers did: `"purchase"` (a transaction with a positive amount) or the name of an event.

    Compares how often they did it (or, with `total_of`, the sum of a column) within a window with a number.
    """

    event: Name
    op: Literal["ge", "le", "eq"] = "ge"
    value: float | int = 1
    total_of: Name | None = None
    filter: Rule | None = None
    window: Window | None = None

    def __post_init__(self) -> None:
        _check_number(self.value)
        if self.total_of is None and (self.value < 0 or self.value != int(self.value)):
            raise ValueError(f"a count is a whole number and not negative, not {self.value}")
        if self.filter is not None and any(isinstance(node, Did) for node in walk(self.filter)):
            raise ValueError("a behaviour can't be filtered by another behaviour")

    def at_least(self, value: float) -> Did:
        """Happened (or sums up to) this much or more."""
        return replace(self, op="ge", value=value)

    def at_most(self, value: float) -> Did:
        """Happened (or sums up to) this much or less: also true of customers who never did it."""
        return replace(self, op="le", value=value)

    def exactly(self, value: float) -> Did:
        """Happened (or sums up to) exactly this much."""
        return replace(self, op="eq", value=value)

    def total(self, column: str) -> Did:
        """Compare the sum of a column, such as `"amount"`, instead of the count."""
        return replace(self, total_of=column)

    def where(self, condition: Rule) -> Did:
        """Only rows that fit a condition on their own columns, such as `attr("category") == "BABY"`."""
        return replace(self, filter=condition if self.filter is None else self.filter & condition)

    def within(self, *, days: int) -> Did:
        """Only in the last `days` days before the run date, and on it."""
        if isinstance(days, bool) or not isinstance(days, int) or days < 0 or days > 36_500:
            raise RuleError(f"within(days={days!r}): give a whole number of days from 0 to 36,500")
        return replace(self, window=Last(days))

    def between(self, first: date, last: date) -> Did:
        """Only from one day to another, both included."""
        try:
            return replace(self, window=Between(first, last))
        except ValueError as error:
            raise RuleError(f"between({first}, {last}): {error}") from error


Rule = Compare | OneOf | Text | Missing | AllOf | AnyOf | Not | Did
Leaf = Compare | OneOf | Text | Missing


def walk(rule: Rule) -> list[Rule]:
    """Every node of a rule without the filters of behaviours, parents first. Doesn't recurse, so depth is no danger."""
    found: list[Rule] = []
    waiting: list[Rule] = [rule]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, AllOf | AnyOf):
            waiting.extend(reversed(node.rules))
        elif isinstance(node, Not):
            waiting.append(node.rule)
    return found


def attributes_of(rule: Rule) -> frozenset[str]:
    """The attributes of the customer that a rule reads."""
    return frozenset(node.attribute for node in walk(rule) if isinstance(node, Leaf))


def behaviours_of(rule: Rule) -> tuple[Did, ...]:
    """The distinct behaviours of a rule, in the order in which they stand."""
    return tuple(dict.fromkeys(node for node in walk(rule) if isinstance(node, Did)))


def _parts(kind: type[AllOf | AnyOf], node: Node) -> tuple[Rule, ...]:
    if not isinstance(node, Node):
        raise RuleError(f"{node!r} is no rule; write something like attr('country') == 'DE'")
    return node.rules if isinstance(node, kind) else (node,)  # type: ignore[return-value]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_number(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number to compare with")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{value} is too large; numbers are below 2**63")
