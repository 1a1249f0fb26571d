"""The controls of an offer: what a campaign offers, for people, and for properties that tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.controls import box, choose, field
from optinb.views.plan.draft import OfferText

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KINDS = [("A discount", "discount"), ("A gift", "gift"), ("Points", "points"), ("Nothing to redeem", "none")]
NO_CODES = ("The same for everybody", "")


class OfferEditor(w.VBox):
    """What is offered; without a name there is no offer."""

    def __init__(self, *, changed: Callable[[], None]) -> None:
        self.name = field(w.Text, "Offer", placeholder="Such as: 20 % off everything")
        self.kind = field(w.Dropdown, "Kind of offer", options=KINDS)
        self.value = field(w.Text, "Its value", placeholder="Such as: 20 %")
        self.valid_until = field(w.DatePicker, "Valid until")
        self.terms = field(w.Text, "Terms")
        self.codes = field(w.Dropdown, "Codes", options=[NO_CODES])
        self._details = box(self.kind, self.value, self.valid_until, self.codes, self.terms, of="ob-pair")
        super().__init__([self.name, self._details])
        self.add_class("ob-column")
        self._changed, self._is_loading = changed, False
        for control in (self.name, self.kind, self.value, self.valid_until, self.terms, self.codes):
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
            codes=self.codes.value,
        )

    def offer_pools(self, pools: Sequence[str]) -> None:
        """Offers these pools of promotion codes."""
        options = [NO_CODES, *((f"One each, from {pool}", pool) for pool in pools)]
        if list(self.codes.options) != options:
            self._is_loading = True
            choose(self.codes, options, keep=self.codes.value)
            self._is_loading = False

    def show(self, offer: OfferText) -> None:
        """Sets the controls; nobody is told of a change."""
        self._is_loading = True
        try:
            self.name.value, self.kind.value, self.value.value = offer.name, offer.kind, offer.value
            self.valid_until.value, self.terms.value = offer.valid_until, offer.terms
            if offer.codes and offer.codes not in dict(self.codes.options).values():
                self.codes.options = [*self.codes.options, (f"One each, from {offer.codes}", offer.codes)]
            self.codes.value = offer.codes
            self._arrange()
        finally:
            self._is_loading = False

    def _arrange(self) -> None:
        self._details.layout.display = "" if self.name.value.strip() else "none"

    def _tell(self) -> None:
        if not self._is_loading:
            self._arrange()
            self._changed()
