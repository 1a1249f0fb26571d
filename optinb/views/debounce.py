"""Calls that wait until the one who types has paused, that come again, and that take a while."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from optinb.errors import OptinbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipywidgets import DOMWidget

T = TypeVar("T")
LOOK_AGAIN_S = 2.0
STEPS = 4  # in which a pause passes, so that a kernel at work, which hears nobody, takes no more than one of them


class Debounce:
    """Makes a call once, a pause after the last of several requests; where no event loop runs, at once."""

    def __init__(self, call: Callable[[], object], *, pause_s: float) -> None:
        self._call, self._pause_s = call, pause_s
        self._waiting: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        self.stop()
        loop = running_loop()
        if loop is None:
            self._call()
        else:
            self._wait(loop, STEPS)

    @property
    def is_waiting(self) -> bool:
        """Whether a call is still to be made."""
        return self._waiting is not None

    def _wait(self, loop: asyncio.AbstractEventLoop, steps: int) -> None:
        if steps:
            self._waiting = loop.call_later(self._pause_s / STEPS, self._wait, loop, steps - 1)
        else:
            self._waiting = None
            self._call()

    def stop(self) -> None:
        """Forgets a call that is still waiting."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def every(seconds: float, call: Callable[[], bool]) -> None:
    """Makes a call again and again while it returns True; where no event loop runs, never."""
    loop = running_loop()
    if loop is None:
        return

    def again() -> None:
        if call():
            loop.call_later(seconds, again)

    loop.call_later(seconds, again)


def later(seconds: float, call: Callable[[], object]) -> None:
    """Makes a call after a while; where no event loop runs, never."""
    loop = running_loop()
    if loop is not None:
        loop.call_later(seconds, call)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs here, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def follow(view: DOMWidget, read: Callable[[], T], changed: Callable[[T], None]) -> None:
    """Looks every LOOK_AGAIN_S whether something has changed, such as the names of the saved groups, and tells of it.

    Ends when the view is closed; what can't be read is looked at again next time.
    """
    last: list[T] = [read()]

    def look() -> bool:
        if view.comm is None:
            return False
        with suppress(OptinbError, OSError):
            now = read()
            if now != last[0]:
                last[0] = now
                changed(now)
        return True

    every(LOOK_AGAIN_S, look)


_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="optinb view")


class LatestOnly:
    """Answers the newest of several questions, one at a time; what comes too late is dropped.

    Where no event loop runs, the answer comes at once.
    """

    def __init__(self) -> None:
        self._number = 0
        self._is_busy = False
        self._next: tuple[int, Callable[[], Any], Callable[[Any], None]] | None = None

    def ask(self, work: Callable[[], Any], told: Callable[[Any], None]) -> None:
        """Has `work` done in a thread and `told` called with its answer, or the exception it ended with.

        Nothing is told once something newer was asked.
        """
        self._number += 1
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            number, found = self._number, answer(work)
            if number == self._number:
                told(found)
            return
        self._next = (self._number, work, told)
        if not self._is_busy:
            self._begin(loop)

    def forget(self) -> None:
        """Drops what is under way: nothing of it will be told."""
        self._number += 1
        self._next = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._next is not None
        number, work, told = self._next
        self._next, self._is_busy = None, True
        future = loop.run_in_executor(_THREADS, answer, work)
        future.add_done_callback(lambda done: self._done(loop, number, told, done.result()))

    def _done(self, loop: asyncio.AbstractEventLoop, number: int, told: Callable[[Any], None], found: Any) -> None:
        self._is_busy = False
        if self._next is not None:
            self._begin(loop)
        if number == self._number:
            told(found)


def answer(work: Callable[[], Any]) -> Any:
    """What a piece of work returns or raises."""
    try:
        return work()
    except Exception as error:
        return error
