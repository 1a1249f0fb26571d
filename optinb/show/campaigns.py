"""Campaigns as text and HTML, and their calendar in few lines."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from optinb.base.figures import figure
from optinb.show.pages import page
from optinb.show.registry import Shown
from optinb.show.tables import local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from optinb.campaigns import CampaignRecord, Going, Schedule


def campaign_text(value: CampaignRecord) -> str:
    """A campaign, and where it stands."""
    c = value.campaign
    lines = [
        f"{c.name}: {value.state}" + (f" ({value.comment})" if value.comment else ""),
        f"  {c.channel}, {c.app_group}, template {c.template}, group {c.group}",
        f"  {c.schedule.sentence()}, control group {figure(100 * c.control)}%",
        f"  submitted by {value.author} {local_time(value.submitted_at)}",
    ]
    if value.approval:
        a = value.approval
        lines.append(
            f"  approved by {a.approver} {local_time(a.approved_at)} for {a.band.low:,} to {a.band.high:,} recipients"
        )
        lines.append(f"  fingerprint {a.fingerprint}")
    return "\n".join(lines)


def campaigns(records: Sequence[CampaignRecord]) -> str:
    """Campaigns and where they stand."""
    return page("campaigns.html.j2", records=records)


def folded(going: Iterable[Going], zone: ZoneInfo, schedules: Mapping[str, Schedule]) -> tuple[dict[str, Any], ...]:
    """A calendar with a line for each campaign: how often it goes out, from when to when, and at what time.

    `schedules`, by the campaigns' ids, say on whose clock; `zone` is the workspace's.
    """
    found: dict[str, list[Going]] = {}
    for one in going:
        found.setdefault(one.campaign, []).append(one)
    lines = []
    for name, days in found.items():
        first, last = days[0].day, days[-1].day
        daily = len(days) > 1 and (last - first).days + 1 == len(days)
        weekdays = " ".join(f"{date(2024, 1, n):%a}" for n in sorted({one.day.isoweekday() for one in days}))
        on = "every day" if daily else weekdays
        at = _time_of(days, schedules[days[0].campaign_id], zone)
        lines.append({"campaign": name, "times": len(days), "first": str(first), "last": str(last), "on": on, "at": at})
    return tuple(lines)


def _time_of(days: Iterable[Going], schedule: Schedule, zone: ZoneInfo) -> str:
    match schedule.clock:
        case "workspace":
            times = sorted({f"{one.at.astimezone(zone):%H:%M}" for one in days})
            return f"{', '.join(times)} {zone.key}"
        case "local":
            return f"{schedule.at}, their own clock"
        case "optimal":
            return "best time"


SHOWN = (Shown("optinb.campaigns.record.CampaignRecord", text=campaign_text, html=campaigns, many=True),)
