"""What a batch asks of Appboy. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Raw

from optinb.appboy import Recipient, Schedule, ScheduleRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.state import FrozenAudience

EARLIEST_ZONE = timedelta(hours=14)  # Kiritimati: nowhere on earth does an hour strike earlier
LATEST_ZONE = timedelta(hours=-12)  # Baker Island: nowhere later


def first_moment(wall: datetime) -> datetime:
    """The moment, in UTC, at which the earliest time zone shows this date and time of day (which has no offset).

    It is what `send_at` holds of a send in every customer's own time.
    """
    return wall.replace(tzinfo=UTC) - EARLIEST_ZONE


def last_moment(audience: FrozenAudience) -> datetime:
    """The moment, in UTC, at which the last recipients get the message."""
    return audience.send_at + (EARLIEST_ZONE - LATEST_ZONE if audience.in_local_time else timedelta(0))


def schedule_of(audience: FrozenAudience) -> Schedule:
    """When the messages go out, as Appboy is told: a moment in UTC, or a time of day without an offset."""
    at = audience.send_at.astimezone(UTC)
    if audience.in_local_time:
        return Schedule((at + EARLIEST_ZONE).strftime("%Y-%m-%dT%H:%M:%S"), in_local_time=True)
    return Schedule(at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def request_for(template_id: str, schedule: Schedule, rows: Iterable[tuple[str, str]]) -> ScheduleRequest:
    """The body for a batch; each row is an external_user_id and the properties as JSON text.

    It names customers one by one and never broadcasts. `send_to_existing_only` is left out: its documented default is
    true, so that Appboy doesn't make a user of an id that it doesn't know.
    """
    return ScheduleRequest(
        campaign_id=template_id,
        recipients=tuple([Recipient(user, Raw(properties.encode())) for user, properties in rows]),
        schedule=schedule,
    )
