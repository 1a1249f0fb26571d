"""What customers did, remembered while somebody edits the other conditions of a rule.

A count leaves the rows out of everybody whom a cheap condition excludes, which is the fastest way to count once. Who
edits the cheap conditions beside the same behaviour counts it again and again: then the behaviour is measured for all
customers, once, and every further count only filters. A rule that was counted lately, to which an undo leads back, is
not counted again.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from optinb.rules import AllOf, Contacted, nodes_of
from optinb.segments import belongs, check, members
from optinb.segments.pushdown import split

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from optinb.engine import Tables
    from optinb.rules import Rule
    from optinb.warehouse import Snapshot

MOST_KEPT = 16  # answers of one version; each is a bit a customer
LEAST_SHARE = 0.125  # of all customers: for fewer, leaving out the rows of all others stays the faster way


class Remembered:
    """The answers of one version of the tables."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[tuple[Rule, date], pl.Series] = OrderedDict()
        self._last: tuple[Rule, date] | None = None  # the costly part that was counted last

    def inside(self, rule: Rule, tables: Tables) -> pl.Series | None:
        """Who belongs to a rule: true or false for each customer, in their order; None where that isn't remembered.

        Raises RuleError when the rule doesn't fit the tables.
        """
        check(rule, tables)
        known = self._get((rule, tables.run_date))
        if known is not None:
            return known
        cheap, costly = split(rule)
        if not cheap or not costly or _is_fleeting(rule):
            return None
        flags = belongs(_all(cheap), tables)
        if flags is None:
            return None
        within = flags.collect("polars").to_native().to_series()
        rest = (_all(costly), tables.run_date)
        is_same, self._last = rest == self._last, rest
        found = self._get(rest)
        if found is None:
            if not is_same or within.sum() < LEAST_SHARE * len(within):
                return None
            ids = tables.customers.to_native().select("customer_id").collect().to_series()
            found = ids.is_in(members(rest[0], tables).collect("polars").to_native()["customer_id"].implode())
            self._keep(rest, found)
        return within & found

    def keep(self, rule: Rule, tables: Tables, inside: pl.Series) -> None:
        """Remembers who belongs to a rule."""
        if not _is_fleeting(rule):
            self._keep((rule, tables.run_date), inside)

    def _get(self, key: tuple[Rule, date]) -> pl.Series | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def _keep(self, key: tuple[Rule, date], inside: pl.Series) -> None:
        with self._lock:
            self._known[key] = inside
            self._known.move_to_end(key)
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)


def _is_fleeting(rule: Rule) -> bool:
    """Whether the answer may change with the tables as they are: what campaigns did changes with every send."""
    return bool(nodes_of(rule, Contacted))


def _all(parts: tuple[Rule, ...]) -> Rule:
    return parts[0] if len(parts) == 1 else AllOf(parts)


_REMEMBERED: WeakKeyDictionary[Snapshot, Remembered] = WeakKeyDictionary()


def remembered(snapshot: Snapshot) -> Remembered:
    """What is remembered of a version, which never changes."""
    return _REMEMBERED.setdefault(snapshot, Remembered())
