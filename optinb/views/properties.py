"""The editor of a template's trigger properties: for each one a fixed text, or an attribute with a default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.controls import box, choose, field
from optinb.views.draft import FIXED, TEMPLATES_OWN, Source, attribute, first_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.appboy import Needed


class PropertyEditor(w.VBox):
    """Two controls for each needed property; what was written for a property is kept when the template changes."""

    def __init__(self, *, attributes: Sequence[str], changed: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._attributes, self._changed = attributes, changed
        self._written: dict[str, Source] = {}
        self.rows: dict[str, PropertyRow] = {}

    def ask_for(self, needed: Sequence[Needed]) -> None:
        """Shows the controls for these properties."""
        self._written |= self.sources()
        self.rows = {}
        for one in needed:
            first = first_source(one.name, attributes=self._attributes, has_default=one.has_default)
            kept = self._written.get(one.name, first)
            if kept.kind == TEMPLATES_OWN and not one.has_default:
                kept = first
            self.rows[one.name] = PropertyRow(one, kept, attributes=self._attributes, changed=self._changed)
        self.children = tuple(self.rows.values())

    def sources(self) -> dict[str, Source]:
        """Where each property comes from."""
        return {name: row.source() for name, row in self.rows.items()}


class PropertyRow(w.Box):
    """Where one property comes from, and its text or default."""

    def __init__(
        self, needed: Needed, source: Source, *, attributes: Sequence[str], changed: Callable[[], None]
    ) -> None:
        self.origin = field(w.Dropdown, needed.name)
        self.text = field(w.Text, f"{needed.name}: text")
        super().__init__([box(self.origin, self.text, of="ob-pair")])
        self._name = needed.name
        options = [("The same text for everybody", FIXED)]
        if needed.has_default:
            options.append(("The template's own default", TEMPLATES_OWN))
        options += [(f"Attribute {name}", attribute(name)) for name in attributes]
        choose(self.origin, options, keep=source.kind)
        self.text.value = source.text
        self._arrange()
        self.origin.observe(lambda _: (self._arrange(), changed()), "value")
        self.text.observe(lambda _: changed(), "value")

    def source(self) -> Source:
        """What the controls say."""
        return Source(self.origin.value, self.text.value)

    def _arrange(self) -> None:
        """The text is the value of a fixed property and the default of an attribute."""
        fixed = self.origin.value == FIXED
        self.text.description = f"{self._name}: text" if fixed else f"{self._name}: if a customer has none"
        self.text.placeholder = "Write the text" if fixed else "Empty: leave these customers out"
        self.text.layout.display = "none" if self.origin.value == TEMPLATES_OWN else ""
