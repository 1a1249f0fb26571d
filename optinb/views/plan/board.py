"""The planner's form, its draft, and what stands beside it; what it does is in `optinb.views.plan.planner`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.campaigns import Campaign, Property
from optinb.views.controls import Pane, box, button, field, heading, styles
from optinb.views.form import Form, Sheet
from optinb.views.plan.words import CAMPAIGN, sheets, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.appboy import Needed
    from optinb.views.plan.finish import Finish
    from optinb.views.plan.keeper import Keeper
    from optinb.views.plan.statement import Statement
    from optinb.views.plan.talk import Talk


class PropertyEditor(w.VBox):
    """The forms of the properties that a template needs.

    A property keeps its form when the template changes: what was written stays, and what somebody types at that moment
    isn't lost.
    """

    def __init__(self, attributes: Sequence[str]) -> None:
        super().__init__()
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
        """Sets the forms, without a value all that were ever shown to their start; nobody is told of a change."""
        for name, row in (self._made if given is None else self.rows).items():
            shown = self._first(name) if given is None else given.get(name, {})
            self._offer(name, shown.get("attribute"))
            row.show(shown)

    def mark(self, wrong: Mapping[str, str]) -> set[str]:
        """Says at each property what is wrong with it; returns those that are shown."""
        told: set[str] = set()
        for name, row in self.rows.items():
            text = next((said for place, said in wrong.items() if place.partition(".")[0] == name), "")
            if row.mark({"value": text}) or row.mark({"origin": text}):
                told.add(name)
        return told

    def _offer(self, name: str, shown: str | None = None) -> None:
        """Offers what a property may come from, among that what it comes from now."""
        own = shown or (self._made[name].read().get("attribute") if name in self._made else None)
        attributes = [*self._attributes, *({own} - {None, *self._attributes})]
        sheet = source(name, attributes=attributes, has_default=self._has_default[name])
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
        finish: Finish,
        talk: Talk,
    ) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.campaign = field(w.Dropdown, "Campaign")
        self.about_app_group, self.about_template, self.about_templates, self.about_group = (Pane() for _ in range(4))
        self.sync = button("Import templates", tooltip="Read the templates of this app group from Appboy again")
        self.about_properties = heading("What the message says")
        self.sentence = Pane()
        self.message, self.audience, self.power = Pane(), Pane(), Pane()
        self.previous, self.next = button("Previous customer"), button("Next customer")
        rows = (
            self.campaign,
            keeper,
            heading("Who gets what"),
            ("channel", "app_group"),
            self.about_app_group,
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
            finish,
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
            heading("Comments"),
            talk,
            of="ob-column",
        )
        shown.add_class("ob-beside")
        self.children = (styles(), box(self.form, shown, of="ob-columns"))

    def __getattr__(self, name: str) -> Any:
        """A control of the form, by the name of its field."""
        if "form" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.form, name)
