"""Which control edits a value of a type of `msgspec.inspect`, and how what it holds is plain JSON."""

from __future__ import annotations

import re
from datetime import date, time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as w
import msgspec
import traitlets
from msgspec import inspect

from optinb.views.controls import field, offered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        self.children = tuple(self.boxes.values())
        for one in self.children:
            one.observe(lambda _: self._take(), "value")
        self.observe(lambda change: self._give(change["new"]), "value")

    def _take(self) -> None:
        self.value = tuple(value for value, one in self.boxes.items() if one.value)

    def _give(self, checked: tuple[Any, ...]) -> None:
        for value, one in self.boxes.items():
            one.value = value in checked


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
    "date": Control(partial(field, w.DatePicker), _iso, lambda given: given and date.fromisoformat(given)),
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
    "time": Control(partial(field, w.TimePicker, step=60), _iso, lambda given: given and time.fromisoformat(given)),
    "time of day": Control(
        partial(field, w.TimePicker, step=60),
        lambda held: held and f"{held:%H:%M}",
        lambda given: given and time.fromisoformat(given),
    ),
    "whole": Control(partial(field, w.BoundedIntText), read=lambda given: given or 0),
}


def pick(control: Any, given: Any) -> None:
    """Chooses a value; one that isn't offered any more is left unchosen, and a hole is what is offered first."""
    known = offered(control)
    control.value = given if given in known else next(iter(known), None) if given in HOLES else None


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
