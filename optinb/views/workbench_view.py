"""All of the campaign work in one view with tabs, on one kernel: from target groups and plan to sends and results."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, assert_never

import ipywidgets as w

from optinb.errors import OptinbError, SettingsError
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, styles
from optinb.views.debounce import follow, later
from optinb.views.places import TABS, TITLES, TabPlace, place_of

if TYPE_CHECKING:
    from optinb.views.desk import ApprovalDesk
    from optinb.views.group_desk import GroupDesk
    from optinb.views.places import Tab
    from optinb.views.plan.planner import Planner
    from optinb.views.results_view import ResultsView
    from optinb.workspace import Workspace

ORDER: tuple[Tab, ...] = tuple(TABS)
BACKGROUND_S = 1.0  # between two tabs that are made before anybody opens them
READY = "ready"
LATEST_S = 8.0  # after a visitor has come, if their browser doesn't say that it is ready
HELD_BACK = "VOILA_PREHEAT"  # an environment variable of a kernel that waits for a visitor


class Workbench(w.VBox):
    """The tabs. What is in one is made when it is first opened, or soon after the first is shown, and is kept.

    `content` has what is made so far. `place` is where a visitor is; it follows what they open. `asked` and `told` are
    how the page that shows this in a browser says which address it has, and learns which it ought to have.
    """

    def __init__(self, ws: Workspace, query: str | None = None) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.add_class("ob-workbench")
        self._ws, self._is_moving = ws, False
        self._due: str | None = None  # the address that a visitor wants, until their browser is ready for it
        self.content: dict[Tab, Any] = {}
        self.where, self.note, self.told = Pane(), Pane(), w.HTML()
        self.asked = w.Text(continuous_update=False, tooltip="The page's address")
        self.asked.add_class("ob-asked")
        self.tabs = w.Tab([box(of="ob-column") for _ in ORDER], titles=tuple(TABS.values()))
        head = box(self.where, self.note, of="ob-column")
        head.add_class("ob-head")
        self.children = (styles(), head, self.asked, self.told, self.tabs)
        self.tabs.observe(lambda _: self._opened(), "selected_index")
        self.asked.observe(lambda change: self._asked(change.new), "value")
        self._say_where()
        follow(self, self._where, lambda _: self._say_where())
        if query is None and os.environ.get(HELD_BACK) == "True":
            self._wait()
        else:
            self.go_to(os.environ.get("QUERY_STRING", "") if query is None else query)

    @property
    def tab(self) -> Tab:
        """The tab that is open."""
        return ORDER[self.tabs.selected_index or 0]

    @property
    def place(self) -> TabPlace:
        """Where the visitor is."""
        tab = self.tab
        made = self.content.get(tab)
        if made is None:
            return TabPlace(tab)
        match tab:
            case "groups" | "results":
                return TabPlace(tab, made.chosen)
            case "plan":
                record = made.keeper.record
                return TabPlace(tab, record.campaign.name if record else "")
            case "approve":
                return TabPlace(tab, made.waiting.value or "")
            case "calendar" | "sends":
                return TabPlace(tab)
            case _:
                assert_never(tab)

    def go_to(self, query: str) -> None:
        """Opens what an address names; what isn't known is said.

        Args:
            query: what the address has after its path, such as `?tab=approve&campaign=Summer`.
        """
        found = place_of(query)
        self.note.say(found.problem, kind="bad" if found.problem else "")
        self._is_moving = True
        try:
            self.tabs.selected_index = ORDER.index(found.place.tab)
            made = self._make(found.place.tab)
            if found.place.name and made is not None:
                with self.note.saying_errors():
                    self._choose(found.place, made)
        finally:
            self._is_moving = False
        self._tell()

    def _choose(self, place: TabPlace, made: Any) -> None:
        """Opens a campaign or a group in its tab. Raises OptinbError saying why it can't be."""
        match place.tab:
            case "groups":
                made.show_group(self._ws.groups.get(place.name).name)
            case "plan" | "approve" | "results":
                made.show_campaign(place.name)
            case "calendar" | "sends":
                pass
            case tab:
                assert_never(tab)

    def _asked(self, query: str) -> None:
        """Follows the browser, which says that it is ready, or has gone to another address."""
        if query == READY:
            self._begin()
        else:
            self.go_to(query)
        later(BACKGROUND_S, self._make_next)

    def _opened(self) -> None:
        if not self._is_moving:
            self._due = None
            self.note.say("")
            self._make(self.tab)
            self._tell()

    def _make(self, tab: Tab) -> Any:
        """What a tab shows, made once; None where that can't be made, which is said in the tab."""
        if tab not in self.content:
            panel = self.tabs.children[ORDER.index(tab)]
            title, wrong = Pane(), Pane()
            title.show(fragment("workbench.html.j2", "title", TITLES[tab]))
            with wrong.saying_errors():
                self.content[tab] = self._made(tab)
            panel.children = (title, self.content.get(tab, wrong))
        return self.content.get(tab)

    def _made(self, tab: Tab) -> Any:
        match tab:
            case "groups":
                return self._groups()
            case "plan":
                return self._planner()
            case "approve":
                return self._desk()
            case "calendar":
                from optinb.views.calendar_view import Calendar

                return Calendar(self._ws, open_campaign=lambda name: self.go_to(TabPlace("plan", name).query))
            case "sends":
                from optinb.views.sends_view import Monitor

                return Monitor(self._ws)
            case "results":
                return self._results()
            case _:
                assert_never(tab)

    def _groups(self) -> GroupDesk:
        from optinb.views.group_desk import GroupDesk

        made = GroupDesk(self._ws, plan=self._plan_for)
        made.group.observe(lambda _: self._tell(), "value")
        return made

    def _plan_for(self, group: str) -> None:
        """Opens the planner on a new campaign for a group."""
        self.go_to(TabPlace("plan").query)
        self.content["plan"].plan_for(group)

    def _planner(self) -> Planner:
        from optinb.views.plan.planner import Planner

        made = Planner(self._ws, is_alone=False)
        made.campaign.observe(lambda _: self._tell(), "value")
        return made

    def _desk(self) -> ApprovalDesk:
        from optinb.views.desk import ApprovalDesk

        made = ApprovalDesk(self._ws, is_alone=False)
        made.waiting.observe(lambda _: self._tell(), "value")
        return made

    def _results(self) -> ResultsView:
        from optinb.views.results_view import ResultsView

        made = ResultsView(self._ws)
        made.campaign.observe(lambda _: self._tell(), "value")
        return made

    def _make_next(self) -> None:
        """Makes the tabs that nobody has opened yet, one after another, so that each then opens at once."""
        missing: list[Tab] = [tab for tab in ORDER if tab not in self.content]
        if missing and self.comm is not None and self._make(missing[0]) is not None:
            later(BACKGROUND_S, self._make_next)

    def _tell(self) -> None:
        """Tells the page which address it ought to have."""
        if not self._is_moving:
            self.told.value = fragment("workbench.html.j2", "address", self.place.query)

    def _where(self) -> tuple[Any, ...]:
        """Who works where, whether it is a rehearsal, and how new the data is."""
        ws, groups = self._ws, self._ws.settings.app_groups
        rehearsed = [group.name for group in groups if group.is_loopback]
        real = [group.name for group in groups if not group.is_loopback]
        night = None if ws.warehouse.current is None else ws.snapshot().import_date
        user = ""
        with suppress(SettingsError):  # the tabs that need somebody say how they are named
            user = ws.user
        age = 0 if night is None else (ws.today() - night).days
        return user, ws.root.resolve().name, rehearsed, real, night, age

    def _say_where(self) -> None:
        self.where.show(fragment("workbench.html.j2", "where", *self._where()))

    def _wait(self) -> None:
        """Waits for a visitor. What the first tabs need is read meanwhile."""
        from optinb.views import arrivals

        query = arrivals.expect(self._announce)
        if query is not None:
            self.go_to(query)
        else:
            self._read_ahead()

    def _read_ahead(self) -> None:
        """Imports and reads what the first tabs need. No control is made: a kernel's channel takes 1,000 messages."""
        from optinb.views import desk, group_desk  # noqa: F401
        from optinb.views.plan import planner  # noqa: F401

        with suppress(OptinbError, OSError):
            self._ws.campaigns.list()
            self._ws.vocabulary()
            for group in self._ws.groups.list()[:1]:
                self._ws.preview(group.name)

    def _announce(self, query: str) -> None:
        """A visitor has come: says where they will be, and leaves the rest until their browser has read all of this.

        A browser that gets no answer for four seconds takes the page for broken, and what changes while it reads is
        lost to it.
        """
        self._due, place = query, place_of(query).place
        self._is_moving = True
        self.tabs.selected_index = ORDER.index(place.tab)
        self._is_moving = False
        self.told.value = fragment("workbench.html.j2", "address", place.query)
        later(LATEST_S, self._begin)

    def _begin(self) -> None:
        """Opens what the visitor wants, once."""
        if self._due is not None and self.comm is not None:
            query, self._due = self._due, None
            self.go_to(query)
