"""What a push would make of every customer, looked up once for each version: a preview only filters and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl

from optinb.campaigns import REASONS, Roster, Waterfall
from optinb.campaigns.roster import NO_PUSH
from optinb.engine.polars import customers_of
from optinb.segments import AppReach, Reach, reachable_apps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from optinb.settings import AppSettings
    from optinb.warehouse import Snapshot


class Live:
    """Customers by what a push makes of them, in the order in which they are given.

    Customers alike in what speaks against a push, the apps they use and the apps it arrives in make one pattern; there
    are far fewer patterns than customers, and what is counted of a group follows from how many of each are in it.
    """

    def __init__(self, customers: pl.DataFrame, app_users: pl.LazyFrame, apps: Iterable[AppSettings]) -> None:
        """Args: as in `build_audience`; each customer once."""
        self.apps = tuple(apps)
        roster = Roster(customers.lazy(), app_users)
        # with a place for each app: whether it is used, and whether a push arrives there
        names = [(f"uses {at}", f"gets {at}") for at in range(len(self.apps))]
        flags = [
            flag
            for (uses, gets), app in zip(names, self.apps, strict=True)
            for mine in [pl.col("app_id") == app.id]
            for flag in (mine.any().alias(uses), (mine & pl.col("has_sdk") & pl.col("push_enabled")).any().alias(gets))
        ]
        columns = [name for pair in names for name in pair]
        used = reachable_apps(app_users, self.apps).group_by("customer_id").agg(flags)
        against = roster.index.with_columns(code=pl.Series(roster.against(self.apps), dtype=pl.UInt8))
        rows = (
            customers.lazy()
            .select("customer_id", "external_user_id")
            .join(against.lazy().drop("place"), on="customer_id", how="left", maintain_order="left")
            .join(used, on="customer_id", how="left", maintain_order="left")
            .with_columns(pl.col(columns).fill_null(False))
            .collect()
        )
        kinds = ["code", *columns]
        self._patterns = rows.select(kinds).unique(maintain_order=True).with_row_index("pattern")
        self._pattern = rows.select(kinds).join(self._patterns, on=kinds, how="left", maintain_order="left")["pattern"]
        # Of customers with the same external user id only one gets a push. They are few, so that only they are kept.
        shared = rows.with_row_index("row").filter(pl.col("external_user_id").is_duplicated() & (pl.col("code") == 0))
        self._shared_rows = shared["row"].to_numpy()
        self._shared_ids = shared["external_user_id"]

    def figures(self, inside: pl.Series) -> tuple[Reach, Waterfall]:
        """The reach of a group, and how it becomes recipients; booleans without null, in the order of the customers."""
        found = self._pattern.filter(inside).to_numpy()
        counts = np.bincount(found, minlength=self._patterns.height)
        return self._reach(counts), self._waterfall(counts, self._same_external_id(inside))

    def _same_external_id(self, inside: pl.Series) -> int:
        """How many could get a push if it weren't for another member with the same external user id."""
        ids = self._shared_ids.filter(inside.gather(self._shared_rows))
        return len(ids) - ids.n_unique()

    def _waterfall(self, counts: NDArray[np.int64], same_external_id: int) -> Waterfall:
        codes = self._patterns["code"].to_numpy()
        by_code = {name: int(counts[codes == code].sum()) for code, name in enumerate(NO_PUSH, start=1)}
        by_code["same_external_id"] = same_external_id
        return Waterfall(
            target=int(counts.sum()),
            excluded={reason: by_code[reason] for reason in REASONS if by_code.get(reason)},
            control=0,
            recipients=int(counts[codes == 0].sum()) - same_external_id,
        )

    def _reach(self, counts: NDArray[np.int64]) -> Reach:
        def people(names: list[str]) -> int:
            if not names:
                return 0
            return int(counts[self._patterns.select(pl.any_horizontal(names)).to_series().to_numpy()].sum())

        places = range(len(self.apps))
        by_app = tuple(
            AppReach(
                app_id=app.id,
                app=app.name,
                platform=app.platform,
                users=people([f"uses {at}"]),
                reachable=people([f"gets {at}"]),
            )
            for at, app in enumerate(self.apps)
        )
        platforms = {
            platform: people([f"gets {at}" for at in places if self.apps[at].platform == platform])
            for platform in dict.fromkeys(app.platform for app in self.apps)
        }
        return Reach(
            apps=by_app,
            platforms=platforms,
            users=people([f"uses {at}" for at in places]),
            reachable=people([f"gets {at}" for at in places]),
        )


_LIVE: WeakKeyDictionary[Snapshot, dict[tuple[AppSettings, ...], Live]] = WeakKeyDictionary()


def live(snapshot: Snapshot, apps: Iterable[AppSettings]) -> Live:
    """What a push over some apps makes of the customers of a version, in the order of `customers_of`."""
    apps, kept = tuple(apps), _LIVE.setdefault(snapshot, {})
    # A version never changes, so that it is looked up once, however often a rule is tried.
    if apps not in kept:
        kept[apps] = Live(customers_of(snapshot), snapshot.table("app_users"), apps)
    return kept[apps]
