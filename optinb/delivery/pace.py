"""How fast an app group's requests may follow each other: a value, and what each event makes of it. Pure.

Appboy counts by windows of a clock hour, and every answer tells how many requests are left of the window and when it
ends. What is left, less a reserve for other users of the key, is spread evenly over what is left of the window: nothing
is refused, nothing is wasted, and what others use meanwhile slows this sender down. Until an answer has told, requests
go out one at a time. Where answers tell nothing, the documented limit counts.

Times are seconds since 1970 on this machine's clock. The window's end is told on the server's, whose answers bear
their own date in whole seconds: the largest difference seen so far is the best guess that is never too large, so that
a window is never taken to end before it does. One that is told to end later than an hour from now (in milliseconds, or
by a broken clock) is taken to end with the clock hour, as Appboy's windows do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from optinb.appboy import RateLimit

HOUR_S = 3600.0
SOON_S = math.inf  # an answer that is under way will tell


class Pace(Struct, frozen=True, kw_only=True):
    """What is known of an app group's limit, and when the next request may go out.

    `an_hour` is the documented limit and `reserve` the share of it that is left to others. `limit`, `remaining` (the
    fewest told) and `reset` (on the server's clock) are of the window that answers told of, `ahead` is how much
    the server's clock is ahead; `under_way` counts requests without an answer and `slot` is when the last one was due.
    `closed_until`: nobody asks before.
    """

    an_hour: int
    reserve: float
    limit: int = 0
    remaining: int | None = None
    reset: float = 0.0
    ahead: float | None = None
    under_way: int = 0
    slot: float = 0.0
    closed_until: float = 0.0
    is_silent: bool = False


def ask(pace: Pace, now: float) -> tuple[Pace, float]:
    """Asks for the next request: 0 and it is counted as under way, or the seconds after which to ask again."""
    if now < pace.closed_until:
        return pace, pace.closed_until - now
    left_s = pace.reset - (pace.ahead or 0.0) - now
    if pace.remaining is not None and left_s > 0:
        kept = pace.reserve * pace.limit
        if pace.remaining - kept < 1:
            return pace, left_s
        if pace.remaining - kept - pace.under_way < 1:
            return pace, SOON_S
        interval = left_s / (pace.remaining - kept - pace.under_way)
    elif pace.is_silent:
        interval = HOUR_S / (pace.an_hour * (1 - pace.reserve))
    elif pace.under_way:
        return pace, SOON_S
    else:
        interval = 0.0
    if now < pace.slot + interval:
        return pace, pace.slot + interval - now
    # one that comes late may be followed the sooner by the next, so that waking up late costs no rate
    slot = max(pace.slot + interval, now - interval)
    return replace(pace, under_way=pace.under_way + 1, slot=slot), 0.0


def answered(pace: Pace, told: RateLimit | None, now: float) -> Pace:
    """A request has come to its end; `told` is what the last answer said, None where answers say nothing."""
    pace = replace(pace, under_way=pace.under_way - 1)
    if told is None:
        return replace(pace, is_silent=pace.remaining is None)
    if told.answered_at is not None:
        seen = told.answered_at - now
        pace = replace(pace, ahead=seen if pace.ahead is None else max(pace.ahead, seen))
    server_now = told.answered_at if told.answered_at is not None else now + (pace.ahead or 0.0)
    # answers bear whole seconds
    reset = told.reset if told.reset <= server_now + HOUR_S + 1.0 else (server_now // HOUR_S + 1) * HOUR_S
    if pace.remaining is None or reset > pace.reset:
        return replace(pace, limit=told.limit, remaining=told.remaining, reset=reset, is_silent=False)
    if reset < pace.reset:
        return pace  # of a window that is over
    return replace(pace, remaining=min(pace.remaining, told.remaining))


def closed(pace: Pace, until: float) -> Pace:
    """Nobody asks before a moment: Appboy was busy, or refused for the limit."""
    return replace(pace, closed_until=max(pace.closed_until, until))
