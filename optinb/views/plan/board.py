"""The planner's form, its draft, and what stands beside it; what it does is in `optinb.views.plan.planner`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.base.people import same_person
from optinb.campaigns import Campaign, Property
from optinb.errors import ConflictError, OptinbError
from optinb.planning.campaign_records import is_free
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button, field, heading, styles
from optinb.views.debounce import Debounce
from optinb.views.form import Form, Sheet
from optinb.views.plan.words import CAMPAIGN, sheets, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.appboy import Needed
    from optinb.campaigns import CampaignRecord
    from optinb.views.plan.statement import Statement
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


class PropertyEditor(w.VBox):
    """The forms of the properties that a template needs.

    A property keeps its form when the template changes: what was written stays, and what somebody types at that moment
    isn't lost.
    """

    def __init__(self, attributes: Sequence[str]) -> None:
        super().__init__()
        self.labels: Mapping[str, str] = {}  # of the settings
        self.add_class("ob-column")
        self.changed: Callable[[], None] = lambda: None
        self._attributes = attributes
        self._made: dict[str, Form] = {}
        self._has_default: dict[str, bool] = {}
        self.rows: dict[str, Form] = {}

    def ask_for(self, needed: Sequence[Needed]) -> None:
        """Shows the forms of these properties."""
        self._has_default |= {one.name: one.has_default for one in needed}
        for one in needed:
            self._offer(one.name)
        self.rows = {one.name: self._made[one.name] for one in needed}
        self.children = tuple(self.rows.values())

    def learn(self, attributes: Sequence[str]) -> None:
        """Offers the attributes of other tables; one that is chosen stays, and nobody is told of a change."""
        self._attributes = attributes
        for name in self._made:
            self._offer(name)

    def read(self) -> dict[str, Any]:
        """Where each property comes from; what is left to the template isn't given."""
        return {name: given for name, row in self.rows.items() if (given := row.read())}

    def show(self, given: Mapping[str, Any] | None) -> None:
        """Sets the forms that are shown, without a value to what they start with; nobody is told of a change."""
        for name, row in self.rows.items():
            shown = self._first(name) if given is None else given.get(name, {})
            self._offer(name, shown.get("attribute"))
            row.show(shown)

    def _offer(self, name: str, shown: str | None = None) -> None:
        """Offers what a property may come from, among that what it comes from now."""
        own = shown or (self._made[name].read().get("attribute") if name in self._made else None)
        attributes = [*self._attributes, *({own} - {None, *self._attributes})]
        sheet = source(name, attributes=attributes, has_default=self._has_default[name], labels=self.labels)
        if name in self._made:
            self._made[name].offer_kinds(sheet.kinds, first=self._first(name))
        else:
            self._made[name] = Form(Property, {Property: sheet})
            self._made[name].changed = lambda: self.changed()
            self._made[name].show(self._first(name))

    def _first(self, name: str) -> dict[str, Any]:
        """What a property starts with: the attribute of its name, where there is one."""
        return {"attribute": name} if name in self._attributes else {}


class Board(w.VBox):
    """The form on the left, and on the right what would come of it; the form's controls are also the board's."""

    def __init__(
        self,
        *,
        zone: str,
        tomorrow: str,
        app_groups: Sequence[str],
        attributes: Sequence[str],
        keeper: Keeper,
        statement: Statement,
    ) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.campaign = field(w.Dropdown, "Campaign")
        self.about_template, self.about_templates, self.about_group = Pane(), Pane(), Pane()
        self.sync = button("Import templates", tooltip="Read the templates of this app group from Appboy again")
        self.about_properties = heading("What the message says")
        self.sentence = Pane()
        self.submit = button("Submit for approval", style="primary")
        self.result, self.message, self.audience, self.power = Pane(), Pane(), Pane(), Pane()
        self.previous, self.next = button("Previous customer"), button("Next customer")
        rows = (
            self.campaign,
            keeper,
            heading("Who gets what"),
            ("channel", "app_group"),
            "template",
            self.about_template,
            statement,
            self.about_templates,
            box(self.sync, of="ob-buttons"),
            "group",
            self.about_group,
            heading("What is offered"),
            "offer",
            self.about_properties,
            "properties",
            heading("When"),
            "schedule",
            self.sentence,
            heading("Control group and contact rules"),
            ("control", "measurement_days"),
            ("exclusion_days", "priority"),
            "ignore_others",
            ...,
            heading("Submit"),
            "name",
            "notes",
            box(self.submit, of="ob-buttons"),
            self.result,
        )
        self.form = Form(
            Campaign,
            {Campaign: Sheet(fields=CAMPAIGN, rows=rows), **sheets(zone=zone, tomorrow=tomorrow)},
            made={"properties": PropertyEditor(attributes)},
        )
        self.form.choices("app_group", app_groups)
        shown = box(
            heading("As a customer reads it"),
            self.message,
            box(self.previous, self.next, of="ob-buttons"),
            heading("Audience"),
            self.audience,
            self.power,
            of="ob-column",
        )
        shown.add_class("ob-beside")
        self.children = (styles(), box(self.form, shown, of="ob-columns"))

    def __getattr__(self, name: str) -> Any:
        """A control of the form, by the name of its field."""
        if "form" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.form, name)
