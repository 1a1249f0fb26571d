"""The requests that were taken, and the memory of what arrived from them, which later messages depend on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

CampaignKey = tuple[str, str]  # app group and campaign
_MINUTE = timedelta(minutes=1)


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

    @property
    def key(self) -> CampaignKey:
        """The campaign that it is for."""
        return self.app_group_id, self.campaign_id


def moment(at: datetime, zone: str) -> datetime:
    """The UTC moment of a plan's time for somebody in a time zone."""
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


class Slot(NamedTuple):
    """The minute in which a campaign with a speed limit is sent now, and how many messages it has."""

    minute: datetime
    taken: int


def next_slot(last: Slot | None, at: datetime, limit: int) -> Slot:
    """The slot of a campaign's next message that is due at `at`, after the `last` one that was given away."""
    minute = at.replace(second=0, microsecond=0)
    if last is None or minute > last.minute:
        return Slot(minute, 1)
    return Slot(last.minute, last.taken + 1) if last.taken < limit else Slot(last.minute + _MINUTE, 1)


class Receipt(NamedTuple):
    """A message of a campaign that arrived, from which dispatch and when."""

    campaign_id: str
    dispatch: int
    at: datetime


class Memory:
    """What later messages and questions need to know of earlier ones.

    Attributes:
        last: each user's last receipt of each campaign.
        sent: when a campaign's first and last message arrived.
        slots: the minute that a campaign with a speed limit has come to.
        tokens_gone: app group, user and platform of the push tokens that bounced.
    """

    def __init__(self) -> None:
        self.last: defaultdict[CampaignKey, dict[str, Receipt]] = defaultdict(dict)
        self.sent: dict[CampaignKey, tuple[datetime, datetime]] = {}
        self.slots: dict[CampaignKey, Slot] = {}
        self.tokens_gone: set[tuple[str, str, str]] = set()
        self._dispatched: Counter[tuple[CampaignKey, datetime | None]] = Counter()
        self._arrived: defaultdict[str, list[tuple[Receipt, Sequence[str]]]] = defaultdict(list)
        self._read: Counter[str] = Counter()
        self._by_user: defaultdict[str, dict[str, list[Receipt]]] = defaultdict(dict)

    def count(self, dispatch: Dispatch, users: int) -> None:
        """Counts users to whom messages of a dispatch go."""
        for instance in (None, dispatch.plans[-1].at):
            self._dispatched[dispatch.key, instance] += users

    def counted(self, dispatch: Dispatch, *, each_time: bool) -> int:
        """How many users the dispatch's campaign went to, ever or this time."""
        # not published what a time is for triggers by the API: here all that was scheduled for the same moment
        return self._dispatched[dispatch.key, dispatch.plans[-1].at if each_time else None]

    def note(self, key: CampaignKey, receipt: Receipt, users: Sequence[str]) -> None:
        """Notes whom a message arrived at; called in the order of time."""
        self.last[key].update(dict.fromkeys(users, receipt))
        first, _ = self.sent.get(key, (receipt.at, receipt.at))
        self.sent[key] = first, receipt.at
        self._arrived[key[0]].append((receipt, users))

    def of_user(self, app_group_id: str, user: str) -> Sequence[Receipt]:
        """Everything that a user got from an app group, in order."""
        # put in order when a frequency cap asks, so that worlds without one don't pay for it
        arrived, there = self._arrived[app_group_id], self._by_user[app_group_id]
        for receipt, users in arrived[self._read[app_group_id] :]:
            for one in users:
                there.setdefault(one, []).append(receipt)
        self._read[app_group_id] = len(arrived)
        return there.get(user, ())
