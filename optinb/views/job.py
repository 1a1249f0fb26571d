"""Long work behind a button: in a thread, with how far it is and a way to end it, so that the page never freezes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.errors import OptinbError
from optinb.views.controls import Pane, box, button
from optinb.views.debounce import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.base.progress import Advance

_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="optinb job")


class StoppedError(Exception):
    """Somebody has ended the work."""


class Job(w.VBox):
    """A button that begins long work, and while it runs its progress and a button to cancel it.

    What is cancelled ends at its next step; only then, when it is known what came of it, is anything said of it.

    Args:
        label: of the button.
        prepare: reads the controls when the work begins and returns it: a call that takes `on_progress`, which it tells
            that so many more steps are done, and what is next. Raises OptinbError when it can't begin.
        done: is given what the work returned.
        steps: of the whole work.
    """

    def __init__(
        self,
        label: str,
        *,
        prepare: Callable[[], Callable[[Advance], Any]],
        done: Callable[[Any], None],
        steps: Callable[[], int],
    ) -> None:
        self._prepare, self._show, self._steps = prepare, done, steps
        self._at, self._of, self._what, self._is_cancelled = 0, 1, "", False
        self.start, self.cancel = button(label, style="primary"), button("Cancel")
        self.cancel.layout.display = "none"
        self.progress = Pane()
        super().__init__((box(self.start, self.cancel, of="ob-buttons"), self.progress))
        self.add_class("ob-column")
        self.start.on_click(lambda _: self._begin())
        self.cancel.on_click(lambda _: self._stop())

    @property
    def is_running(self) -> bool:
        """Whether the work is under way."""
        return self.start.disabled

    def _begin(self) -> None:
        if self.is_running:  # a double click comes as two, before the page knows that the button is off
            return
        try:
            work = self._prepare()
        except OptinbError as error:
            self.progress.say(str(error), kind="bad")
            return
        self._at, self._of, self._what, self._is_cancelled = 0, max(self._steps(), 1), "", False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._end(answer(lambda: work(self._tell(lambda call: call()))))
            return
        self._arrange(running=True)
        self._say()
        on_progress = self._tell(loop.call_soon_threadsafe)
        future = loop.run_in_executor(_THREADS, answer, lambda: work(on_progress))
        future.add_done_callback(lambda finished: self._end(finished.result()))

    def _tell(self, later: Callable[[Callable[[], None]], Any]) -> Advance:
        def on_progress(done: int, what: str = "", /) -> None:
            if self._is_cancelled:
                raise StoppedError
            self._at, self._what = self._at + done, what or self._what
            later(self._say)

        return on_progress

    def _say(self) -> None:
        if not self.is_running:
            return
        share = min(self._at / self._of, 1)
        what = "Cancelling, at the end of this step …" if self._is_cancelled else self._what
        self.progress.show(
            f'<div class="ob-progress"><progress max="1" value="{share:.3f}" aria-label="Progress"></progress> '
            f"<span>{share:.0%} {escape(what)}</span></div>"
        )

    def _stop(self) -> None:
        self._is_cancelled = self.cancel.disabled = True
        self._say()

    def _end(self, found: Any) -> None:
        self._arrange(running=False)
        self.progress.say("")
        if isinstance(found, StoppedError):
            self.progress.say("Cancelled; what is published and saved is as it was.")
        else:
            self.progress.tell(found, self._show, unforeseen="This couldn't be done; see the log of the notebook.")

    def _arrange(self, *, running: bool) -> None:
        self.start.disabled = running
        self.cancel.disabled = not running
        self.cancel.layout.display = "" if running else "none"
