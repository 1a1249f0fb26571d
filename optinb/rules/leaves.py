"""The conditions that the row of a customer (or of a behaviour) answers, and what all rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from msgspec import Meta

from optinb.errors import RuleError
from optinb.rules.pattern import check_pattern
from optinb.rules.values import MAX_SET, Comparison, Name, RuleValue, Scalar, Value, check_number, is_number

if TYPE_CHECKING:
    from optinb.rules.tree import AllOf, AnyOf, Rule


class Node(RuleValue, frozen=True):
    """A rule. Combine rules with `&` (and), `|` (or) and `~` (not)."""

    def __and__(self, other: Rule) -> AllOf:
        from optinb.rules.tree import AllOf, parts_of

        return AllOf((*parts_of(AllOf, self), *parts_of(AllOf, other)))

    def __or__(self, other: Rule) -> AnyOf:
        from optinb.rules.tree import AnyOf, parts_of

        return AnyOf((*parts_of(AnyOf, self), *parts_of(AnyOf, other)))

    def __invert__(self) -> Rule:
        from optinb.rules.tree import Not

        return self.rule if isinstance(self, Not) else Not(self)  # type: ignore[arg-type]

    def __bool__(self) -> NoReturn:
        raise RuleError("a rule is neither true nor false by itself: combine rules with & | ~, not with and, or, not")

    def sentence(self) -> str:
        """What the rule says, in plain English."""
        from optinb.rules.sentence import sentence

        return sentence(self)  # type: ignore[arg-type]

    def to_text(self) -> str:
        """The rule as people write it; `parse(rule.to_text()) == rule`."""
        from optinb.rules.text import to_text

        return to_text(self)  # type: ignore[arg-type]


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
        check_pattern(self.pattern)


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
