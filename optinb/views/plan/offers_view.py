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
    from collections.abc import Callable

    from optinb.campaigns import OfferRecord
    from optinb.workspace import Workspace

NEW = "A new offer"


class OffersView(w.VBox):
    """The saved offers, and a form for one of them, which is saved on top of the version that it shows."""

    def __init__(self, ws: Workspace, *, chosen: str = "", changed: Callable[[], None] | None = None) -> None:
        """Builds the view.

        Args:
            ws: the workspace that keeps the offers.
            chosen: the name of the one that is opened first.
            changed: told when one was saved or archived; whoever gives it has the style sheet already.
        """
        super().__init__()
        self.add_class("ob-view")
        self._ws, self._changed = ws, changed or (lambda: None)
        self._seen: OfferRecord | None = None
        self._shown: object = None  # what the form began with
        self.offer = field(w.Dropdown, "Which offer")
        self.form: Form = Form(Offer, {Offer: OFFER})
        self.save, self.archive = button("Save", style="primary"), button("Archive")
        self.result, self.saved = Pane(), Pane()
        buttons = box(self.save, self.archive, of="ob-buttons")
        form = box(self.offer, self.form, buttons, self.result, of="ob-column")
        both = box(form, box(self.saved, of="ob-column"), of="ob-columns")
        self.children = (both,) if changed else (styles(), both)
        self.offer.observe(lambda _: self._open(), "value")
        self.save.on_click(lambda _: self._save())
        self.archive.on_click(lambda _: self._archive())
        self._list(chosen)

    def _list(self, chosen: str) -> None:
        """Reads what is saved now, and opens one of it, or a new one."""
        records = self._ws.offers.list()
        choose(self.offer, [(NEW, ""), *((r.offer.name, r.offer.name) for r in records)], keep=chosen)
        self.saved.show(
            fragment("offer_table.html.j2", "offers", records) if records else "<p>No offer is saved yet.</p>"
        )
        self._open()

    def look(self, chosen: str) -> None:
        """Reads what is saved now, and opens an offer; but what somebody has begun to write stays.

        Args:
            chosen: its name, or "" for the one that is open.
        """
        if self.form.read() == self._shown:
            self._list(chosen or self.offer.value)

    def _open(self) -> None:
        """Shows the newest version of the chosen offer."""
        self._seen = self._ws.offers.get(self.offer.value) if self.offer.value else None
        own = self._seen.offer.codes if self._seen else None
        pools = dict.fromkeys([*(pool.name for pool in self._ws.codes.list()), *([own] if own else [])])
        self.form.choices("codes", [(NO_CODES, None), *((f"One each, from {pool}", pool) for pool in pools)])
        self.form.show(msgspec.to_builtins(self._seen.offer) if self._seen else {})
        self._shown = self.form.read()
        self.archive.layout.display = "" if self._seen else "none"

    def _save(self) -> None:
        with self.result.saying_errors():
            kept = self._ws.offers.save(self.form.read(), seen=self._seen)
            takers = [r.campaign.name for r in self._ws.offers.campaigns(kept.offer.name) if r.approval]
            told = f" These ask for a new approval where it changed: {', '.join(takers)}." if takers else ""
            self.result.say(f"“{kept.offer.name}” is saved, as version {kept.version}.{told}", kind="good")
            self._list(kept.offer.name)
            self._changed()

    def _archive(self) -> None:
        with self.result.saying_errors():
            gone = self._ws.offers.archive(self.offer.value)
            self.result.say(f"“{gone.offer.name}” is archived; saving it again brings it back.", kind="good")
            self._list("")
            self._changed()


class OffersFold(w.VBox):
    """A button that opens the saved offers, where somebody plans what takes one, and closes them again.

    `content` is what is open, made when it is first opened; what is written in it stays when it is closed.
    """

    def __init__(self, ws: Workspace, *, chosen: Callable[[], str], changed: Callable[[], None]) -> None:
        """Args: `chosen`: tells which offer is taken now, "" for none; `changed`: told when one was changed."""
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._chosen, self._changed = ws, chosen, changed
        self.toggle = button("", tooltip="Save an offer that several campaigns take, or change one")
        self.content: OffersView | None = None
        self.children = (box(self.toggle, of="ob-buttons"),)
        self._is_open = False
        self.toggle.on_click(lambda _: self._show(not self._is_open))
        self._show(False)

    def _show(self, is_open: bool) -> None:
        self._is_open = is_open
        self.toggle.description = "Close the saved offers" if is_open else "Saved offers …"
        if is_open and self.content is None:
            self.content = OffersView(self._ws, chosen=self._chosen(), changed=self._changed)
            self.content.add_class("ob-fold")
            self.children = (*self.children, self.content)
        elif is_open and self.content is not None:
            self.content.look(self._chosen())
        if self.content is not None:
            self.content.layout.display = "" if is_open else "none"
