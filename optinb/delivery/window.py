"""The requests of half a window: what threads do with them, and what is known of them at any moment."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.delivery.machine import Answered, Event, Interrupted, NotBegun, next_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from optinb.appboy import Outcome
    from optinb.state import Batch

Row = tuple[str, str]


class Request:
    """One batch's request. A thread sets `begun` before it posts and `ended` after, so that an interrupt at any moment
    can tell what was certainly not sent."""

    __slots__ = ("batch", "begun", "ended", "error", "outcome", "rows")

    def __init__(self, batch: Batch, rows: Iterable[Row]) -> None:
        self.batch, self.rows = batch, rows
        self.begun = self.ended = False
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    def make(self, post: Callable[[Request], Outcome | None]) -> None:
        """Makes the request, in a thread; `post` sets `begun`."""
        try:
            self.outcome = post(self)
        except Exception as error:
            self.error = error
        finally:
            self.ended = True

    def event(self) -> Event:
        """What has happened to the batch so far."""
        if not self.begun:
            return NotBegun()
        if not self.ended:
            return Interrupted("the sender was interrupted while the request was under way")
        if self.error is not None:
            return Interrupted(f"the client failed ({type(self.error).__name__}: {self.error})")
        return NotBegun() if self.outcome is None else Answered(self.outcome)


class Half:
    """Half a window of batches that are marked as sending, with their requests."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.requests = tuple(requests)
        self._futures: list[Future[None]] = []

    def post(self, pool: Executor, post: Callable[[Request], Outcome | None], *, threads: int) -> None:
        """Hands the requests to so many threads, of which each takes one after the other."""
        waiting = iter(self.requests)  # of a tuple, whose iterator threads may share

        def work() -> None:
            for request in waiting:
                request.make(post)

        self._futures = [pool.submit(work) for _ in range(min(threads, len(self.requests)))]

    def wait(self) -> None:
        """Waits until every request has ended."""
        wait(self._futures)

    def settled(self) -> list[Batch]:
        """The batches in the states that follow from what is known of their requests."""
        return [replace(r.batch, state=next_state(r.batch.state, r.event())) for r in self.requests]

    def give_up(self, *, grace_s: float) -> None:
        """Waits a while for the requests that threads have begun with, after the others were told not to begin."""
        until = time.monotonic() + grace_s
        while time.monotonic() < until and any(r.begun and not r.ended for r in self.requests):
            time.sleep(0.01)
