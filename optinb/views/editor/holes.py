"""Holes: what people write into a blank of a rule's JSON, as long as it isn't the value itself; and the words. Pure.

A value stands in the JSON as soon as it reads exactly as it was written (`2`, `2026-11-23`); everything else, such as
half a number or `1,250.50`, is a hole that keeps the text: `{"is": "hole", "kind": "number", "text": "1,250.50"}`. So
nothing is lost or guessed at, and what is shown in a blank is always what was written.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from optinb.base.figures import exact
from optinb.errors import RuleError
from optinb.rules.sentence import AGO, AHEAD, COMPARED_DAY
from optinb.rules.values import MAX_DAYS, check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optinb.rules import Kind

Json = dict[str, Any]
# a day is written as a value of its own, with its tag and its field
DAYS = {"date": ("day", "day"), "days_ago": ("days_ago", "days"), "days_ahead": ("days_ago", "days")}


class Blank(NamedTuple):
    """What is asked for where nothing is written, how a text is read, and the kind of attribute it's compared with."""

    ask: str
    read: Callable[[str], Any] = str
    of: Kind = "text"


def write(kind: str, text: str) -> Any:
    """What stands in the JSON for a text that was written into a blank, of a kind of BLANKS."""
    if kind in DAYS:
        tag, field = DAYS[kind]
        return {"is": tag, field: _write(kind, text)}
    return _write(kind, text)


def shown(leaf: Any) -> str:
    """What a blank shows: a value as people write it, and a hole as it was written."""
    match leaf:
        case None:
            return ""
        case {"is": "hole", "text": text}:
            return text
        case {"is": "day", "day": day}:
            return shown(day)
        case {"is": "days_ago", "days": days}:
            return shown(abs(days) if isinstance(days, int) else days)
        case bool():
            return "yes" if leaf else "no"
        case int() | float():
            return exact(leaf)
        case _:
            return leaf


def kind_of(leaf: Any) -> Kind:
    """What an attribute is that is compared with a value, or with what fills a hole."""
    match leaf:
        case {"is": "hole", "kind": kind}:
            return BLANKS[kind].of
        case dict():
            return "day"
        case bool():
            return "yes/no"
        case int() | float():
            return "number"
        case _:
            return "text"


def unit_of(leaf: Any) -> str:
    """How a day is given, a key of DAYS."""
    match leaf:
        case {"is": "days_ago", "days": {"kind": kind}}:
            return kind
        case {"is": "days_ago", "days": days} if days < 0:
            return "days_ahead"
        case {"is": "day"}:
            return "date"
        case _:
            return "days_ago"


def filled(part: Any) -> Any:
    """A part of a rule with its holes filled. Raises RuleError saying what is still to be written into the first."""
    match part:
        case {"is": "hole", "kind": kind, "text": text}:
            if not text.strip():
                raise RuleError(BLANKS[kind].ask)
            return BLANKS[kind].read(text)
        case dict():
            return {name: filled(value) for name, value in part.items()}
        case list():
            return [filled(value) for value in part]
        case _:
            return part


def _write(kind: str, text: str) -> Any:
    hole = {"is": "hole", "kind": kind, "text": text}
    try:
        value = filled(hole)
    except (RuleError, ValueError):
        return hole
    as_read = {"is": DAYS[kind][0], DAYS[kind][1]: value} if kind in DAYS else value
    return value if shown(as_read) == text and (kind not in DAYS or unit_of(as_read) == kind) else hole


