"""The contact policy: how often, when, and with what rests between them customers may be written to. Pure values.

Everything counts in days: the day on which messages go out, in the workspace's time zone.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo

from msgspec import Struct

from optinb.campaigns.vendor_filters import TemplateSending
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.base.settings import CapSettings, PolicySection
    from optinb.campaigns.campaign import Campaign
    from optinb.campaigns.schedule import Schedule

GLOBAL_CONTROL = "global control"  # salt of the draw: whoever is in it stays in it
CALENDAR_DAYS = {"day": 1, "week": 7, "month": 31}


class Competitor(Struct, frozen=True, kw_only=True):
    """What the policy needs to know of a campaign; `order` sorts those of a night, and whoever comes first chooses.

    `sendings`: as what and when each of its messages goes out, where Appboy's own filters are looked at, too.
    """

    campaign_id: str
    app_group_id: str
    day: date
    priority: int = 50
    exclusion_days: int = 0
    measurement_days: int = 0
    has_control: bool = False
    ignore_others: bool = False
    sendings: tuple[TemplateSending, ...] = ()

    @classmethod
    def of(
        cls, campaign: Campaign, *, app_group_id: str, day: date, sendings: tuple[TemplateSending, ...] = ()
    ) -> Competitor:
        """A campaign whose messages go out on a day."""
        return cls(
            campaign_id=campaign.id,
            app_group_id=app_group_id,
            day=day,
            priority=campaign.priority,
            exclusion_days=campaign.exclusion_days,
            measurement_days=campaign.measurement_days,
            has_control=campaign.control > 0,
            ignore_others=campaign.ignore_others,
            sendings=sendings,
        )

    @property
    def order(self) -> tuple[date, int, str]:
        """The earlier day first, then the larger priority, then the id, which no two campaigns share."""
        return (self.day, -self.priority, self.campaign_id)

    @property
    def own_days(self) -> int:
        """Days from its own on in which its customers must not have been promised to another campaign already."""
        return max(self.exclusion_days, self.measurement_days if self.has_control else 0)


def in_window(cap: CapSettings, contact: date, day: date) -> bool:
    """Whether a contact on one day counts against a cap for a message on another.

    A rolling window looks both ways, so that no `days` days in a row hold more than the cap, whichever was planned
    first.
    """
    if cap.days is not None:
        return abs((day - contact).days) < cap.days
    match cap.per:
        case "day":
            return contact == day
        case "week":
            return contact.isocalendar()[:2] == day.isocalendar()[:2]
        case "month":
            return (contact.year, contact.month) == (day.year, day.month)
        case None:
            return False
        case _:
            assert_never(cap.per)


def days_back(policy: PolicySection, campaigns: Iterable[Campaign]) -> int:
    """How many days of history the policy looks at."""
    caps = (cap.days or CALENDAR_DAYS[cap.per or "day"] for cap in policy.caps)
    return max([1, *caps, *(max(c.exclusion_days, c.measurement_days) for c in campaigns)])


def is_quiet(policy: PolicySection, at: time) -> bool:
    """Whether a time of day lies in the quiet hours; they may run over midnight, and their end is outside."""
    if policy.quiet_from is None or policy.quiet_until is None:
        return False
    begin, end = time.fromisoformat(policy.quiet_from), time.fromisoformat(policy.quiet_until)
    at = at.replace(tzinfo=None)
    return begin <= at < end if begin <= end else at >= begin or at < end


def quiet_zones(
    policy: PolicySection, schedule: Schedule, night: date, *, zone: ZoneInfo, zones: Iterable[str]
) -> frozenset[str]:
    """The time zones in whose quiet hours the messages of a night would arrive."""
    if schedule.clock != "workspace":
        return frozenset()
    at: datetime = schedule.send_at(night, zone)
    return frozenset(name for name in zones if is_quiet(policy, at.astimezone(ZoneInfo(name)).time()))


def check_quiet(policy: PolicySection, schedule: Schedule) -> None:
    """Refuses a time of each customer's own clock that can't keep the quiet hours. Raises CampaignError."""
    hours = f"the quiet hours, {policy.quiet_from} to {policy.quiet_until}"
    if schedule.clock == "local" and is_quiet(policy, schedule.time):
        raise CampaignError(
            f"{schedule.at} of each customer's own clock lies in {hours}; choose another time", field="schedule.at"
        )
    if schedule.clock == "optimal" and policy.quiet_from is not None:
        raise CampaignError(
            f'with clock = "optimal" Appboy chooses the time, and nobody can promise that it keeps {hours}; choose '
            'clock = "local", or take quiet_from and quiet_until out of [policy]',
            field="schedule.clock",
        )
