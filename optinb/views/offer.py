"""The controls of an offer: what a campaign offers, for people, and for properties that tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.controls import box, field
from optinb.views.draft import OfferText

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = [("A discount", "discount"), ("A gift", "gift"), ("Points", "points"), ("Nothing to redeem", "none")]


class OfferEditor(w.VBox):
    """What is offered; without a name there is no offer."""

    def __init__(self, *, changed: Callable[[], None]) -> None:
        self.name = field(w.Text, "Offer", placeholder="Such as: 20 % off everything")
        self.kind = field(w.Dropdown, "Kind of offer", options=KINDS)
        self.value = field(w.Text, "Its value", placeholder="Such as: 20 %")
        self.valid_until = field(w.DatePicker, "Valid until")
        self.terms = field(w.Text, "Terms")
        self._details = box(self.kind, self.value, self.valid_until, self.terms, of="ob-pair")
        super().__init__([self.name, self._details])
        self.add_class("ob-column")
        self._changed, self._is_loading = changed, False
        for control in (self.name, self.kind, self.value, self.valid_until, self.terms):
            control.observe(lambda _: self._tell(), "value")
        self._arrange()

    def offer(self) -> OfferText:
        """What the controls say."""
        return OfferText(
            name=self.name.value,
            kind=self.kind.value,
            value=self.value.value,
            valid_until=self.valid_until.value,
            terms=self.terms.value,
        )

    def show(self, offer: OfferText) -> None:
        """Sets the controls; nobody is told of a change."""
        self._is_loading = True
        try:
            self.name.value, self.kind.value, self.value.value = offer.name, offer.kind, offer.value
            self.valid_until.value, self.terms.value = offer.valid_until, offer.terms
            self._arrange()
        finally:
            self._is_loading = False

    def _arrange(self) -> None:
        self._details.layout.display = "" if self.name.value.strip() else "none"

    def _tell(self) -> None:
        if not self._is_loading:
            self._arrange()
            self._changed()
