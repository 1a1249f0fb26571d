"""The form in which saved offers are kept: a new one, or the next version of one that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w
import msgspec

from optinb.campaigns import Offer
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button, choose, field, styles
from optinb.views.form import Form
from optinb.views.plan.words import NO_CODES, OFFER

if TYPE_CHECKING:
    from optinb.campaigns import OfferRecord
    from optinb.workspace import Workspace

NEW = "A new offer"


class OffersView(w.VBox):
    """The saved offers, and a form for one of them, which is saved on top of the version that it shows."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws = ws
        self._seen: OfferRecord | None = None
        self.offer = field(w.Dropdown, "Offer")
        self.form: Form = Form(Offer, {Offer: OFFER})
        self.save, self.archive = button("Save", style="primary"), button("Archive")
        self.result, self.saved = Pane(), Pane()
        buttons = box(self.save, self.archive, of="ob-buttons")
        form = box(self.offer, self.form, buttons, self.result, of="ob-column")
        self.children = (styles(), box(form, box(self.saved, of="ob-column"), of="ob-columns"))
        self.offer.observe(lambda _: self._open(), "value")
        self.save.on_click(lambda _: self._save())
        self.archive.on_click(lambda _: self._archive())
        self._list("")

    def _list(self, chosen: str) -> None:
        """Reads what is saved now, and opens one of it, or a new one."""
        records = self._ws.offers.list()
        choose(self.offer, [(NEW, ""), *((r.offer.name, r.offer.name) for r in records)], keep=chosen)
        self.saved.show(
            fragment("offer_table.html.j2", "offers", records) if records else "<p>No offer is saved yet.</p>"
        )
        self._open()

    def _open(self) -> None:
        """Shows the newest version of the chosen offer."""
        self._seen = self._ws.offers.get(self.offer.value) if self.offer.value else None
        own = self._seen.offer.codes if self._seen else None
        pools = dict.fromkeys([*(pool.name for pool in self._ws.codes.list()), *([own] if own else [])])
        self.form.choices("codes", [(NO_CODES, None), *((f"One each, from {pool}", pool) for pool in pools)])
        self.form.show(msgspec.to_builtins(self._seen.offer) if self._seen else {})
        self.archive.layout.display = "" if self._seen else "none"

    def _save(self) -> None:
        with self.result.saying_errors():
            kept = self._ws.offers.save(self.form.read(), seen=self._seen)
            takers = [r.campaign.name for r in self._ws.offers.campaigns(kept.offer.name) if r.approval]
            told = f" These ask for a new approval where it changed: {', '.join(takers)}." if takers else ""
            self.result.say(f"“{kept.offer.name}” is saved, as version {kept.version}.{told}", kind="good")
            self._list(kept.offer.name)

    def _archive(self) -> None:
        with self.result.saying_errors():
            gone = self._ws.offers.archive(self.offer.value)
            self.result.say(f"“{gone.offer.name}” is archived; saving it again brings it back.", kind="good")
            self._list("")
