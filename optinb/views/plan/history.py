"""What a form held before, so that the last changes can be taken back. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

MOST = 50  # changes that can be taken back


class History(Struct, frozen=True):
    """What a form holds `now`, and what it held before each change, the oldest first."""

    now: dict[str, Any]
    past: tuple[dict[str, Any], ...] = ()
    typed: str = ""  # the place of a text that is being written, whose letters are one change


def noted(history: History, fields: dict[str, Any]) -> History:
    """The history with what a form holds now; letters that are added to one text, or taken away, are one change."""
    changes = changed(history.now, fields)
    if not changes:
        return history
    (place, (before, after)), *others = changes.items()
    is_typed = not others and _goes_on(before, after)
    if is_typed and place == history.typed:
        return History(fields, history.past, place)
    return History(fields, (*history.past, history.now)[-MOST:], place if is_typed else "")


def undone(history: History) -> History:
    """The history before its last change; the same where there is none."""
    return History(history.past[-1], history.past[:-1]) if history.past else history


def changed(before: Any, after: Any, place: str = "") -> dict[str, tuple[Any, Any]]:
    """What differs between two values of plain JSON, by place."""
    if before == after:
        return {}
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {place: (before, after)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in dict.fromkeys([*before, *after]):
        inner = f"{place}.{name}" if place else name
        found |= changed(before.get(name), after.get(name), inner)
    return found


def _goes_on(before: Any, after: Any) -> bool:
    one, other = before or "", after or ""
    return isinstance(one, str) and isinstance(other, str) and (one.startswith(other) or other.startswith(one))
