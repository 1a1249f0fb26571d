"""Target groups over time: how many customers a rule of today would have had on each night that is kept."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.base.progress import OnProgress, quiet
from optinb.errors import RuleError, UsageError
from optinb.rules import Rule, Uses, nodes_of
from optinb.segments.compile import check
from optinb.segments.together import members_of_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.engine import Tables
    from optinb.segments.tables_view import TablesView

MOST_NIGHTS = 60


class Sizes(Struct, frozen=True, kw_only=True):
    """The sizes of some groups by night; None where that night can't tell, with the reason by group."""

    nights: tuple[date, ...]
    customers: dict[str, tuple[int | None, ...]]
    reasons: dict[str, str]

    def table(self) -> pl.DataFrame:
        """One row a group and night: day, group, customers."""
        rows = [
            (night, group, count)
            for group, counts in self.customers.items()
            for night, count in zip(self.nights, counts, strict=True)
        ]
        return pl.DataFrame(rows, schema={"day": pl.Date, "group": pl.String, "customers": pl.Int64}, orient="row")


def sizes_of(reading: TablesView, groups: Iterable[str], *, nights: int, on_progress: OnProgress = quiet) -> Sizes:
    """Counts groups on the newest nights that were modelled.

    Args:
        reading: the version that is read.
        groups: names of saved groups.
        nights: how many at most; up to MOST_NIGHTS.
        on_progress: is told after each night that one more is done, and which is next; what it raises ends the count.

    A night knows the attributes that were delivered by then and those kept of every night, purchases and events up to
    it, and the groups and lists of today.

    Raises:
        UsageError: without a modelled night, or for too many.
    """
    if not 1 <= nights <= MOST_NIGHTS:
        raise UsageError(f"{nights} nights can't be counted; ask for 1 to {MOST_NIGHTS}")
    kept = reading.nights()[-nights:]
    if not kept:
        raise UsageError("no night was modelled yet: run `optinb model`")
    rules = {name: reading.groups.bound(name) for name in groups}
    counted: dict[str, list[int | None]] = {name: [] for name in rules}
    reasons: dict[str, str] = {}
    for night in kept:
        on_progress(0, f"{night}")
        is_newest, asked = night == kept[-1], rules.values()
        tables = reading.tables_for(*asked, run_date=night) if is_newest else reading.tables_on(night, *asked)
        able = {}
        for name, rule in rules.items():
            reason = _why_not(rule, tables, is_newest=is_newest)
            if reason is None:
                able[name] = rule
            else:
                reasons.setdefault(name, f"{night}: {reason}")
        found = members_of_all(able, tables).select(pl.col(able).sum()).row(0, named=True) if able else {}
        for name in rules:
            counted[name].append(found.get(name))
        on_progress(1, "")
    return Sizes(nights=kept, customers={name: tuple(c) for name, c in counted.items()}, reasons=reasons)


def _why_not(rule: Rule, tables: Tables, *, is_newest: bool) -> str | None:
    """Why a night can't tell who belonged to a rule; None if it can."""
    if not is_newest and nodes_of(rule, Uses):
        return "which app customers used isn't kept of past nights"
    try:
        check(rule, tables)
    except RuleError as error:
        return str(error).removeprefix("rule: ")
    return None
