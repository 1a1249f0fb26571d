"""What customers did, remembered while somebody edits the other conditions of a rule.

A count leaves the rows out of everybody whom a cheap condition excludes, which is the fastest way to count once. Who
edits the cheap conditions beside the same behaviour counts it again and again: then the behaviour is measured for all
customers, once, and every further count only filters. A rule that was counted lately, to which an undo leads back, is
not counted again. On another engine than Polars nothing is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import date
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from optinb.engine import Tables, open_tables
from optinb.rules import AllOf, Contacted, Rule, nodes_of
from optinb.segments.compile import belongs, members
from optinb.segments.pushdown import split

if TYPE_CHECKING:
    import polars as pl

    from optinb.base.settings import Engine, EngineSection
    from optinb.warehouse import Snapshot

MOST_KEPT = 16  # answers of one version; each is a bit a customer
LEAST_SHARE = 0.125  # of all customers: for fewer, leaving out the rows of all others stays the faster way


class MembershipCache:
    """The answers of one version of the tables."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[tuple[Rule, date], pl.Series] = OrderedDict()
        self._last: tuple[Rule, date] | None = None  # the costly part that was counted last

    def inside(self, rule: Rule, tables: Tables) -> pl.Series:
        """Who belongs to a rule: true or false for each customer, in their order.

        Raises RuleError when the rule doesn't fit the tables.
        """
        found = _flags(rule, tables)
        if found is not None:
            return found
        if nodes_of(rule, Contacted):  # whose answer changes with every send
            return _counted(rule, tables)
        key = (rule, tables.run_date)
        found = self._get(key)
        if found is None:
            found = self._in_parts(rule, tables)
        if found is None:
            found = _counted(rule, tables)
            self._keep(key, found)
        return found

    def _in_parts(self, rule: Rule, tables: Tables) -> pl.Series | None:
        """The same from the costly part of a rule, counted once for several rules; None where that doesn't pay."""
        cheap, costly = split(rule)
        within = _flags(_all(cheap), tables) if cheap and costly else None
        if within is None:
            return None
        rest = _all(costly)
        key = (rest, tables.run_date)
        is_same, self._last = key == self._last, key
        found = self._get(key)
        if found is None:
            if not is_same or within.sum() < LEAST_SHARE * len(within):
                return None
            found = _counted(rest, tables)
            self._keep(key, found)
        return within & found

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


def flagged(found: pl.DataFrame, tables: Tables) -> pl.Series:
    """Whether each customer is one of those that were found (customer_id), in the order of the tables."""
    customers = tables.customers.to_native().select("customer_id").collect().to_series()
    return customers.is_in(found["customer_id"].implode())


def _counted(rule: Rule, tables: Tables) -> pl.Series:
    return flagged(members(rule, tables).collect("polars").to_native(), tables)


def _flags(rule: Rule, tables: Tables) -> pl.Series | None:
    """Who belongs to a rule about the customers' own rows alone; None for another. Raises RuleError."""
    found = belongs(rule, tables)
    return None if found is None else found.collect("polars").to_native().to_series()


def _all(parts: tuple[Rule, ...]) -> Rule:
    return parts[0] if len(parts) == 1 else AllOf(parts)


_REMEMBERED: WeakKeyDictionary[Snapshot, MembershipCache] = WeakKeyDictionary()


def remembered(snapshot: Snapshot) -> MembershipCache:
    """What is remembered of a version, which never changes."""
    return _REMEMBERED.setdefault(snapshot, MembershipCache())


def members_on(
    snapshot: Snapshot, rule: Rule, tables: Tables, *, engine: Engine | None, settings: EngineSection
) -> pl.DataFrame:
    """The customers (customer_id, each once) for whom a rule holds.

    `tables` are those of Polars; another engine reads the same version anew. `engine`: "polars", "duckdb" or "spark",
    or None for the one that `settings` name. Raises RuleError, or UsageError for an engine that isn't there.
    """
    engine = engine or settings.default
    if engine != "polars":
        tables = open_tables(
            snapshot,
            engine,
            spark_master=settings.spark_master,
            run_date=tables.run_date,
            zone=tables.zone,
            apps=tables.apps,
            contacts=tables.contacts,
            lists=tables.lists,
            list_names=tables.list_names,
            campaigns=tables.campaigns,
        )
    return members(rule, tables).collect("polars").to_native()
