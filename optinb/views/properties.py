"""The editor of a template's trigger properties: for each one a fixed text, or an attribute with a default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.controls import box, choose, field
from optinb.views.draft import FIXED, TEMPLATES_OWN, Source, attribute, first_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.appboy import Needed


class PropertyEditor(w.VBox):
    """Two controls for each needed property.

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
            if one.name not in self._made:
                self._made[one.name] = PropertyRow(one.name, attributes=self._attributes, changed=self._changed)
            self._made[one.name].offer(has_default=one.has_default)
        self.rows = {one.name: self._made[one.name] for one in needed}
        self.children = tuple(self.rows.values())

    def sources(self) -> dict[str, Source]:
        """Where each property comes from."""
        return {name: row.source() for name, row in self.rows.items()}


class PropertyRow(w.VBox):
    """Where one property comes from, and its text or default."""

    def __init__(self, name: str, *, attributes: Sequence[str], changed: Callable[[], None]) -> None:
        self.origin = field(w.Dropdown, name)
        self.text = field(w.Text, f"{name}: text")
        super().__init__([box(self.origin, self.text, of="ob-pair")])
        self.add_class("ob-column")
        self._name, self._attributes, self._changed = name, attributes, changed
        self.origin.observe(lambda _: self._arrange(), "value")
        self.text.observe(lambda _: changed(), "value")

    def offer(self, *, has_default: bool) -> None:
        """Offers what the template allows: its own default only where it has one."""
        options = [("The same text for everybody", FIXED)]
        if has_default:
            options.append(("The template's own default", TEMPLATES_OWN))
        options += [(f"Attribute {name}", attribute(name)) for name in self._attributes]
        if list(self.origin.options) == options:
            return
        first = first_kind(self._name, attributes=self._attributes, has_default=has_default)
        chosen = self.origin.value
        choose(self.origin, options, keep=chosen if chosen in dict(options).values() else first)

    def source(self) -> Source:
        """What the controls say."""
        return Source(self.origin.value, self.text.value)

    def _arrange(self) -> None:
        """The text is the value of a fixed property and the default of an attribute."""
        fixed = self.origin.value == FIXED
        self.text.description = f"{self._name}: text" if fixed else f"{self._name}: if a customer has none"
        self.text.placeholder = "Write the text" if fixed else "Empty: leave these customers out"
        self.text.layout.display = "none" if self.origin.value == TEMPLATES_OWN else ""
        self._changed()
