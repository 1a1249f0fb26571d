"""The sandbox's world as values: app groups with their campaigns and users, and what has been taken for them.

An `AppGroup` and what hangs on it is frozen and describes what a team has set up in the dashboard. A `World` adds what
happened through the API. It only changes by `apply(world, change)`, with changes that `optinb.sandbox.handle` decided
on; they are applied in place, because a rehearsal takes a million recipients through one world.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

CHANNEL_OF = {"ios": "ios_push", "android": "android_push", "kindle": "kindle_push", "web": "web_push"}
PLATFORM_OF = {channel: platform for platform, channel in CHANNEL_OF.items()}


def check_zone(name: str) -> None:
    """Raises ValueError for what is no IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is no time zone; write an IANA name such as 'Europe/Berlin'") from error


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A REST API key; `permissions` None means all of them, no `allowed_addresses` means from anywhere."""

    key: str
    permissions: tuple[str, ...] | None = None
    allowed_addresses: tuple[str, ...] = ()


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """What Appboy knows of a customer: an IANA time zone and the platforms with a push token."""

    time_zone: str | None = None
    push: tuple[str, ...] = ("ios", "android")

    def __post_init__(self) -> None:
        check_zone(self.time_zone or "UTC")


ANYBODY = User()


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Requests that an app group may make; `days_ahead` is how far a schedule may reach.

    `hour_s` is how long the sandbox's hour lasts, so that a test of pacing needn't take one.
    """

    an_hour: int = 250_000
    hour_s: Annotated[int, Meta(ge=1)] = 3600
    export_a_minute: int = 250
    send_ids_a_day: int = 100
    days_ahead: int = 90


