"""What was told or dismissed before, so that nothing is told twice: by who is in the groups, whatever the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.errors import OptinbError
from optinb.rules import from_json
from optinb.segments.compile import members
from optinb.segments.news.changes import about

if TYPE_CHECKING:
    from datetime import date

    from optinb.engine import Tables
    from optinb.rules import Rule
    from optinb.segments.news.item import NewsItem, NewsKind
    from optinb.segments.news.kept import NewsFiles

WORTH: NewsKind = "worth a campaign"
REMEMBERED: dict[bool, int] = {True: 28, False: 90}  # days in which the same change, or else group, isn't told again
SAME = 0.5  # of the customers of two groups: they are told as one
STILL = 8  # days in which a change that was told is still seen in a week's figures


class ToldBefore:
    """What was told or dismissed until a night, and what is told on it, with the customers of each group tonight."""

    def __init__(self, kept: NewsFiles, night: date, tables: Tables) -> None:
        """Args: `kept`: what was told; `night`: the one that tells; `tables`: of it."""
        self._tables = tables
        told = [
            (item, (night - day).days)
            for day in kept.nights()
            if 0 < (night - day).days <= max(REMEMBERED.values()) and (news := kept.read(day))
            for item in news.items
            if (night - day).days <= REMEMBERED[item.kind != WORTH]
        ]
        self._earlier = [(item, days, self._then(item)) for item, days in told]
        self._dismissed = [(one.item, self._then(one.item)) for one in kept.dismissed().values()]
        self._tonight: list[tuple[NewsItem, pl.Series]] = []

    def note(self, item: NewsItem, ids: pl.Series) -> None:
        """Says that it is told tonight."""
        self._tonight.append((item, ids))

    def is_new(self, kind: NewsKind, ids: pl.Series, *, of: str = "") -> bool:
        """Whether nothing like it was told or dismissed: the same became of nearly the same customers.

        Args:
            kind: what became of a group.
            ids: of its customers.
            of: what it is about, whatever the stage.
        """
        is_change = kind != WORTH
        for item, others in self._tonight:
            if is_change == (item.kind != WORTH) and (
                (is_change and about(item.rule) == of) or _of_smaller(ids, others) > SAME
            ):
                return False
        if any(item.kind == kind and _alike(ids, others) > SAME for item, others in self._dismissed):
            return False
        for item, days, others in self._earlier:
            if is_change and item.kind != WORTH and days <= STILL:
                # what changed is still seen a week later: in its parts, in the whole, and where its customers are now
                same = about(item.rule) == of or _of_smaller(ids, others) > SAME
            else:
                same = item.kind == kind and _alike(ids, others) > SAME
            if same:
                return False
        return True

    def _then(self, item: NewsItem) -> pl.Series:
        try:
            return members_of(from_json(item.rule_json), self._tables)
        except OptinbError:  # it asks for what isn't delivered any more
            return pl.Series([], dtype=pl.String)


def _shared(one: pl.Series, other: pl.Series) -> int:
    return int(one.is_in(other.implode()).sum())


def _alike(one: pl.Series, other: pl.Series) -> float:
    both = _shared(one, other)
    return both / max(len(one) + len(other) - both, 1)


def _of_smaller(one: pl.Series, other: pl.Series) -> float:
    return _shared(one, other) / max(min(len(one), len(other)), 1)


def members_of(rule: Rule, tables: Tables) -> pl.Series:
    """The ids of the customers of a group."""
    return members(rule, tables).collect(backend="polars").to_native()["customer_id"]
