"""A group of lines: all, any or none of them, with groups inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.views.controls import Pane
from optinb.views.editor.behaviour import BehaviourView
from optinb.views.editor.blanks import arrange, offer, on_change, pick, shut
from optinb.views.editor.condition import ConditionView
from optinb.views.editor.document import App, Behaviour, Campaign, Code, Condition, Group, Saved
from optinb.views.editor.line import Tools, say
from optinb.views.editor.others import AppView, CampaignView, CodeView, SavedView
from optinb.views.editor.words import JOINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.building import Problem
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Path

ADDED = {
    "attribute": "Attribute",
    "behaviour": "Behaviour",
    "nested": "Group of conditions",
    "app": "App",
    "campaign": "Campaign",
    "saved": "Saved group",
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
        self.joined = pick("How the conditions are joined", dict(JOINED.items()), of="ob-joined")
        self.first = self.joined
        self.tools = Tools(desk, self, what="the group", is_group=True)  # type: ignore[arg-type]
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
        on_change(desk, self.joined, lambda new: desk.set(self.path, joined=new))

    @property
    def lines(self) -> tuple[Any, ...]:
        """The widgets of the parts."""
        return self.body.children

    def show(
        self, group: Group, path: Path, problems: Sequence[Problem], columns: Mapping[str, Kind] | None = None
    ) -> None:
        """Shows a group at a path; `columns` are those of a behaviour, of whose conditions it is made."""
        self.path, self._columns = path, columns
        offer(self.joined, dict(JOINED.items()), group.joined)
        arrange(self.head, self.joined, *((self.tools,) if path else ()))
        say(self.problem, [problem.text for problem in problems if problem.path == path])
        before = self.lines
        views = []
        for place, part in enumerate(group.parts):
            wanted = VIEWS[type(part)]
            kept = place < len(before) and type(before[place]) is wanted
            views.append(before[place] if kept else wanted(self.desk))
        if before != tuple(views):
            self.body.children = tuple(views)
        for place, (view, part) in enumerate(zip(views, group.parts, strict=True)):
            view.show(part, (*path, place), problems, columns)
        for gone in before:
            if gone not in views:
                shut(gone)
        self._arrange_adders()

    def _adder(self, what: str, label: str) -> w.Button:
        button = w.Button(description=label, icon="plus", layout=w.Layout(width="auto"))
        button.add_class("ob-add")
        button.on_click(lambda _: self.desk.add(self.path, what))
        return button

    def _arrange_adders(self) -> None:
        inside = self._columns is not None
        names = INSIDE if inside else ADDED if self.more.value else USUAL
        self.add["attribute"].description = INSIDE["attribute"] if inside else ADDED["attribute"]
        arrange(self.adders, *(self.add[name] for name in names), *(() if inside else (self.more,)))


VIEWS: dict[type, Any] = {
    Group: GroupView,
    Condition: ConditionView,
    Behaviour: BehaviourView,
    App: AppView,
    Campaign: CampaignView,
    Saved: SavedView,
    Code: CodeView,
}
