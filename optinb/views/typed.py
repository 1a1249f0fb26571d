"""What was typed is heard before what was clicked after it.

A browser sends the first change of a control at once, and holds the next ones back until the kernel has answered. A
click isn't held back, so that it overtakes the last letters. They can be on their way for a moment only after a control
was heard: within it a click waits for them, else it is heard at once.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import ipywidgets as w

from optinb.views.debounce import Debounce, later, running_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

HELD_BACK_S = 0.4  # by a browser, of letters that were typed before a click
TYPED_IN = (w.Text, w.Textarea, w.Combobox, w.BoundedIntText, w.BoundedFloatText, w.DatePicker, w.TimePicker)


class Hearing:
    """What waits in one event loop until all that was typed has been heard, in the order in which it was clicked."""

    def __init__(self) -> None:
        self._clicked: dict[object, Callable[[], object]] = {}
        self._is_more = False  # was typed while something waited
        self._heard_out = Debounce(self._go_on, pause_s=HELD_BACK_S)

    def heard(self) -> None:
        """Something that was typed has been heard; who goes on to type doesn't keep a click waiting."""
        if self._clicked:
            self._is_more = True
        else:
            self._heard_out()

    def wait(self, what: object, call: Callable[[], object], *, is_after_text: bool) -> None:
        """Makes a call, after what was typed before it; the newest one of the same thing, where that waits already."""
        if is_after_text or self._heard_out.is_waiting:
            if not self._clicked:
                self._heard_out()
            self._clicked[what] = call
        else:
            call()

    def _go_on(self) -> None:
        calls, self._clicked = self._clicked, {}
        for call in calls.values():
            later(0, call)  # so that one which fails doesn't take the others along
        if self._is_more:
            self._is_more = False
            self._heard_out()


_HEARINGS: WeakKeyDictionary[asyncio.AbstractEventLoop, Hearing] = WeakKeyDictionary()


def _hearing() -> Hearing | None:
    loop = running_loop()
    return None if loop is None else _HEARINGS.setdefault(loop, Hearing())


def after_typing(what: object, call: Callable[[], object], *, is_after_text: bool = False) -> None:
    """Makes a call that somebody asked for, once what they typed before is known; where nothing was typed, at once.

    Args:
        what: was clicked or chosen; what is asked of it twice while it waits is done once, as it was asked last.
        call: has its effect.
        is_after_text: whether something was typed for certain, although nothing may have been heard of it yet.
    """
    hearing = _hearing()
    if hearing is None:
        call()
    else:
        hearing.wait(what, call, is_after_text=is_after_text)


class Typed:
    """Adds to a control that it tells when the page, and no program, has changed it."""

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Takes what the page sends, with all that follows from it, before it counts as heard."""
        super().set_state(sync_data)  # type: ignore[misc]
        if hearing := _hearing():
            hearing.heard()


@cache
def typed(kind: type[Any]) -> type[Any]:
    """A kind of control, in whose stead clicks wait for what is typed in it."""
    return type(kind.__name__, (Typed, kind), {}) if issubclass(kind, TYPED_IN) else kind


class Button(w.Button):
    """A button whose clicks come after what was typed before them."""

    def click(self) -> None:
        """Does what the button does."""
        after_typing(self, super().click)
