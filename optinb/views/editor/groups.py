"""A group of lines: all, any or none of them, with groups inside.

A behaviour is one of them, a sentence with blanks: who [bought] [at least] [2] times [in the last] [60] days;
the conditions on its rows are a group again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.rules import PURCHASE
from optinb.rules.sentence import BOUNDS
from optinb.views.controls import Pane
from optinb.views.editor.blanks import (
    DayBlanks,
    Pick,
    WindowBlanks,
    arrange,
    blank,
    offer,
    on_change,
    pick,
    put,
    shut,
    word,
)
from optinb.views.editor.condition import ConditionView
from optinb.views.editor.document import WHERE, core, is_negated, joined, kind_measured, operator_of, parts
from optinb.views.editor.holes import JOINED, MEASURES, compared_day, shown, unit_of, write
from optinb.views.editor.line import AppView, CampaignView, CodeView, LineTools, LineView, SavedView, say
from optinb.views.typed import Button

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Path, Problem
    from optinb.views.editor.holes import Json

ADDED = {
    "attribute": "Attribute",
    "behaviour": "Behaviour",
    "nested": "Group of conditions",
    "app": "App",
    "campaign": "Campaign",
    "group": "Saved group",
    "list": "List",
    "code": "Line of code",
}
USUAL = ("attribute", "behaviour", "nested")
INSIDE = {"attribute": "Condition", "nested": "Group of conditions", "code": "Line of code"}


class GroupView(w.VBox):
    """A group. `show` tells it what it is; it keeps the widgets of its lines, so that whoever types keeps the focus."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.path: Path = ()
        self._columns: Mapping[str, Kind] | None = None
        self.joined = pick("How the conditions are joined", JOINED, of="ob-joined")
        self.first = self.joined
        self.tools = LineTools(desk, self, what="the group", is_group=True)  # type: ignore[arg-type]
        self.head = w.Box((self.joined,))
        self.head.add_class("ob-row")
        self.body = w.VBox()
        self.body.add_class("ob-body")
        self.problem = Pane()
        self.add = {what: self._adder(what, label) for what, label in ADDED.items()}
        self.more = w.ToggleButton(description="More …", layout=w.Layout(width="auto"))
        self.more.tooltip = "App, campaign, saved group, list, code"
        self.more.add_class("ob-add")
        self.more.observe(lambda _: self._arrange_adders(), "value")
        self.adders = w.Box()
        self.adders.add_class("ob-adders")
        super().__init__((self.head, self.body, self.problem, self.adders))
        self.add_class("ob-group")
        on_change(desk, self.joined, lambda new: desk.join(self.path, new))

    @property
    def lines(self) -> tuple[Any, ...]:
        """The widgets of the parts."""
        return self.body.children

    def show(
        self, group: Json, path: Path, problems: Sequence[Problem], columns: Mapping[str, Kind] | None = None
    ) -> None:
        """Shows a group at a path; `columns` are those of a behaviour, of whose conditions it is made."""
        self.path, self._columns = path, columns
        offer(self.joined, JOINED, joined(group))
        arrange(self.head, self.joined, *((self.tools,) if path else ()))
        say(self.problem, [problem.text for problem in problems if problem.path == path])
        before = self.lines
        views = []
        for place, part in enumerate(parts(group)):
            wanted = _view_of(part)
            kept = place < len(before) and type(before[place]) is wanted
            views.append(before[place] if kept else wanted(self.desk))
        if before != tuple(views):
            self.body.children = tuple(views)
        for place, (view, part) in enumerate(zip(views, parts(group), strict=True)):
            view.show(part, (*path, place), problems, columns)
        for gone in before:
            if gone not in views:
                shut(gone)
        self._arrange_adders()

    def _adder(self, what: str, label: str) -> Button:
        button = Button(description=label, icon="plus", layout=w.Layout(width="auto"))
        button.add_class("ob-add")
        button.on_click(lambda _: self.desk.add(self.path, what))
        return button

    def _arrange_adders(self) -> None:
        inside = self._columns is not None
        names = INSIDE if inside else ADDED if self.more.value else USUAL
        self.add["attribute"].description = INSIDE["attribute"] if inside else ADDED["attribute"]
        arrange(self.adders, *(self.add[name] for name in names), *(() if inside else (self.more,)))


