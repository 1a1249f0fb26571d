"""To which moment what is scheduled already may be moved, and which messages of a night are still to be moved there."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING

from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.delivery.journal import Accepted, FrozenAudience
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from optinb.delivery.journal.deliveries import Deliveries


def still_to_move(
    deliveries: Deliveries, messages: Sequence[FrozenAudience], at: str, *, zone: ZoneInfo
) -> Sequence[FrozenAudience]:
    """Those of a night that aren't at a time yet, as where a move ended half-way; all of them where all are.

    Args:
        deliveries: the journal.
        messages: of one night of a campaign.
        at: the time of day, such as "19:30".
        zone: the workspace's.

    Raises:
        CampaignError: for what is no time, or a send whose time Appboy chooses.
    """
    left = [a for a in messages if _moment(a, at, zone=zone) != a.send_at or _is_half_moved(deliveries, a)]
    return left or messages


def moved_to(deliveries: Deliveries, audience: FrozenAudience, at: str, *, zone: ZoneInfo, now: datetime) -> datetime:
    """The moment of another time on the day of a send, where it may be moved there.

    Args:
        deliveries: the journal.
        audience: of the send.
        at: the time of day, such as "19:30".
        zone: the workspace's.
        now: in UTC.

    Raises:
        CampaignError: for one that isn't later, or that can't be moved at all.
    """
    send_at = _moment(audience, at, zone=zone)
    is_repeated = send_at == audience.send_at and _is_half_moved(deliveries, audience)
    if send_at <= max(audience.send_at, now) and not is_repeated:
        raise CampaignError(
            f"{audience.campaign_name!r} goes out at {_wall(audience, zone):%H:%M} and can only be moved to a later "
            f"time of that day, not to {at}; cancel it to send it earlier"
        )
    return send_at


def as_it_is_now(deliveries: Deliveries, audience: FrozenAudience, *, now: datetime) -> FrozenAudience:
    """A send that is to be moved, once nobody else works on it.

    Args:
        deliveries: the journal.
        audience: as it was before.
        now: in UTC.

    Raises:
        CampaignError: where it was cancelled or went out meanwhile.
    """
    there = deliveries.find(*audience.night)
    if there is None or there.cancelled != audience.cancelled or now >= there.send_at:
        raise CampaignError(
            f"{audience.campaign_name!r} was cancelled or went out meanwhile, so nothing of it was moved; "
            "`optinb status` shows what became of it"
        )
    return there


def _is_half_moved(deliveries: Deliveries, audience: FrozenAudience) -> bool:
    """Whether Appboy hasn't confirmed of all of it that it was moved."""
    accepted = deliveries.batches(*audience.night, state="accepted")
    return any(isinstance(batch.state, Accepted) and batch.state.before for batch in accepted)


def _wall(audience: FrozenAudience, zone: ZoneInfo) -> datetime:
    """The time that the clock shows by which a send goes out."""
    return audience.send_at + EARLIEST_ZONE if audience.clock == "local" else audience.send_at.astimezone(zone)


def _moment(audience: FrozenAudience, at: str, *, zone: ZoneInfo) -> datetime:
    """The moment of another time on the day of a send. Raises CampaignError."""
    if audience.clock == "optimal":
        raise CampaignError(f"Appboy chooses the time of {audience.campaign_name!r}; it can't be moved")
    try:
        clock = time.fromisoformat(at)
    except ValueError as error:
        raise CampaignError(f"{at!r} is no time of day; write one such as 19:30") from error
    wall = _wall(audience, zone)
    send_at = datetime.combine(wall.date(), clock, tzinfo=wall.tzinfo)
    return (send_at - EARLIEST_ZONE if audience.clock == "local" else send_at).astimezone(audience.send_at.tzinfo)
