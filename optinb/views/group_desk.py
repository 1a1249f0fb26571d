"""Target groups on one page: the editor with the saved groups, and what compares and finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.views.controls import Pane, box, choose, field, styles
from optinb.views.debounce import follow
from optinb.views.editor.editor import RuleEditor
from optinb.views.news_view import NewsView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.segments.profile import Band
    from optinb.workspace import Workspace

NEW = "New target group"
NO_DATA = (
    "No customer data is imported yet, so that there is nobody to choose. The command optinb import brings in "
    "what waits in the inbox, and so does the nightly run; it shows here then."
)
MORE = {
    "Compare": "compare",
    "Overlap": "overlap",
    "Sizes over time": "sizes",
    "Discover": "discover",
    "One customer": "customer",
}


class GroupDesk(w.VBox):
    """A list of the saved groups, the editor of the chosen one, and below it more views, made when they are opened.

    An editor is kept when another group is chosen, with what was written in it.
    """

    def __init__(self, ws: Workspace, *, plan: Callable[[str], object] | None = None) -> None:
        """Args: `plan` plans a campaign for a group of a name; without it the editors don't offer it."""
        super().__init__()
        self.add_class("ob-view")
        self._ws, self._plan = ws, plan
        self._editors: dict[str, RuleEditor] = {}
        self._others: dict[str, Any] = {}
        self.group = field(w.Dropdown, "Target group")
        self.group.add_class("ob-narrow")
        self.result = Pane()
        self.place = box(of="ob-column")
        self.more = field(w.Dropdown, "More about groups", options=[("Choose …", ""), *((n, n) for n in MORE)])
        self.more.add_class("ob-narrow")
        self.other = box(of="ob-column")
        self.news = NewsView(ws, plan=plan, says_nothing=False)
        self.children = (styles(), self.news, self.group, self.result, self.place, self.more, self.other)
        self._learn(self._names())
        self._show()
        self.group.observe(lambda _: self._show(), "value")
        self.more.observe(lambda _: self._show_more(), "value")
        follow(self, self._names, self._learn)
        follow(self, lambda: ws.warehouse.current, lambda _version: self._say_whether_there_is_data())

    @property
    def chosen(self) -> str:
        """The name of the group that is open; empty for a new one."""
        return self.group.value or ""

    @property
    def editor(self) -> RuleEditor:
        """The editor of the group that is open."""
        return self._editors[self.chosen]

    def take_value(self, attribute: str, bands: Sequence[Band], place: int) -> None:
        """Adds a condition to the rule that is open.

        Args:
            attribute: its name.
            bands: of its values, as a comparison or a distribution has them.
            place: of one of them.
        """
        self.editor.take_value(attribute, bands, place)

    def show_group(self, name: str) -> None:
        """Opens a saved group."""
        self._learn(self._names())
        self.group.value = name

    def _names(self) -> tuple[str, ...]:
        return tuple(group.name for group in self._ws.groups.list())

    def _learn(self, names: tuple[str, ...]) -> None:
        choose(self.group, [(NEW, ""), *((name, name) for name in names)], keep=self.chosen)

    def _show(self) -> None:
        name = self.chosen
        with self.result.saying_errors():
            if name not in self._editors:
                self._editors[name] = RuleEditor(self._ws, group=name or None, plan=self._plan)
                if not name and self._ws.warehouse.current is not None:
                    self._editors[name].begin()
            self.place.children = (self._editors[name],)
            self._say_whether_there_is_data()

    def _say_whether_there_is_data(self) -> None:
        self.result.say(NO_DATA if self._ws.warehouse.current is None else "", kind="bad")

    def _show_more(self) -> None:
        from optinb import views

        name = self.more.value
        if name and name not in self._others:
            make: Callable[..., Any] = getattr(views, MORE[name])
            self._others[name] = make(self._ws, editor=self) if name == "Compare" else make(self._ws)
        self.other.children = (self._others[name],) if name else ()
