"""Questions that take a while: worked out in a thread, so that the page never freezes, and only the newest is told."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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
