"""Which customers a push message can reach: by app, platform and app group, by night, and for one customer why not.

What speaks against a push is told by the apps that customers use and by who they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.segments.exclusions import REASONS, Exclusion, first_against

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optinb.base.settings import AppGroupSettings, AppSettings, Settings
    from optinb.warehouse import Snapshot

REACH = "reach"  # the published table of FIGURES by night
# Figures of an app, or of all apps of an app group where app_id is null; each customer counts once.
FIGURES = pl.Schema(
    {
        "app_group": pl.String,
        "app_id": pl.String,
        "users": pl.Int64,
        "push_enabled": pl.Int64,
        "with_sdk": pl.Int64,
        "reachable": pl.Int64,
    }
)


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


class AppUse(Struct, frozen=True, kw_only=True):
    """One app and one customer: whether a push can arrive there, and why not (empty if it can)."""

    app_group: str
    app_id: str
    app: str
    platform: str
    is_used: bool
    app_version: str | None
    why_not: str

    @property
    def is_reachable(self) -> bool:
        """Whether a push message can arrive."""
        return not self.why_not


class CustomerReach(Struct, frozen=True, kw_only=True):
    """Whether a push message can reach a customer, app by app.

    `why_not` holds what keeps every message away, whatever the app; it is empty for a customer who may get some.
    """

    customer_id: str
    day: date
    is_known: bool
    why_not: tuple[str, ...]
    apps: tuple[AppUse, ...]

    @property
    def is_reachable(self) -> bool:
        """Whether a push message can arrive in at least one of the apps."""
        return self.is_known and not self.why_not and any(use.is_reachable for use in self.apps)


def reachable_apps(app_users: pl.LazyFrame, apps: Iterable[AppSettings]) -> pl.LazyFrame:
    """Which of the apps each customer uses, and whether a push can arrive there.

    Args:
        app_users: customer_id (text), app_id (text), push_enabled (boolean), app_version (text, null if unknown).
        apps: the apps to look at.

    Returns:
        one row for each customer and app: customer_id, app_id, platform, has_sdk, push_enabled. A version that isn't
        known counts as one with the SDK, since only apps that report one can be too old; push that isn't known to be on
        is off.
    """
    known = pl.LazyFrame(
        [(app.id, app.platform, app.sdk_from_version) for app in apps],
        schema={"app_id": pl.String, "platform": pl.String, "sdk_from": pl.String},
        orient="row",
    ).with_columns(needed=version_key(pl.col("sdk_from")))
    # There are few versions, and each is taken apart once, not with every user.
    versions = app_users.select("app_version").unique().with_columns(version=version_key(pl.col("app_version")))
    return (
        app_users.join(known, on="app_id", how="inner")
        .join(versions, on="app_version", how="left", nulls_equal=True)
        .with_columns(
            has_sdk=pl.col("sdk_from").is_null()
            | pl.col("app_version").is_null()
            | (pl.col("version") >= pl.col("needed"))
        )
        .select("customer_id", "app_id", "platform", "has_sdk", pl.col("push_enabled").fill_null(False))
    )


def version_key(version: pl.Expr) -> pl.Expr:
    """A text that sorts as versions do: `3.10.0` after `3.9`, and `3.2` equal to `3.2.0`.

    The first four numbers count, each up to 18 digits, since a build number may be a time; a version without any number
    sorts first.
    """
    numbers = version.str.extract_all(r"\d+")
    return pl.concat_str(numbers.list.get(i, null_on_oob=True).fill_null("0").str.zfill(18) for i in range(4))


def reach_figures(app_users: pl.LazyFrame, groups: Iterable[AppGroupSettings]) -> pl.DataFrame:
    """How many customers use each app and each app group (by their ids), have push enabled, and have the SDK.

    Returns a frame with FIGURES. In an app group, a customer is reachable who has push and SDK in one and the same app.
    """
    groups = tuple(groups)
    of_group = pl.LazyFrame(
        [(group.id, app.id) for group in groups for app in group.apps],
        schema={"app_group": pl.String, "app_id": pl.String},
        orient="row",
    )
    uses = reachable_apps(app_users, [app for group in groups for app in group.apps]).join(of_group, on="app_id")
    uses = uses.with_columns(reachable=pl.col("has_sdk") & pl.col("push_enabled")).collect().lazy()
    by_app = uses.group_by("app_group", "app_id").agg(
        users=pl.len(),
        push_enabled=pl.col("push_enabled").sum(),
        with_sdk=pl.col("has_sdk").sum(),
        reachable=pl.col("reachable").sum(),
    )
    in_group = uses.group_by("app_group", "customer_id").agg(pl.col("push_enabled", "has_sdk", "reachable").any())
    by_group = in_group.group_by("app_group").agg(
        pl.lit(None, pl.String).alias("app_id"),
        users=pl.len(),
        push_enabled=pl.col("push_enabled").sum(),
        with_sdk=pl.col("has_sdk").sum(),
        reachable=pl.col("reachable").sum(),
    )
    names = [(group.id, app_id) for group in groups for app_id in (None, *(app.id for app in group.apps))]
    everything = pl.LazyFrame(names, schema={"app_group": pl.String, "app_id": pl.String}, orient="row")
    found = pl.concat([by_app, by_group], how="diagonal").with_columns(pl.col(FIGURES.names()[2:]).cast(pl.Int64))
    return (
        everything.join(found, on=["app_group", "app_id"], how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.col(FIGURES.names()[2:]).fill_null(0))
        .select(FIGURES.names())
        .collect()
    )


def reach_nights(snapshot: Snapshot, settings: Settings, *, night: date | None = None) -> pl.DataFrame:
    """The figures of reach of every night that is kept, and of the version's own: day, and FIGURES.

    `night` (the version's newest, when none is given) is counted from the tables, also when it was counted before: a
    corrected delivery may have come since.
    """
    night = night or max(snapshot.import_date, snapshot.model_date or date.min)
    kept = snapshot.table(REACH).collect() if snapshot.has(REACH) else None
    figures = reach_figures(snapshot.table("app_users"), settings.app_groups)
    mine = figures.select(pl.lit(night).alias("day"), pl.all())
    return mine if kept is None else pl.concat([kept.filter(pl.col("day") != night), mine])


def reach_by_night(
    snapshot: Snapshot, settings: Settings, groups: Sequence[AppGroupSettings], since: date, until: date
) -> pl.DataFrame:
    """The figures of some app groups from one night to another, with the names of groups and apps."""
    told = pl.DataFrame(
        [(group.id, app.id, app.name, app.platform) for group in groups for app in group.apps],
        schema=dict.fromkeys(("app_group", "app_id", "app", "platform"), pl.String),
        orient="row",
    )
    shown = {group.id: group.name for group in groups}
    rows = reach_nights(snapshot, settings)
    rows = rows.filter(pl.col("app_group").is_in(list(shown)), pl.col("day").is_between(since, until))
    # An app that is no longer in the settings keeps its past under its id.
    found = rows.join(told, on=["app_group", "app_id"], how="left", maintain_order="left")
    shown_as = (pl.col("app_group").replace(shown), "app_id", pl.coalesce("app", "app_id").alias("app"), "platform")
    return found.select("day", *shown_as, *FIGURES.names()[2:]).sort("day", maintain_order=True)


def customer_reach(snapshot: Snapshot, customer_id: str, groups: Iterable[AppGroupSettings]) -> CustomerReach:
    """Whether a push message can reach a customer in each app of some groups, and if not, why."""
    mine = pl.col("customer_id") == customer_id
    person = snapshot.table("customers").filter(mine).collect()
    return CustomerReach(
        customer_id=customer_id,
        day=snapshot.import_date,
        is_known=not person.is_empty(),
        why_not=tuple(REASONS[reason] for reason, holds in kept_away(person).items() if holds.any()),
        apps=uses_of(snapshot.table("app_users").filter(mine), groups),
    )


def uses_of(app_users: pl.LazyFrame, groups: Iterable[AppGroupSettings]) -> tuple[AppUse, ...]:
    """Every app of the groups for one customer, whose app users these are: used or not, reachable or why not."""
    pairs = [(group, app) for group in groups for app in group.apps]
    mine = {row["app_id"]: row for row in app_users.select("app_id", "app_version").collect().to_dicts()}
    state = {row["app_id"]: row for row in reachable_apps(app_users, [app for _, app in pairs]).collect().to_dicts()}
    return tuple(
        AppUse(
            app_group=group.name,
            app_id=app.id,
            app=app.name,
            platform=app.platform,
            is_used=app.id in mine,
            app_version=mine.get(app.id, {}).get("app_version"),
            why_not=_why_not(app, state.get(app.id), mine.get(app.id, {}).get("app_version")),
        )
        for group, app in pairs
    )


def _why_not(app: AppSettings, state: dict[str, Any] | None, version: str | None) -> str:
    if state is None:
        return "doesn't use it"
    reasons = {
        f"has version {version}, and the Appboy SDK is in {app.sdk_from_version} and later": not state["has_sdk"],
        "has push switched off": not state["push_enabled"],
    }
    return " and ".join(reason for reason, holds in reasons.items() if holds)


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
