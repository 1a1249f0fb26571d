"""The app users and their events.

Whether a user opens an app on a day is a hash of seed, user, app and day against the user's own chance. It needs no
memory, so any night's delivery agrees with all others: `last_used_at` is the last `app_open` that was delivered.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.sandbox.sample.people import People, customer_ids, instants_column
from optinb.sandbox.sample.purchases import product_names
from optinb.sandbox.sample.world import APPS, CATEGORIES, DAY_S, pick

USE_AFTER_STOP_DAYS = 25  # people look at the app for a while after they stopped buying
_LATEST_OPEN_S = DAY_S - 120  # what follows an app_open stays within its day


class AppUsers(Struct, frozen=True):
    """App users in columns, in order of customer and app. Times are int64 seconds since 1970 UTC."""

    row: np.ndarray  # row of People
    app: np.ndarray  # index of APPS
    version: np.ndarray  # index of the app's versions
    first_used: np.ndarray
    used_till: np.ndarray  # after this the app is never opened
    before: np.ndarray  # last use before the days that are simulated
    chance: np.ndarray  # of opening the app on a day
    open_s: np.ndarray  # usual time of opening, seconds of the shop's day
    push: np.ndarray  # 1 on, 0 off, -1 not delivered (the contract's default is on)
    push_off_night: np.ndarray  # night on which the user switches push off


def draw_app_users(
    rng: np.random.Generator, people: People, *, simulated_from: int, shop_utc_offset_s: int
) -> AppUsers:
    """Draws who uses which app. About one customer in six has none, and many have apps of both groups."""
    n = len(people.number)
    ios = rng.random(n) < 0.54
    shop = rng.random(n) < 0.80
    other_device = rng.random(n) < 0.05
    club = people.club & (rng.random(n) < 0.92)
    has = np.stack([shop & (ios | other_device), shop & (~ios | other_device), club & ios, club & ~ios], axis=1)
    row, app = np.nonzero(has)
    m = len(row)
    registered = people.registered[row]
    first_used = registered + (rng.exponential(12.0, m) * DAY_S).astype(np.int64)
    # Who registered before the simulated days also used the app before them, so that the two never contradict.
    first_used = np.where(registered < simulated_from, np.minimum(first_used, simulated_from), first_used)
    used_till = people.last_stop[row] + (rng.random(m) * USE_AFTER_STOP_DAYS * DAY_S).astype(np.int64)
    latest_before = np.maximum(np.minimum(used_till, simulated_from), first_used)
    local_s = 6 * 3_600 + (rng.random(m) ** 0.8 * 16 * 3_600).astype(np.int64)
    open_s = (local_s - people.utc_offset_s[row] + shop_utc_offset_s) % DAY_S
    push = np.where(rng.random(m) < 0.85, 1, 0)
    push[rng.random(m) < 0.03] = -1
    drawn = [pick(rng, a.shares, m) for a in APPS]
    return AppUsers(
        row=row,
        app=app,
        version=np.select([app == k for k in range(len(APPS))], drawn),
        first_used=first_used,
        used_till=used_till,
        before=first_used + (rng.random(m) ** 0.3 * (latest_before - first_used)).astype(np.int64),
        chance=rng.beta(1.2, 8.0, m),
        open_s=np.minimum(open_s, _LATEST_OPEN_S),
        push=push,
        push_off_night=rng.geometric(0.004, m),
    )


def open_times(users: AppUsers, people: People, *, seed: int, first_day: int, days: int) -> np.ndarray:
    """When each user opened the app on each day, int64 of shape (users, days); 0 where not.

    `first_day` is the shop's midnight in seconds UTC.
    """
    starts = first_day + np.arange(days) * DAY_S
    key = hashed(people.number[users.row] * len(APPS) + users.app, seed)
    when = starts + users.open_s[:, None]
    opened = uniform(hashed(key[:, None] + starts.astype(np.uint64), 1)) < users.chance[:, None]
    opened &= (when >= users.first_used[:, None]) & (when < users.used_till[:, None])
    return np.where(opened, when, 0)


def app_users_frame(
    users: AppUsers, people: People, *, opened: np.ndarray, night: int, end: int, width: int
) -> pl.DataFrame:
    """The table `app_users` as of a night, which ends at `end`; `opened` as from `open_times`, up to then."""
    ids = [app.id for app in APPS]
    versions = [version for app in APPS for version in app.versions]
    starts = np.cumsum([0] + [len(app.versions) for app in APPS])
    last_open = opened.max(axis=1, initial=0)
    on = np.where((users.push == 1) & (users.push_off_night <= night), 0, users.push)
    return pl.DataFrame(
        [
            customer_ids(people.number[users.row], width=width),
            pl.Series("app_id", ids).gather(users.app),
            pl.Series("push_enabled", [False, True, None]).gather(on % 3),
            pl.Series("app_version", versions).gather(starts[users.app] + users.version),
            instants_column("first_used_at", users.first_used),
            instants_column("last_used_at", np.maximum(users.before, last_open)),
        ]
    ).filter(pl.Series(users.first_used < end))


def events_frame(
    rng: np.random.Generator, users: AppUsers, people: People, *, opened: np.ndarray, width: int
) -> pl.DataFrame:
    """The table `events` for the given days: each app_open, some with a product_view, some of those a wishlist_add.

    `properties` is JSON text; `value` is the product's price in EUR, for wishlist_add only.
    """
    at_user, at_day = np.nonzero(opened)
    n = len(at_user)
    views = rng.random(n) < 0.45
    wishes = views & (rng.random(n) < 0.2)
    category = pick(rng, tuple(c.share for c in CATEGORIES), n)
    price = np.round(rng.lognormal(3.3, 0.6, n), 2)
    when = opened[at_user, at_day]
    base = pl.DataFrame(
        {
            "customer_id": customer_ids(people.number[users.row[at_user]], width=width),
            "app": pl.Series([app.id for app in APPS]).gather(users.app[at_user]),
            "product": product_names(rng, category),
            "category": pl.Series([c.name for c in CATEGORIES]).gather(category),
            "price": price,
            "views": views,
            "wishes": wishes,
            "when": when,
        }
    )
    app = '{"app_id":"' + pl.col("app")
    product = app + '","product":"' + pl.col("product") + '","category":"' + pl.col("category")
    kinds = (
        ("app_open", pl.lit(True), 0, pl.lit(None, dtype=pl.Float64), app),
        ("product_view", pl.col("views"), 40, pl.lit(None, dtype=pl.Float64), product),
        ("wishlist_add", pl.col("wishes"), 95, pl.col("price"), product),
    )
    parts = [
        base.filter(chosen).select(
            "customer_id",
            (pl.col("when") + after_s).alias("occurred_at"),
            pl.lit(name).alias("name"),
            value.alias("value"),
            (properties + '"}').alias("properties"),
        )
        for name, chosen, after_s, value, properties in kinds
    ]
    events = pl.concat(parts).sort("occurred_at", "customer_id", "name", "properties")
    return events.with_columns(instants_column("occurred_at", events["occurred_at"].to_numpy()))


def hashed(values: np.ndarray, salt: int) -> np.ndarray:
    """Well-mixed uint64 of integers: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = values.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(hashes: np.ndarray) -> np.ndarray:
    """Hashes as float64 in [0, 1)."""
    return (hashes >> np.uint64(11)) * 2.0**-53
