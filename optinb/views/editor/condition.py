"""A condition on an attribute, as a line: whose [country] [is] [DE]; and the picker of attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.show.customers import distribution as distribution_of
from optinb.views.controls import Pane, field, on_enter, take_first
from optinb.views.debounce import LatestOnly
from optinb.views.editor.blanks import DayBlanks, Pick, arrange, blank, offer, on_change, pick, put, shut, soon, word
from optinb.views.editor.clicked import is_chosen, with_band
from optinb.views.editor.document import core, is_negated, kind_in, operator_of, texts_of, unit_in
from optinb.views.editor.holes import OPERATORS, column_operators, operators, shown
from optinb.views.editor.line import LineView
from optinb.views.editor.values import KEPT_LISTS, ValueList
from optinb.views.typed import Button

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.rules import Kind
    from optinb.segments import Distribution, Vocabulary
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Problem
    from optinb.views.editor.holes import Json


def found(vocabulary: Vocabulary, search: str) -> list[str]:
    """The attributes whose name, label or meaning has every word of a search; what begins with it comes first."""
    words = search.casefold().replace("_", " ").split()

    def called(name: str) -> tuple[str, str]:
        return name.replace("_", " ").casefold(), vocabulary.labels.get(name, "").casefold()

    def text(name: str) -> str:
        about = f"{vocabulary.attributes[name]} {vocabulary.meanings.get(name, '')}".casefold()
        return " ".join((*called(name), about))

    fitting = [name for name in vocabulary.attributes if all(word in text(name) for word in words)]
    start = " ".join(words)

    def rank(name: str) -> tuple[bool, bool]:
        plain = called(name)
        return (not any(one.startswith(start) for one in plain), not any(start in one for one in plain))

    return sorted(fitting, key=rank) if words else fitting


class AttributePicker(w.Box):
    """Chooses an attribute of the customer. `chosen` is called with its name."""

    def __init__(
        self,
        desk: Desk,
        chosen: Callable[[str], None],
        clicked: Callable[[Distribution, int], None],
        marks: Callable[[Distribution], Sequence[bool]],
        go_on: Callable[[], None],
    ) -> None:
        """Args: `clicked`: on values, by the place of their band; `marks`: which of them the condition asks for."""
        self._go_on = go_on
        self._desk, self._latest_only, self._chosen, self._marks = desk, LatestOnly(), chosen, marks
        self._shown: Distribution | None = None
        self._old: list[w.Select] = []
        self._current = self._first = ""
        self.search = field(w.Text, "Search attributes", placeholder="a name or a meaning", continuous_update=True)
        self.list = self._made(())
        self.about, self.values = Pane(), ValueList(clicked)
        self._left, right = w.VBox((self.search, self.list)), w.VBox((self.about, self.values))
        self._left.add_class("ob-column")
        right.add_class("ob-column")
        super().__init__((self._left, right))
        self.add_class("ob-picker")
        on_change(desk, self.search, lambda _: self._offer())
        on_enter(self.search, self._take_first)

    def show(self, attribute: str) -> None:
        """Shows the attribute that is chosen."""
        self._current = attribute
        self._offer()
        vocabulary = self._desk.vocabulary
        if self._shown is not None and self._shown.attribute == attribute:
            self._mark()
            return
        self._shown = None
        self.values.clear()
        if attribute not in vocabulary.attributes:
            self.about.say("Choose an attribute to see its values.")
            return
        self.about.say("Looking at its values …")
        self._desk.distribution(attribute, self._latest_only, self._tell)

    def _offer(self) -> None:
        vocabulary = self._desk.vocabulary
        names = found(vocabulary, self.search.value)
        self._first = next(iter(names), "") if self.search.value.strip() else ""
        if self._current in vocabulary.attributes and self._current not in names:
            names = [self._current, *names]  # the chosen one stays in sight
        options = tuple(
            (f"{vocabulary.labels.get(name, name)} ({vocabulary.attributes[name]})", name) for name in names
        )
        if self.list.options != options:
            # a new list, not new options: a choice from the one that was just read must mean what was read
            self._old.append(self.list)
            self.list = self._made(options)
            self._left.children = (self.search, self.list)
            for old in self._old[:-KEPT_LISTS]:
                old.close()
            self._old = self._old[-KEPT_LISTS:]
        with self._desk.showing():
            put(self.list, self._current if self._current in names else None)

    def _made(self, options: tuple[tuple[str, str], ...]) -> Any:
        made = field(w.Select, "Attributes", rows=8, options=options, value=None)
        on_change(self._desk, made, lambda new: self._chosen(new) if new else None)
        return made

    def _tell(self, distribution: Distribution | Exception) -> None:
        if isinstance(distribution, Exception):
            self.about.say(str(distribution), kind="bad")
            return
        name, vocabulary = distribution.attribute, self._desk.vocabulary
        label, meaning = vocabulary.labels.get(name, name), vocabulary.meanings.get(name, "")
        self.about.show(distribution_of(distribution, label, meaning))
        self._shown = distribution
        self.values.show(distribution)
        self._mark()

    def _mark(self) -> None:
        if self._shown is not None:
            self.values.mark(self._marks(self._shown))

    def _take_first(self) -> None:
        """Takes the first attribute that a search has found, and goes on to what it is compared with."""
        if self._first:
            self._chosen(self._first)
            self._go_on()


CHOOSE = "Choose an attribute"


class ConditionView(LineView):
    """A condition: the attribute, the operator, and the blanks that both ask for."""

    leads = ("whose", "not whose")

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._latest_only = LatestOnly()
        self._columns: Mapping[str, Kind] | None = None
        self._frequent = ""
        self.attribute = Button(layout=w.Layout(width="auto"))
        self.attribute.add_class("ob-choose")
        self.column = Pick(desk, "Column", self._choose)
        self.operator = Pick(desk, "Comparison", lambda new: desk.choose_operator(self.path, new, self._kinds))
        self.value = blank(w.Combobox, "Value", placeholder="value")
        take_first(self.value)
        self.number = blank(w.Text, "Number", of="ob-short", placeholder="0")
        self.values = blank(w.Textarea, "Values, one a line", rows=3)
        self.yes = pick("Yes or no", {"": "choose", "yes": "yes", "no": "no"})
        self.day = DayBlanks(desk, self._write, lambda new: desk.write_texts(self.path, ("",), unit=new))
        self.first = self.attribute
        self.from_day = blank(w.Text, "First day, counted from the run date", of="ob-short")
        self.to_day = blank(w.Text, "Last day, counted from the run date", of="ob-short")
        self.within = Pick(desk, "Among whom", lambda new: desk.set(self.path, within=new or None))
        self.words = {text: word(text) for text in ("from", "to", "days from now", "%")}
        self.picker: AttributePicker | None = None  # while it's open
        self.attribute.on_click(lambda _: self._toggle())
        for control in (self.value, self.number, self.yes):
            on_change(desk, control, self._write)
        on_change(desk, self.values, self._write_all)
        on_change(desk, self.from_day, lambda new: self._write_one(0, new))
        on_change(desk, self.to_day, lambda new: self._write_one(1, new))

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        self._columns = columns
        op, kind, attribute = operator_of(self.line), kind_in(self.line, self._kinds), shown(line["attribute"])
        unit = unit_in(self.line) if kind == "day" else ""
        if columns is None:
            called = self.desk.vocabulary.labels.get(attribute, attribute)
            self.attribute.description = f"{called or CHOOSE} ▾"
            self.attribute.tooltip = f"{called or CHOOSE}: opens the list of all attributes"
            subject = self.attribute
            known = operators(kind, unit)
        else:
            offer(self.lead, {"": "where", "not": "not where"}, "not" if is_negated(self.line) else "")
            subject = self.column.show({"": "choose a column", **{n: n for n in columns}}, attribute)
            known = column_operators(kind, unit)
        known = known if op in known else {**known, op: OPERATORS[op].words}
        operator = self.operator.show(known, op)
        arrange(
            self.sentence, self.lead, subject, operator, *(self._blanks(line, op, kind, attribute) if attribute else ())
        )
        if self.picker is not None:
            self.picker.show(attribute)
        self._suggest(attribute, kind)

    def _blanks(self, line: Json, op: str, kind: Kind, attribute: str) -> tuple[w.Widget, ...]:
        """The controls for what the attribute is compared with."""
        texts = texts_of(self.line)
        first, second = (*texts, "", "")[:2]
        match op:
            case "missing" | "known":
                return ()
            case "one_of":
                if _lines(self.values.value) != texts:  # an empty line that somebody has just begun stays
                    put(self.values, "\n".join(texts))
                return (self.values,)
            case "birthday":
                put(self.from_day, first)
                put(self.to_day, second)
                words = self.words
                return (words["from"], self.from_day, words["to"], self.to_day, words["days from now"])
            case "top" | "bottom":
                put(self.number, first)
                labels = self.desk.vocabulary.labels
                same = {n: f"of those with the same {label}" for n, label in labels.items() if n != attribute}
                within = self.within.show({"": "of all customers", **same}, shown(line["within"]))
                return (self.number, self.words["%"], within)
            case _ if kind == "yes/no":
                offer(self.yes, {"": "choose", "yes": "yes", "no": "no"}, first)
                return (self.yes,)
            case _ if kind == "day":
                return self.day.show(line["value"])
            case _ if kind == "number":
                put(self.number, first)
                return (self.number,)
            case _:
                put(self.value, first)
                return (self.value,)

    def _suggest(self, attribute: str, kind: Kind) -> None:
        """Offers the most frequent values of a text."""
        if self._columns is not None or kind != "text" or attribute == self._frequent:
            return
        self._frequent = attribute
        self.value.options = ()
        if attribute in self.desk.vocabulary.attributes:
            self.desk.distribution(attribute, self._latest_only, self._offer_values)

    def _offer_values(self, found: Distribution | Exception) -> None:
        if not isinstance(found, Exception):
            self.value.options = tuple(str(band.low) for band in found.bands if band.low is not None)

    def _toggle(self) -> None:
        if self.picker is not None:
            self.children = (self.row, self.problem)
            shut(self.picker)
            self.picker = None
        else:
            soon(self.list_attributes().search.focus)

    def list_attributes(self) -> AttributePicker:
        """Shows the list of attributes."""
        self.picker = AttributePicker(self.desk, self._choose, self._click, self._marks, self._go_on)
        self.picker.show(shown(core(self.line)["attribute"]))
        self.children = (self.row, self.problem, self.picker)
        return self.picker

    def _click(self, found: Distribution, place: int) -> None:
        """Lets the condition ask for values that were clicked on, unless it asks about something else by now."""
        if shown(core(self.line)["attribute"]) == found.attribute:
            changed = with_band(self.desk.document, self.path, found.bands, place, found.kind)
            self.desk.put(changed)

    def _go_on(self) -> None:
        soon(lambda: self.operator.control.focus())

    def _marks(self, found: Distribution) -> list[bool]:
        places = range(len(found.bands))
        return [is_chosen(self.desk.document, self.path, found.bands, place, found.kind) for place in places]

    def _choose(self, name: str) -> None:
        self.desk.choose_attribute(self.path, name, self._kinds)

    @property
    def _kinds(self) -> Mapping[str, Kind]:
        """The kinds of what can be asked about: of the customer, or of the rows of a behaviour."""
        return self.desk.vocabulary.attributes if self._columns is None else self._columns

    def _write(self, text: str) -> None:
        self._write_one(0, text)

    def _write_one(self, place: int, text: str) -> None:
        texts = [*texts_of(self.line)]
        texts[place] = text
        self.desk.write_texts(self.path, texts, topic=f"value {place}")

    def _write_all(self, text: str) -> None:
        self.desk.write_texts(self.path, _lines(text), topic="values")


def _lines(text: str) -> tuple[str, ...]:
    """The values that are written one a line; one empty value where there is none."""
    return tuple(line.strip() for line in text.splitlines() if line.strip()) or ("",)
