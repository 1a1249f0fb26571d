"""A rule on the data, before anybody is written to: how many customers, whom a push reaches, and what keeps it away.

What a push would make of every customer is looked up once for each version: a preview only filters and counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.engine.persons import Identity, Persons
from optinb.engine.tables import customers_of
from optinb.rules import Rule, sentence
from optinb.segments.exclusions import CODES, Waterfall
from optinb.segments.membership_cache import flagged, members_on, remembered
from optinb.segments.notes import notes_on
from optinb.segments.reach import AppReach, Reach, against, app_uses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optinb.base.settings import AppSettings, Engine
    from optinb.engine import Tables
    from optinb.segments.tables_view import TablesView
    from optinb.warehouse import Snapshot


class ReachCache:
    """Customers by what a push makes of them, in the order in which they are given.

    Customers alike in what speaks against a push, the apps they use and the apps it arrives in make one pattern; there
    are far fewer patterns than customers, and what is counted of a group follows from how many of each are in it.
    """

    def __init__(
        self,
        customers: pl.DataFrame,
        app_users: pl.LazyFrame,
        apps: Iterable[AppSettings],
        *,
        identity: Identity | None = None,
    ) -> None:
        """Numbers the patterns that there are.

        Args:
            customers: customer_id, and the columns that `kept_away` reads, each customer once.
            app_users: as in `reachable_apps`.
            apps: whose users are told apart.
            identity: who of the customers is one person.
        """
        self.apps: tuple[AppSettings, ...] = tuple(apps)
        places = customers.lazy().select("customer_id").with_row_index("place")
        uses = app_uses(places, app_users, self.apps, size=customers.height)
        codes = against(customers, uses)
        pattern = numbered(codes, [flags for use in uses for flags in (use.users, use.gets)])
        self._pattern = pl.Series(pattern)
        # one customer of each pattern, whoever it is, tells what it is
        first = np.zeros(int(pattern.max(initial=0)) + 1 if len(pattern) else 0, dtype=np.int64)
        first[pattern] = np.arange(len(pattern))
        self._codes = codes[first]
        self._uses = [(use.users[first], use.gets[first]) for use in uses]
        # Of one person's customers only one gets a push. They are few, so that only they are kept.
        persons = Persons(customers, identity or Identity()).numbers
        self._twin_rows = np.flatnonzero((persons >= 0) & (codes == 0))
        self._twins = pl.Series(persons[self._twin_rows])

    def figures(self, inside: pl.Series) -> tuple[Reach, Waterfall]:
        """The reach of a group, and how it becomes recipients; booleans without null, in the order of the customers."""
        found = self._pattern.filter(inside).to_numpy()
        counts = np.bincount(found, minlength=len(self._codes))
        return self._reach(counts), self._waterfall(counts, self._same_external_id(inside))

    def _same_external_id(self, inside: pl.Series) -> int:
        """How many could get a push if it weren't for another member who is the same person."""
        persons = self._twins.filter(inside.gather(self._twin_rows))
        return len(persons) - persons.n_unique()

    def _waterfall(self, counts: NDArray[np.int64], same_external_id: int) -> Waterfall:
        codes = self._codes
        excluded = {reason: int(counts[codes == code].sum()) for reason, code in CODES.items()}
        excluded["same_external_id"] = same_external_id
        return Waterfall(
            target=int(counts.sum()),
            excluded={reason: count for reason, count in excluded.items() if count},
            control=0,
            recipients=int(counts[codes == 0].sum()) - same_external_id,
        )

    def _reach(self, counts: NDArray[np.int64]) -> Reach:
        def people(flags: list[NDArray[np.bool_]]) -> int:
            return int(counts[np.logical_or.reduce(flags)].sum()) if flags else 0

        places = range(len(self.apps))
        by_app = tuple(
            AppReach(
                app_id=app.id,
                app=app.name,
                platform=app.platform,
                users=people([self._uses[at][0]]),
                reachable=people([self._uses[at][1]]),
            )
            for at, app in enumerate(self.apps)
        )
        platforms = {
            platform: people([self._uses[at][1] for at in places if self.apps[at].platform == platform])
            for platform in dict.fromkeys(app.platform for app in self.apps)
        }
        return Reach(
            apps=by_app,
            platforms=platforms,
            users=people([users for users, _ in self._uses]),
            reachable=people([gets for _, gets in self._uses]),
        )


