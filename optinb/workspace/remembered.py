"""What customers did, remembered while somebody edits the other conditions of a rule.

A count leaves the rows out of everybody whom a cheap condition excludes, which is the fastest way to count once. Who
edits the cheap conditions beside the same behaviour counts it again and again: from the second time on the behaviour is
measured for all customers, once, and every further count only filters.
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

MOST_KEPT = 16  # behaviours of one version; each is a bit a customer
LEAST_SHARE = 0.125  # of all customers: for fewer, leaving out the rows of all others stays the faster way


class Remembered:
    """The answers of one version of the tables."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[tuple[Rule, date], pl.Series | None] = OrderedDict()

    def inside(self, rule: Rule, tables: Tables) -> pl.Series | None:
        """Who belongs to a rule: true or false for each customer, in their order; None where that isn't remembered.

        Raises RuleError when the rule doesn't fit the tables.
        """
        cheap, costly = split(rule)
        # what campaigns did changes with every send, and not only with the tables
        if not cheap or not costly or any(nodes_of(part, Contacted) for part in costly):
            return None
        check(rule, tables)
        flags = belongs(_all(cheap), tables)
        if flags is None:
            return None
        within = flags.collect("polars").to_native().to_series()
        rest = (_all(costly), tables.run_date)
        with self._lock:
            is_second = rest in self._known
            known = self._known.get(rest)
            self._known[rest] = known
            self._known.move_to_end(rest)
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        if known is None:
            if not is_second or within.sum() < LEAST_SHARE * len(within):
                return None
            found = members(rest[0], tables).collect("polars").to_native()["customer_id"]
            ids = tables.customers.to_native().select("customer_id").collect().to_series()
            known = ids.is_in(found.implode())
            with self._lock:
                self._known[rest] = known
        return within & known


def _all(parts: tuple[Rule, ...]) -> Rule:
    return parts[0] if len(parts) == 1 else AllOf(parts)


_REMEMBERED: WeakKeyDictionary[Snapshot, Remembered] = WeakKeyDictionary()


def remembered(snapshot: Snapshot) -> Remembered:
    """What is remembered of a version, which never changes."""
    return _REMEMBERED.setdefault(snapshot, Remembered())
