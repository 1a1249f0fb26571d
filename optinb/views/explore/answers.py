"""Views that ask one question again whenever a control changes: saved groups, migration, and one customer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as w

from optinb.errors import OptinbError, UsageError
from optinb.measure.pages import day
from optinb.show import html
from optinb.show.pages import page
from optinb.views.controls import Pane, box, choose, field, styles
from optinb.views.debounce import LatestOnly, follow
from optinb.views.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.base.progress import Advance
    from optinb.segments import Profile, Sizes
    from optinb.segments.profile import Band
    from optinb.workspace import Workspace

NO_GROUP = "No target group is saved yet; save one in the rule editor above."
EVERYBODY = "everybody else"
KEPT = {"lifecycle stage": "stage", "value segment": "value_segment", "micro-segment": "micro_segment"}
WORKING = '<div class="ob-counting">counting …</div>'


class TakesValues(Protocol):
    """What has an open rule, to which conditions can be added."""

    def take_value(self, attribute: str, bands: Sequence[Band], place: int) -> None:
        """Adds the condition that an attribute has the values of one of its bands.

        Args:
            attribute: its name.
            bands: of its values, as a comparison or a distribution has them.
            place: of one of them.
        """


class AskingView(w.VBox):
    """Controls above an answer. What the controls no longer ask is never shown."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.ws = ws
        self._latest_only = LatestOnly()
        self.answer = Pane()

    def arrange(self, *controls: w.Widget, watch: tuple[Any, ...]) -> None:
        """Puts the controls in a row above the answer, and asks now and whenever one of `watch` changes.

        Args:
            *controls: in their order from the left.
            watch: those of them whose value decides what is asked.
        """
        self.children = (styles(), box(*controls, of="ob-pair"), self.answer)
        for control in watch:
            control.observe(lambda _: self.ask(), "value")
        self.ask()
        follow(self, lambda: self.ws.warehouse.current, lambda _version: self.read_again())

    def ask(self) -> None:
        """Takes the old answer away and asks anew."""
        self._latest_only.forget()
        question = self.question()
        if isinstance(question, str):
            self.answer.say(question)
            return
        self.answer.show(WORKING)
        self._latest_only.ask(question, self._tell)

    def read_again(self) -> None:
        """Asks anew, since other tables were published; a view whose controls offer what they hold offers it anew."""
        self.ask()

    def question(self) -> Callable[[], str] | str:
        """What finds the answer as HTML, called in a thread; or a sentence that says what to choose first.

        Each view has its own. (Widgets can't be abstract classes by their metaclass.)
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't say what it asks")

    def _tell(self, found: str | Exception) -> None:
        unforeseen = "This couldn't be counted; see the log of the notebook."
        self.answer.tell(found, partial(setattr, self.answer, "value"), unforeseen=unforeseen)


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
    """What makes a group different from everybody else, or from another group.

    With an editor, a click on values adds a condition to the rule that is open there.
    """

    def __init__(self, ws: Workspace, *, editor: TakesValues | None = None) -> None:
        super().__init__(ws)
        self._editor = editor
        self._compared: dict[str, Profile] = {}  # by the number of the answer, which its values tell
        names = names_of(ws)
        # what is clicked in the table, which is no control of its own
        self.picked, self.result = w.Text(layout=w.Layout(display="none")), Pane()
        self.picked.add_class("ob-picked")
        self.group = field(w.Dropdown, "Group", options=names)
        self.other = field(w.Dropdown, "Compared with", options=[EVERYBODY, *names])
        self.arrange(self.group, self.other, watch=(self.group, self.other))
        self.children = (*self.children[:-1], self.result, self.answer, self.picked)
        self.picked.observe(lambda change: self._pick(change.new), "value")
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
            return lambda: self._show(self.ws.profile(group))
        return lambda: self._show(self.ws.compare(group, other))

    def _show(self, found: Profile) -> str:
        number = str(len(self._compared) + 1)
        self._compared[number] = found
        return page("profile.html.j2", shown=found, picked=number if self._editor else "")

    def _pick(self, written: str) -> None:
        """Adds values that were clicked to the rule; `written` are the answer, the attribute's place and the band's."""
        if not written or self._editor is None:
            return
        number, at, place = written.split()
        self.picked.value = ""  # so that the same values can be clicked again
        found = self._compared[number].telling[int(at)]
        with self.result.saying_errors():
            self._editor.take_value(found.attribute, found.bands, int(place))
            values = found.bands[int(place)].label
            self.result.say(f"The rule above now asks about {found.label}: {values}.", kind="good")


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
        self.nights = field(w.BoundedIntText, "Nights, at most", value=30, min=1, max=60)
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


class MigrationView(AskingView):
    """Who moved from where to where between two nights."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__(ws)
        self.by = field(w.Dropdown, "Moves between", options=list(KEPT.items()))
        self.since, self.until = field(w.Dropdown, "From the night of"), field(w.Dropdown, "to the night of")
        self._offer()
        self.arrange(self.by, self.since, self.until, watch=(self.by, self.since, self.until))

    def read_again(self) -> None:
        """Offers a night that was modelled meanwhile, and shows the moves to it where the newest one was shown."""
        self._offer()
        self.ask()

    def _offer(self) -> None:
        try:
            nights = self.ws.nights()
        except OptinbError:
            nights = ()
        options = [(day(night), night) for night in nights]
        is_newest = self.until.index in (None, len(self.until.options) - 1)
        choose(self.since, options, keep=self.since.value)
        choose(self.until, options, keep=nights[-1] if nights and is_newest else self.until.value)

    def question(self) -> Callable[[], str] | str:
        """Counts the moves."""
        by, since, until = self.by.value, self.since.value, self.until.value
        if len(self.since.options) < 2:
            return "Moves need two nights; come back when another delivery was modelled."
        if since >= until:
            return "Choose a first night that lies before the second."
        return lambda: html(self.ws.migration(since, until, by=by))


class CustomerView(AskingView):
    """Everything about one customer."""

    def __init__(self, ws: Workspace, customer_id: str = "") -> None:
        super().__init__(ws)
        self.id = field(
            w.Text, "Customer", value=customer_id, placeholder="id of a customer, then Enter", continuous_update=False
        )
        self.arrange(self.id, watch=(self.id,))

    def question(self) -> Callable[[], str] | str:
        """Reads the card."""
        wanted = self.id.value.strip()
        if not wanted:
            return "Write the id of a customer, as IT delivers it."
        return lambda: html(self.ws.customer(wanted))