def numbered(codes: NDArray[np.uint8], flags: list[NDArray[np.bool_]]) -> NDArray[np.uint32]:
    """For each row the number of its combination of a code and flags, from 0."""
    found = codes.astype(np.uint64)
    for at, flag in enumerate(flags, start=1):
        found = found * np.uint64(2) + flag
        if at % 20 == 0:
            found = _dense(found).astype(np.uint64)  # so that any number of flags fits
    return _dense(found)


def _dense(values: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The same values numbered from 0, without gaps."""
    largest = int(values.max(initial=0))
    if largest >= 2**24:
        return np.unique(values, return_inverse=True)[1].astype(np.uint32)
    # looking each up takes a tenth of the time of sorting them
    is_there = np.zeros(largest + 1, dtype=np.bool_)
    is_there[values] = True
    return (np.cumsum(is_there, dtype=np.uint32) - np.uint32(1))[values]


_LIVE: WeakKeyDictionary[Snapshot, dict[tuple[AppSettings, ...], ReachCache]] = WeakKeyDictionary()


def live(snapshot: Snapshot, apps: Iterable[AppSettings]) -> ReachCache:
    """What a push over some apps makes of the customers of a version, in the order of `customers_of`."""
    apps, kept = tuple(apps), _LIVE.setdefault(snapshot, {})
    # A version never changes, so that it is looked up once, however often a rule is tried.
    if apps not in kept:
        kept[apps] = ReachCache(
            customers_of(snapshot), snapshot.table("app_users"), apps, identity=Identity.of(snapshot)
        )
    return kept[apps]


SAMPLE = 5


class Preview(Struct, frozen=True, kw_only=True):
    """A rule on the data: exact count, share of all customers, reach by app, and the way to who could get a push.

    Attributes:
        sentence: what the rule says, in plain English.
        customers: how many belong.
        total: how many customers there are.
        run_date: the night as of which it was counted.
        warehouse_version: the number of the version that was read.
        app_group: the name of the app group whose apps are looked at; None for all apps.
        reach: of the members, by app and platform.
        waterfall: how many members each reason keeps from a push.
        sample: the attributes of some members, spread evenly over all of them, so that each time they are the same.
        notes: what the count can't tell, in sentences.
    """

    sentence: str
    customers: int
    total: int
    run_date: date
    warehouse_version: int
    app_group: str | None
    reach: Reach
    waterfall: Waterfall
    sample: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The group's share of all customers, 0 to 1."""
        return self.customers / self.total if self.total else 0.0


def preview_of(reading: TablesView, rule: Rule | str, *, app_group: str | None, engine: Engine | None) -> Preview:
    """A rule, or a saved group by name, on the data; see `Reading.preview`."""
    tree, bound = reading.groups.rule(rule), reading.groups.bound(rule)
    tables = reading.tables_for(bound)
    group = reading.settings.app_group(app_group) if app_group else None
    apps = group.apps if group else tuple(a for g in reading.settings.app_groups for a in g.apps)
    inside = _inside(reading, bound, tables, engine)
    reach, waterfall = live(reading.snapshot(), apps).figures(inside)
    return Preview(
        sentence=sentence(tree),
        customers=int(inside.sum()),
        total=len(inside),
        run_date=tables.run_date,
        warehouse_version=tables.version,
        app_group=group.name if group else None,
        reach=reach,
        waterfall=waterfall,
        sample=_sample(tables, inside),
        notes=notes_on(bound, tables),
    )


def _sample(tables: Tables, inside: pl.Series) -> tuple[dict[str, Any], ...]:
    rows = inside.arg_true()
    size = min(SAMPLE, len(rows))
    places = [rows[at * len(rows) // size] for at in range(size)]
    return tuple(tables.customers.to_native().collect()[places].to_dicts())


def _inside(reading: TablesView, rule: Rule, tables: Tables, engine: Engine | None) -> pl.Series:
    """Who belongs to a rule: true or false for each customer, in the order of the tables."""
    if (engine or reading.settings.engine.default) == "polars":
        return remembered(reading.snapshot()).inside(rule, tables)
    return flagged(
        members_on(reading.snapshot(), rule, tables, engine=engine, settings=reading.settings.engine), tables
    )
