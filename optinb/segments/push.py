"""What speaks against a push to each of some customers, by the apps that they use and by who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from optinb.segments.exclusions import Exclusion, first_against
from optinb.segments.reach import reachable_apps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from optinb.base.settings import AppSettings


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
    """What speaks against a push in some apps: 0 nothing, else a number in `CODES`; `people` as in `kept_away`."""
    able = [np.zeros(people.height, dtype=np.bool_) for _ in AppUses._fields]
    for use in uses:
        for all_of_them, mine in zip(able, use, strict=True):
            all_of_them |= mine
    users, with_sdk, gets = able
    return first_against({"no_app": ~users, "no_sdk": ~with_sdk, "push_off": ~gets, **kept_away(people)})


def kept_away(people: pl.DataFrame) -> dict[Exclusion, NDArray[np.bool_]]:
    """To whom every push is forbidden, whatever the app, by reason.

    `people`: is_blocked, is_test, push_opt_in and external_user_id, a row each customer. A flag that is null isn't
    known, and what isn't known permits nothing.
    """
    return {
        "blocked": people["is_blocked"].fill_null(True).to_numpy(),
        "test": people["is_test"].fill_null(True).to_numpy(),
        "opted_out": ~people["push_opt_in"].fill_null(False).to_numpy(),
        "no_external_id": (people["external_user_id"].cast(pl.String).fill_null("") == "").to_numpy(),
    }
