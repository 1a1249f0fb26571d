"""A condition on an attribute, as a line: whose [country] [is] [DE]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.editor.blanks import DayBlanks, Pick, arrange, blank, offer, on_change, pick, put, shut, soon, word
from optinb.views.editor.line import LineView
from optinb.views.editor.picker import AttributePicker
from optinb.views.editor.words import OPERATORS, column_operators, operators
from optinb.views.newest import Newest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.segments import Distribution
    from optinb.views.editor.building import Problem
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Condition, Unit

CHOOSE = "Choose an attribute"


class ConditionView(LineView):
    """A condition: the attribute, the operator, and the blanks that both ask for."""

    leads = ("whose", "not whose")

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._newest = Newest()
        self._columns: Mapping[str, Kind] | None = None
        self._frequent = ""
        self._line: Condition | None = None
        self.attribute = w.Button(layout=w.Layout(width="auto"), tooltip="The attribute; opens the list of all")
        self.attribute.add_class("ob-choose")
        self.column = Pick(desk, "Column", self._choose)
        self.operator = Pick(desk, "Comparison", lambda new: desk.choose_operator(self.path, new))
        self.value = blank(w.Combobox, "Value", placeholder="value")
        self.number = blank(w.Text, "Number", of="ob-short", placeholder="0")
        self.values = blank(w.Textarea, "Values, one a line", rows=3)
        self.yes = pick("Yes or no", {"": "choose", "yes": "yes", "no": "no"})
        self.day = DayBlanks(desk, self._write, self._unit)
        self.first = self.attribute
        self.from_day = blank(w.Text, "First day, counted from the run date", of="ob-short")
        self.to_day = blank(w.Text, "Last day, counted from the run date", of="ob-short")
        self.within = Pick(desk, "Among whom", lambda new: desk.set(self.path, within=new))
        self.words = {text: word(text) for text in ("from", "to", "days after the run date", "%")}
        self.picker: AttributePicker | None = None  # while it's open
        self.attribute.on_click(lambda _: self._toggle())
        for control in (self.value, self.number, self.yes):
            on_change(desk, control, self._write)
        on_change(desk, self.values, self._write_all)
        on_change(desk, self.from_day, lambda new: self._write_one(0, new))
        on_change(desk, self.to_day, lambda new: self._write_one(1, new))

    def fill(self, line: Condition, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        self._line, self._columns = line, columns
        if columns is None:
            self.attribute.description = f"{line.attribute or CHOOSE} ▾"
            subject = self.attribute
            known = operators(line.kind)
        else:
            self.leads = ("where", "not where")
            offer(self.lead, {"": "where", "not": "not where"}, "not" if line.negated else "")
            subject = self.column.show({"": "choose a column", **{n: n for n in columns}}, line.attribute)
            known = column_operators(line.kind)
        known = known if line.op in known else {**known, line.op: OPERATORS[line.op].words}
        operator = self.operator.show(known, line.op)
        arrange(self.sentence, self.lead, subject, operator, *(self._blanks(line) if line.attribute else ()))
        if self.picker is not None:
            self.picker.show(line.attribute)
        self._suggest(line)

    def _blanks(self, line: Condition) -> tuple[w.Widget, ...]:
        """The controls for what the attribute is compared with."""
        first, second = (*line.values, "", "")[:2]
        match line.op:
            case "missing" | "known":
                return ()
            case "one_of":
                if _lines(self.values.value) != line.values:  # an empty line that somebody has just begun stays
                    put(self.values, "\n".join(line.values))
                return (self.values,)
            case "anniversary":
                put(self.from_day, first)
                put(self.to_day, second)
                words = self.words
                return (words["from"], self.from_day, words["to"], self.to_day, words["days after the run date"])
            case "top" | "bottom":
                put(self.number, first)
                names = self.desk.vocabulary.attributes
                same = {name: f"of those with the same {name}" for name in names if name != line.attribute}
                within = self.within.show({"": "of all customers", **same}, line.within)
                return (self.number, self.words["%"], within)
            case _ if line.kind == "yes/no":
                offer(self.yes, {"": "choose", "yes": "yes", "no": "no"}, first)
                return (self.yes,)
            case _ if line.kind == "day":
                return self.day.show(first, line.unit)
            case _ if line.kind == "number":
                put(self.number, first)
                return (self.number,)
            case _:
                put(self.value, first)
                return (self.value,)

    def _suggest(self, line: Condition) -> None:
        """Offers the most frequent values of a text."""
        if self._columns is not None or line.kind != "text" or line.attribute == self._frequent:
            return
        self._frequent = line.attribute
        self.value.options = ()
        if line.attribute in self.desk.vocabulary.attributes:
            self.desk.distribution(line.attribute, self._newest, self._offer_values)

    def _offer_values(self, found: Distribution | Exception) -> None:
        if not isinstance(found, Exception):
            self.value.options = tuple(str(band.low) for band in found.bands if band.low is not None)

    def _toggle(self) -> None:
        if self.picker is not None:
            self.children = (self.row, self.problem)
            shut(self.picker)
            self.picker = None
        elif self._line is not None:
            self.picker = AttributePicker(self.desk, self._choose)
            self.picker.show(self._line.attribute)
            self.children = (self.row, self.problem, self.picker)
            soon(self.picker.search.focus)

    def _choose(self, name: str) -> None:
        kinds = self.desk.vocabulary.attributes if self._columns is None else self._columns
        self.desk.choose_attribute(self.path, name, kinds)

    def _write(self, text: str) -> None:
        self._write_one(0, text)

    def _write_one(self, place: int, text: str) -> None:
        if self._line is not None:
            values = [*self._line.values, *[""] * (place + 1 - len(self._line.values))]
            values[place] = text
            self.desk.set(self.path, topic=f"value {place}", values=tuple(values))

    def _write_all(self, text: str) -> None:
        self.desk.set(self.path, topic="values", values=_lines(text))

    def _unit(self, unit: Unit) -> None:
        self.desk.set(self.path, unit=unit, values=("",))


def _lines(text: str) -> tuple[str, ...]:
    """The values that are written one a line; one empty value where there is none."""
    return tuple(line.strip() for line in text.splitlines() if line.strip()) or ("",)
