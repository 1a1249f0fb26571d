"""The words of the editor: its operators by kind of attribute, and how they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optinb.rules.sentence import COMPARED_DAY

if TYPE_CHECKING:
    from optinb.rules import Kind
    from optinb.views.editor.document import Joined, Span, Unit


class Operator(NamedTuple):
    """How an operator reads, which kinds of attribute it fits, and how many values it takes (None: one or more)."""

    words: str
    kinds: frozenset[Kind]
    takes: int | None


def _of(words: str, kinds: str, takes: int | None = 1) -> Operator:
    named: dict[str, Kind] = {"t": "text", "n": "number", "y": "yes/no", "d": "day"}
    return Operator(words, frozenset(named[k] for k in kinds), takes)


OPERATORS: dict[str, Operator] = {
    "eq": _of("is", "tnyd"),
    "ne": _of("is known and not", "tnyd"),
    "one_of": _of("is one of", "tn", None),
    "ge": _of("is at least", "nd"),
    "gt": _of("is above", "nd"),
    "le": _of("is at most", "nd"),
    "lt": _of("is below", "nd"),
    "contains": _of("contains", "t"),
    "starts_with": _of("starts with", "t"),
    "ends_with": _of("ends with", "t"),
    "matches": _of("fits the pattern", "t"),
    "anniversary": _of("has its anniversary", "d", 2),
    "top": _of("is among the highest", "nd"),
    "bottom": _of("is among the lowest", "nd"),
    "missing": _of("is missing", "tnyd", 0),
    "known": _of("is known", "tnyd", 0),
}
MEASURES = {
    "count": "times",
    "total": "a total of",
    "average": "an average of",
    "first": "the first time",
    "last": "the last time",
    "days_in_a_row": "days in a row",
}
JOINED: dict[Joined, str] = {
    "all": "All of these hold",
    "any": "At least one of these holds",
    "none": "None of these holds",
}
UNITS: dict[Unit, str] = {"date": "date", "days_ago": "days before the run date", "days_ahead": "days after it"}
SPANS: dict[Span, str] = {"ever": "ever", "last": "in the last", "between": "from … to"}
WHAT = {"received": "received", "in_control": "was in control of", "responded": "responded to"}


def operators(kind: Kind) -> dict[str, str]:
    """The operators that fit a kind of attribute, in order, with their words."""
    days = COMPARED_DAY if kind == "day" else {}
    return {name: days.get(name, op.words) for name, op in OPERATORS.items() if kind in op.kinds}


def column_operators(kind: Kind) -> dict[str, str]:
    """Those that fit a column of what customers did: nobody ranks rows."""
    return {name: words for name, words in operators(kind).items() if name not in ("top", "bottom")}
