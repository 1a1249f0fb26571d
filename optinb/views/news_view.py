"""What changed and whom to look at: each with its evidence, and buttons that save, plan and dismiss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.errors import OptinbError
from optinb.segments import News
from optinb.show.customers import news_item
from optinb.views.controls import Pane, box, button, field, styles
from optinb.views.debounce import follow
from optinb.views.explore.discover import short

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.segments import NewsItem
    from optinb.workspace import Workspace

NOTHING = "nothing was looked at yet: each night that runs does so, and tells here what stands out"


class NewsView(w.VBox):
    """What the newest night told, also of a night that runs while this is open.

    Without `says_nothing` it takes no room where nothing is to be told.
    """

    def __init__(
        self, ws: Workspace, *, plan: Callable[[str], object] | None = None, says_nothing: bool = True
    ) -> None:
        """Args: `plan` plans a campaign for a saved group of a name; without it a planner opens below."""
        super().__init__()
        self.add_class("ob-view")
        self._ws, self._says_nothing = ws, says_nothing
        self.plan: Callable[[str], object] = plan or self._plan_below
        self._shown: News | str | None = None
        self.about = Pane()
        self.told = w.VBox()
        self.told.add_class("ob-column")
        self.below = box(of="ob-column")
        self.children = (styles(), self.about, self.told, self.below)
        self.show()
        follow(self, self._newest, lambda _: self.show())

    @property
    def items(self) -> tuple[NewsItemView, ...]:
        """What is told, each with its buttons."""
        return self.told.children

    def show(self) -> None:
        """Shows what is told by now; what somebody is at stays as it is."""
        news = self._newest()
        if news is not None and news == self._shown:
            return
        self._shown = news
        known = {view.item.key: view for view in self.items}
        items = news.shown if isinstance(news, News) else ()
        self.told.children = [known.get(item.key) or NewsItemView(self._ws, item, self) for item in items]
        if isinstance(news, str):
            self.about.say(news, kind="bad")
        else:
            self.about.say(" ".join(f"{told[0].upper()}{told[1:]}." for told in self._said(news)))
        self.layout.display = "" if items or self._says_nothing or isinstance(news, str) else "none"

    @staticmethod
    def _said(news: News | None) -> tuple[str, ...]:
        if news is None:
            return (NOTHING,)
        if news.shown:
            return (f"what changed, and whom to look at: {news.summary()}",)
        return (news.summary(), *news.silent)

    def _newest(self) -> News | str | None:
        """What the newest night told; why that can't be read, or None before any."""
        try:
            return self._ws.news.newest()
        except OptinbError as error:
            return str(error)

    def _plan_below(self, group: str) -> None:
        """Opens a planner on a new campaign for a group, below what is told."""
        from optinb.views.plan.planner import Planner

        planner = Planner(self._ws)
        planner.plan_for(group)
        self.below.children = (planner,)


class NewsItemView(w.VBox):
    """One group that was told of, with a name to save it under."""

    def __init__(self, ws: Workspace, item: NewsItem, view: NewsView) -> None:
        super().__init__()
        self.add_class("ob-finding")
        self._ws, self.item, self._view = ws, item, view
        self.about, self.result = Pane(), Pane()
        self.about.show(news_item(item))
        self.name = field(w.Text, "Name of the group", value=short(item.who))
        self.save = button("Save group", tooltip=f"Save the group of customers of whom {item.who}")
        self.plan = button("Plan a campaign", tooltip="Save the group, and begin a campaign for it")
        self.dismiss = button("Dismiss", tooltip="Never tell this again")
        row = box(self.name, self.save, self.plan, self.dismiss, of="ob-saving")
        self.children = (self.about, row, self.result)
        self.save.on_click(lambda _: self._save())
        self.plan.on_click(lambda _: self._begin())
        self.dismiss.on_click(lambda _: self._dismiss())

    def _save(self) -> str:
        """Saves the group and returns its name; empty where that failed, which is said."""
        with self.result.saying_errors():
            record = self._ws.groups.save(self.name.value, self.item.rule)
            self.result.say(f"“{record.name}” is saved as version {record.version}.", kind="good")
            return record.name
        return ""

    def _begin(self) -> None:
        if name := self._save():
            with self.result.saying_errors():
                self._view.plan(name)

    def _dismiss(self) -> None:
        with self.result.saying_errors():
            self._ws.news.dismiss(self.item.key)
            self._view.show()
