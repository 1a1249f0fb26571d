"""The blanks of a sentence: small controls in a line of text, each with a label for those who don't see it."""

from __future__ import annotations

from datetime import date
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.views.debounce import Debounce
from optinb.views.editor.document import window_of
from optinb.views.editor.holes import SPANS, UNITS, shown, unit_of, write
from optinb.views.typed import Button, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Path


SHOWN_S = 0.15  # until a new control is on the page


def blank(kind: type[w.DOMWidget], label: str, *, of: str = "", **options: Any) -> Any:
    """A control inside a sentence, whose label is heard and not seen."""
    style, layout = {"description_width": "auto"}, w.Layout(width="auto")
    made = typed(kind)(description=label, style=style, layout=layout, **options)
    made.add_class("ob-blank")
    if of:
        made.add_class(of)
    return made


def word(text: str) -> w.HTML:
    """A piece of the sentence between blanks."""
    made = w.HTML(f"<span>{escape(text)}</span>")
    made.add_class("ob-word")
    return made


def tool(icon: str, label: str) -> Button:
    """A small button that shows a picture and is called by its label."""
    made = Button(icon=icon, description=label, tooltip=label, layout=w.Layout(width="1.9rem"))
    made.add_class("ob-tool")
    return made


def pick(label: str, options: Mapping[str, str] | None = None, *, of: str = "") -> w.Dropdown:
    """A list to choose one of; `options` are the words by value."""
    made = blank(w.Dropdown, label, of=of)
    if options is not None:
        offer(made, options, next(iter(options)))
    return made


class Pick:
    """A list whose options change with what stands before it.

    Each set of options has a control of its own: a browser tells the place in the list, and a choice that somebody
    makes while another list is on its way must mean what they have read.
    """

    def __init__(self, desk: Desk, label: str, call: Callable[[Any], None]) -> None:
        self._desk, self._label, self._call = desk, label, call
        self._made: dict[tuple[tuple[str, str], ...], w.Dropdown] = {}
        self.control: Any = None

    @property
    def value(self) -> str:
        """What is chosen."""
        return self.control.value

    @value.setter
    def value(self, chosen: str) -> None:
        self.control.value = chosen

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """Words and values."""
        return self.control.options

    def show(self, options: Mapping[str, str], chosen: str) -> w.Dropdown:
        """The control for some options (words by value), one of them chosen; an unknown one is shown as it is."""
        known = dict(options)
        if chosen not in known:
            known = {chosen: f"{chosen} (not known)", **known}
        key = tuple(known.items())
        if key not in self._made:
            self._made[key] = pick(self._label, known)
            on_change(self._desk, self._made[key], self._call)
        self.control = self._made[key]
        put(self.control, chosen)
        return self.control


def offer(control: w.Dropdown, options: Mapping[str, str], chosen: str) -> None:
    """Offers values with their words, one of them chosen. The same values each time: for others there is `Pick`."""
    pairs = tuple((words, value) for value, words in options.items())
    if control.options != pairs:
        control.options = pairs
    put(control, chosen)


def put(control: Any, value: Any) -> None:
    """Shows a value, unless it's shown already."""
    if control.value != value:
        control.value = value


def arrange(box: w.Box, *controls: w.Widget) -> None:
    """Shows some controls, leaving the box alone where they are shown already: whoever types keeps the focus."""
    if box.children != controls:
        box.children = controls


def shut(widget: w.Widget) -> None:
    """Closes a widget with everything inside."""
    for child in getattr(widget, "children", ()):
        shut(child)
    widget.close()


def soon(call: Callable[[], None]) -> None:
    """Makes a call when what was just shown is on the page."""
    Debounce(call, pause_s=SHOWN_S)()


def day(text: str) -> date | None:
    """The date that a blank for dates shows."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def on_change(desk: Desk, control: Any, call: Callable[[Any], None]) -> None:
    """Calls with what a person chose or wrote, and not with what the control is shown."""
    control.observe(lambda change: None if desk.is_quiet else call(change.new), "value")


class DayBlanks:
    """A date, or a number of days before or after the run date."""

    def __init__(self, desk: Desk, put_value: Callable[[str], None], put_unit: Callable[[str], None]) -> None:
        self.date: w.DatePicker = blank(w.DatePicker, "Date")
        self.days: w.Text = blank(w.Text, "Days", of="ob-short", placeholder="days")
        self.unit: w.Dropdown = pick("Which day", UNITS)
        on_change(desk, self.date, lambda new: put_value(new.isoformat() if new else ""))
        on_change(desk, self.days, put_value)
        on_change(desk, self.unit, put_unit)

    def show(self, value: Any) -> tuple[w.Widget, ...]:
        """The controls for a day, as it stands in the JSON."""
        unit = unit_of(value)
        offer(self.unit, UNITS, unit)
        if unit == "date":
            put(self.date, day(shown(value)))
            return (self.unit, self.date)
        put(self.days, shown(value))
        return (self.days, self.unit)


class WindowBlanks:
    """A time: ever, the last days, or from one day to another; `field` of a line."""

    def __init__(
        self, desk: Desk, path: Callable[[], Path], field: str, *, label: str = "When", ever: str = SPANS["ever"]
    ) -> None:
        self._desk, self._path, self._field = desk, path, field
        self._window: Any = None
        self.span: w.Dropdown = pick(label)
        self._spans = {**SPANS, "ever": ever}
        self.days: w.Text = blank(w.Text, "Number of days", of="ob-short", placeholder="30")
        self.first: w.DatePicker = blank(w.DatePicker, "First day")
        self.last: w.DatePicker = blank(w.DatePicker, "Last day")
        self._days, self._to = w.Box((self.days, word("days"))), word("to")
        self._days.add_class("ob-together")
        on_change(desk, self.span, lambda new: desk.set(path(), **{field: window_of(new)}))
        on_change(desk, self.days, lambda new: self._put("days", "last days", new))
        on_change(desk, self.first, lambda new: self._put("first", "first day", new.isoformat() if new else ""))
        on_change(desk, self.last, lambda new: self._put("last", "last day", new.isoformat() if new else ""))

    def show(self, window: Any) -> tuple[w.Widget, ...]:
        """The controls for a time, as it stands in the JSON."""
        self._window = window
        offer(self.span, self._spans, window["is"] if window else "ever")
        match window:
            case {"is": "last", "days": days}:
                put(self.days, shown(days))
                return (self.span, self._days)
            case {"first": first, "last": last}:
                put(self.first, day(shown(first)))
                put(self.last, day(shown(last)))
                return (self.span, self.first, self._to, self.last)
            case _:
                return (self.span,)

    def _put(self, name: str, kind: str, text: str) -> None:
        window = self._window | {name: write(kind, text)}
        self._desk.set(self._path(), topic=f"window {name}", **{self._field: window})
