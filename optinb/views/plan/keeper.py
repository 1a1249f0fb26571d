"""The draft behind the planner's form: kept as one writes, and never over what somebody else wrote meanwhile.

What is written is kept within a second as its writer's own text. The draft that others see gets a version, and the
audit trail an entry, when a sitting begins, when the campaign gets another name, and when the sitting ends: after a
minute's pause, at submit, or when its writer goes on with another campaign.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.base.people import same_person
from optinb.campaigns import checklist, id_of, what_is_missing
from optinb.errors import ConflictError, OptinbError
from optinb.planning.campaign_records import is_free
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button
from optinb.views.debounce import Debounce
from optinb.views.history import History, noted

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.campaigns import CampaignRecord
    from optinb.workspace import Workspace

AT_WORK = "campaign at work"  # under which the id of what somebody writes in is kept
PAUSE_S = 1.0  # of somebody who writes, before it is kept
SITTING_S = 60.0  # of somebody who has begun to write, before their sitting is over


class Keeper(w.VBox):
    """The draft behind a form: saved shortly after each change, on top of the version that was read."""

    def __init__(
        self,
        ws: Workspace,
        *,
        fields: Callable[[], dict[str, Any]],
        load: Callable[[CampaignRecord | None], None],
        restore: Callable[[dict[str, Any]], None],
        saved: Callable[[], None],
    ) -> None:
        """Args: `load` shows a campaign, or a new one; `restore` shows what the form held once; `saved` is told."""
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._fields, self._load, self._restore, self._saved = ws, fields, load, restore, saved
        self.record: CampaignRecord | None = None
        self.is_dirty = False
        self.problem = ""
        self._history = History({})
        self._discarded: tuple[CampaignRecord | None, dict[str, Any]] | None = None
        self.state, self.news = Pane(), Pane()
        self.theirs, self.mine = button("Show their version"), button("Keep mine")
        self.undo = button("Undo", tooltip="Take the last change back")
        self.discard = button("Discard this draft", tooltip="Put it away; it can be brought back")
        self.bring_back = button("Bring it back")
        self._choice = box(self.theirs, self.mine, of="ob-buttons")
        self._tools = box(self.undo, self.discard, self.bring_back, of="ob-buttons")
        self.children = (self.state, self._tools, self.news, self._choice)
        self._keep_soon = Debounce(self._keep_text, pause_s=PAUSE_S)
        self._save_soon = Debounce(self.save, pause_s=PAUSE_S)
        self._save_later = Debounce(self.save, pause_s=SITTING_S)
        self._has_begun, self._at_work = False, ""
        for control, call in {
            self.theirs: self._show_theirs,
            self.mine: self._keep_mine,
            self.undo: self._undo,
            self.discard: self._discard,
            self.bring_back: self._bring_back,
        }.items():
            control.on_click(lambda _, call=call: call())
        self.go_on(None)

    def go_on(self, record: CampaignRecord | None) -> None:
        """Goes on with a campaign, or with a new one; what was kept of the one before stays kept."""
        self._stop()
        self.record, self.is_dirty, self.problem, self._has_begun = record, False, "", False
        self._history, self._discarded = History(self._fields()), None
        self._settle()
        self._describe()

    def turn_to(self, record: CampaignRecord | None) -> None:
        """Shows a campaign, or a new one, and goes on with it."""
        self._stop()
        self.record = record  # its own name is no other campaign's
        self._load(record)
        self.go_on(record)

    def pick_up(self) -> None:
        """Shows what its writer has written of this campaign since it was saved last, if that is anything."""
        kept = self._ws.unsaved.get(self._key)
        if kept is None:
            return
        with suppress(ValueError, TypeError, KeyError, IndexError, OptinbError):
            text = json.loads(kept.body)
            version, fields = text["version"], dict(text["fields"])
            if self.record is not None and version < self.record.version:
                # somebody changed it meanwhile: both are shown, and their writer chooses
                self.record = self._ws.store.campaigns.history(self.record.id)[version - 1].record
            self._restore(fields)
            self._history = noted(self._history, fields)
            self.is_dirty = True
            self.look()
            self._describe()

    def changed(self) -> None:
        """Something was written."""
        self.is_dirty, self._discarded = True, None
        self._history = noted(self._history, self._fields())
        self._keep_soon()
        if self._choice.layout.display == "none":
            self._describe()
            if self._is_free:
                (self._save_later if self._has_begun and not self._is_renamed else self._save_soon)()

    def save(self) -> bool:
        """Saves the draft now, where it can be saved; tells whether everything that was written is in the store."""
        self._stop()
        if self.is_dirty:
            self._keep_text()
        if not self.is_dirty or not self._is_free:
            return True
        key = self._key
        try:
            self.record = self._ws.drafts.keep(self._fields(), seen=self.record)
        except ConflictError:
            self.look()
        except OptinbError as error:
            self.problem = what_is_missing(checklist(self._fields())) or f"{error}."
        else:
            self.is_dirty, self.problem, self._has_begun = False, "", True
            self._ws.unsaved.forget(key)
            self._saved()
        self._describe()
        return not self.is_dirty

    def submitted(self, record: CampaignRecord) -> None:
        """Goes on with what was submitted, of which nothing is left to keep."""
        self._ws.unsaved.forget(self._key)
        self.go_on(record)

    def look(self) -> bool:
        """Looks whether somebody else changed the campaign; tells whether their version and one's own are at odds."""
        newest = self._ws.store.campaigns.find(self.record.id) if self.record else None
        if newest is None or self.record is None or newest.version <= self.record.version:
            return False
        change = self._ws.drafts.last_change(newest)
        zone, is_own = self._ws.settings.zone, same_person(change.changed_by, self._ws.user)
        said = fragment("keeping.html.j2", "changed", change, is_own, zone, self.is_dirty)
        if not self.is_dirty:
            self.turn_to(newest)
        else:
            self._choice.layout.display = ""
            self._stop()
            self._keep_text()
        self.news.show(said, role="status")
        return self.is_dirty

    @property
    def has_begun(self) -> bool:
        """Whether somebody is in the middle of a sitting, which the trail knows of."""
        return self._has_begun

    @staticmethod
    def key_of(record: CampaignRecord | None) -> str:
        """Under which name the text of a campaign, or of a new one, is kept for its writer."""
        return f"campaign {record.id if record else ''}"

    @property
    def _key(self) -> str:
        return self.key_of(self.record)

    @property
    def _is_free(self) -> bool:
        return self.record is None or is_free(self.record)

    @property
    def _is_renamed(self) -> bool:
        return self.record is None or id_of(str(self._fields()["name"])) != self.record.id

    def _stop(self) -> None:
        for soon in (self._keep_soon, self._save_soon, self._save_later):
            soon.stop()

    def _keep_text(self) -> None:
        """Keeps what is written as a text of its writer's own, whole or not, which no trail tells of."""
        if self._at_work != self._key:  # the first thing to show when its writer comes back
            self._ws.unsaved.keep(AT_WORK, self.record.id if self.record else "")
            self._at_work = self._key
        version = self.record.version if self.record else 0
        self._ws.unsaved.keep(self._key, json.dumps({"version": version, "fields": self._fields()}, default=str))

    def _show_theirs(self) -> None:
        with suppress(OptinbError):
            newest = self._ws.campaigns.get(self.record.id if self.record else "")
            self._ws.unsaved.forget(self._key)
            self.turn_to(newest)

    def _keep_mine(self) -> None:
        self.record = self._ws.store.campaigns.find(self.record.id) if self.record else None
        self._settle()
        self.save()

    def _undo(self) -> None:
        history = self._history.undo()
        if history is self._history:
            return
        self._history = history
        self._restore(history.now)
        self.changed()

    def _discard(self) -> None:
        """Puts the draft away, with what was written of it; it can be brought back until another one is opened."""
        self._stop()
        record, fields = self.record, self._fields()
        with self.news.saying_errors():
            if record is not None:
                self._ws.campaigns.archive(record.campaign.name)
                record = self._ws.campaigns.get(record.id)
            self._ws.unsaved.forget(self._key)
            self.turn_to(None)
            self._discarded = (record, fields)
            self._saved()
            self._describe()
            self.news.say(f"“{fields['name'] or 'The new campaign'}” is discarded.")

    def _bring_back(self) -> None:
        if self._discarded is None:
            return
        record, fields = self._discarded
        with self.news.saying_errors():
            if record is not None:
                record = self._ws.drafts.keep(record.campaign, seen=record)
            self.turn_to(record)
            self._restore(fields)
            self.changed()
            self._saved()

    def _settle(self) -> None:
        self.news.show("")
        self._choice.layout.display = "none"

    def _describe(self) -> None:
        record = self.record
        zone = self._ws.settings.zone
        told = (record, self.is_dirty, self._is_free, self.problem, zone, self._has_begun)
        self.state.show(fragment("keeping.html.j2", "state", *told))
        self.undo.disabled = not self._history.before
        is_draft = record is None or record.state == "draft"
        has_something = record is not None or self.is_dirty
        self.discard.layout.display = "" if is_draft and has_something else "none"
        self.bring_back.layout.display = "" if self._discarded else "none"
