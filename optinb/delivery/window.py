"""The requests of half a window: what threads do with them, and what is known of them at any moment."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.delivery.machine import Answered, Event, Interrupted, NotBegun, next_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from optinb.appboy import Outcome
    from optinb.delivery.journal import Batch

Row = tuple[str, str]


class BatchRequest:
    """One batch's request.

    A thread sets `begun` before it posts and `ended` after, so that an interrupt at any moment can tell what was
    certainly not sent.
    """

    __slots__ = ("batch", "begun", "ended", "error", "outcome", "rows")

    def __init__(self, batch: Batch, rows: Iterable[Row]) -> None:
        self.batch: Batch = batch
        self.rows: Iterable[Row] = rows
        self.begun: bool = False
        self.ended: bool = False
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    def make(self, post: Callable[[BatchRequest], Outcome | None]) -> None:
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

    def __init__(self, requests: Iterable[BatchRequest]) -> None:
        self.requests: tuple[BatchRequest, ...] = tuple(requests)
        self._left = len(self.requests)
        self._lock = threading.Lock()
        self._all_ended = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Waits until every request has ended; False when that takes longer."""
        return self._all_ended.wait(seconds)

    def made(self) -> None:
        """Counts a request that has ended; called by the threads."""
        with self._lock:
            self._left -= 1
            if not self._left:
                self._all_ended.set()

    def settled(self) -> list[Batch]:
        """The batches in the states that follow from what is known of their requests."""
        return [replace(r.batch, state=next_state(r.batch.state, r.event())) for r in self.requests]

    def give_up(self, *, grace_s: float) -> None:
        """Waits a while for the requests that threads have begun with, after the others were told not to begin."""
        until = time.monotonic() + grace_s
        while time.monotonic() < until and any(r.begun and not r.ended for r in self.requests):
            time.sleep(0.01)


class Posters:
    """Threads that make requests, one after the other each, until they are told to stop.

    They take from one queue for the whole run: a future for each request would cost a sender a tenth of its rate.
    """

    def __init__(self, count: int, post: Callable[[BatchRequest], Outcome | None]) -> None:
        self._post, self._count = post, count
        self._waiting: SimpleQueue[tuple[Half, BatchRequest] | None] = SimpleQueue()
        for number in range(count):
            # Daemons: a process that ends leaves a request under way to the journal, which calls it unknown.
            threading.Thread(target=self._work, name=f"send {number}", daemon=True).start()

    def take(self, half: Half) -> None:
        """Lets the threads make the requests of half a window, after those they have."""
        for request in half.requests:
            self._waiting.put((half, request))

    def stop(self) -> None:
        """Lets each thread end with the request that it has begun, without waiting for it; no other is begun."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()
        for _ in range(self._count):
            self._waiting.put(None)

    def _work(self) -> None:
        while (taken := self._waiting.get()) is not None:
            half, request = taken
            try:
                request.make(self._post)
            finally:
                half.made()
