"""Saved groups beside each other and over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.errors import UsageError
from optinb.show import html
from optinb.views.controls import Pane, box, choose, field, styles
from optinb.views.debounce import follow
from optinb.views.explore.asking import AskingView
from optinb.views.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.base.progress import Advance
    from optinb.segments import Sizes
    from optinb.workspace import Workspace

NO_GROUP = "No target group is saved yet; save one in the rule editor above."
EVERYBODY = "everybody else"


def names_of(ws: Workspace) -> list[str]:
    """The names of the saved groups."""
    return [group.name for group in ws.groups.list()]


def several(names: list[str]) -> w.SelectMultiple:
    """A list to choose several groups of."""
    return field(w.SelectMultiple, "Groups", options=names, value=names[:4], rows=min(max(len(names), 3), 8))


def offer_several(control: w.SelectMultiple, names: list[str]) -> None:
    """Offers groups that were saved meanwhile; those that are chosen stay chosen."""
    chosen = [name for name in control.value if name in names]
    control.options = names
    control.value = chosen


class CompareView(AskingView):
    """What makes a group different from everybody else, or from another group."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__(ws)
        names = names_of(ws)
        self.group = field(w.Dropdown, "Group", options=names)
        self.other = field(w.Dropdown, "Compared with", options=[EVERYBODY, *names])
        self.arrange(self.group, self.other, watch=(self.group, self.other))
        follow(self, lambda: names_of(ws), self.offer)

    def offer(self, names: list[str]) -> None:
        """Offers groups that were saved meanwhile.

        Args:
            names: of all saved groups.
        """
        choose(self.group, names, keep=self.group.value)
        choose(self.other, [EVERYBODY, *names], keep=self.other.value)

    def question(self) -> Callable[[], str] | str:
        """Compares the chosen two."""
        group, other = self.group.value, self.other.value
        if group is None:
            return NO_GROUP
        if group == other:
            return "This is the same group; choose another one to compare it with."
        if other == EVERYBODY:
            return lambda: html(self.ws.profile(group))
        return lambda: html(self.ws.compare(group, other))


class OverlapView(AskingView):
    """How saved groups overlap."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__(ws)
        self.groups = several(names_of(ws))
        self.arrange(self.groups, watch=(self.groups,))
        follow(self, lambda: names_of(ws), lambda names: offer_several(self.groups, names))

    def question(self) -> Callable[[], str] | str:
        """Counts the combinations of the chosen groups."""
        chosen = self.groups.value
        if not self.groups.options:
            return NO_GROUP
        if len(chosen) < 2:
            return "Choose two groups or more (with Ctrl or Shift)."
        return lambda: html(self.ws.overlap(chosen))


class SizesView(w.VBox):
    """How large saved groups were on the newest nights, as their rules are today."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws = ws
        self.groups = several(names_of(ws))
        self.nights = field(w.BoundedIntText, "Nights, up to", value=30, min=1, max=60)
        self.job = Job("Count", prepare=self._prepare, done=self._show, steps=lambda: self.nights.value)
        self.answer = Pane()
        self.children = (styles(), box(self.groups, self.nights, of="ob-pair"), self.job, self.answer)
        if not self.groups.options:
            self.answer.say(NO_GROUP)
        follow(self, lambda: names_of(ws), lambda names: offer_several(self.groups, names))

    def _prepare(self) -> Callable[[Advance], Any]:
        groups, nights = self.groups.value, self.nights.value
        if not groups:
            raise UsageError("choose a group or several")
        self.answer.say("")
        return lambda on_progress: self._ws.sizes(groups, nights=nights, on_progress=on_progress)

    def _show(self, found: Sizes) -> None:
        self.answer.value = html(found)
