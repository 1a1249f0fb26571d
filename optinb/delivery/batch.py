"""Batches: how an audience is cut into requests, and when they are too late or must wait. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from optinb.state import Batch, Planned

if TYPE_CHECKING:
    from datetime import date, datetime

BATCH_SIZE = 50  # recipients that Appboy takes in one request
BASE_WAIT_S = 1.0
MAX_WAIT_S = 60.0
MAX_TOLD_WAIT_S = 3_700.0  # Appboy's limits are by the clock hour, so it never has reason to ask for more


def cut(recipients: int, *, campaign_id: str, run_date: date, size: int = BATCH_SIZE) -> list[Batch]:
    """The planned batches of so many recipients: batch n has the rows `n * size` to `(n + 1) * size`, 0-based."""
    return [
        Batch(
            campaign_id=campaign_id,
            run_date=run_date,
            number=number,
            first=first,
            size=min(size, recipients - first),
            state=Planned(),
        )
        for number, first in enumerate(range(0, recipients, size))
    ]


def is_late(send_at: datetime, now: datetime, late_minutes: int) -> bool:
    """Whether a send's time has passed by more than the grace, so that it must not go out any more."""
    return now > deadline(send_at, late_minutes)


def deadline(send_at: datetime, late_minutes: int) -> datetime:
    """The last moment at which a send may still go out."""
    return send_at + timedelta(minutes=late_minutes)


def backoff_s(tries: int, *, told_s: float, draw: float) -> float:
    """Seconds to wait before the next try.

    Twice as long after each try, up to a minute, of which a random half is spread; never less than what Appboy told.

    Args:
        tries: how often it was tried so far, from 1.
        told_s: what Appboy asked to wait, 0 if nothing.
        draw: a random number from 0 to 1.
    """
    own = min(MAX_WAIT_S, BASE_WAIT_S * 2.0 ** (tries - 1)) * (0.5 + draw / 2)
    return max(own, min(told_s, MAX_TOLD_WAIT_S))
