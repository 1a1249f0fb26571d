"""Edits of the document, by the path of a part, and what can be taken back. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from optinb.views.editor.document import WHERE, BehaviourPart, GroupPart, Joined, Line, Path

MOST_STEPS = 200


def part_at(document: GroupPart, path: Path) -> Line:
    """The part at a path. Raises IndexError when there is none."""
    part: Line = document
    for step in path:
        if step == WHERE and isinstance(part, BehaviourPart):
            part = part.where
        elif step >= 0 and isinstance(part, GroupPart):
            part = part.parts[step]
        else:
            raise IndexError(f"no part is at {path}")
    return part


def with_part(document: GroupPart, path: Path, part: Line) -> GroupPart:
    """The document with another part at a path."""
    for cut in range(len(path) - 1, -1, -1):
        holder, step = part_at(document, path[:cut]), path[cut]
        if isinstance(holder, BehaviourPart) and step == WHERE and isinstance(part, GroupPart):
            part = replace(holder, where=part)
        elif isinstance(holder, GroupPart):
            part = replace(holder, parts=(*holder.parts[:step], part, *holder.parts[step + 1 :]))
        else:
            raise IndexError(f"no part is at {path}")
    if not isinstance(part, GroupPart):
        raise TypeError("the outermost part of a document is a group")
    return part


def change(document: GroupPart, path: Path, **fields: Any) -> GroupPart:
    """The document with other fields in the part at a path."""
    return with_part(document, path, replace(part_at(document, path), **fields))


def add(document: GroupPart, path: Path, part: Line, *, at: int | None = None) -> GroupPart:
    """The document with one part more in the group at a path, as its last or at a place."""
    group = group_at(document, path)
    place = len(group.parts) if at is None else at
    return with_part(document, path, replace(group, parts=(*group.parts[:place], part, *group.parts[place:])))


def remove(document: GroupPart, path: Path) -> GroupPart:
    """The document without the part at a path; the outermost group is only emptied."""
    if not path or path[-1] == WHERE:
        return with_part(document, path, GroupPart())
    group, place = group_at(document, path[:-1]), path[-1]
    return with_part(document, path[:-1], replace(group, parts=group.parts[:place] + group.parts[place + 1 :]))


def move(document: GroupPart, path: Path, by: int) -> tuple[GroupPart, Path]:
    """The document with a part one line further up (-1) or down (1), and where the part is then.

    A part goes into a group that it meets and out of its own at the ends, so that it gets everywhere line by line;
    at the ends of the outermost group, and of the conditions inside a behaviour, it stays.
    """
    part, holder, place = part_at(document, path), path[:-1], path[-1]
    group = group_at(document, holder)
    beside = place + by
    if 0 <= beside < len(group.parts):
        met = group.parts[beside]
        if not isinstance(met, GroupPart):
            swapped = list(group.parts)
            swapped[place], swapped[beside] = met, part
            return with_part(document, holder, replace(group, parts=tuple(swapped))), (*holder, beside)
        inside = 0 if by > 0 else len(met.parts)
        smaller = remove(document, path)
        into = (*holder, beside - (by > 0))
        return add(smaller, into, part, at=inside), (*into, inside)
    if not holder or holder[-1] == WHERE:
        return document, path
    outer = holder[-1] + (by > 0)
    return add(remove(document, path), holder[:-1], part, at=outer), (*holder[:-1], outer)


def wrap(document: GroupPart, path: Path, joined: Joined = "any") -> GroupPart:
    """The document with the part at a path in a group of its own."""
    return with_part(document, path, GroupPart(joined, (part_at(document, path),)))


def unwrap(document: GroupPart, path: Path) -> GroupPart:
    """The document with the parts of a group in that group's place."""
    inner, group, place = group_at(document, path), group_at(document, path[:-1]), path[-1]
    return with_part(
        document, path[:-1], replace(group, parts=group.parts[:place] + inner.parts + group.parts[place + 1 :])
    )


def negate(document: GroupPart, path: Path) -> GroupPart:
    """The document with the opposite of the part at a path: any becomes none and the other way round."""
    part = part_at(document, path)
    if not isinstance(part, GroupPart):
        return with_part(document, path, replace(part, negated=not part.negated))
    match part.joined:
        case "any":
            return with_part(document, path, replace(part, joined="none"))
        case "none":
            return with_part(document, path, replace(part, joined="any"))
        case "all":
            return with_part(document, path, GroupPart("none", (part,)))


def copy(document: GroupPart, path: Path) -> GroupPart:
    """The document with the part at a path twice."""
    return add(document, path[:-1], part_at(document, path), at=path[-1] + 1)


def group_at(document: GroupPart, path: Path) -> GroupPart:
    """The group at a path. Raises IndexError for another part."""
    part = part_at(document, path)
    if not isinstance(part, GroupPart):
        raise IndexError(f"no group is at {path}")
    return part


class History(Struct, frozen=True):
    """A document with what it was before, and what was taken back of it."""

    now: GroupPart
    before: tuple[GroupPart, ...] = ()
    after: tuple[GroupPart, ...] = ()
    topic: str = ""

    def do(self, document: GroupPart, *, topic: str = "") -> History:
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
