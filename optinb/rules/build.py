"""How people write rules: `(attr("country") == "DE") & ~did("purchase").within(days=60)`."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from optinb.errors import RuleError
from optinb.rules.tree import Compare, Day, DaysAgo, Did, Missing, Not, OneOf, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.rules.tree import Comparison, Rule, Scalar, Value


class Attribute:
    """An attribute of the customer (or a column of a behaviour), waiting to be compared with something."""

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise RuleError(f"attr({name!r}): the name of an attribute is a text such as attr('country')")
        self._name = name

    def __repr__(self) -> str:
        return f"attr({self._name!r})"

    def __eq__(self, value: object) -> Rule:  # type: ignore[override]
        return self._compare("eq", value)

    def __ne__(self, value: object) -> Rule:  # type: ignore[override]
        return self._compare("ne", value)

    def __lt__(self, value: object) -> Rule:
        return self._compare("lt", value)

    def __le__(self, value: object) -> Rule:
        return self._compare("le", value)

    def __gt__(self, value: object) -> Rule:
        return self._compare("gt", value)

    def __ge__(self, value: object) -> Rule:
        return self._compare("ge", value)

    def one_of(self, values: Iterable[Scalar]) -> Rule:
        """Is one of several values."""
        if isinstance(values, str):
            raise RuleError(f"{self!r}.one_of({values!r}): give a list of values, such as ['DE', 'AT']")
        return self._made(lambda: OneOf(self._name, tuple(values)))

    def between(self, low: object, high: object) -> Rule:
        """Lies between two values, both included."""
        return (self >= low) & (self <= high)

    def contains(self, text: str) -> Rule:
        """Contains a piece of text."""
        return self._text("contains", text)

    def starts_with(self, text: str) -> Rule:
        """Starts with a piece of text."""
        return self._text("starts_with", text)

    def ends_with(self, text: str) -> Rule:
        """Ends with a piece of text."""
        return self._text("ends_with", text)

    def is_missing(self) -> Rule:
        """Has no value."""
        return Missing(self._name)

    def is_known(self) -> Rule:
        """Has a value."""
        return Not(Missing(self._name))

    def _text(self, op: str, text: str) -> Rule:
        if not isinstance(text, str) or not text:
            raise RuleError(f"{self!r}.{op}({text!r}): give a text that isn't empty")
        return Text(self._name, op, text)  # type: ignore[arg-type]

    def _compare(self, op: Comparison, value: object) -> Rule:
        if value is None:
            raise RuleError(f"{self!r} compared with None: write {self!r}.is_missing() or .is_known()")
        return self._made(lambda: Compare(self._name, op, self._value(value)))

    def _value(self, value: object) -> Value:
        if isinstance(value, datetime):
            raise RuleError(f"{self!r} compared with {value!r}: compare with a day, such as date(2026, 11, 23)")
        if isinstance(value, date):
            return Day(value)
        if isinstance(value, str | bool | int | float | Day | DaysAgo):
            return value
        raise RuleError(f"{self!r} compared with {value!r}: only texts, numbers, True/False and days can be compared")

    def _made(self, make) -> Rule:
        try:
            return make()
        except (ValueError, TypeError) as error:
            raise RuleError(f"{self!r}: {error}") from error


def attr(name: str) -> Attribute:
    """An attribute of the customer: `attr("country") == "DE"`, `attr("age") >= 18`, `attr("email").is_missing()`."""
    return Attribute(name)


def did(event: str) -> Did:
    """What customers did: `did("purchase").at_least(2).within(days=365)`, `did("app_open").within(days=7)`."""
    if not isinstance(event, str) or not event:
        raise RuleError(f"did({event!r}): name what customers did, such as did('purchase')")
    return Did(event)


def days_ago(days: int) -> DaysAgo:
    """The day that lies so many days before the run date: `attr("registered_at") >= days_ago(30)`."""
    if isinstance(days, bool) or not isinstance(days, int) or abs(days) > 36_500:
        raise RuleError(f"days_ago({days!r}): give a whole number of days, at most 36,500")
    return DaysAgo(days)
