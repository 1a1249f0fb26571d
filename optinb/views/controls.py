"""Controls that look and behave alike: a label above each field, and HTML that brings its style once."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.show.pages import page
from optinb.views.debounce import later

if TYPE_CHECKING:
    from collections.abc import Sequence

LOADING_S = 60.0  # within which a page that shows a view has loaded
TELL_AGAIN_S = (2.0, 8.0)


def field(kind: type[w.DOMWidget], label: str, **options: Any) -> Any:
    """A control with its label above it."""
    made = kind(description=label, style={"description_width": "auto"}, layout=w.Layout(width="auto"), **options)
    made.add_class("ob-field")
    return made


def button(label: str, *, style: str = "", tooltip: str | None = None) -> w.Button:
    """A button that is as wide as its label."""
    return w.Button(description=label, button_style=style, tooltip=tooltip, layout=w.Layout(width="auto"))


def box(*children: w.Widget, of: str) -> w.Box:
    """Controls in a box that the style sheet arranges by its class."""
    made = w.Box(children) if of in ("ob-columns", "ob-pair", "ob-buttons", "ob-saving") else w.VBox(children)
    made.add_class(of)
    return made


class Pane(w.HTML):
    """A piece of HTML in the look of the page; what is written to it is announced to screen readers."""

    def __init__(self, value: str = "", **traits: Any) -> None:
        self._told_until = time.monotonic() + LOADING_S
        super().__init__(value, **traits)

    def show(self, html: str, *, role: str = "") -> None:
        """Shows safe HTML; `role` is status or alert for what must be announced."""
        announced = f' role="{role}"' if role else ""
        self.value = f'<div class="ob"{announced}>{html}</div>' if html else ""
        if time.monotonic() < self._told_until:
            for pause_s in TELL_AGAIN_S:
                later(pause_s, self._tell_again)

    def _tell_again(self) -> None:
        """Sends the page what it may have missed: while it loads, it has the old text and doesn't listen yet."""
        if self.comm is not None:
            self.send_state("value")

    def say(self, text: str, *, kind: str = "") -> None:
        """Shows a sentence: plain, or in a note that is good or bad news."""
        if not text:
            self.show("")
        elif not kind:
            self.show(f'<p class="ob-soft">{escape(text)}</p>')
        else:
            role = "alert" if kind == "bad" else "status"
            self.show(f'<div class="ob-note ob-is-{kind}"><p>{escape(text)}</p></div>', role=role)

    def title(self, text: str) -> None:
        """Shows a heading."""
        self.show(f"<h3>{escape(text)}</h3>")


def heading(text: str) -> Pane:
    """A heading between controls."""
    pane = Pane()
    pane.title(text)
    return pane


def styles() -> w.HTML:
    """The style sheet, once for each view."""
    return w.HTML(page("style.html.j2"))


def choose(control: Any, options: Sequence[Any], *, keep: Any, first: Any = None) -> None:
    """Gives a list new options, with `keep` chosen if it is among them, else `first`, else the first one."""
    control.options = options
    known = offered(control)
    control.value = next((value for value in (keep, first, *known) if value in known), None)


def offered(control: Any) -> list[Any]:
    """The values that a list offers."""
    return [option[1] if isinstance(option, tuple) else option for option in control.options]
