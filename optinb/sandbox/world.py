"""The sandbox's world as values: app groups with their campaigns and users, and what has been taken for them.

The app groups are what a team has set up in the dashboard. A `World` adds what happened through the API. It only
changes by `apply(world, change)`, with changes that `optinb.sandbox.handle` decided on; they are applied in place,
because a rehearsal takes a million recipients through one world. `deliveries` decides what becomes of them in time.
"""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from optinb.sandbox.dashboard import AppGroup, DashboardCampaign, Rates
from optinb.sandbox.deliveries import DecidedMessages, Fate
from optinb.sandbox.dispatches import Dispatch
from optinb.sandbox.filters import in_global_control


class Reactions(Struct, frozen=True, gc=False):
    """What people did after a dispatch, as long as its deliveries are so many and the rates are these.

    `events` are moment, figure and platforms.
    """

    rates: Rates
    decided: int
    events: tuple[tuple[datetime, str, tuple[str, ...]], ...]


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
        self.deliveries: DecidedMessages = DecidedMessages(self.dispatches, self.app_groups, seed=self.seed)
        self.reactions: dict[int, Reactions] = {}
        self.clock: Callable[[], datetime] | None = None  # of the sandbox that serves this world
        self.by_schedule: dict[str, int] = {}
        self.by_campaign: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.send_ids: dict[tuple[str, str], datetime] = {}
        self.counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._deciding = threading.RLock()

    def group(self, name_or_id: str) -> AppGroup:
        """The app group of that name or id. Raises KeyError."""
        for group in self.app_groups.values():
            if name_or_id in (group.id, group.name):
                return group
        raise KeyError(name_or_id)

    def put(self, group: AppGroup, *, now: datetime | None = None) -> None:
        """Adds or replaces an app group, as when somebody edits it in the dashboard.

        What was due by `now` (None: the time of the sandbox that serves this world) is decided before, as it was.
        """
        with self._deciding:
            if now is None and self.clock is not None:
                now = self.clock()
            self.deliveries.settle(now or datetime.min.replace(tzinfo=UTC))
            self.app_groups[group.id] = group

    def settled(self, now: datetime) -> DecidedMessages:
        """What became of the messages, decided until a moment."""
        with self._deciding:
            self.deliveries.settle(now)
            return self.deliveries

    def fates(self, campaign_id: str, now: datetime, *, send_id: str | None = None) -> list[Fate]:
        """The truth that the API doesn't tell: what became of each recipient whom a campaign's requests named.

        Args:
            campaign_id: of the campaign.
            now: until when, aware.
            send_id: only of the requests that bear it.
        """
        deliveries = self.settled(now)
        return [
            fate
            for dispatch in self.dispatches
            if dispatch.campaign_id == campaign_id and send_id in (None, dispatch.send_id)
            for fate in deliveries.fates(dispatch)
        ]

    def control_group(self, app_group: str) -> list[str]:
        """The members of an app group's (by name or id) Global Control Group, in order.

        Where everybody is known, only those of a drawn share can be told whom a request has named.
        """
        group = self.group(app_group)
        if group.global_control is None:
            return []
        named = {user for d in self.dispatches if d.app_group_id == group.id for user in d.ids}
        known = named if group.users is None else group.users.keys()
        drawn = {user for user in known if in_global_control(group, user, seed=self.seed)}
        return sorted(drawn | group.global_control.members.ids)

    def put_campaign(self, group: str, campaign: DashboardCampaign, *, now: datetime | None = None) -> None:
        """Adds a campaign to an app group (by name or id), or replaces the one of the same id."""
        found = self.group(group)
        others = tuple(c for c in found.campaigns if c.id != campaign.id)
        order = {c.id: i for i, c in enumerate(found.campaigns)}
        both = sorted((*others, campaign), key=lambda c: order.get(c.id, len(order)))
        self.put(msgspec.structs.replace(found, campaigns=tuple(both)), now=now)

    def drop_campaign(self, group: str, campaign_id: str, *, now: datetime | None = None) -> None:
        """Removes a campaign from an app group, as if it had never been."""
        found = self.group(group)
        left = tuple(c for c in found.campaigns if c.id != campaign_id)
        self.put(msgspec.structs.replace(found, campaigns=left), now=now)

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
        case Rescheduled(dispatch=dispatch, at=at):
            # who was due before it is asked for keeps what the plan of then brought
            deliveries = world.settled(at)
            world.dispatches[dispatch.number] = dispatch
            deliveries.replan(dispatch, at)
        case SendIdMade(app_group_id=group, send_id=send_id, at=at):
            world.send_ids[group, send_id] = at
