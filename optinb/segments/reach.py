"""Which customers a push message can reach, by app and platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.settings import AppSettings


class AppReach(Struct, frozen=True, kw_only=True):
    """Of some customers: how many use an app, and how many of those a push message can reach there."""

    app_id: str
    app: str
    platform: str
    users: int
    reachable: int


class Reach(Struct, frozen=True, kw_only=True):
    """Reach by app, by platform and in all; a customer with several apps counts once in each sum."""

    apps: tuple[AppReach, ...]
    platforms: dict[str, int]
    users: int
    reachable: int


def reachable_apps(app_users: pl.LazyFrame, apps: Iterable[AppSettings]) -> pl.LazyFrame:
    """Which of the apps each customer uses, and whether a push can arrive there.

    Args:
        app_users: customer_id (text), app_id (text), push_enabled (boolean), app_version (text, null if unknown).
        apps: the apps to look at.

    Returns:
        one row for each customer and app: customer_id, app_id, platform, has_sdk, push_enabled. A version that isn't
        known counts as one with the SDK, since only apps that report one can be too old.
    """
    known = pl.LazyFrame(
        [(app.id, app.platform, app.sdk_from_version) for app in apps],
        schema={"app_id": pl.String, "platform": pl.String, "sdk_from": pl.String},
        orient="row",
    )
    version, needed = version_key(pl.col("app_version")), version_key(pl.col("sdk_from"))
    return (
        app_users.join(known, on="app_id", how="inner")
        .with_columns(has_sdk=pl.col("sdk_from").is_null() | pl.col("app_version").is_null() | (version >= needed))
        .select("customer_id", "app_id", "platform", "has_sdk", pl.col("push_enabled").fill_null(True))
    )


def version_key(version: pl.Expr) -> pl.Expr:
    """A text that sorts as versions do: `3.10.0` after `3.9`, and `3.2` equal to `3.2.0`.

    The first four numbers count, each up to nine digits; a version without any number sorts first.
    """
    numbers = version.str.extract_all(r"\d+")
    parts = [numbers.list.get(i, null_on_oob=True).fill_null("0").str.zfill(9) for i in range(4)]
    return pl.concat_str(parts)


def reach(members: pl.LazyFrame, app_users: pl.LazyFrame, apps: Iterable[AppSettings]) -> Reach:
    """The reach of some customers (`members`: customer_id, each once) over some apps."""
    apps = tuple(apps)
    uses = (
        reachable_apps(app_users, apps)
        .join(members.select("customer_id"), on="customer_id", how="semi")
        .select("customer_id", "app_id", "platform", reachable=pl.col("has_sdk") & pl.col("push_enabled"))
        .collect()
    )

    def people(rows: pl.DataFrame) -> int:
        return rows["customer_id"].n_unique()

    can = uses.filter("reachable")
    by_app = tuple(
        AppReach(
            app_id=app.id,
            app=app.name,
            platform=app.platform,
            users=people(uses.filter(pl.col("app_id") == app.id)),
            reachable=people(can.filter(pl.col("app_id") == app.id)),
        )
        for app in apps
    )
    platforms = {p: people(can.filter(pl.col("platform") == p)) for p in dict.fromkeys(app.platform for app in apps)}
    return Reach(apps=by_app, platforms=platforms, users=people(uses), reachable=people(can))
