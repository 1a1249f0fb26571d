"""What every text is made of: tables and their cells."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from optinb.base.figures import amount
from optinb.base.printable import printable_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_ZONE: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


@contextmanager
def times_in(zone: tzinfo) -> Iterator[None]:
    """Tells times in a zone, the workspace's, meanwhile; in UTC otherwise."""
    token = _ZONE.set(zone)
    try:
        yield
    finally:
        _ZONE.reset(token)


def local_time(value: datetime) -> str:
    """A time as texts tell it: `2026-11-23 18:30 CET`."""
    return f"{value.astimezone(_ZONE.get()):%Y-%m-%d %H:%M %Z}"


def table(rows: Iterable[Iterable[object]], *, head: Sequence[str]) -> str:
    """Columns side by side; numbers to the right, with separators."""
    texts = [list(head), *([cell(value) for value in row] for row in rows)]
    if len(texts) == 1:
        return ""
    numeric = [all(_is_figure(row[i]) for row in texts[1:]) for i in range(len(head))]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    lines = [
        "  ".join(t.rjust(w) if n else t.ljust(w) for t, w, n in zip(row, widths, numeric, strict=True)).rstrip()
        for row in texts
    ]
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def cell(value: object) -> str:
    """One value as a table shows it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return amount(value)
        case datetime():
            return local_time(value)
        case _:
            return printable_line(str(value))


def _is_figure(text: str) -> bool:
    return text.removeprefix("under ").replace(",", "").replace(".", "").replace("-", "").isdigit() or not text


def records(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same columns as a table."""
    return table((row.values() for row in rows), head=tuple(rows[0]))
