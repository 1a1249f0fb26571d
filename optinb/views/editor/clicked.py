"""From a bar to a condition: what a click on values of an attribute makes of the line that asks about it. Pure.

A value is added to those that the line names, or taken away again. A span of numbers or days is two lines, which stand
in one group of which all hold: at least the lowest value, and at most the highest.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from optinb.rules import Compare, Day, OneOf
from optinb.segments.profile import can_be_chosen
from optinb.views.editor import edits
from optinb.views.editor.document import (
    NEW,
    condition,
    core,
    group_of,
    is_negated,
    joined,
    line_of,
    operator_of,
    parts,
    texts_of,
    with_core,
)
from optinb.views.editor.holes import shown, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.rules import Kind, Rule
    from optinb.segments.profile import Band
    from optinb.views.editor.document import Path
    from optinb.views.editor.holes import Json


NAMING = ("eq", "one_of")
CLICKED = (*NAMING, "ge", "le", "missing", "known")  # what clicks make


def is_chosen(document: Json, path: Path, bands: Sequence[Band], place: int, kind: Kind) -> bool:
    """Whether the line at a path asks for the band at a place."""
    line, band = edits.part_at(document, path), bands[place]
    if band.low is not None and band.low == band.high:
        return operator_of(line) in NAMING and _text(band.low) in texts_of(line)
    return can_be_chosen(band) and with_band(document, path, bands, place, kind) == document


def with_value(document: Json, attribute: str, bands: Sequence[Band], place: int, kind: Kind) -> Json:
    """The document of which the band at a place holds, too: in the line that asks about its attribute, or a new one."""
    whole = document if joined(document) == "all" else group_of("all", [document])
    lines = parts(whole)
    asks = (at for at, line in enumerate(lines) if _asks(line, attribute))
    at = next(asks, next((at for at, line in enumerate(lines) if line == NEW["attribute"]), len(lines)))
    if at == len(lines) or lines[at] == NEW["attribute"]:
        fresh = condition(write("attribute", attribute), "eq", kind)
        whole = edits.with_part(whole, (at,), fresh) if at < len(lines) else edits.add(whole, (), fresh)
    return with_band(whole, (at,), bands, place, kind)


def _asks(line: Json, attribute: str) -> bool:
    """Whether a line is one that clicks on an attribute could have made."""
    is_one = operator_of(line) in CLICKED and not is_negated(line)
    return is_one and shown(core(line)["attribute"]) == attribute


def with_band(document: Json, path: Path, bands: Sequence[Band], place: int, kind: Kind) -> Json:
    """The document after a click on the band at a place, in the values of the attribute of the line at a path."""
    band, line = bands[place], edits.part_at(document, path)
    attribute = core(line)["attribute"]
    alone = _without_other_end(document, path)
    if band.low is None:
        return edits.with_part(alone, path, condition(attribute, "missing", kind))
    if band.low == band.high:
        named = _naming(line, attribute, band.low, kind)
        return edits.with_part(alone, path, with_core(line, named) if operator_of(line) in NAMING else named)
    known = [at for at, one in enumerate(bands) if one.low is not None]
    ends = [] if place == known[0] else [_compared(attribute, "ge", band.low, kind)]
    ends += [] if place == known[-1] else [_compared(attribute, "le", band.high, kind)]
    if not ends:  # the one band of all
        ends = [condition(attribute, "known", kind)]
    if joined(edits.part_at(alone, path[:-1])) == "all":
        changed = edits.with_part(alone, path, ends[0])
        return edits.add(changed, path[:-1], ends[1], at=path[-1] + 1) if len(ends) > 1 else changed
    return edits.with_part(alone, path, group_of("all", ends) if len(ends) > 1 else ends[0])


def _naming(line: Json, attribute: Any, value: Any, kind: Kind) -> Json:
    """A condition that names one value more than a line does, or one less."""
    named = [text for text in texts_of(line) if text] if operator_of(line) in NAMING else []
    text = _text(value)
    if kind in ("yes/no", "day"):
        named = [] if text in named else [text]
    else:
        named = [one for one in named if one != text] if text in named else [*named, text]
    if kind == "text" and not isinstance(write("text", text), str):
        return line_of(_rule(shown(attribute), [*named[:-1], value]))
    return core(condition(attribute, "one_of" if len(named) > 1 else "eq", kind, named, "date"))


def _rule(attribute: str, values: Sequence[Any]) -> Rule:
    return Compare(attribute, "eq", values[0]) if len(values) == 1 else OneOf(attribute, tuple(values))


def _compared(attribute: Any, op: str, value: Any, kind: Kind) -> Json:
    return condition(attribute, op, kind, (_text(value),), "date")


def _text(value: Any) -> str:
    """A value as it is written into a blank."""
    return shown(Day(value).day.isoformat() if isinstance(value, date) else value)


def _without_other_end(document: Json, path: Path) -> Json:
    """The document without the line that says where the span ends that begins at a path."""
    line, group, beside = edits.part_at(document, path), edits.part_at(document, path[:-1]), path[-1] + 1
    if operator_of(line) != "ge" or joined(group) != "all" or beside >= len(parts(group)):
        return document
    other = parts(group)[beside]
    is_end = operator_of(other) == "le" and other["is"] != "not" and other["attribute"] == core(line)["attribute"]
    return edits.remove(document, (*path[:-1], beside)) if is_end else document
