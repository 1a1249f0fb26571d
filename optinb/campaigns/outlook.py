"""What goes out when: the calendar of all campaigns. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.campaigns.schedule import MAX_DAYS_AHEAD

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from optinb.campaigns.campaign import Campaign


class Going(Struct, frozen=True, kw_only=True):
    """One entry of the calendar: a campaign goes out on a day; `night` schedules it, `at` as `Schedule.send_at`."""

    day: date
    night: date
    at: datetime
    campaign: str
    campaign_id: str


def calendar(
    campaigns: Iterable[Campaign], *, since: date, zone: ZoneInfo, days: int = MAX_DAYS_AHEAD
) -> tuple[Going, ...]:
    """What goes out on `days` days from a day on, in the order of its moments, then of names."""
    until = since + timedelta(days=days)
    found = [
        Going(
            day=day,
            night=night,
            at=campaign.schedule.send_at(night, zone),
            campaign=campaign.name,
            campaign_id=campaign.id,
        )
        for campaign in campaigns
        for night in campaign.schedule.nights(campaign.schedule.night_of(since), days=days)
        if (day := campaign.schedule.day_of(night)) < until
    ]
    return tuple(sorted(found, key=lambda going: (going.day, going.at, going.campaign.casefold(), going.campaign_id)))
