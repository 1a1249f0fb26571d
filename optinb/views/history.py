"""What somebody works on, with what it was before each change, so that it can be taken back. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

MOST_STEPS = 200  # that can be taken back


class History(Struct, frozen=True):
    """A document of plain JSON with what it was before, and what was taken back of it."""

    now: Any
    before: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()
    topic: str = ""

    def do(self, document: Any, *, topic: str = "") -> History:
        """The next step; one of the same topic as the last, such as the next letter in a blank, joins it."""
        if document == self.now:
            return self
        if topic and topic == self.topic and self.before:
            return History(document, self.before, (), topic)
        return History(document, (*self.before[-MOST_STEPS + 1 :], self.now), (), topic)

    def undo(self) -> History:
        """One step back; the same where there is none."""
        if not self.before:
            return self
        return History(self.before[-1], self.before[:-1], (self.now, *self.after))

    def redo(self) -> History:
        """One step forward again; the same where there is none."""
        if not self.after:
            return self
        return History(self.after[0], (*self.before, self.now), self.after[1:])


def noted(history: History, fields: dict[str, Any]) -> History:
    """The history with what a form holds now; letters that are added to one text, or taken away, are one change."""
    changes = changed(history.now, fields)
    if not changes:
        return history
    (place, (before, after)), *others = changes.items()
    return history.do(fields, topic=place if not others and _goes_on(before, after) else "")


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
