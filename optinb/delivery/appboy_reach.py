"""How far IT's table of app users is from what Appboy knows: a sample of customers, app by app. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from optinb.base.figures import share
from optinb.base.intervals import wilson
from optinb.segments.reach import reachable_apps

if TYPE_CHECKING:
    from optinb.appboy import Exported
    from optinb.base.settings import AppGroupSettings, AppSettings

FIELDS = ("external_id", "push_tokens")
FEW = 0.9  # of reachable customers with a token; a missing tenth is more than the day between two deliveries explains


class TokenShare(Struct, frozen=True, kw_only=True):
    """Of some customers, how many Appboy was asked about and has a push token of.

    Attributes:
        customers: how many there are.
        asked: how many of them were drawn and asked about.
        with_token: of how many of these Appboy has a push token that is switched on.
    """

    customers: int
    asked: int
    with_token: int

    @property
    def share(self) -> float | None:
        """The share with a token, from 0 to 1; None where nobody was asked about."""
        return self.with_token / self.asked if self.asked else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that share among all of them; a point where everybody was asked about."""
        if self.asked and self.asked == self.customers:
            return self.with_token / self.asked, self.with_token / self.asked
        return wilson(self.share or 0.0, self.asked)

    @property
    def words(self) -> str:
        """The share and its interval, such as "93.0 % (90.1 % to 95.2 %)", or that nobody was asked about."""
        if self.share is None:
            return "nobody asked about"
        low, high = self.interval
        return share(self.share) + (f" ({share(low)} to {share(high)})" if low < high else "")


class AppReachAtAppboy(Struct, frozen=True, kw_only=True):
    """One app as the table of app users has it, beside Appboy.

    Attributes:
        app_id: of the settings.
        app: its name.
        platform: ios, android, kindle or web.
        reachable: the customers whom a push reaches in this app, by the table.
        others: the customers of the app group whom a push reaches in none of its apps, by the table.
    """

    app_id: str
    app: str
    platform: str
    reachable: TokenShare
    others: TokenShare

    @property
    def warning(self) -> str | None:
        """What to say where Appboy certainly lacks many of those whom the table calls reachable; None elsewhere."""
        if self.reachable.interval[1] >= FEW:
            return None
        return (
            f"{self.app}: of the customers whom app_users calls reachable there Appboy has a push token of only "
            f"{self.reachable.words}; the others get no message: ask IT how push_enabled and app_version are found"
        )


class ReachSample(Struct, frozen=True, kw_only=True):
    """What asking Appboy about a sample of an app group's customers told of the table of app users.

    Attributes:
        app_group: its name.
        app_group_id: its id in the settings.
        night: whose tables were compared.
        taken_at: when Appboy was asked, in UTC.
        apps: in the order of the settings.
        problem: why nothing could be told; empty where something could.
    """

    app_group: str
    app_group_id: str
    night: date
    taken_at: datetime
    apps: tuple[AppReachAtAppboy, ...] = ()
    problem: str = ""


def draw(customers: pl.LazyFrame, app_users: pl.LazyFrame, group: AppGroupSettings, *, most: int, seed: int) -> Drawn:
    """Who is asked about: half of them reachable by the table, the other half not, as far as there are as many.

    Args:
        customers: customer_id, external_user_id.
        app_users: as in `reachable_apps`.
        group: whose apps are compared.
        most: how many customers at most.
        seed: of the draw; the same gives the same customers.
    """
    uses = reachable_apps(app_users, group.apps).filter("has_sdk", "push_enabled")
    there = uses.group_by("customer_id").agg(apps=pl.col("app_id").unique())
    known = (
        customers.filter(pl.col("external_user_id").fill_null("") != "")
        .select("customer_id", "external_user_id")
        .join(there, on="customer_id", how="left")
        .group_by("external_user_id")
        .agg(apps=pl.col("apps").explode().drop_nulls().unique())
        .sort("external_user_id")
        .collect()
    )
    is_reachable = known["apps"].list.len() > 0
    parts = [known.filter(is_reachable), known.filter(~is_reachable)]
    half = most // 2
    sizes = [min(part.height, max(half, most - other.height)) for part, other in zip(parts, parts[::-1], strict=True)]
    drawn = [part.sample(size, seed=seed) for part, size in zip(parts, sizes, strict=True)]
    by_app = known["apps"].explode().drop_nulls().value_counts()
    counts = dict(by_app.iter_rows())
    return Drawn(pl.concat(drawn), {app.id: counts.get(app.id, 0) for app in group.apps}, parts[1].height)


class Drawn(Struct, frozen=True):
    """Customers who are asked about.

    Attributes:
        people: external_user_id (text) and apps (list of app ids in which the table calls them reachable).
        reachable: how many customers the table calls reachable, by app id.
        others: how many it calls out of reach in every app of the app group.
    """

    people: pl.DataFrame
    reachable: Mapping[str, int]
    others: int

    @property
    def ids(self) -> list[str]:
        """The external user ids."""
        return self.people["external_user_id"].to_list()


def compared(drawn: Drawn, answers: Sequence[Exported], group: AppGroupSettings) -> tuple[AppReachAtAppboy, ...]:
    """What Appboy's answers about drawn customers say of each app.

    Whom an answer neither names nor calls unknown is left out: of them nobody knows anything.
    """
    tokens: dict[str, set[str]] = {}
    for answer in answers:
        tokens.update((user, set()) for user in answer.invalid_user_ids)
        for user in answer.users:
            tokens[user.external_id] = {app for token in user.push_tokens for app in _apps_of(token, group.apps)}
    asked = [(apps, tokens[user]) for user, apps in drawn.people.iter_rows() if user in tokens]

    def of(app: AppSettings, held: list[set[str]], customers: int) -> TokenShare:
        return TokenShare(customers=customers, asked=len(held), with_token=sum(app.id in one for one in held))

    return tuple(
        AppReachAtAppboy(
            app_id=app.id,
            app=app.name,
            platform=app.platform,
            reachable=of(app, [held for apps, held in asked if app.id in apps], drawn.reachable[app.id]),
            others=of(app, [held for apps, held in asked if not apps], drawn.others),
        )
        for app in group.apps
    )


def _apps_of(token: Mapping[str, Any], apps: Sequence[AppSettings]) -> list[str]:
    """The apps that a push token can be of: those of its platform, or the one of them that it names."""
    if token.get("notifications_enabled") is False:
        return []
    platform, name = str(token.get("platform", "")).casefold(), str(token.get("app", "")).casefold()
    there = [app for app in apps if app.platform in platform]
    named = [app for app in there if app.name.casefold() == name]
    return [app.id for app in named or there]
