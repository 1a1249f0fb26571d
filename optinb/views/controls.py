"""Controls that look and behave alike, HTML that brings its style once, and what control edits a value of a type."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import date, time
from functools import partial
from html import escape
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as w
import msgspec
import traitlets
from msgspec import inspect

from optinb.base.glossary import GLOSSARY
from optinb.errors import OptinbError
from optinb.show.pages import page
from optinb.views.debounce import later
from optinb.views.typed import Button, after_typing, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOADING_S = 60.0  # within which a page that shows a view has loaded
TELL_AGAIN_S = (2.0, 8.0)


def field(kind: type[w.DOMWidget], label: str, **options: Any) -> Any:
    """A control with its label above it, and what that means where the glossary has it."""
    options = {"tooltip": GLOSSARY.get(label.lower()), **options}
    style, layout = {"description_width": "auto"}, w.Layout(width="auto")
    made = typed(kind)(description=label, style=style, layout=layout, **options)
    made.add_class("ob-field")
    return made


def button(label: str, *, style: str = "", tooltip: str | None = None) -> Button:
    """A button that is as wide as its label."""
    return Button(description=label, button_style=style, tooltip=tooltip, layout=w.Layout(width="auto"))


def box(*children: w.Widget, of: str) -> w.Box:
    """Controls in a box that the style sheet arranges by its class."""
    made = w.Box(children) if of in ("ob-columns", "ob-pair", "ob-buttons", "ob-saving") else w.VBox(children)
    made.add_class(of)
    return made


class Pane(w.HTML):
    """A piece of HTML in the look of the page; what is written to it is announced to screen readers."""

    def __init__(self, value: str = "", **traits: Any) -> None:
        self._told_until = monotonic() + LOADING_S
        super().__init__(value, **traits)

    def show(self, html: str, *, role: str = "") -> None:
        """Shows safe HTML; `role` is status or alert for what must be announced."""
        announced = f' role="{role}"' if role else ""
        self.value = f'<div class="ob"{announced}>{html}</div>' if html else ""
        if monotonic() < self._told_until:
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

    @contextmanager
    def saying_errors(self) -> Iterator[None]:
        """Says what goes wrong within, and ends it there."""
        try:
            yield
        except OptinbError as error:
            self.say(str(error), kind="bad")

    def tell(self, found: Any, show: Callable[[Any], object], *, unforeseen: str) -> None:
        """Has shown what a piece of work returned, or says what it ended with; what nobody foresaw is raised, too."""
        if not isinstance(found, Exception):
            show(found)
            return
        self.say(str(found) if isinstance(found, OptinbError) else unforeseen, kind="bad")
        if not isinstance(found, OptinbError):
            raise found

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


def on_enter(control: Any, call: Callable[[], None]) -> None:
    """Calls when somebody presses Enter in a text, once what they typed before it is known."""

    def told(_control: Any, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("event") == "submit":
            after_typing(control, call, is_after_text=True)

    control.on_msg(told)


def take_first(control: w.Combobox) -> None:
    """Lets Enter take the first option that fits what was written, as long as that is none itself.

    Where nothing is offered yet, it is taken once it is, unless something else was written meanwhile.
    """
    entered: list[str] = []

    def take() -> None:
        entered[:] = [] if control.options else [control.value]
        found = first_match(control.value, control.options)
        if found and control.value != found:
            control.value = found

    def take_late() -> None:
        if control.options and entered == [control.value]:
            take()

    on_enter(control, take)
    control.observe(lambda _: take_late(), "options")


def first_match(text: str, options: Sequence[str]) -> str:
    """The option that a text is, else the first that begins with it, else the first that has it within; or nothing."""
    wanted = text.strip().casefold()
    if not wanted or text in options:
        return text if wanted else ""
    beginning = (one for one in options if one.casefold().startswith(wanted))
    return next(beginning, None) or next((one for one in options if wanted in one.casefold()), "")


def choose(control: Any, options: Sequence[Any], *, keep: Any, first: Any = None) -> None:
    """Gives a list new options, with `keep` chosen if it is among them, else `first`, else the first one."""
    control.options = options
    known = offered(control)
    wanted = next((value for value in (keep, first, *known) if value in known), None)
    # by its place: a list that is told to choose None shows nothing, even where an option has that value
    control.index = known.index(wanted) if known else None


def offered(control: Any) -> list[Any]:
    """The values that a list offers."""
    return [option[1] if isinstance(option, tuple) else option for option in control.options]


HOLES: tuple[Any, ...] = (None, "", (), [], {})
LARGEST = 10**12  # that a number may be whose schema says no limit
BOUNDS = {"ge": ("min", 0), "gt": ("min", 1), "le": ("max", 0), "lt": ("max", -1)}
CONTROL_OF: dict[type[inspect.Type], str] = {
    inspect.BoolType: "check",
    inspect.LiteralType: "choice",
    inspect.IntType: "whole",
    inspect.FloatType: "number",
    inspect.StrType: "text",
    inspect.DateType: "date",
    inspect.TimeType: "time",
    inspect.StructType: "form",
    inspect.ListType: "list",
    inspect.VarTupleType: "list",
}


class Control(NamedTuple):
    """A kind of control: made with a label and traits, and what it holds written as JSON and read from it."""

    make: Callable[..., Any]
    write: Callable[[Any], Any] = lambda held: held
    read: Callable[[Any], Any] = lambda given: given


class Checks(w.VBox):
    """A checkbox for each of several values; `value` are those that are checked."""

    value = traitlets.Tuple()

    def __init__(self, label: str, *, options: Sequence[tuple[str, Any]]) -> None:
        super().__init__()
        self.add_class("ob-checks")
        self.boxes = {value: w.Checkbox(description=called, indent=False) for called, value in options}
        self.about = w.HTML()
        self.children = (*self.boxes.values(), self.about)
        for one in self.boxes.values():
            one.observe(lambda _: self._take(), "value")
        self.observe(lambda change: self._give(change["new"]), "value")

    def _take(self) -> None:
        self.value = tuple(value for value, one in self.boxes.items() if one.value)

    def _give(self, checked: tuple[Any, ...]) -> None:
        for value, one in self.boxes.items():
            one.value = value in checked


def say_at(control: Any, label: str, wrong: str) -> None:
    """Says in the label of a control what is wrong with it, so that whoever hears the page hears it there, too."""
    said = f'{escape(label)} <span class="ob-wrong-why">{escape(wrong)}</span>' if wrong else label
    if isinstance(control, Checks):
        control.about.value = said if wrong else ""
    elif control.description != said:
        # a label that is no HTML shows what it holds as it is
        control.description, control.description_allow_html = ("", bool(wrong))
        control.description = said
    (control.add_class if wrong else control.remove_class)("ob-wrong")


class Unshown(w.VBox):
    """Keeps a value that has no control, as it was given."""

    value = traitlets.Any()


def _figure(held: str) -> Any:
    """A number that may be missing; what is none stays as it was written, so that the schema names it."""
    try:
        return msgspec.convert(held.strip(), int | float | None, strict=False)
    except msgspec.ValidationError:
        return held.strip()


def _text(given: Any) -> str:
    return "" if given is None else str(given)


def _iso(held: date | time | None) -> str | None:
    return held and held.isoformat()


CONTROLS = {
    "": Control(lambda label: Unshown()),
    "area": Control(partial(field, w.Textarea, rows=2), str.strip, _text),
    "check": Control(lambda label, **traits: w.Checkbox(description=label, indent=False, **traits), read=bool),
    "checks": Control(Checks, list, lambda given: tuple(given or ())),
    "choice": Control(partial(field, w.Dropdown)),
    "date": Control(partial(field, w.DatePicker), _iso, lambda given: date.fromisoformat(given) if given else None),
    "exact": Control(partial(field, w.Text), read=_text),
    "figure": Control(partial(field, w.Text), _figure, _text),
    "list": Control(
        partial(field, w.Text),
        lambda held: re.findall(r"[^\s,;]+", held),
        lambda given: ", ".join(map(str, given or ())),
    ),
    "number": Control(partial(field, w.BoundedFloatText), read=lambda given: given or 0),
    "percent": Control(
        partial(field, w.BoundedFloatText),
        lambda held: round(held / 100, 6),
        lambda given: round((given or 0) * 100, 4),
    ),
    "text": Control(partial(field, w.Text), str.strip, _text),
    "time": Control(
        partial(field, w.TimePicker, step=60), _iso, lambda given: time.fromisoformat(given) if given else None
    ),
    "time of day": Control(
        partial(field, w.TimePicker, step=60),
        lambda held: held and f"{held:%H:%M}",
        lambda given: time.fromisoformat(given) if given else None,
    ),
    "whole": Control(partial(field, w.BoundedIntText), read=lambda given: given or 0),
}


def pick(control: Any, given: Any) -> None:
    """Chooses a value; one that isn't offered any more is left unchosen, and a hole is what is offered first."""
    known = offered(control)
    wanted = given if given in known else None if None in known or given not in HOLES else next(iter(known), None)
    control.index = known.index(wanted) if wanted in known else None