def _plain(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise RuleError("spaces at the ends and line breaks can only be written as code")
    return text


def _piece(text: str) -> str:
    if len(text) > 1000:
        raise RuleError("give a text of at most 1,000 characters")
    return _plain(text)


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise RuleError("choose yes or no")
    return text == "yes"


def _number(text: str) -> int | float:
    plain = text.strip().replace(",", "") if _has_thousands(text.strip()) else text.strip()
    for read in (int, float):
        try:
            number = read(plain)
        except ValueError:
            continue
        check_number(number)
        return number
    raise RuleError(f"“{text}” is no number; write such as 1250 or 12.5")


def _has_thousands(text: str) -> bool:
    first, *groups = text.removeprefix("-").split(".")[0].split(",")
    return bool(groups) and first.isdigit() and len(first) <= 3 and all(len(g) == 3 and g.isdigit() for g in groups)


def _whole(what: str, unit: str, least: int, most: int) -> Blank:
    """A blank for a whole number in bounds."""

    def read(text: str) -> int:
        number = _number(text)
        if isinstance(number, float):
            raise RuleError(f"“{text}” is no whole number; write {what}")
        if not least <= number <= most:
            raise RuleError(f"{number:,} {unit} can't be asked for; give a number from {least:,} to {most:,}")
        return number

    return Blank(f"write {what}", read)


def _day_count(sign: int) -> Blank:
    days = _whole("a number of days", "days", -MAX_DAYS, MAX_DAYS)

    def read(text: str) -> int:
        number = days.read(text)
        if number < 0:
            raise RuleError(f"“{text}” lies on the other side of the run date; choose before or after it")
        return sign * number

    return Blank(days.ask, read, "day")


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError as error:
        raise RuleError(f"“{text}” is no date; write such as 2026-11-23") from error


BLANKS = {
    "attribute": Blank("choose an attribute"),
    "event": Blank("choose what they did"),
    "total": Blank("choose the column that the total is of"),
    "average": Blank("choose the column that the average is of"),
    "group": Blank("choose a saved group"),
    "list": Blank("choose a list"),
    "text": Blank("write a value", _plain),
    "piece": Blank("write a value", _piece),
    "texts": Blank("write a value, one a line", _plain),
    "number": Blank("write a number", _number, "number"),
    "numbers": Blank("write a value, one a line", _number, "number"),
    "yes/no": Blank("choose yes or no", _yes, "yes/no"),
    "date": Blank("choose a day", _date, "day"),
    "days_ago": _day_count(1),
    "days_ahead": _day_count(-1),
    "count": Blank("write how many times", _number),
    "days_in_a_row": Blank("write how many days", _number),
    "percent": Blank("write a percentage", _number),
    "anniversary": _whole("days after the run date", "days", -366, 366),
    "times": _whole("how many times", "times", 1, 10_000),
    "response": _whole("days in which a purchase counts", "days", 0, MAX_DAYS),
    "last days": _whole("a number of days", "days", 0, MAX_DAYS),
    "first day": Blank("choose the first day", _date),
    "last day": Blank("choose the last day", _date),
    "code": Blank("write a rule, such as attr('country') == 'DE'"),
}


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


def _with_piece(words: str, op: str) -> Operator:
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
    "contains": _with_piece("contains", "contains"),
    "starts_with": _with_piece("starts with", "starts_with"),
    "ends_with": _with_piece("ends with", "ends_with"),
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
UNITS = {"date": "the date", "days_ago": "days ago", "days_ahead": "days from now"}
SPANS = {"ever": "ever", "last": "in the last", "between": "from … to"}
WHAT = {
    "received": "received",
    "in_control": "was in the control group of",
    "responded": "responded to",
    "opened": "opened the push of",
    "not_opened": "got but didn't open",
}


def compared_day(unit: str) -> dict[str, str]:
    """How days are compared, in words, where they are given in a unit: at least [44] days ago."""
    counted = {"days_ago": AGO, "days_ahead": AHEAD}.get(unit, {})
    return {op: f"is {counted[op]}" if op in counted else words for op, words in COMPARED_DAY.items()}


def operators(kind: Kind, unit: str = "") -> dict[str, str]:
    """The operators that fit a kind of attribute, in order, with their words; `unit` is that of a day."""
    days = compared_day(unit) if kind == "day" else {}
    return {name: days.get(name, op.words) for name, op in OPERATORS.items() if kind in op.kinds}


def column_operators(kind: Kind, unit: str = "") -> dict[str, str]:
    """Those that fit a column of what customers did: nobody ranks rows."""
    return {name: words for name, words in operators(kind, unit).items() if name not in ("top", "bottom")}
