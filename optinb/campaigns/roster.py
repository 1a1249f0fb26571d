"""All customers of a night in one fixed order, and what speaks against a push to each: looked up once, used by all."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from optinb.campaigns.reasons import first_against
from optinb.engine.persons import Identity, Persons
from optinb.segments import reachable_apps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from optinb.settings import AppSettings


class AppUses(NamedTuple):
    """One app, and for every customer by place: whether they use it, with the SDK, and whether a push arrives there."""

    users: NDArray[np.bool_]
    with_sdk: NDArray[np.bool_]
    gets: NDArray[np.bool_]


def app_uses(
    places: pl.LazyFrame, app_users: pl.LazyFrame, apps: Iterable[AppSettings], *, size: int
) -> tuple[AppUses, ...]:
    """Who uses which of some apps; `places`: customer_id and place (0 to `size`-1), `app_users` as `reachable_apps`."""
    apps = tuple(apps)
    number = {app.id: at for at, app in enumerate(apps)}
    rows = (
        reachable_apps(app_users, apps)
        .join(places, on="customer_id", how="inner")
        .select(
            "place",
            "has_sdk",
            app=pl.col("app_id").replace_strict(number, return_dtype=pl.UInt16),
            gets=pl.col("has_sdk") & pl.col("push_enabled"),
        )
        .collect()
    )
    found = []
    for at in range(len(apps)):
        mine = rows.filter(pl.col("app") == at)
        flags = AppUses(*(np.zeros(size, dtype=np.bool_) for _ in AppUses._fields))
        flags.users[mine["place"]] = True
        flags.with_sdk[mine.filter("has_sdk")["place"]] = True
        flags.gets[mine.filter("gets")["place"]] = True
        found.append(flags)
    return tuple(found)


def against(people: pl.DataFrame, uses: Iterable[AppUses]) -> NDArray[np.uint8]:
    """What speaks against a push in some apps: 0 nothing, else a number in `reasons.CODES`.

    `people`: is_blocked, is_test, push_opt_in and external_user_id, a row each place. A flag that is null isn't known,
    and what isn't known permits nothing.
    """
    able = [np.zeros(people.height, dtype=np.bool_) for _ in AppUses._fields]
    for use in uses:
        for all_of_them, mine in zip(able, use, strict=True):
            all_of_them |= mine
    users, with_sdk, gets = able
    return first_against(
        {
            "no_app": ~users,
            "no_sdk": ~with_sdk,
            "push_off": ~gets,
            "blocked": people["is_blocked"].fill_null(True).to_numpy(),
            "test": people["is_test"].fill_null(True).to_numpy(),
            "opted_out": ~people["push_opt_in"].fill_null(False).to_numpy(),
            "no_external_id": (people["external_user_id"].cast(pl.String).fill_null("") == "").to_numpy(),
        }
    )


class Roster:
    """Customers by place: sorted by customer_id, counted from 0."""

    def __init__(self, customers: pl.LazyFrame, app_users: pl.LazyFrame, *, identity: Identity | None = None) -> None:
        """Args: `customers`: customer_id, external_user_id, is_blocked, is_test, push_opt_in, and time_zone if they
        have one; `app_users` as in `reachable_apps`; `identity`: who of them is one person."""
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
