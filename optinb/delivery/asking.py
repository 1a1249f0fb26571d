"""Asking Appboy about recipients at the pace that is allowed: until all are told, or something ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.delivery.budget import SLICE_S, Budget, steady
from optinb.delivery.export_pace import ExportPace, next_export, started
from optinb.errors import AppboyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.appboy import Exported
    from optinb.delivery.reconcile import Exporter


class Ticking(Struct, frozen=True, kw_only=True):
    """Seconds since 1970 by a clock that nobody sets, and how to wait; tests have their own."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]


def ticking() -> Ticking:
    """That of this machine."""
    return Ticking(clock=steady(time.time, time.monotonic), sleep=time.sleep)


class Asking:
    """The exports of one app group in one run: two limits, one deadline, and the sends, which go first.

    Attributes:
        requests: how many were made so far.
        why_over: why no more is asked; None while more may be.
    """

    def __init__(
        self,
        *,
        an_hour: int,
        used: int,
        budget: Budget,
        until: float,
        is_sending: Callable[[], bool],
        may_ask: Callable[[], bool],
        ticks: Ticking,
    ) -> None:
        """The pace of a run.

        Args:
            an_hour: the app group's limit of requests.
            used: exports that were made in this clock hour before.
            budget: of what answers tell.
            until: when the run is over, by `ticks`.
            is_sending: whether a sender is at work on this app group.
            may_ask: whether this run still holds what it works under.
            ticks: the time.
        """
        self._pace: ExportPace = started(limit_an_hour=an_hour, used=used, now=ticks.clock())
        self._budget, self._until, self._ticks = budget, until, ticks
        self._is_sending, self._may_ask = is_sending, may_ask
        self.requests: int = 0
        self.why_over: str | None = None

    def ask(self, client: Exporter, ids: Iterable[str], fields: Iterable[str]) -> Exported | None:
        """What Appboy tells of up to 50 users; None when no more is asked, and `why_over` says why."""
        if self.why_over is not None or not self._wait():
            return None
        try:
            told = client.export_users(ids, fields)
        except AppboyError as error:
            self.why_over = f"Appboy couldn't be asked: {error}"
            return None
        finally:
            self.requests += 1
            self._budget.leave(client.rate_limit)
        return told

    def _wait(self) -> bool:
        """Waits for the turn of the next request; whether it came."""
        while True:
            now = self._ticks.clock()
            if not self._may_ask():
                return self._over("somebody else has taken over asking Appboy")
            if now >= self._until:
                return self._over("the time for asking was over")
            if self._is_sending():
                self._rest(SLICE_S, now)  # sends have the limit first
                continue
            pace, wait_s = next_export(self._pace, now)
            if wait_s > self._until - now:
                return self._over("the requests of this hour that asking may use are used up")
            if wait_s > 0:
                self._rest(wait_s, now)
                continue
            if not self._budget.enter(patience_s=self._until - now, goes_on=self._may_ask):
                return self._over("the app group's requests of this hour are used up")
            self._pace = pace
            return True

    def _rest(self, seconds: float, now: float) -> None:
        self._ticks.sleep(max(0.0, min(seconds, SLICE_S, self._until - now)))

    def _over(self, why: str) -> bool:
        self.why_over = why
        return False
