"""What customers did, as a sentence with blanks: who did [purchase] [at least] [2] times [in the last] [60] days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.rules import PURCHASE
from optinb.rules.sentence import BOUNDS, COMPARED_DAY
from optinb.views.editor.blanks import DayBlanks, Pick, WindowBlanks, arrange, blank, offer, on_change, pick, put, word
from optinb.views.editor.document import WHERE
from optinb.views.editor.line import LineView
from optinb.views.editor.words import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.building import Problem
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Behaviour
    from optinb.views.editor.groups import GroupView


class BehaviourView(LineView):
    """A behaviour, with the conditions on its rows below."""

    leads = ("who did", "who did not do")
    what = "the behaviour"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.event = Pick(desk, "What they did", lambda new: desk.choose_event(self.path, new))
        self.measure = pick("Measured by", MEASURES)
        self.column = Pick(desk, "Column", lambda new: desk.set(self.path, column=new))
        self.operator = Pick(desk, "Comparison", lambda new: desk.set(self.path, op=new))
        self.value = blank(w.Text, "Number", of="ob-short", placeholder="1")
        self.day = DayBlanks(
            desk,
            lambda new: desk.set(self.path, topic="value", value=new),
            lambda new: desk.set(self.path, unit=new, value=""),
        )
        self.window = WindowBlanks(desk, lambda: self.path)
        self.add_where = w.Button(description="where …", icon="plus", layout=w.Layout(width="auto"))
        self.add_where.tooltip = "Count only some of it, by its own columns"
        self.add_where.add_class("ob-add")
        self.with_word = word("with")
        self.where: GroupView | None = None
        on_change(desk, self.measure, lambda new: desk.choose_measure(self.path, new))
        on_change(desk, self.value, lambda new: desk.set(self.path, topic="value", value=new))
        self.add_where.on_click(lambda _: desk.add_where(self.path))

    def fill(self, line: Behaviour, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        events = {PURCHASE: PURCHASE, **{name: name for name in self.desk.vocabulary.event_names}}
        self.first = event = self.event.show(events, line.event)
        offer(self.measure, MEASURES, line.measure)
        where = () if line.where.parts else (self.add_where,)
        window = self.window.show(line.window)
        arrange(self.sentence, self.lead, event, *self._measured(line), *window, *where)
        self._show_where(line, problems)

    def _measured(self, line: Behaviour) -> tuple[w.Widget, ...]:
        """The controls for how much of it."""
        if line.measure in ("first", "last"):
            words = {op: text for op, text in COMPARED_DAY.items() if op != "ne"}
            return (self.measure, self.operator.show(words, line.op), *self.day.show(line.value, line.unit))
        operator = self.operator.show(BOUNDS, line.op)
        put(self.value, line.value)
        if line.measure in ("count", "days_in_a_row"):
            return (operator, self.value, self.measure)
        numbers = {name: name for name, kind in self.desk.columns(line.event).items() if kind == "number"}
        column = self.column.show({"": "choose a column", **numbers}, line.column)
        return (self.with_word, self.measure, column, operator, self.value)

    def _show_where(self, line: Behaviour, problems: Sequence[Problem]) -> None:
        from optinb.views.editor.groups import GroupView

        if not line.where.parts:
            self.children = (self.row, self.problem)
            self.where = None
            return
        if self.where is None:
            self.where = GroupView(self.desk)
            self.children = (self.row, self.problem, self.where)
        self.where.show(line.where, (*self.path, WHERE), problems, self.desk.columns(line.event))
