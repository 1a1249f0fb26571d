"""Discovery: groups in which something is high, found while one waits, and saved by a click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.errors import UsageError
from optinb.show.customers import discovery_summary
from optinb.show.customers import finding as one_finding
from optinb.views.controls import Pane, box, button, choose, field, styles, take_first
from optinb.views.debounce import LatestOnly, follow
from optinb.views.explore.answers import names_of
from optinb.views.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.base.progress import Advance
    from optinb.segments import Vocabulary
    from optinb.segments.discovery import Discovery, Finding
    from optinb.workspace import Workspace

EVERYBODY = ("Everybody", None)
DEPTHS = (("one condition", 1), ("up to two conditions", 2), ("up to three conditions", 3))
LONGEST = 60


class DiscoverView(w.VBox):
    """The form, the work and what was found."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws = ws
        self.target = field(w.Combobox, "What should be high", placeholder="an attribute, a group, or a rule")
        self.within = field(w.Dropdown, "Among")
        take_first(self.target)
        self._named: dict[str, str] = {}  # what is asked for by the words for it
        self._vocabulary = LatestOnly()
        self._offer(ws.vocabulary())
        follow(
            self,
            lambda: (ws.warehouse.current, names_of(ws)),
            lambda _: self._vocabulary.ask(ws.vocabulary, self._offer),
        )
        self.depth = field(w.Dropdown, "Groups have", options=DEPTHS, value=2)
        self.job = Job("Discover", prepare=self._prepare, done=self._show, steps=lambda: 100)
        self.about = Pane()
        self.found = w.VBox()
        self.found.add_class("ob-column")
        self.children = (
            styles(),
            box(self.target, self.within, self.depth, of="ob-pair"),
            self.job,
            self.about,
            self.found,
        )

    def _offer(self, found: Vocabulary | Exception) -> None:
        """Offers groups and attributes, also those that were saved or published meanwhile."""
        if isinstance(found, Exception):
            return
        numbers = [name for name, kind in found.attributes.items() if kind in ("number", "yes/no")]
        self._named = {found.labels[name]: name for name in numbers} | {group: group for group in found.groups}
        self.target.options = [*found.groups, *(found.labels[name] for name in numbers)]
        choose(self.within, [EVERYBODY, *((name, name) for name in found.groups)], keep=self.within.value)

    @property
    def findings(self) -> tuple[FindingView, ...]:
        """What was found, each with its button."""
        return self.found.children

    def _prepare(self) -> Callable[[Advance], Any]:
        written, within, depth = self.target.value.strip(), self.within.value, self.depth.value
        target = self._named.get(written, written)
        if not target:
            raise UsageError("say what should be high: an attribute such as future value, a saved group, or a rule")
        self.about.say("")
        self.found.children = ()
        return lambda on_progress: self._ws.discover(target, within=within, depth=depth, on_progress=on_progress)

    def _show(self, found: Discovery) -> None:
        self.about.show(discovery_summary(found), role="status")
        self.found.children = [FindingView(self._ws, found, finding) for finding in found]


class FindingView(w.VBox):
    """One group that was found, with a name to save it under."""

    def __init__(self, ws: Workspace, found: Discovery, finding: Finding) -> None:
        super().__init__()
        self.add_class("ob-finding")
        self._ws, self._rule = ws, finding.rule
        self.about, self.result = Pane(), Pane()
        self.about.show(one_finding(found, finding))
        self.name = field(w.Text, "Name of the group", value=short(found.who(finding)))
        self.save = button("Save group", tooltip=f"Save the group of customers of whom {found.who(finding)}")
        row = box(self.name, self.save, of="ob-saving")
        self.children = (self.about, row, self.result)
        self.save.on_click(lambda _: self._save())

    def _save(self) -> None:
        with self.result.saying_errors():
            record = self._ws.groups.save(self.name.value, self._rule)
            self.result.say(f"“{record.name}” is saved as version {record.version}.", kind="good")


def short(sentence: str) -> str:
    """A name for a group out of its sentence: as many whole words as fit."""
    if len(sentence) <= LONGEST:
        return sentence
    return sentence[:LONGEST].rsplit(" ", 1)[0] + " …"
