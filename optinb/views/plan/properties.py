"""The forms of the properties that templates need: where what each says comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.campaigns import Property
from optinb.views.form import Form
from optinb.views.plan.words import AS_CAMPAIGN, OWN_DEFAULT, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.appboy import Needed


class PropertyEditor(w.VBox):
    """The forms of the properties that a template needs.

    A property keeps its form when the template changes: what was written stays, and what somebody types at that moment
    isn't lost.
    """

    def __init__(self, attributes: Sequence[str], *, inherits: bool = False) -> None:
        """Args: `inherits`: whether a property may be left as the campaign has it, which it is at first."""
        super().__init__()
        self.labels: Mapping[str, str] = {}  # of the settings
        self.add_class("ob-column")
        self.changed: Callable[[], None] = lambda: None
        self._attributes, self._inherits = attributes, inherits
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
        for name in self._made if given is None else self.rows:
            self.show_one(name, self._first(name) if given is None else given.get(name, {}))

    def show_one(self, name: str, shown: Mapping[str, Any]) -> None:
        """Sets the form of one property that was asked for; nobody is told of a change."""
        self._offer(name, shown.get("attribute"))
        self._made[name].show(shown)

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
        default = AS_CAMPAIGN if self._inherits else OWN_DEFAULT if self._has_default[name] else ""
        sheet = source(name, attributes=attributes, labels=self.labels, default=default)
        if name in self._made:
            self._made[name].offer_kinds(sheet.kinds, first=self._first(name))
        else:
            self._made[name] = Form(Property, {Property: sheet})
            self._made[name].changed = lambda: self.changed()
            self._made[name].show(self._first(name))

    def _first(self, name: str) -> dict[str, Any]:
        """What a property starts with: the attribute of its name, where there is one."""
        return {"attribute": name} if name in self._attributes and not self._inherits else {}
