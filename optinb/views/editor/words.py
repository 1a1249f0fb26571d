"""What can be asked about an attribute, each with its words and its form in the rule's JSON; and other words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from optinb.rules.sentence import COMPARED_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optinb.rules import Kind

KINDS: dict[str, Kind] = {"t": "text", "n": "number", "y": "yes/no", "d": "day"}
OF_THE_ATTRIBUTE = ""  # a blank that is read as the attribute's kind says


class Operator(NamedTuple):
    """How an operator reads, the kinds of attribute it fits, and its form.

    Attributes:
        form: what its JSON always holds.
        blanks: the kind (see `holes.BLANKS`) of each field that is written into.
        starts: what stands in the blanks at first.
    """

    words: str
    kinds: tuple[Kind, ...]
    form: Mapping[str, Any]
    blanks: Mapping[str, str]
    starts: tuple[str, ...]


def _of(words: str, kinds: str, form: Mapping[str, Any], starts: tuple[str, ...] = ("",), **blanks: str) -> Operator:
    return Operator(words, tuple(KINDS[k] for k in kinds), form, blanks, starts if blanks else ())


def _compared(words: str, kinds: str, op: str) -> Operator:
    return _of(words, kinds, {"is": "compare", "op": op}, value=OF_THE_ATTRIBUTE)


def _piece(words: str, op: str) -> Operator:
    return _of(words, "t", {"is": "text", "op": op}, value="piece")


def _ranked(words: str, side: str) -> Operator:
    return _of(words, "nd", {"is": "rank", "side": side, "within": None}, percent="percent")


# by the operator or side of the JSON, where it has one, else by its tag; "known" is the opposite of missing
OPERATORS: dict[str, Operator] = {
    "eq": _compared("is", "tnyd", "eq"),
    "ne": _compared("is known and not", "tnyd", "ne"),
    "one_of": _of("is one of", "tn", {"is": "one_of"}, values=OF_THE_ATTRIBUTE),
    "ge": _compared("is at least", "nd", "ge"),
    "gt": _compared("is above", "nd", "gt"),
    "le": _compared("is at most", "nd", "le"),
    "lt": _compared("is below", "nd", "lt"),
    "contains": _piece("contains", "contains"),
    "starts_with": _piece("starts with", "starts_with"),
    "ends_with": _piece("ends with", "ends_with"),
    "matches": _of("fits the pattern", "t", {"is": "matches"}, pattern="text"),
    "birthday": _of(
        "has its anniversary", "d", {"is": "birthday"}, ("0", "7"), first="anniversary", last="anniversary"
    ),
    "top": _ranked("is among the highest", "top"),
    "bottom": _ranked("is among the lowest", "bottom"),
    "missing": _of("is missing", "tnyd", {"is": "missing"}),
    "known": _of("is known", "tnyd", {"is": "missing"}),
}
MEASURES = {
    "count": "times",
    "total": "a total of",
    "average": "an average of",
    "first": "the first time",
    "last": "the last time",
    "days_in_a_row": "days in a row",
}
JOINED = {
    "all": "All of these hold",
    "any": "At least one of these holds",
    "none": "None of these holds",
}
UNITS = {"date": "date", "days_ago": "days before the run date", "days_ahead": "days after it"}
SPANS = {"ever": "ever", "last": "in the last", "between": "from … to"}
WHAT = {"received": "received", "in_control": "was in control of", "responded": "responded to"}


def operators(kind: Kind) -> dict[str, str]:
    """The operators that fit a kind of attribute, in order, with their words."""
    days = COMPARED_DAY if kind == "day" else {}
    return {name: days.get(name, op.words) for name, op in OPERATORS.items() if kind in op.kinds}


def column_operators(kind: Kind) -> dict[str, str]:
    """Those that fit a column of what customers did: nobody ranks rows."""
    return {name: words for name, words in operators(kind).items() if name not in ("top", "bottom")}
