"""The calendar of campaigns as people change it: another day for a campaign, and how many customers each reaches."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import CampaignError, ConflictError

if TYPE_CHECKING:
    from optinb.campaigns import Campaign, CampaignRecord
    from optinb.delivery.journal.deliveries import Deliveries
    from optinb.planning.campaigns import Campaigns

Whence = Literal["counted", "night", "approval"]


class EntrySize(Struct, frozen=True, kw_only=True):
    """How many customers an entry of the calendar reaches, and whence that is known.

    Attributes:
        customers: how many.
        whence: "counted" by today's tables, of its last "night", or from the "approval".
        night: the one that it is of; None unless it is of one.
    """

    customers: int
    whence: Whence
    night: date | None = None

    @property
    def is_exact(self) -> bool:
        """Whether it was counted for the next date."""
        return self.whence == "counted"

    def words(self) -> str:
        """The size as people read it."""
        match self.whence:
            case "counted":
                return f"{self.customers:,}"
            case "night" | "approval":
                return f"about {self.customers:,}"
            case _:
                assert_never(self.whence)


def is_movable(record: CampaignRecord) -> bool:
    """Whether a campaign has a single date, and isn't over."""
    return record.campaign.schedule.date is not None and record.state != "done"


def moved(campaign: Campaign, to: date, *, today: date) -> Campaign:
    """A campaign of one date on another day.

    Raises CampaignError for one that recurs, its own day, or a day that has passed.
    """
    if campaign.schedule.date is None:
        raise CampaignError(
            f"{campaign.name!r} goes out {campaign.schedule.sentence()}, so that a single day of it can't be moved; "
            "open it in the planner to change its days"
        )
    if to == campaign.schedule.date:
        raise CampaignError(f"{campaign.name!r} goes out on {to} already; choose another day", field="schedule.date")
    if to < today:
        raise CampaignError(f"{to} has passed; choose today or a later day", field="schedule.date")
    return replace(campaign, schedule=replace(campaign.schedule, date=to))


def what_a_move_does(record: CampaignRecord, to: date) -> str:
    """What follows when a campaign is moved to another day, said before it is done."""
    name = record.campaign.name
    match record.state:
        case "draft" | "rejected" | "cancelled" | "submitted":
            return f"“{name}” is submitted for {to}, and waits for an approver"
        case "approved" | "held" | "running" | "paused":
            return (
                f"This makes a new version of “{name}” for {to}, which must be approved again: its approval ends now, "
                "and what is planned of it and not sent yet is stopped"
            )
        case "done":
            return f"“{name}” is over, and can't be moved; copy it under another name"
        case _:
            assert_never(record.state)


def move(campaigns: Campaigns, record: CampaignRecord, to: date, *, today: date) -> CampaignRecord:
    """Submits a campaign for another day, as it was seen.

    Raises CampaignError for what can't be moved, ConflictError when somebody changed it since it was shown.
    """
    now = campaigns.get(record.id)
    if now.version != record.version:
        raise ConflictError(f"{record.campaign.name!r} was changed since you looked at it; look again, then move it")
    return campaigns.submit(moved(now.campaign, to, today=today))


def last_known(record: CampaignRecord, deliveries: Deliveries) -> EntrySize | None:
    """The size of a campaign without counting: of its last night, else about the one that was approved."""
    nights = deliveries.list(campaign_id=record.id)
    if nights:
        return EntrySize(customers=nights[0].recipients, whence="night", night=nights[0].run_date)
    if record.approval is not None:
        high = record.approval.band.high  # twice the number that was approved, or 50 more than that
        return EntrySize(customers=min(high // 2, high - 50) if high >= 100 else high - 50, whence="approval")
    return None
