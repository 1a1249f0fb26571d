"""All customers of a night in one fixed order, and what speaks against a push to each: looked up once, used by all."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.engine.persons import Identity, Persons
from optinb.segments import against, app_uses, reachable_apps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from optinb.base.settings import AppSettings


class PlacedCustomers:
    """Customers by place: sorted by customer_id, counted from 0."""

    def __init__(self, customers: pl.LazyFrame, app_users: pl.LazyFrame, *, identity: Identity | None = None) -> None:
        """Places the customers.

        Args:
            customers: customer_id, external_user_id, is_blocked, is_test, push_opt_in, and time_zone if they have one.
            app_users: as in `reachable_apps`.
            identity: who of them is one person.
        """
        known = customers.collect_schema().names()
        wanted = ["customer_id", "external_user_id", "is_blocked", "is_test", "push_opt_in", "time_zone"]
        columns = [name for name in wanted if name in known]
        self.people: pl.DataFrame = customers.select(columns).sort("customer_id").with_row_index("place").collect()
        self.persons: Persons = Persons(self.people, identity or Identity())
        self._app_users = app_users
        self._against: dict[tuple[AppSettings, ...], NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return self.people.height

    @cached_property
    def index(self) -> pl.DataFrame:
        """customer_id and place."""
        return self.people.select("customer_id", "place")

    def places(self, ids: pl.LazyFrame) -> NDArray[np.uint32]:
        """The places, ascending, of those customers of a frame with customer_id who are known."""
        found = ids.select("customer_id").join(self.index.lazy(), on="customer_id", how="inner").select("place")
        places = found.collect()["place"].to_numpy()
        return np.sort(places)

    def against(self, apps: Iterable[AppSettings]) -> NDArray[np.uint8]:
        """What speaks against a push in some apps, for every customer, as `against` does."""
        apps = tuple(apps)
        if apps not in self._against:
            uses = app_uses(self.index.lazy(), self._app_users, apps, size=len(self))
            self._against[apps] = against(self.people, uses)
        return self._against[apps]

    def last_used(self, apps: Iterable[AppSettings]) -> NDArray[np.int64]:
        """When each customer last used one of some apps in which a push arrives, in microseconds; 0: nobody knows."""
        when = np.zeros(len(self), dtype=np.int64)
        if "last_used_at" not in self._app_users.collect_schema().names():
            return when
        arrives = reachable_apps(self._app_users, apps).filter("push_enabled", "has_sdk")
        times = self._app_users.select("customer_id", "app_id", pl.col("last_used_at").cast(pl.Datetime("us", "UTC")))
        found = (
            arrives.join(times, on=["customer_id", "app_id"])
            .join(self.index.lazy(), on="customer_id")
            .group_by("place")
            .agg(pl.col("last_used_at").max().dt.epoch("us").fill_null(0))
            .collect()
        )
        when[found["place"].to_numpy()] = found["last_used_at"].to_numpy()
        return when

    def in_zones(self, zones: Collection[str], *, unknown: str) -> NDArray[np.bool_]:
        """Who lives in one of some time zones; `unknown` is the zone of those without one."""
        if not zones:
            return np.zeros(len(self), dtype=np.bool_)
        zone = (
            self.people["time_zone"] if "time_zone" in self.people.columns else pl.repeat(None, len(self), eager=True)
        )
        return zone.cast(pl.String).fill_null(unknown).is_in(sorted(zones)).to_numpy()

    def zones(self, *, unknown: str) -> dict[str, int]:
        """How many customers there are in each time zone."""
        if "time_zone" not in self.people.columns:
            return {unknown: len(self)} if len(self) else {}
        return dict(self.people["time_zone"].fill_null(unknown).value_counts().iter_rows())
