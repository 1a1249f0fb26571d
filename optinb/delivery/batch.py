"""Batches: how an audience is cut into requests, and when they are too late or must wait. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate

from optinb.delivery.journal import Batch, Planned

BATCH_SIZE = 50  # recipients that Appboy takes in one request
MAX_PROPERTIES = 50_000  # bytes of trigger properties in one request; Appboy's pages say 50 KB
BASE_WAIT_S = 1.0
MAX_WAIT_S = 60.0
MAX_TOLD_WAIT_S = 3_700.0  # Appboy's limits are by the clock hour, so it never has reason to ask for more


def cut(
    recipients: int, *, campaign_id: str, run_date: date, size: int = BATCH_SIZE, weights: Sequence[int] | None = None
) -> list[Batch]:
    """The planned batches of so many recipients: each has the rows `first` to `first + size`, 0-based.

    A batch has `size` of them, and fewer where their `weights`, the bytes of each one's properties, exceed what a
    request may have.
    """
    return [
        Batch(
            campaign_id=campaign_id,
            run_date=run_date,
            number=number,
            first=first,
            size=last - first,
            state=Planned(),
        )
        for number, (first, last) in enumerate(_spans(recipients, size, weights or ()))
    ]


def _spans(recipients: int, size: int, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    sums = list(accumulate(weights, initial=0)) if max(weights, default=0) * size > MAX_PROPERTIES else None
    first = 0
    while first < recipients:
        last = min(first + size, recipients)
        if sums:
            # one alone is never too large: planning refuses that
            last = max(first + 1, min(last, bisect_right(sums, sums[first] + MAX_PROPERTIES) - 1))
        yield first, last
        first = last


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
