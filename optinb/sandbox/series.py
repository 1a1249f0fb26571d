"""Daily figures in the sandbox, counted from what it delivered.

Who opens and who converts, and when, is a hash of dispatch and user against the app group's rates: the same world gives
the same figures, and a day's figures grow for some days afterwards, as Appboy restates them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from optinb.sandbox.call import Call, CallResult, RefusedError, known_campaign, time_of, whole_number
from optinb.sandbox.world import Reactions, World

if TYPE_CHECKING:
    from optinb.sandbox.dashboard import AppGroup, DashboardCampaign
    from optinb.sandbox.deliveries import Decided
    from optinb.sandbox.dispatches import Dispatch

SEND_SERIES_DAYS = 14
_FIVE = struct.Struct(">5I")
_OPEN_WITHIN_S = 2 * 86_400
_CONVERT_WITHIN_S = 3 * 86_400


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
    deliveries = call.world.settled(call.now)
    for dispatch in dispatches:
        decided = deliveries.decided.get(dispatch.number, ())
        for one in decided:
            if one.at <= call.now and (day := table.get(one.at.date())) is not None:
                day.deliver(one)
        for at, figure, platforms in _reactions(call.world, call.group, dispatch, decided).events:
            if at <= call.now and (day := table.get(at.date())) is not None:
                day.react(figure, platforms)
    return [{"time": day.isoformat(), **table[day].as_wire(call.group)} for day in days]


def _reactions(world: World, group: AppGroup, dispatch: Dispatch, decided: Sequence[Decided]) -> Reactions:
    """What people do after a dispatch; counted once, and again when more has arrived or the rates are others."""
    known = world.reactions.get(dispatch.number)
    if known is not None and known.rates is group.rates and known.decided == len(decided):
        return known
    events: list[tuple[datetime, str, tuple[str, ...]]] = []
    for one in decided:
        for user in one.users if one.state == "delivered" else ():
            after = reaction(group, dispatch, user, one.at)
            if after.bounced:
                events.append((one.at, "bounces", one.platforms))
            if after.opened is not None:
                events.append((after.opened, "direct_opens", one.platforms))
            if after.converted is not None:
                events.append((after.converted, "conversions", one.platforms))
    world.reactions[dispatch.number] = found = Reactions(group.rates, len(decided), tuple(events))
    return found


class _Day:
    """The figures of one day while they are counted."""

    def __init__(self, campaign: DashboardCampaign) -> None:
        self.conversions = 0
        self.users: set[str] = set()
        figures = dict.fromkeys(("sent", "direct_opens", "total_opens", "bounces", "body_clicks"), 0)
        self.rows: dict[str, dict[str, Any]] = {
            platform: {"variation_api_id": variation, **figures}
            for platform, (variation, _) in campaign.by_platform().items()
        }

    def deliver(self, decided: Decided) -> None:
        """Counts what was sent on each platform; what bounces was sent, too."""
        if decided.state == "delivered":
            self.users.update(decided.users)
        for platform in (*decided.platforms, *decided.bounced):
            if row := self.rows.get(platform):
                row["sent"] += len(decided.users)
                row["bounces"] += len(decided.users) if platform in decided.bounced else 0

    def react(self, figure: str, platforms: tuple[str, ...]) -> None:
        """Counts what somebody did, on the first of their platforms."""
        if figure == "conversions":
            self.conversions += 1
        elif row := self.rows.get(platforms[0]):
            row[figure] += 1
            row["total_opens"] += figure == "direct_opens"

    def as_wire(self, group: AppGroup) -> dict[str, Any]:
        return {
            "messages": {f"{platform}_push": [row] for platform, row in self.rows.items()},
            "conversions": self.conversions,
            "unique_recipients": len(self.users),
            "revenue": round(self.conversions * group.rates.revenue, 2),
        }
