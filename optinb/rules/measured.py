"""A measure of what customers did that still waits for the value it is compared with."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar, Generic, NoReturn, Protocol, Self, TypeVar

from optinb.errors import RuleError
from optinb.rules.values import Amount, Measure, as_value


class Measurable(Protocol):
    """What customers did, of which something can be measured: `tree.Did`, which knows this module."""

    @property
    def event(self) -> str:
        """What they did."""
        ...

    def within(self, *, days: int) -> Self:
        """Only in the last days."""
        ...

    def between(self, first: date, last: date) -> Self:
        """Only from one day to another."""
        ...

    def where(self, condition: Any) -> Self:
        """Only rows that fit a condition."""
        ...

    def _made(self, word: str, **fields: object) -> Self: ...


Did = TypeVar("Did", bound=Measurable)


class Measured(Generic[Did]):
    """A measure of what customers did, waiting to be compared with a number or a day."""

    __slots__ = ("_column", "_did", "_measure")
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __init__(self, did: Did, measure: Measure, column: str | None = None) -> None:
        self._did = did
        self._measure: Measure = measure
        self._column = column

    def __repr__(self) -> str:
        return f"did({self._did.event!r}).{self._measure}({'' if self._column is None else repr(self._column)})"

    def __eq__(self, value: object) -> Did:  # type: ignore[override]
        return self._compared("eq", value)

    def __ge__(self, value: object) -> Did:
        return self._compared("ge", value)

    def __le__(self, value: object) -> Did:
        return self._compared("le", value)

    def __gt__(self, value: object) -> Did:
        return self._compared("gt", value)

    def __lt__(self, value: object) -> Did:
        return self._compared("lt", value)

    def __ne__(self, value: object) -> NoReturn:
        raise RuleError(f"{self!r} can't be compared with !=; write ~({self!r} == {value!r})")

    def at_least(self, value: Amount | date) -> Did:
        """This much or more.

        Args:
            value: a number, or of the first or last day a day.

        Raises:
            RuleError: for a value that this measure can't be compared with.
        """
        return self >= value

    def at_most(self, value: Amount | date) -> Did:
        """This much or less: a total, also of customers who never did it.

        Args:
            value: a number, or of the first or last day a day.

        Raises:
            RuleError: for a value that this measure can't be compared with.
        """
        return self <= value

    def exactly(self, value: Amount | date) -> Did:
        """Exactly this much.

        Args:
            value: a number, or of the first or last day a day.

        Raises:
            RuleError: for a value that this measure can't be compared with.
        """
        return self == value

    def within(self, *, days: int) -> Measured[Did]:
        """Only in the last `days` days before the run date, and on it.

        Args:
            days: whole days, 0 to 36,500; the window begins at midnight in the workspace's zone.

        Raises:
            RuleError: for what is no whole number, or out of range.
        """
        return Measured(self._did.within(days=days), self._measure, self._column)

    def between(self, first: date, last: date) -> Measured[Did]:
        """Only from one day to another, both included.

        Args:
            first: the first day.
            last: the last day, not before the first.

        Raises:
            RuleError: for what is no date, or a last day before the first.
        """
        return Measured(self._did.between(first, last), self._measure, self._column)

    def where(self, condition: Any) -> Measured[Did]:
        """Only rows that fit a condition on their own columns.

        Args:
            condition: a rule of attributes alone, such as `attr("category") == "BABY"`.

        Raises:
            RuleError: for what is no rule, or one that asks about something else than columns.
        """
        return Measured(self._did.where(condition), self._measure, self._column)

    def _compared(self, op: str, value: object) -> Did:
        fields = {"op": op, "value": as_value(value, repr(self)), "measure": self._measure, "column": self._column}
        return self._did._made(f"{self._measure}", **fields)