class Rates(Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the recipients who open a push directly, bounce, or convert after it, and revenue a conversion."""

    opened: float = 0.08
    bounced: float = 0.005
    converted: float = 0.02
    revenue: float = 25.0


class DashboardCampaign(Struct, frozen=True, forbid_unknown_fields=True):
    """A campaign as the dashboard holds it; `messages` maps a variation's id to its wire form."""

    id: str
    name: str
    messages: dict[str, dict[str, Any]] = {}
    schedule_type: str = "api_triggered"
    channels: tuple[str, ...] = ()
    draft: bool = False
    archived: bool = False
    enabled: bool = True
    is_api_campaign: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    created_at: datetime = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
    updated_at: datetime = datetime(2026, 10, 5, 14, 30, tzinfo=UTC)
    conversion_behaviors: tuple[dict[str, Any], ...] = ()

    def platforms(self) -> tuple[str, ...]:
        """The platforms that this campaign has a push message for, in the order of the messages."""
        found = (PLATFORM_OF.get(message.get("channel", "")) for message in self.messages.values())
        return tuple(dict.fromkeys(platform for platform in found if platform))


class AppGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """An app group; `users` None means that every external_user_id is known and has a token on every platform."""

    id: str
    name: str
    keys: tuple[Key, ...] = ()
    auth: Literal["rest_api_key", "app_group_id", "either"] = "rest_api_key"
    allowed_addresses: tuple[str, ...] = ()
    campaigns: tuple[DashboardCampaign, ...] = ()
    users: dict[str, User] | None = None
    time_zone: str = "UTC"
    limits: Limits = Limits()
    rates: Rates = Rates()

    def __post_init__(self) -> None:
        check_zone(self.time_zone)

    def campaign(self, campaign_id: str) -> DashboardCampaign | None:
        """The campaign of that id, archived and draft ones included."""
        return next((campaign for campaign in self.campaigns if campaign.id == campaign_id), None)

    def user(self, external_user_id: str) -> User | None:
        """The user of that id, None where Appboy doesn't know it."""
        return ANYBODY if self.users is None else self.users.get(external_user_id)


class DispatchPlan(Struct, frozen=True, gc=False):
    """When a dispatch goes out, as it was asked between `since` and `until` (None: still).

    `at` is aware for a moment in UTC, naive for each user's own time.
    """

    at: datetime
    since: datetime
    until: datetime | None = None


class Dispatch(Struct, frozen=True, gc=False):
    """One accepted request; `recipients` is JSON, a list of {external_user_id, trigger_properties} as merged."""

    number: int
    dispatch_id: str
    schedule_id: str | None
    app_group_id: str
    campaign_id: str
    send_id: str | None
    taken_at: datetime
    schedule: dict[str, Any] | None
    plans: tuple[DispatchPlan, ...]
    ids: tuple[str, ...]
    recipients: bytes


class Tally(Struct, frozen=True, gc=False):
    """What becomes of a dispatch in time, as long as nobody changes it or its app group.

    `arrivals` are the users that it reaches at a moment; `events` are moment, figure, platforms and how often.
    """

    dispatch: Dispatch
    group: AppGroup
    arrivals: tuple[tuple[datetime, tuple[str, ...]], ...]
    events: tuple[tuple[datetime, str, tuple[str, ...], int], ...]


class Counted(Struct, frozen=True):
    """A request was counted in a rate window; `bucket` names app group and limit."""

    bucket: tuple[str, str]
    window: int


class Taken(Struct, frozen=True):
    """A schedule/create or a trigger/send was accepted."""

    endpoint: str
    dispatch: Dispatch


class Rescheduled(Struct, frozen=True):
    """A schedule/update or schedule/delete was accepted; `schedule` is None for a delete."""

    endpoint: str
    dispatch: Dispatch
    at: datetime
    schedule: dict[str, Any] | None


class SendIdMade(Struct, frozen=True):
    """A send_id was created for a campaign."""

    app_group_id: str
    campaign_id: str
    send_id: str
    at: datetime


Change = Counted | Taken | Rescheduled | SendIdMade


class World:
    """App groups and everything that was taken for them. Changed by `apply`, and by `put` for what people set up."""

    def __init__(self, app_groups: Iterable[AppGroup], *, seed: str | None = None) -> None:
        self.app_groups: dict[str, AppGroup] = {group.id: group for group in app_groups}
        # ids differ from one start of a sandbox to the next, unless a test wants the same ones
        self.seed: str = seed or uuid.uuid4().hex
        self.dispatches: list[Dispatch] = []
        self.by_schedule: dict[str, int] = {}
        self._by_user: dict[tuple[str, str], list[int]] = {}
        self._indexed = 0
        self._tallies: dict[int, Tally] = {}
        self.by_campaign: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.send_ids: dict[tuple[str, str], datetime] = {}
        self.counts: dict[tuple[str, str], tuple[int, int]] = {}

    def group(self, name_or_id: str) -> AppGroup:
        """The app group of that name or id. Raises KeyError."""
        for group in self.app_groups.values():
            if name_or_id in (group.id, group.name):
                return group
        raise KeyError(name_or_id)

    def put(self, group: AppGroup) -> None:
        """Adds or replaces an app group, as when somebody edits it in the dashboard."""
        self.app_groups[group.id] = group

    def put_campaign(self, group: str, campaign: DashboardCampaign) -> None:
        """Adds a campaign to an app group (by name or id), or replaces the one of the same id."""
        found = self.group(group)
        others = tuple(c for c in found.campaigns if c.id != campaign.id)
        order = {c.id: i for i, c in enumerate(found.campaigns)}
        both = sorted((*others, campaign), key=lambda c: order.get(c.id, len(order)))
        self.put(msgspec.structs.replace(found, campaigns=tuple(both)))

    def drop_campaign(self, group: str, campaign_id: str) -> None:
        """Removes a campaign from an app group, as if it had never been."""
        found = self.group(group)
        self.put(msgspec.structs.replace(found, campaigns=tuple(c for c in found.campaigns if c.id != campaign_id)))

    def taken_for(self, app_group_id: str, external_user_id: str) -> list[Dispatch]:
        """Every dispatch that names a user of an app group, in order."""
        # indexed when somebody asks, so that a sender's requests don't pay for what only an export needs
        for dispatch in self.dispatches[self._indexed :]:
            for user in dispatch.ids:
                self._by_user.setdefault((dispatch.app_group_id, user), []).append(dispatch.number)
        self._indexed = len(self.dispatches)
        return [self.dispatches[number] for number in self._by_user.get((app_group_id, external_user_id), ())]

    def tally(self, number: int, make: Callable[[Dispatch, AppGroup], Tally]) -> Tally:
        """What becomes of a dispatch, counted when somebody asks, and again when it or its app group has changed."""
        dispatch = self.dispatches[number]
        group, there = self.app_groups[dispatch.app_group_id], self._tallies.get(number)
        if there is None or there.dispatch is not dispatch or there.group is not group:
            there = self._tallies[number] = make(dispatch, group)
        return there

    def recipients(self, campaign_id: str) -> list[str]:
        """The external_user_ids taken for a campaign, in order, once for each request that named them."""
        return [user for d in self.dispatches if d.campaign_id == campaign_id for user in d.ids]


def apply(world: World, change: Change) -> None:
    """Makes a change that `handle` decided on."""
    match change:
        case Counted(bucket=bucket, window=window):
            known, count = world.counts.get(bucket, (window, 0))
            world.counts[bucket] = (window, count + 1 if known == window else 1)
        case Taken(dispatch=dispatch):
            world.dispatches.append(dispatch)
            if dispatch.schedule_id is not None:
                world.by_schedule[dispatch.schedule_id] = dispatch.number
            world.by_campaign[dispatch.app_group_id, dispatch.campaign_id].append(dispatch.number)
        case Rescheduled(dispatch=dispatch):
            world.dispatches[dispatch.number] = dispatch
        case SendIdMade(app_group_id=group, send_id=send_id, at=at):
            world.send_ids[group, send_id] = at


def delivered_at(dispatch: Dispatch, zone: str, now: datetime) -> datetime | None:
    """When a recipient in a time zone got this dispatch's message, None if not (yet).

    Each plan counted from when it was asked until it was replaced or recalled; a time that had already passed then
    means at once. Hence a recall close to the time reaches some of the zones and misses others, as with Appboy.
    """
    for plan in dispatch.plans:
        due = max(moment(plan.at, zone), plan.since)
        if plan.until is None or due <= plan.until:
            return due if due <= now else None
    return None


def moment(at: datetime, zone: str) -> datetime:
    """The UTC moment of a plan's time for somebody in a time zone."""
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def zone_of(group: AppGroup, external_user_id: str) -> str | None:
    """The time zone of a user (the company's where the user has none), None for an unknown user."""
    user = group.user(external_user_id)
    return None if user is None else user.time_zone or group.time_zone


def reached_platforms(group: AppGroup, campaign: DashboardCampaign, external_user_id: str) -> tuple[str, ...]:
    """The platforms on which a campaign reaches a user: where it has a message and the user a push token."""
    user = group.user(external_user_id)
    return () if user is None else tuple(p for p in campaign.platforms() if group.users is None or p in user.push)
