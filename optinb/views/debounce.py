"""Calls that wait until the one who types has paused, and calls that come again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from optinb.errors import OptinbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipywidgets import DOMWidget

T = TypeVar("T")
LOOK_AGAIN_S = 2.0


class Debounce:
    """Makes a call once, a pause after the last of several requests; where no event loop runs, at once."""

    def __init__(self, call: Callable[[], object], *, pause_s: float) -> None:
        self._call, self._pause_s = call, pause_s
        self._waiting: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        self.stop()
        loop = _loop()
        if loop is None:
            self._call()
        else:
            self._waiting = loop.call_later(self._pause_s, self._call)

    def stop(self) -> None:
        """Forgets a call that is still waiting."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def every(seconds: float, call: Callable[[], bool]) -> None:
    """Makes a call again and again while it returns True; where no event loop runs, never."""
    loop = _loop()
    if loop is None:
        return

    def again() -> None:
        if call():
            loop.call_later(seconds, again)

    loop.call_later(seconds, again)


def later(seconds: float, call: Callable[[], object]) -> None:
    """Makes a call after a while; where no event loop runs, never."""
    loop = _loop()
    if loop is not None:
        loop.call_later(seconds, call)


def _loop() -> asyncio.AbstractEventLoop | None:
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
