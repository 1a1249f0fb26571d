"""Edits of the document, by the path of a part. Pure: each makes another document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.views.editor.document import WHERE, Path, core, group_of, joined, opposite, parts, with_core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.views.editor.holes import Json


def part_at(document: Json, path: Path) -> Json:
    """The part at a path. Raises IndexError when there is none."""
    part = document
    for step in path:
        if step == WHERE and core(part).get("filter"):
            part = core(part)["filter"]
        elif step >= 0 and joined(part):
            part = parts(part)[step]
        else:
            raise IndexError(f"no part is at {path}")
    return part


def with_part(document: Json, path: Path, part: Json) -> Json:
    """The document with another part at a path."""
    for cut in range(len(path) - 1, -1, -1):
        holder, step = part_at(document, path[:cut]), path[cut]
        if step == WHERE:
            # conditions of which none is left are none at all
            part = with_core(holder, core(holder) | {"filter": part if parts(part) else None})
        else:
            part = group_of(joined(holder), _spliced(parts(holder), step, step + 1, part))
    return part


def change(document: Json, path: Path, **fields: Any) -> Json:
    """The document with other fields in the line at a path, whether it's negated or not."""
    line = part_at(document, path)
    return with_part(document, path, with_core(line, core(line) | fields))


def join(document: Json, path: Path, how: str) -> Json:
    """The document with the parts of the group at a path joined otherwise."""
    return with_part(document, path, group_of(how, parts(part_at(document, path))))


def add(document: Json, path: Path, part: Json, *, at: int | None = None) -> Json:
    """The document with one part more in the group at a path, as its last or at a place."""
    place = len(parts(group_at(document, path))) if at is None else at
    return _replaced(document, path, place, place, part)


def remove(document: Json, path: Path) -> Json:
    """The document without the part at a path; the outermost group is only emptied."""
    if not path or path[-1] == WHERE:
        return with_part(document, path, group_of("all", []))
    return _replaced(document, path[:-1], path[-1], path[-1] + 1)


def move(document: Json, path: Path, by: int) -> tuple[Json, Path]:
    """The document with a part one line further up (-1) or down (1), and where the part is then.

    A part goes into a group that it meets and out of its own at the ends, so that it gets everywhere line by line;
    at the ends of the outermost group, and of the conditions inside a behaviour, it stays.
    """
    part, holder, place = part_at(document, path), path[:-1], path[-1]
    inside = parts(group_at(document, holder))
    beside = place + by
    if 0 <= beside < len(inside):
        met = inside[beside]
        if not joined(met):
            first, second = (met, part) if by > 0 else (part, met)
            low = min(place, beside)
            return _replaced(document, holder, low, low + 2, first, second), (*holder, beside)
        at = 0 if by > 0 else len(parts(met))
        into = (*holder, beside - (by > 0))
        return add(remove(document, path), into, part, at=at), (*into, at)
    if not holder or holder[-1] == WHERE:
        return document, path
    outer = holder[-1] + (by > 0)
    return add(remove(document, path), holder[:-1], part, at=outer), (*holder[:-1], outer)


def wrap(document: Json, path: Path, how: str = "any") -> Json:
    """The document with the part at a path in a group of its own."""
    return with_part(document, path, group_of(how, [part_at(document, path)]))


def unwrap(document: Json, path: Path) -> Json:
    """The document with the parts of a group in that group's place."""
    return _replaced(document, path[:-1], path[-1], path[-1] + 1, *parts(group_at(document, path)))


def negate(document: Json, path: Path) -> Json:
    """The document with the opposite of the part at a path."""
    return with_part(document, path, opposite(part_at(document, path)))


def copy(document: Json, path: Path) -> Json:
    """The document with the part at a path twice."""
    return add(document, path[:-1], part_at(document, path), at=path[-1] + 1)


def group_at(document: Json, path: Path) -> Json:
    """The group at a path. Raises IndexError for another part."""
    part = part_at(document, path)
    if not joined(part):
        raise IndexError(f"no group is at {path}")
    return part


def _replaced(document: Json, path: Path, first: int, last: int, *new: Json) -> Json:
    group = group_at(document, path)
    return with_part(document, path, group_of(joined(group), _spliced(parts(group), first, last, *new)))


def _spliced(rules: Sequence[Json], first: int, last: int, *new: Json) -> list[Json]:
    return [*rules[:first], *new, *rules[last:]]
