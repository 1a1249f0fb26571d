"""The values of an attribute as bars that can be clicked: each becomes a condition, or a part of one."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.base.figures import many
from optinb.segments.profile import can_be_chosen
from optinb.show.customers import bar
from optinb.views.editor.blanks import shut
from optinb.views.typed import Button

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.segments import Distribution

KEPT_LISTS = 3  # of values that others have replaced
LONGEST = 60


class ValueRow(w.Box):
    """Some values with the number of their customers, as a bar; the button covers all of it."""

    def __init__(self, label: str, customers: int, most: int, click: Callable[[], None] | None) -> None:
        figures = w.HTML(bar(customers, most))
        figures.add_class("ob-value-bar")
        short = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
        self.button: Button | None = None
        if click is None:
            name: w.Widget = w.HTML(f'<span class="ob-soft">{escape(short)}</span>')
        else:
            self.button = name = Button(description=short, layout=w.Layout(width="auto"))
            self.button.tooltip = f"Choose {label}: {many(customers, 'customer')}"
            self.button.on_click(lambda _: click())
        super().__init__((name, figures))
        self.add_class("ob-value")

    def mark(self, *, is_chosen: bool) -> None:
        """Shows whether the condition asks for it."""
        if self.button is not None and bool(self.button.icon) != is_chosen:
            self.button.icon = "check" if is_chosen else ""
            (self.add_class if is_chosen else self.remove_class)("ob-chosen")


class ValueList(w.VBox):
    """The values of one attribute. `clicked` is called with the distribution and the place of the band.

    Each attribute has rows of its own: a click that is on its way means what was read.
    """

    def __init__(self, clicked: Callable[[Distribution, int], None]) -> None:
        super().__init__()
        self.add_class("ob-value-list")
        self._clicked = clicked
        self._old: list[w.Widget] = []
        self.rows: tuple[ValueRow, ...] = ()

    def show(self, found: Distribution) -> None:
        """Shows how an attribute is distributed."""
        most = max((band.outside for band in found.bands), default=0)
        rows = []
        for place, band in enumerate(found.bands):
            click = (lambda at=place: self._clicked(found, at)) if can_be_chosen(band) else None
            rows.append(ValueRow(band.label or "(empty)", band.outside, most, click))
        self._replace(tuple(rows))

    def clear(self) -> None:
        """Shows nothing."""
        self._replace(())

    def mark(self, chosen: Sequence[bool]) -> None:
        """Shows which of the values the condition asks for."""
        for row, is_chosen in zip(self.rows, chosen, strict=True):
            row.mark(is_chosen=is_chosen)

    def _replace(self, rows: tuple[ValueRow, ...]) -> None:
        if self.rows:
            self._old.append(w.VBox(self.rows))
        self.rows = self.children = rows
        for old in self._old[:-KEPT_LISTS]:
            shut(old)
        self._old = self._old[-KEPT_LISTS:]
