"""Views that ask one question again whenever a control changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.errors import OptinbError
from optinb.views.controls import Pane, box, styles
from optinb.views.debounce import follow
from optinb.views.latest_only import LatestOnly

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.workspace import Workspace

WORKING = '<div class="ob-counting">counting …</div>'


class AskingView(w.VBox):
    """Controls above an answer. What the controls no longer ask is never shown."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.ws = ws
        self._latest_only = LatestOnly()
        self.answer = Pane()

    def arrange(self, *controls: w.Widget, watch: tuple[Any, ...]) -> None:
        """Puts the controls in a row above the answer, and asks now and whenever one of `watch` changes.

        Args:
            *controls: in their order from the left.
            watch: those of them whose value decides what is asked.
        """
        self.children = (styles(), box(*controls, of="ob-pair"), self.answer)
        for control in watch:
            control.observe(lambda _: self.ask(), "value")
        self.ask()
        follow(self, lambda: self.ws.warehouse.current, lambda _version: self.read_again())

    def ask(self) -> None:
        """Takes the old answer away and asks anew."""
        self._latest_only.forget()
        question = self.question()
        if isinstance(question, str):
            self.answer.say(question)
            return
        self.answer.show(WORKING)
        self._latest_only.ask(question, self._tell)

    def read_again(self) -> None:
        """Asks anew, since other tables were published; a view whose controls offer what they hold offers it anew."""
        self.ask()

    def question(self) -> Callable[[], str] | str:
        """What finds the answer as HTML, called in a thread; or a sentence that says what to choose first.

        Each view has its own. (Widgets can't be abstract classes by their metaclass.)
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't say what it asks")

    def _tell(self, found: str | Exception) -> None:
        if isinstance(found, OptinbError):
            self.answer.say(str(found), kind="bad")
        elif isinstance(found, Exception):
            self.answer.say("This couldn't be counted; see the log of the notebook.", kind="bad")
            raise found
        else:
            self.answer.value = found
