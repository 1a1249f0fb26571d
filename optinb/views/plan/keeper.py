"""The draft behind the planner's form: kept as one writes, and never over what somebody else wrote meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.base.people import same_person
from optinb.errors import ConflictError, OptinbError
from optinb.planning.campaign_records import is_free
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button
from optinb.views.debounce import Debounce

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.campaigns import CampaignRecord
    from optinb.workspace import Workspace

PAUSE_S = 1.0  # of somebody who writes, before the draft is saved


class Keeper(w.VBox):
    """The draft behind a form: saved shortly after each change, on top of the version that was read."""

    def __init__(
        self,
        ws: Workspace,
        *,
        fields: Callable[[], dict[str, Any]],
        load: Callable[[CampaignRecord], None],
        saved: Callable[[], None],
    ) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._fields, self._load, self._saved = ws, fields, load, saved
        self.record: CampaignRecord | None = None
        self.is_dirty = False
        self.problem = ""
        self.state, self.news = Pane(), Pane()
        self.theirs, self.mine = button("Show their version"), button("Keep mine")
        self._choice = box(self.theirs, self.mine, of="ob-buttons")
        self.children = (self.state, self.news, self._choice)
        self._save_soon = Debounce(self.save, pause_s=PAUSE_S)
        self.theirs.on_click(lambda _: self._show_theirs())
        self.mine.on_click(lambda _: self._keep_mine())
        self.go_on(None)

    def go_on(self, record: CampaignRecord | None) -> None:
        """Goes on with a campaign, or with a new one; what wasn't saved of the one before is forgotten."""
        self._save_soon.stop()
        self.record, self.is_dirty, self.problem = record, False, ""
        self._settle()
        self._describe()

    def changed(self) -> None:
        """Something was written."""
        self.is_dirty = True
        if self._choice.layout.display == "none":
            self._describe()
            if self._is_free:
                self._save_soon()

    def save(self) -> bool:
        """Saves the draft now, where it can be saved; tells whether everything that was written is in the store."""
        self._save_soon.stop()
        if not self.is_dirty or not self._is_free:
            return True
        try:
            self.record = self._ws.drafts.keep(self._fields(), seen=self.record)
        except ConflictError:
            self.look()
        except OptinbError as error:
            self.problem = str(error)
        else:
            self.is_dirty, self.problem = False, ""
            self._saved()
        self._describe()
        return not self.is_dirty

    def look(self) -> bool:
        """Looks whether somebody else changed the campaign; tells whether their version and one's own are at odds."""
        newest = self._ws.store.campaigns.find(self.record.id) if self.record else None
        if newest is None or self.record is None or newest.version <= self.record.version:
            return False
        change = self._ws.drafts.last_change(newest)
        zone, is_own = self._ws.settings.zone, same_person(change.changed_by, self._ws.user)
        said = fragment("keeping.html.j2", "changed", change, is_own, zone, self.is_dirty)
        if not self.is_dirty:
            self._load(newest)
            self.go_on(newest)
        else:
            self._choice.layout.display = ""
            self._save_soon.stop()
        self.news.show(said, role="status")
        return self.is_dirty

    @property
    def _is_free(self) -> bool:
        return self.record is None or is_free(self.record)

    def _show_theirs(self) -> None:
        with suppress(OptinbError):
            newest = self._ws.campaigns.get(self.record.id if self.record else "")
            self._load(newest)
            self.go_on(newest)

    def _keep_mine(self) -> None:
        self.record = self._ws.store.campaigns.find(self.record.id) if self.record else None
        self._settle()
        self.save()

    def _settle(self) -> None:
        self.news.show("")
        self._choice.layout.display = "none"

    def _describe(self) -> None:
        record = self.record
        self.state.show(
            fragment(
                "keeping.html.j2", "state", record, self.is_dirty, self._is_free, self.problem, self._ws.settings.zone
            )
        )
