"""How fresh each published table is on a night: when it was delivered last, and how new its newest row is. Pure.

A table that comes no more, or comes with old rows only, makes `~did("purchase").within(days=30)` true of everybody. So
whoever reads a stale table is held, and every night says which tables are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from optinb.warehouse.contract import CUSTOMER_IDS, DAILY, TABLES

if TYPE_CHECKING:
    from optinb.base.settings import ImportSection
    from optinb.warehouse import building, days


# What was usual longer ago says nothing of a shop today.
_USUAL_DAYS = 365
# A shop with few orders has pauses by chance. One twice as long as any of the last year's is hardly chance any more,
# and where rows come on every day, this is less than what `max_age_days` allows anyhow.
_PAUSES = 2


class TableAge(Struct, frozen=True, kw_only=True):
    """How old a table is on a night: the date of the newest delivery that brought it, and the day of its newest row.

    `newest` is None for tables that are not kept by day, and for those without a row. `stale`: why what reads the table
    must not be sent; `warning`: what the night's report says of it. Both are None for a fresh table.
    """

    table: str
    delivered: date
    newest: date | None = None
    stale: str | None = None
    warning: str | None = None


def table_ages(
    contents: building.Contents, *, run_date: date, limits: ImportSection, zone: ZoneInfo
) -> tuple[TableAge, ...]:
    """The age of every table that was ever delivered, on a night.

    A table is stale if its newest delivery is older than its limit in days, or if for more days than that no row came
    that is newer than those before, and this is unusual: more than twice the longest pause between two days with rows
    in the year before. Until then an old newest row is a warning.

    Args:
        contents: what the published version says about itself.
        run_date: the night.
        limits: `max_age_days`, and `max_age` for tables that come more rarely.
        zone: the workspace's, in which days are told.
    """
    deliveries = sorted((d for d in contents.deliveries if d.run_date <= run_date), key=lambda d: d.run_date)
    found = []
    # What was merged once stays merged, so that nobody need say it again.
    for name in (name for name in TABLES if name != CUSTOMER_IDS.name):
        brought = [d for d in deliveries if any(table.table == name for table in d.report.brought)]
        if brought:
            files = [file for file in contents.files if file.table == name and file.rows] if name in DAILY else []
            found.append(_age(name, brought, files, run_date, last=deliveries[-1].run_date, limits=limits, zone=zone))
    return tuple(found)


def limit_of(table: str, limits: ImportSection) -> tuple[int, str]:
    """How many days old a table may be, and the setting that says so."""
    if table in limits.max_age:
        return limits.max_age[table], f"[import.max_age] {table} = {limits.max_age[table]}"
    return limits.max_age_days, f"max_age_days = {limits.max_age_days}"


def _age(
    name: str,
    brought: Sequence[building.Delivery],
    files: Sequence[days.DayFile],
    run_date: date,
    *,
    last: date,
    limits: ImportSection,
    zone: ZoneInfo,
) -> TableAge:
    most, setting = limit_of(name, limits)
    delivered = brought[-1].run_date
    newest = max((_until(file) for file in files), default=None)
    stale = warning = None
    if (run_date - delivered).days > most:
        stale = (
            f"{name} was delivered last on {delivered}, {_days((run_date - delivered).days)} before this night "
            f"({setting}): have it delivered again, or say in [import.max_age] of optinb.toml how rarely it comes"
        )
    elif newest is not None and (run_date - newest).days > most:
        usual = max(most, _PAUSES * _longest_pause(files, newest))
        since = _reached(newest, brought, files, zone)
        old = f"the newest row of {name} is of {newest}, {_days((run_date - newest).days)} before this night ({setting}"
        if (run_date - since).days > usual:
            stale = (
                f"{old}), and none newer has come since the delivery of {since}, longer than is usual there (up to "
                f"{_days(usual)}): have the newest rows delivered, or say in [import.max_age] of optinb.toml how "
                "rarely they come"
            )
        else:
            warning = f"{old}): have IT look whether its newest rows are missing"
    # A table with a limit of its own is expected to stay away on some nights.
    if stale is None and delivered < last and name not in limits.max_age:
        warning = f"{name} was not in the delivery of {last}; the newest is of {delivered}: have it delivered again"
    return TableAge(table=name, delivered=delivered, newest=newest, stale=stale, warning=stale or warning)


def _until(file: days.DayFile) -> date:
    return file.until or file.day


def _reached(newest: date, brought: Iterable[building.Delivery], files: Sequence[days.DayFile], zone: ZoneInfo) -> date:
    """The date of the first delivery with rows of the newest day: the same rows may come every night."""
    name = files[0].table
    told = [(delivery.run_date, delivery.report.table(name).newest) for delivery in brought]
    by_report = [run_date for run_date, at in told if at is not None and at.astimezone(zone).date() >= newest]
    return min(by_report + [file.delivery for file in files if file.holds(newest)])


def _longest_pause(files: Iterable[days.DayFile], newest: date) -> int:
    """The most days from one day with rows to the next in the last year; of files of several days the ends count."""
    spans = sorted((file.day, _until(file)) for file in files)
    pauses, reached = [0], None
    for day, until in spans:
        if reached is not None and (newest - reached).days <= _USUAL_DAYS:
            pauses.append((day - reached).days)
        reached = until if reached is None else max(reached, until)
    return max(pauses)


def _days(count: int) -> str:
    return f"{count:,} day" + "s" * (count != 1)
