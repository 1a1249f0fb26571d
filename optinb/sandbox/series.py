"""Daily figures in the sandbox, counted from what it delivered.

Who opens and who converts, and when, is a hash of dispatch and user against the app group's rates: the same world gives
the same figures, and a day's figures grow for some days afterwards, as Appboy restates them.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from optinb.sandbox.call import Call, CallResult, RefusedError, known_campaign, time_of, whole_number
from optinb.sandbox.world import (
    PLATFORM_OF,
    AppGroup,
    DashboardCampaign,
    Dispatch,
    Tally,
    delivered_at,
    reached_platforms,
    zone_of,
)

SEND_SERIES_DAYS = 14
_FIVE = struct.Struct(">5I")
_OPEN_WITHIN_S = 2 * 86_400
_CONVERT_WITHIN_S = 3 * 86_400
_EVER = datetime.max.replace(tzinfo=UTC)


def campaign_series(call: Call) -> CallResult:
    """The figures of a campaign for each of up to 100 days."""
    campaign = known_campaign(call, call.query.get("campaign_id"))
    days = _days(call)
    return CallResult({"message": "success", "data": _series(call, campaign, _dispatches(call, campaign), days)})


def send_series(call: Call) -> CallResult:
    """The same for the requests that bore one send_id, of the last 14 days."""
    campaign = known_campaign(call, call.query.get("campaign_id"))
    send_id = call.query.get("send_id", "")
    if (call.group.id, send_id) not in call.world.send_ids:
        raise RefusedError(400, "send_id must be a valid send id of the campaign")
    oldest = call.now.date() - timedelta(days=SEND_SERIES_DAYS)
    days = [day for day in _days(call) if day > oldest]
    dispatches = (dispatch for dispatch in _dispatches(call, campaign) if dispatch.send_id == send_id)
    return CallResult({"message": "success", "data": _series(call, campaign, dispatches, days)})


class Reaction(NamedTuple):
    """What a user does after a message: when they open it directly and convert, if ever, and whether it bounced."""

    opened: datetime | None
    converted: datetime | None
    bounced: bool


def reaction(group: AppGroup, dispatch: Dispatch, user: str, at: datetime) -> Reaction:
    """What a user does who got a dispatch's message at `at`."""
    digest = hashlib.blake2b(f"{dispatch.dispatch_id}|{user}".encode(), digest_size=20).digest()
    open_chance, open_after, convert_chance, convert_after, bounce_chance = _FIVE.unpack(digest)
    rates = group.rates
    return Reaction(
        at + timedelta(seconds=open_after % _OPEN_WITHIN_S) if open_chance < rates.opened * 2**32 else None,
        at + timedelta(seconds=convert_after % _CONVERT_WITHIN_S) if convert_chance < rates.converted * 2**32 else None,
        bounce_chance < rates.bounced * 2**32,
    )


def _days(call: Call) -> list[date]:
    length = whole_number(call.query, "length", default=None, least=1, most=100)
    text = call.query.get("ending_at")
    ending = call.now if text is None else time_of(text, complaint="ending_at must be an ISO 8601 time")
    last = ending.astimezone(UTC).date() if ending.tzinfo is not None else ending.date()
    return [last - timedelta(days=back) for back in reversed(range(length))]


def _dispatches(call: Call, campaign: DashboardCampaign) -> Iterator[Dispatch]:
    for number in call.world.by_campaign.get((call.group.id, campaign.id), ()):
        yield call.world.dispatches[number]


def _series(
    call: Call, campaign: DashboardCampaign, dispatches: Iterable[Dispatch], days: list[date]
) -> list[dict[str, Any]]:
    table = {day: _Day(campaign) for day in days}
    for dispatch in dispatches:
        tally = call.world.tally(dispatch.number, _tally)
        for at, users in tally.arrivals:
            if at <= call.now and (day := table.get(at.date())) is not None:
                day.users.update(users)
        for at, figure, platforms, count in tally.events:
            if at <= call.now and (day := table.get(at.date())) is not None:
                day.add(figure, platforms, count)
    return [{"time": day.isoformat(), **table[day].as_wire(call.group)} for day in days]


def _tally(dispatch: Dispatch, group: AppGroup) -> Tally:
    """Whom a dispatch reaches when, and what they do then."""
    campaign = group.campaign(dispatch.campaign_id)
    everywhere = campaign.platforms() if campaign else ()
    by_zone: dict[str, datetime | None] = {}
    arrivals: defaultdict[datetime, list[str]] = defaultdict(list)
    events: Counter[tuple[datetime, str, tuple[str, ...]]] = Counter()
    for user in dispatch.ids:
        zone = zone_of(group, user)
        if zone is None or campaign is None:
            continue
        if zone not in by_zone:
            by_zone[zone] = delivered_at(dispatch, zone, _EVER)
        at = by_zone[zone]
        reached = everywhere if group.users is None else reached_platforms(group, campaign, user)
        if at is None or not reached:
            continue
        arrivals[at].append(user)
        events[at, "sent", reached] += 1
        after = reaction(group, dispatch, user, at)
        if after.bounced:
            events[at, "bounces", reached] += 1
        if after.opened is not None:
            events[after.opened, "direct_opens", reached] += 1
        if after.converted is not None:
            events[after.converted, "conversions", reached] += 1
    return Tally(
        dispatch,
        group,
        # users who all arrive at once, as most do, take no memory of their own
        tuple((at, dispatch.ids if len(ids) == len(dispatch.ids) else tuple(ids)) for at, ids in arrivals.items()),
        tuple((*event, count) for event, count in events.items()),
    )


class _Day:
    """The figures of one day while they are counted."""

    def __init__(self, campaign: DashboardCampaign) -> None:
        self.conversions = 0
        self.users: set[str] = set()
        self.rows: dict[str, dict[str, Any]] = {}
        for variation, message in campaign.messages.items():
            platform = PLATFORM_OF.get(message.get("channel", ""))
            if platform is not None and platform not in self.rows:
                figures = dict.fromkeys(("sent", "direct_opens", "total_opens", "bounces", "body_clicks"), 0)
                self.rows[platform] = {"variation_api_id": variation, **figures}

    def add(self, figure: str, platforms: tuple[str, ...], count: int) -> None:
        if figure == "conversions":
            self.conversions += count
            return
        # what is sent counts on each platform, what somebody does on one
        for platform in platforms if figure == "sent" else platforms[:1]:
            row = self.rows[platform]
            row[figure] += count
            if figure == "direct_opens":
                row["total_opens"] += count

    def as_wire(self, group: AppGroup) -> dict[str, Any]:
        return {
            "messages": {f"{platform}_push": [row] for platform, row in self.rows.items()},
            "conversions": self.conversions,
            "unique_recipients": len(self.users),
            "revenue": round(self.conversions * group.rates.revenue, 2),
        }
