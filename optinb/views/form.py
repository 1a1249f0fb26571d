"""A form made from the schema of a struct: a control for each field, which edits the value's own plain JSON.

What is still missing is a hole: a field that isn't there, or an empty text where the struct needs one, so that who
reads the JSON can name it. What people read stands in sheets, tables beside the form; a field without words is called
by its own name and comes where the sheet says that the rest goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as w
from msgspec import Struct, inspect

from optinb.views.controls import (
    CONTROLS,
    HOLES,
    Checks,
    box,
    called,
    choose,
    control_of,
    default_of,
    limits_of,
    members_of,
    offered,
    options_of,
    pick,
    say_at,
    title_of,
)
from optinb.views.saved_part import SavedPart

if TYPE_CHECKING:
    from collections.abc import Iterator


class Words(Struct, frozen=True, kw_only=True):
    """How a field is shown, where its schema doesn't say it.

    Attributes:
        label: above its control.
        control: its name in `CONTROLS`, where the schema allows several.
        options: the label of each value of a choice, in the order in which they are offered; None is only offered
            where it has a label, or nothing has.
        traits: of the control.
        unless: a field and a value of it with which this one isn't asked for.
        hole: what a choice shows until somebody chooses; without it the first value is chosen.
    """

    label: str = ""
    control: str = ""
    options: Mapping[Any, str] = {}
    traits: Mapping[str, Any] = {}
    unless: tuple[str, Any] | None = None
    hole: str = ""


class Kind(Struct, frozen=True):
    """One of several kinds of a struct: what it is called, what it `sets`, and which fields only some kinds ask for.

    `starts` gives fields a value that are empty when somebody chooses the kind.
    """

    label: str
    sets: Mapping[str, Any] = {}
    asks: Sequence[str] = ()
    starts: Mapping[str, Any] = {}


Row = str | Sequence[str] | w.DOMWidget | EllipsisType


class Sheet(Struct, frozen=True, kw_only=True):
    """The form of a struct: words of its fields, rows of fields and widgets (`...` for all others), and its kinds.

    `choice` names the control that chooses a kind.
    """

    fields: Mapping[str, Words] = {}
    rows: Sequence[Row] = (...,)
    kinds: Mapping[str, Kind] = {}
    choice: str = "kind"


class Cell(NamedTuple):
    """A field in a form: its widget, and the plain JSON in and out of it."""

    widget: Any
    read: Callable[[], Any]
    show: Callable[[Any], None]


class Form(w.VBox):
    """The controls of a struct, in one value's own JSON; a control is an attribute of the form by its field's name.

    `changed` is called when somebody changes a control. `follows` has what must happen before, by field; it also does
    when a value is shown.
    """

    def __init__(
        self,
        kind: Any,
        sheets: Mapping[type, Sheet],
        *,
        made: Mapping[str, Any] | None = None,
        is_optional: bool = False,
    ) -> None:
        """Builds the controls.

        Args:
            kind: the struct, or a tagged union of structs, whose tags are then its kinds.
            sheets: by struct; one that has none gets the plain form of its schema.
            made: parts that are made elsewhere, which have `read`, `show` and `changed` as a form has.
            is_optional: whether there is no value without the first field that the struct needs.
        """
        super().__init__()
        self.add_class("ob-column")
        structs = [one for one in members_of(kind) if isinstance(one, inspect.StructType)]
        self._sheets, self._sheet = sheets, sheets.get(structs[0].cls, Sheet())
        self._fields = {f.encode_name: f for one in structs for f in one.fields}
        self._kinds = _kinds(structs, self._sheet)
        self._key = next((name for name, f in self._fields.items() if f.required), "") if is_optional else ""
        self._depth = 0
        self._labels: dict[str, str] = {}
        self._wanted: dict[str, Any] = {}
        self._hidden: set[str] = set()
        self.changed: Callable[[], None] = _nothing
        self.follows: Mapping[str, Callable[[], None]] = {}
        for decided in {name for one in self._kinds.values() for name in one.sets} - self._asked:
            self._fields.pop(decided, None)
        self._cells = {
            name: self._cell(name, one.type, self._sheet.fields.get(name, Words()), (made or {}).get(name))
            for name, one in self._fields.items()
        }
        if self._kinds:
            named = self._sheet.fields.get(self._sheet.choice, Words())
            offers = {name: one.label for name, one in self._kinds.items()}
            words = Words(label=named.label, control="choice", options=offers)
            self._cells[self._sheet.choice] = self._cell(self._sheet.choice, inspect.NoneType(), words)
        self._boxes: list[tuple[w.DOMWidget, Sequence[str]]] = []
        self.children = tuple(self._rows())
        self.show({})

    def __getattr__(self, name: str) -> Any:
        if name not in self.__dict__.get("_cells", ()):
            raise AttributeError(f"the form has no field {name!r}")
        return self._cells[name].widget

    def read(self) -> dict[str, Any]:
        """The plain JSON of the value, with holes; what isn't asked for, or is its default, isn't given."""
        if self._is_void:
            return {}
        found = {name: value for name, value in self._kind.sets.items() if value is not None}
        for name in filter(self._belongs, self._fields):
            value, default = self._cells[name].read(), default_of(self._fields[name])
            if self._fields[name].required:
                found[name] = "" if value is None else value
            elif self._is_shown(name) and value != default and not (value in HOLES and default in HOLES):
                found[name] = value
        return found

    def show(self, given: Mapping[str, Any] | None) -> None:
        """Sets the controls; nobody is told of a change."""
        given = given or {}
        with self.quiet():
            if self._kinds:
                self._cells[self._sheet.choice].show(self._kind_of(given))
            for name, one in self._fields.items():
                self._wanted[name] = given.get(name, default_of(one))
                self._cells[name].show(self._wanted[name])
                self.follows.get(name, _nothing)()
        self._arrange()

    def choices(self, name: str, options: Sequence[Any], *, first: Any = None) -> None:
        """Offers other values for a field; what is chosen stays while it is offered, else it is `first`, which is told.

        Where `first` isn't offered either, it is the first one that is. A field that has words for a hole is left
        unchosen instead, unless there is one choice only; what somebody chose is chosen again once it is offered again.
        """
        control = self._cells[name].widget
        chosen = control.value
        if hole := self._sheet.fields.get(name, Words()).hole:
            pairs = [one if isinstance(one, tuple) else (str(one), one) for one in options]
            wanted, values = self._wanted.get(name), [value for _, value in pairs]
            first = wanted if wanted in values else values[0] if len(values) == 1 else None
            chosen, options = chosen if chosen in values else first, [(hole, None), *pairs]
            if control.value != chosen and list(control.options) == list(options):
                control.value = chosen
        if list(control.options) != list(options):
            before = control.value
            with self.quiet():
                choose(control, options, keep=chosen, first=first)
            if control.value != before:
                self._told(name)

    def offer_kinds(self, kinds: Mapping[str, Kind], *, first: Mapping[str, Any]) -> None:
        """Offers other kinds; what is chosen stays while it is offered, else it is that of the value `first`."""
        self._kinds = kinds
        with self.quiet():
            options = [(kind.label, name) for name, kind in kinds.items()]
            self.choices(self._sheet.choice, options, first=self._kind_of(first))
        self._arrange()

    def hide(self, name: str, *, is_hidden: bool) -> None:
        """Takes a field out of the form, so that it isn't read either, or puts it back."""
        (self._hidden.add if is_hidden else self._hidden.discard)(name)
        self._arrange()

    def is_only(self, name: str) -> bool:
        """Whether a field is chosen because there is no other choice."""
        control = self._cells[name].widget
        return control.value is not None and [one for one in offered(control) if one is not None] == [control.value]

    def mark(self, wrong: Mapping[str, str]) -> set[str]:
        """Says at each field what is wrong with it, and nothing more at all others.

        Args:
            wrong: a sentence for each field, by its place, such as `schedule.at`.

        Returns:
            the places that are fields of this form which are shown.
        """
        told: set[str] = set()
        for name, cell in self._cells.items():
            start = len(name)
            inner = {
                place[start:].removeprefix("."): text
                for place, text in wrong.items()
                if place.startswith((f"{name}.", f"{name}["))
            }
            if hasattr(cell.widget, "mark"):
                told |= {f"{name}.{place}" for place in cell.widget.mark(inner)}
            text = wrong.get(name, "")
            if name in self._labels:
                said = "" if not self._is_shown(name) else text
                say_at(cell.widget, self._labels[name], said)
                told |= {name} if said else set()
        return told

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Within it nobody is told of a change."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @property
    def is_quiet(self) -> bool:
        """Whether what changes now isn't somebody's doing."""
        return self._depth > 0

    @property
    def _is_void(self) -> bool:
        return self._key != "" and self._cells[self._key].read() in HOLES

    @property
    def _kind(self) -> Kind:
        return self._kinds[self._cells[self._sheet.choice].read()] if self._kinds else Kind("")

    @property
    def _asked(self) -> set[str]:
        """The fields that only some kinds ask for."""
        return {name for one in self._kinds.values() for name in one.asks}

    def _kind_of(self, given: Mapping[str, Any]) -> str:
        """The kind of a value: of those whose fields it has, the one that says most of it."""
        fits = {
            name: len(kind.sets) + sum(asked in given for asked in kind.asks)
            for name, kind in self._kinds.items()
            if all(given.get(key) == value for key, value in kind.sets.items())
        }
        return max(fits or self._kinds, key=lambda name: fits.get(name, 0))

    def _belongs(self, name: str) -> bool:
        return name in self._kind.asks or name not in self._asked

    def _is_shown(self, name: str) -> bool:
        if name in self._hidden:
            return False
        words = self._sheet.fields.get(name, Words())
        is_excused = words.unless is not None and self._cells[words.unless[0]].read() == words.unless[1]
        return self._belongs(name) and not is_excused and (name == self._key or not self._is_void)

    def _told(self, name: str) -> None:
        if self.is_quiet:
            return
        if name in self._fields and (value := self._cells[name].read()) not in HOLES:
            self._wanted[name] = value
        self.follows.get(name, _nothing)()
        with self.quiet():
            for begun, value in self._kind.starts.items() if name == self._sheet.choice else ():
                if self._cells[begun].read() in HOLES:
                    self._cells[begun].show(value)
        self._arrange()
        self.changed()

    def _arrange(self) -> None:
        """Shows what belongs to the kind that is chosen."""
        for widget, names in self._boxes:
            widget.layout.display = "" if any(map(self._is_shown, names)) else "none"

    def _rows(self) -> Iterator[w.DOMWidget]:
        """The rows of the sheet; where it doesn't say, what it doesn't name comes last."""
        rows = [(row,) if isinstance(row, str) else row for row in self._sheet.rows]
        rest = [(name,) for name in self._cells if all(name not in row for row in rows if isinstance(row, tuple))]
        at = rows.index(...) if ... in rows else len(rows)
        for row in [*rows[:at], *rest, *rows[at + 1 :]]:
            if isinstance(row, w.DOMWidget):
                yield row
                continue
            self._boxes += [(self._cells[name].widget, (name,)) for name in row]
            if len(row) > 1:
                self._boxes.append((box(*(self._cells[name].widget for name in row), of="ob-pair"), row))
            yield self._boxes[-1][0]

    def _cell(self, name: str, kind: inspect.Type, words: Words, part: Any = None) -> Cell:
        """The control of a field, or the part that stands in its place."""
        control = words.control or control_of(kind)
        if part is None and control in ("form", "saved or form"):
            part = Form(kind, self._sheets, is_optional=inspect.NoneType() in members_of(kind))
            if control == "saved or form":
                label = words.label or title_of(kind) or called(name)
                part = SavedPart(part, label=label, none=words.options.get(None, called(None)))
        if part is not None:
            part.changed = lambda: self._told(name)
            return Cell(part, part.read, part.show)
        traits = {**limits_of(*members_of(kind)), **words.traits}
        if control in ("choice", "checks"):
            hole = [(words.hole, None)] if words.hole else []
            traits["options"] = [*hole, *options_of(kind, words.options)]
        make, write, read = CONTROLS[control]
        label = words.label or title_of(kind) or called(name)
        widget = make(label, **traits)
        if widget.has_trait("description_allow_html") or isinstance(widget, Checks):
            self._labels[name] = label
        widget.observe(lambda _: self._told(name), "value")
        show = partial(pick, widget) if control == "choice" else lambda given: setattr(widget, "value", read(given))
        return Cell(widget, lambda: write(widget.value), show)


def _nothing() -> None:
    """What follows from most fields."""


def _kinds(structs: Sequence[inspect.StructType], sheet: Sheet) -> dict[str, Kind]:
    """The kinds of the sheet, and those that only the schema knows: tags, and values of fields that kinds set."""
    tagged = [(one, str(one.tag)) for one in structs if len(structs) > 1]
    asked = {tag: one.cls.__struct_encode_fields__ for one, tag in tagged}
    found = {tag: Kind(called(tag), {str(one.tag_field): tag}, asked[tag]) for one, tag in tagged} | dict(sheet.kinds)
    for f in structs[0].fields:
        known = {kind.sets[f.encode_name] for kind in sheet.kinds.values() if f.encode_name in kind.sets}
        new = [value for _, value in options_of(f.type, {}) if known and value not in known]
        found |= {str(value): Kind(called(value), {f.encode_name: value}) for value in new}
    return found