class BehaviourView(LineView):
    """A behaviour, with the conditions on its rows below."""

    leads = ("who", "who did not")
    what = "the behaviour"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.event = Pick(desk, "What they did", lambda new: desk.set(self.path, event=new))
        self.measure = pick("Measured by", MEASURES)
        self.column = Pick(desk, "Column", lambda new: desk.write(self.path, "column", core(self.line)["measure"], new))
        self.operator = Pick(desk, "Comparison", lambda new: desk.set(self.path, op=new))
        self.value = blank(w.Text, "Number", of="ob-short", placeholder="1")
        self.day = DayBlanks(
            desk,
            lambda new: desk.write(self.path, "value", unit_of(core(self.line)["value"]), new),
            lambda new: desk.set(self.path, value=write(new, "")),
        )
        self.window = WindowBlanks(desk, lambda: self.path, "window")
        self.add_where = Button(description="where …", icon="plus", layout=w.Layout(width="auto"))
        self.add_where.tooltip = "Count only some of it, by its own columns"
        self.add_where.add_class("ob-add")
        self.with_word = word("with")
        self.where: GroupView | None = None
        on_change(desk, self.measure, lambda new: desk.choose_measure(self.path, new))
        on_change(desk, self.value, self._write)
        self.add_where.on_click(lambda _: desk.add_where(self.path))

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        do, buy = ("do", "buy") if is_negated(self.line) else ("did", "bought")
        events = {PURCHASE: buy, **{name: f"{do} {name}" for name in self.desk.vocabulary.event_names}}
        self.first = event = self.event.show(events, shown(line["event"]))
        once = {"count": "time"} if line["value"] == 1 else {}
        offer(self.measure, MEASURES | once, line["measure"])
        where = () if line["filter"] else (self.add_where,)
        window = self.window.show(line["window"])
        arrange(self.sentence, self.lead, event, *self._measured(line), *window, *where)
        self._show_where(line, problems)

    def _measured(self, line: Json) -> tuple[w.Widget, ...]:
        """The controls for how much of it."""
        if line["measure"] in ("first", "last"):
            compared = compared_day(unit_of(line["value"]))
            words = {op: text.removeprefix("is ") for op, text in compared.items() if op != "ne"}
            return (self.measure, self.operator.show(words, line["op"]), *self.day.show(line["value"]))
        operator = self.operator.show(BOUNDS, line["op"])
        put(self.value, shown(line["value"]))
        if line["measure"] in ("count", "days_in_a_row"):
            return (operator, self.value, self.measure)
        numbers = {name: name for name, kind in self.desk.columns(shown(line["event"])).items() if kind == "number"}
        column = self.column.show({"": "choose a column", **numbers}, shown(line["column"]))
        return (self.with_word, self.measure, column, operator, self.value)

    def _write(self, text: str) -> None:
        self.desk.write(self.path, "value", kind_measured(core(self.line)["measure"]), text)

    def _show_where(self, line: Json, problems: Sequence[Problem]) -> None:
        if not line["filter"]:
            self.children = (self.row, self.problem)
            self.where = None
            return
        if self.where is None:
            self.where = GroupView(self.desk)
            self.children = (self.row, self.problem, self.where)
        self.where.show(line["filter"], (*self.path, WHERE), problems, self.desk.columns(shown(line["event"])))


def _view_of(part: Json) -> type[Any]:
    """The widget that shows a part."""
    if joined(part):
        return GroupView
    return ConditionView if operator_of(part) else VIEWS[core(part)["is"]]


# by the tag of the JSON; what has an attribute is a condition
VIEWS: dict[str, Any] = {
    "did": BehaviourView,
    "uses": AppView,
    "contacted": CampaignView,
    "in_group": SavedView,
    "in_list": SavedView,
    "code": CodeView,
}
