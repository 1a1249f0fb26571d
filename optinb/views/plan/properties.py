"""The editor of a template's trigger properties: each one a fixed text, a field of the offer, or an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.controls import box, choose, field
from optinb.views.plan.draft import (
    FIXED,
    OFFER_FIELDS,
    TEMPLATES_OWN,
    PropertySource,
    attribute,
    first_kind,
    from_offer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.appboy import Needed

OFFERS = {"name": "The offer's name", "value": "The offer's value", "terms": "The offer's terms",
          "valid_until": "The offer's last day", "code": "The customer's own code"}  # fmt: skip


class PropertyEditor(w.VBox):
    """The controls of each needed property.

    A property keeps its controls when the template changes: what was written stays, and what somebody types at that
    moment isn't lost.
    """

    def __init__(self, *, attributes: Sequence[str], changed: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._attributes, self._changed = attributes, changed
        self._made: dict[str, PropertyRow] = {}
        self.rows: dict[str, PropertyRow] = {}

    def ask_for(self, needed: Sequence[Needed]) -> None:
        """Shows the controls for these properties."""
        for one in needed:
            self._row(one.name).offer(has_default=one.has_default)
        self.rows = {one.name: self._made[one.name] for one in needed}
        self.children = tuple(self.rows.values())

    def learn(self, attributes: Sequence[str]) -> None:
        """Offers the attributes of other tables; nobody is told of a change, since nothing that is chosen changes."""
        self._attributes = attributes
        for row in self._made.values():
            row.learn(attributes)

    def sources(self) -> dict[str, PropertySource]:
        """Where each property comes from."""
        return {name: row.source() for name, row in self.rows.items()}

    def show(self, sources: Mapping[str, PropertySource] | None) -> None:
        """Sets the controls of the properties that are shown, or clears them; nobody is told of a change."""
        for name, row in self.rows.items():
            row.show(None if sources is None else sources.get(name, row.missing))

    def _row(self, name: str) -> PropertyRow:
        if name not in self._made:
            self._made[name] = PropertyRow(name, attributes=self._attributes, changed=self._changed)
        return self._made[name]


class PropertyRow(w.VBox):
    """Where one property comes from, its text or default, and whether customers without a value are left out."""

    def __init__(self, name: str, *, attributes: Sequence[str], changed: Callable[[], None]) -> None:
        self.origin = field(w.Dropdown, name)
        self.text = field(w.Text, f"{name}: text")
        self.leave_out = w.Checkbox(description="Leave out customers who have none", indent=False)
        super().__init__([box(self.origin, self.text, of="ob-pair"), self.leave_out])
        self.add_class("ob-column")
        self._name, self._attributes, self._changed = name, attributes, changed
        self._is_loading, self._has_default = False, False
        self.origin.observe(lambda _: self._arrange(), "value")
        self.leave_out.observe(lambda _: self._arrange(), "value")
        self.text.observe(lambda _: self._tell(), "value")

    def offer(self, *, has_default: bool) -> None:
        """Offers what the template allows: its own default only where it has one."""
        self._has_default = has_default
        options = [("The same text for everybody", FIXED)]
        if has_default:
            options.append(("The template's own default", TEMPLATES_OWN))
        options += [(OFFERS[name], from_offer(name)) for name in OFFER_FIELDS]
        options += [(f"Attribute {name}", attribute(name)) for name in self._attributes]
        if list(self.origin.options) == options:
            return
        chosen = self.origin.value
        choose(self.origin, options, keep=chosen if chosen in dict(options).values() else self._first())

    def learn(self, attributes: Sequence[str]) -> None:
        """Offers other attributes; one that is chosen stays, also where it isn't delivered any more."""
        chosen = str(self.origin.value)
        gone = [name for name in self._attributes if attribute(name) == chosen and name not in attributes]
        self._attributes, self._is_loading = [*attributes, *gone], True
        try:
            self.offer(has_default=self._has_default)
        finally:
            self._is_loading = False

    def source(self) -> PropertySource:
        """What the controls say."""
        return PropertySource(self.origin.value, self.text.value, self._is_attribute and self.leave_out.value)

    @property
    def missing(self) -> PropertySource:
        """What the controls say of a property that a campaign doesn't give."""
        return PropertySource(TEMPLATES_OWN if self._has_default else FIXED)

    def show(self, source: PropertySource | None) -> None:
        """Sets the controls; without a source to what the property starts with."""
        source, kinds = source or PropertySource(self._first()), [kind for _, kind in self.origin.options]
        self._is_loading = True
        try:
            self.origin.value = source.kind if source.kind in kinds else self._first()
            self.text.value, self.leave_out.value = source.text, source.leave_out
            self._arrange()
        finally:
            self._is_loading = False

    @property
    def _is_attribute(self) -> bool:
        return str(self.origin.value).startswith("attribute ")

    def _first(self) -> str:
        return first_kind(self._name, attributes=self._attributes, has_default=self._has_default)

    def _arrange(self) -> None:
        """The text is the value of a fixed property and the default of an attribute."""
        fixed, left_out = self.origin.value == FIXED, self._is_attribute and self.leave_out.value
        self.text.description = f"{self._name}: text" if fixed else f"{self._name}: if a customer has none"
        self.text.placeholder = "Write the text" if fixed else "What they read instead"
        self.text.layout.display = "" if fixed or (self._is_attribute and not left_out) else "none"
        self.leave_out.layout.display = "" if self._is_attribute else "none"
        self._tell()

    def _tell(self) -> None:
        if not self._is_loading:
            self._changed()
