"""What a batch asks of Appboy. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, assert_never

from msgspec import Raw

from optinb.appboy import (
    Outcome,
    Recipient,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    ScheduleRequest,
    WireSchedule,
)
from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.delivery.batch import deadline, is_late

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.campaigns.schedule import Clock
    from optinb.delivery.journal import FrozenAudience

LATEST_ZONE = timedelta(hours=-12)  # Baker Island: nowhere on earth does an hour strike later
CONSISTENT = timedelta(minutes=5)
"""How long after the last message went out Appboy is asked: as its pages advise for calls that follow one another. Much
longer, too, than a request takes that was begun at the last moment."""


def last_moment(audience: FrozenAudience) -> datetime:
    """The moment, in UTC, by which all recipients have got the message."""
    return last_moment_of(audience.send_at, audience.clock)


def last_moment_of(send_at: datetime, clock: Clock) -> datetime:
    """The moment, in UTC, by which everybody's time has come of what goes out at `send_at` by a clock."""
    match clock:
        case "workspace":
            return send_at
        case "local":
            return send_at + EARLIEST_ZONE - LATEST_ZONE
        case "optimal":
            return send_at + timedelta(days=1) + EARLIEST_ZONE - LATEST_ZONE
        case _:
            assert_never(clock)


def may_be_stopped(audience: FrozenAudience, *, pending: bool, now: datetime, late_minutes: int) -> bool:
    """Whether some of a night can be kept from going out; what is `pending` may be posted a while after its time."""
    return now < last_moment(audience) or (pending and not is_late(audience.send_at, now, late_minutes))


def ask_after(audience: FrozenAudience, late_minutes: int) -> datetime:
    """From when Appboy can be asked who got it: nobody posts of it any more, and everybody's time has passed."""
    return max(last_moment(audience), deadline(audience.send_at, late_minutes)) + CONSISTENT


def schedule_of(audience: FrozenAudience) -> WireSchedule:
    """When the messages go out, as Appboy is told: a moment in UTC, or a time of each customer's own clock."""
    at = audience.send_at.astimezone(UTC)
    if audience.clock == "workspace":
        return WireSchedule(f"{at:%Y-%m-%dT%H:%M:%SZ}")
    wall = f"{at + EARLIEST_ZONE:%Y-%m-%dT%H:%M:%S}"
    return WireSchedule(wall, in_local_time=audience.clock == "local", at_optimal_time=audience.clock == "optimal")


class Failed(RequestUnknown, frozen=True):
    """Appboy failed, and the settings don't believe its pages that nothing was sent then."""


def read_as_set(outcome: Outcome, after_500: Literal["again", "unknown"]) -> Outcome:
    """What an outcome means by the setting: Appboy's pages say that nothing is sent after a 500, 502 or 503."""
    if after_500 == "unknown" and isinstance(outcome, RequestLater) and outcome.cause == "server":
        return Failed(outcome.message)
    return outcome


def why_refused(times: int, last: RequestRefused | RequestUnknown) -> str:
    """Why a sender gives up after so many requests in a row that Appboy didn't take, or didn't certainly take."""
    if isinstance(last, RequestRefused):
        return (
            f"Appboy refused {times} requests in a row, the last with: {last.message}; look at the template and the "
            "campaign's properties, then run the night again"
        )
    what = "Appboy failed" if isinstance(last, Failed) else "nobody knows what became of"
    return f"{what} {times} requests in a row, the last with: {last.message}; when that is mended, run the night again"


def request_for(
    template_id: str, schedule: WireSchedule, rows: Iterable[tuple[str, str]], *, send_id: str | None = None
) -> ScheduleRequest:
    """The body for a batch; each row is an external_user_id and the properties as JSON text.

    It names customers one by one and never broadcasts. `send_to_existing_only` is left out: its documented default is
    true, so that Appboy doesn't make a user of an id that it doesn't know.
    """
    return ScheduleRequest(
        campaign_id=template_id,
        recipients=tuple([Recipient(user, Raw(properties.encode())) for user, properties in rows]),
        schedule=schedule,
        send_id=send_id,
    )
