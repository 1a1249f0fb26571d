"""The requests that an app group may make, shared by all its campaigns and their threads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from optinb.delivery.pace import Pace, answered, ask, closed

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.appboy import RateLimit

PATIENCE_S = 2.0  # a longer wait isn't for a request that is journalled as sending already
LOOK_S = 0.05
SLICE_S = 5.0  # of a long sleep: whoever recalls a send waits for its sender, but not for long


def wait_while(goes_on: Callable[[], bool], seconds: float, sleep: Callable[[float], None]) -> None:
    """Waits so many seconds, and no longer once a look in between says that it doesn't go on."""
    left_s = seconds
    while left_s > 0 and goes_on():
        sleep(min(left_s, SLICE_S))
        left_s -= SLICE_S


def steady(wall: Callable[[], float], ticks: Callable[[], float]) -> Callable[[], float]:
    """The time as a clock tells it now, going on by another one, so that setting the first one back stops nobody."""
    ahead = wall() - ticks()
    return lambda: ticks() + ahead


class Budget:
    """One app group's pace, for all who call its API in this process.

    Args:
        an_hour: the documented limit; what the answers tell counts more.
        reserve: the share of the limit that is left to other users of the key.
        clock: seconds since 1970 by a clock that nobody sets; by this machine's when it was made, when left out.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        *,
        an_hour: int,
        reserve: float,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pace = Pace(an_hour=an_hour, reserve=reserve)
        self._clock, self._sleep = clock or steady(time.time, time.monotonic), sleep
        self._changed = threading.Condition()

    def enter(self, *, patience_s: float = PATIENCE_S, goes_on: Callable[[], bool] = lambda: True) -> bool:
        """Waits until a request may go out; `leave` must follow.

        False, without a request, when that takes longer or doesn't go on meanwhile.
        """
        until = self._clock() + patience_s
        while True:
            with self._changed:
                now = self._clock()
                self._pace, wait_s = ask(self._pace, now)
                if wait_s == 0:
                    return True
                if wait_s == float("inf"):
                    self._changed.wait(LOOK_S)
                    continue
            if now + wait_s > until or not goes_on():
                return False
            self._sleep(min(wait_s, SLICE_S))

    def leave(self, told: RateLimit | None) -> None:
        """A request has ended; `told` is what the answers last said of the limit."""
        with self._changed:
            self._pace = answered(self._pace, told, self._clock())
            self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """Lets nobody go for so long."""
        with self._changed:
            self._pace = closed(self._pace, self._clock() + seconds)

    def pause_s(self) -> float:
        """Seconds until anybody may go."""
        with self._changed:
            wait_s = ask(self._pace, self._clock())[1]
        return LOOK_S if wait_s == float("inf") else wait_s
