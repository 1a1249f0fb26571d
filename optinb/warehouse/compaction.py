"""Which small files of old days are joined into one of their month. Pure: the caller writes it.

A night joins at most one group of files for each table, and no more rows than it is given, so that it costs what it
costs without. Files are never changed: earlier versions keep theirs until they go.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.warehouse.days import DayFile

# A month is left alone while most late rows still come.
_SETTLED = timedelta(days=31)
_LEAST, _MOST = 250_000, 4_000_000


def rows_to_join(loaded: int) -> int:
    """How many rows a night may join that loads `loaded` rows: half as many, but enough to get on."""
    return max(_LEAST, min(_MOST, loaded // 2))


def due(files: Sequence[DayFile], *, run_date: date, at_most: int) -> list[DayFile]:
    """The files of one table to join now, in the order of their days; empty if there are none.

    Of all months that ended long before `run_date` that one whose group has most files. The largest file of a group
    is at most half of it: a row is joined few times, however often others come late.
    """
    months: dict[tuple[int, int], list[DayFile]] = {}
    for file in files:
        if _month_after(file.day) + _SETTLED <= run_date:
            months.setdefault((file.day.year, file.day.month), []).append(file)
    groups = [_group(month, at_most) for _, month in sorted(months.items())]
    return sorted(max(groups, key=len, default=[]), key=lambda file: (file.day, file.path))


def _group(month: Sequence[DayFile], at_most: int) -> list[DayFile]:
    """The most files, the smallest first, that together have enough rows and not too many."""
    smallest = sorted(month, key=lambda file: (file.rows, file.day, file.path))
    total, size = 0, 0
    for number, file in enumerate(smallest, start=1):
        total += file.rows
        if total > at_most:
            break
        if number > 1 and total >= 2 * file.rows:
            size = number
    return smallest[:size]


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)
