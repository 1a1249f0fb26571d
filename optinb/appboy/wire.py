"""What goes over the wire, as values: requests that are checked when made, replies that are read leniently.

Field names are the vendor's. Unknown fields of replies are ignored, because the vendor adds some without notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Raw, Struct, convert, field

from optinb.errors import AppboyError

MAX_RECIPIENTS = 50
MAX_EXPORTED = 50
MAX_SEND_ID = 64
SERIES_DAYS = 14
"""For so long Appboy restates its daily figures, and keeps those of a send_id."""


class Recipient(Struct, frozen=True, omit_defaults=True, gc=False):  # one for each customer, and never in a cycle
    """One customer of a request, by external_user_id, with their own trigger properties: a value, or JSON as it is."""

    external_user_id: str
    trigger_properties: Mapping[str, Any] | Raw = {}

    def __post_init__(self) -> None:
        if not self.external_user_id:
            raise AppboyError("a recipient has no external_user_id; leave customers without one out of the audience")


class WireSchedule(Struct, frozen=True, omit_defaults=True):
    """When a message goes out: ISO 8601, with an offset in UTC sending, without one in local or optimal time."""

    time: str
    in_local_time: bool = False
    at_optimal_time: bool = False

    def __post_init__(self) -> None:
        try:
            at = datetime.fromisoformat(self.time)
        except ValueError as error:
            raise AppboyError(f"{self.time!r} is no ISO 8601 time; write one such as '2026-11-23T17:30:00Z'") from error
        each_users_own = self.in_local_time or self.at_optimal_time
        if each_users_own and at.tzinfo is not None:
            raise AppboyError(
                f"{self.time!r} must not bear an offset, because every customer gets it in their own time"
            )
        if not each_users_own and at.tzinfo is None:
            raise AppboyError(f"{self.time!r} needs an offset; write one such as '{self.time}Z'")


class ScheduleRequest(Struct, frozen=True, omit_defaults=True):
    """The body of schedule/create: one batch of 1 to 50 recipients."""

    campaign_id: str
    recipients: tuple[Recipient, ...]
    schedule: WireSchedule
    trigger_properties: Mapping[str, Any] = {}
    send_id: str | None = None

    def __post_init__(self) -> None:
        check_batch(self.recipients, self.send_id)


class SendRequest(Struct, frozen=True, omit_defaults=True):
    """The body of trigger/send: one batch of 1 to 50 recipients, at once."""

    campaign_id: str
    recipients: tuple[Recipient, ...]
    trigger_properties: Mapping[str, Any] = {}
    send_id: str | None = None

    def __post_init__(self) -> None:
        check_batch(self.recipients, self.send_id)


def check_batch(recipients: tuple[Recipient, ...], send_id: str | None) -> None:
    """Raises AppboyError for a batch that Appboy would refuse, or that would reach somebody else than it says."""
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise AppboyError(f"a request takes 1 to {MAX_RECIPIENTS} recipients, this one has {len(recipients)}")
    ids = [recipient.external_user_id for recipient in recipients]
    if len(set(ids)) < len(ids):
        twice = next(user for user in ids if ids.count(user) > 1)
        raise AppboyError(f"the recipient {twice!r} stands twice in one request; Appboy would send only one of the two")
    if send_id is not None and not 0 < len(send_id) <= MAX_SEND_ID:
        raise AppboyError(f"a send_id has 1 to {MAX_SEND_ID} characters, {send_id!r} has {len(send_id)}")


class ScheduleKey(Struct, frozen=True):
    """The body of schedule/delete."""

    campaign_id: str
    schedule_id: str


class Reschedule(Struct, frozen=True):
    """The body of schedule/update; the new schedule replaces the old one wholly."""

    campaign_id: str
    schedule_id: str
    schedule: WireSchedule


class SendIdRequest(Struct, frozen=True, omit_defaults=True):
    """The body of sends/id/create."""

    campaign_id: str
    send_id: str | None = None


class ExportRequest(Struct, frozen=True):
    """The body of users/export/ids: up to 50 users."""

    external_ids: tuple[str, ...]
    fields_to_export: tuple[str, ...]


class CampaignLine(Struct, frozen=True):
    """A line of campaigns/list; `last_edited` is ISO 8601."""

    id: str
    name: str = ""
    is_api_campaign: bool = False
    tags: tuple[str, ...] = ()
    last_edited: str | None = None


class CampaignList(Struct, frozen=True):
    """A page of campaigns/list."""

    campaigns: tuple[CampaignLine, ...]


class CampaignDetails(Struct, frozen=True):
    """campaigns/details; `messages` maps a variation's id to {channel, name, title, alert, action, extras, …}."""

    name: str = ""
    schedule_type: str | None = None
    channels: tuple[str, ...] = ()
    messages: dict[str, dict[str, Any]] = {}
    archived: bool = False
    draft: bool = False
    enabled: bool = True
    created_at: str | None = None
    updated_at: str | None = None
    description: str | None = None
    first_sent: str | None = None
    last_sent: str | None = None
    tags: tuple[str, ...] = ()
    teams: tuple[str, ...] | None = None
    conversion_behaviors: tuple[dict[str, Any], ...] | None = None


class SendId(Struct, frozen=True):
    """The reply of sends/id/create."""

    send_id: str


class Engaged(Struct, frozen=True):
    """What a user did with a campaign's messages."""

    opened_push: bool = False


class CampaignReceived(Struct, frozen=True):
    """A campaign that a user received; `last_received` is ISO 8601, or what can't be read."""

    name: str = ""
    api_campaign_id: str | None = None
    last_received: Any = None
    engaged: Engaged = field(default_factory=Engaged)
    converted: bool = False


class ExportedUser(Struct, frozen=True):
    """A user of users/export/ids, with the fields that were asked for."""

    external_id: str = ""
    campaigns_received: tuple[CampaignReceived, ...] = ()
    push_tokens: tuple[dict[str, Any], ...] = ()
    apps: tuple[dict[str, Any], ...] = ()
    time_zone: str | None = None


class Exported(Struct, frozen=True):
    """The reply of users/export/ids; `invalid_user_ids` are those that Appboy doesn't know."""

    users: tuple[ExportedUser, ...]
    invalid_user_ids: tuple[str, ...] = ()


class VariationFigures(Struct, frozen=True):
    """A day's figures of one variation of a push message: counts of messages."""

    variation_api_id: str | None = None
    sent: int = 0
    direct_opens: int = 0
    total_opens: int = 0
    bounces: int = 0
    body_clicks: int = 0


class SeriesDay(Struct, frozen=True):
    """A day of a data series; `time` is the date, `messages` maps a channel to its variations' figures."""

    time: str
    messages: dict[str, tuple[dict[str, Any], ...]] = {}
    conversions: int = 0
    unique_recipients: int = 0
    revenue: float = 0.0

    def push(self, channel: str) -> tuple[VariationFigures, ...]:
        """The figures of a push channel such as `ios_push`, one for each variation.

        Raises msgspec.ValidationError for what is no figure.
        """
        told = [
            {name: value for name, value in row.items() if value is not None} for row in self.messages.get(channel, ())
        ]
        return tuple(convert(row, VariationFigures, strict=False) for row in told)


class Series(Struct, frozen=True):
    """The reply of campaigns/data_series and sends/data_series."""

    data: tuple[SeriesDay, ...] = ()