def members_of(kind: Any) -> list[Any]:
    """The types that a value may have."""
    found = kind if isinstance(kind, inspect.Type) else inspect.type_info(kind)
    found = found.type if isinstance(found, inspect.Metadata) else found
    return list(found.types) if isinstance(found, inspect.UnionType) else [found]


def control_of(kind: inspect.Type) -> str:
    """The control of a field's type; none where people can't write such a value in one."""
    members = members_of(kind)
    given = [one for one in members if not isinstance(one, inspect.NoneType)]
    controls = {CONTROL_OF.get(type(one), "") for one in given}
    if "choice" in controls:
        return "choice"
    if controls == {"form", "text"}:
        return "saved or form"
    if len(controls) > 1:
        return "text" if controls <= {"text", "whole", "number", "check"} else ""
    (control,) = controls
    if control == "list":
        return {"choice": "checks", "text": "list", "date": "list"}.get(control_of(given[0].item_type), "")
    return "figure" if control in ("whole", "number") and len(given) < len(members) else control


def limits_of(kind: inspect.Type, *others: inspect.Type) -> dict[str, Any]:
    """The limits of a number that must be given; an exclusive one of fractions is left to the check of the value."""
    if others or not isinstance(kind, (inspect.IntType, inspect.FloatType)):
        return {}
    step = isinstance(kind, inspect.IntType)
    given = {name: getattr(kind, name) for name in BOUNDS if getattr(kind, name) is not None}
    return {"min": -LARGEST, "max": LARGEST} | {BOUNDS[n][0]: bound + step * BOUNDS[n][1] for n, bound in given.items()}


def options_of(kind: inspect.Type, words: Mapping[Any, str]) -> list[tuple[str, Any]]:
    """What a choice offers: what has words, in their order, then all else that the schema allows."""
    members = [one for member in members_of(kind) for one in members_of(getattr(member, "item_type", member))]
    known = [value for one in members if isinstance(one, inspect.LiteralType) for value in one.values]
    if not words and any(isinstance(one, inspect.NoneType) for one in members):
        known.insert(0, None)
    return [(words.get(value, called(value)), value) for value in dict.fromkeys([*words, *known])]


def default_of(one: inspect.Field) -> Any:
    """The default of a field in plain JSON; None where it has none."""
    if one.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(one.default_factory())
    return None if one.default is msgspec.NODEFAULT else msgspec.to_builtins(one.default)


def title_of(kind: inspect.Type) -> str:
    """What the schema calls a field."""
    return (kind.extra_json_schema or {}).get("title", "") if isinstance(kind, inspect.Metadata) else ""


def called(value: Any) -> str:
    """What a field or a value is called that nobody has found words for."""
    return str(value).replace("_", " ").capitalize()
