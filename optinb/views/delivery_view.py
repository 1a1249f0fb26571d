"""The morning's work by hand: import a delivery and model its customers, while the page stays usable."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import ipywidgets as w
from msgspec import Struct

from optinb.errors import OptinbError, UsageError
from optinb.measure.pages import day
from optinb.show import html
from optinb.show.pages import page
from optinb.views.controls import Pane, box, choose, field, styles
from optinb.views.debounce import follow
from optinb.views.job import Job, StoppedError
from optinb.warehouse import BlockedError, ImportReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from optinb.base.progress import Advance
    from optinb.warehouse import Inbox
    from optinb.workspace import Workspace

STEPS = 200  # hundredths of the import, and of the models
UNMODELLED = "The delivery is published. Its customers aren't modelled, since that was cancelled; begin again to do it."
FAILED = "The delivery is published. Its customers aren't modelled: {why}. Begin again to do it."


class Made(Struct, frozen=True, kw_only=True):
    """What came of it: the import or what blocks it, and the customers by stage, or why they weren't modelled."""

    imported: ImportReport | BlockedError
    stages: dict[str, int] | None = None
    why_not: str = UNMODELLED


class DeliveryView(w.VBox):
    """What is published and what waits in the inbox, with a button that imports and models it."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws = ws
        self.about, self.answer = Pane(), Pane()
        self.delivery = field(w.Dropdown, "Delivery")
        self.reason = field(w.Text, "Publish it although a check fails, because", placeholder="kept in the audit trail")
        self.job = Job("Import and model", prepare=self._prepare, done=self._show, steps=lambda: STEPS)
        self.children = (
            styles(),
            self.about,
            box(self.delivery, self.reason, of="ob-pair"),
            self.job,
            self.answer,
        )
        self.reason.layout.display = "none"
        self.delivery.observe(lambda _: self._ask_for_a_reason(False), "value")
        self._offer(ws.inbox())
        follow(self, ws.inbox, self._offer)

    def _offer(self, inbox: Inbox) -> None:
        self.about.say(told(inbox))
        options = [(day(d) + (", published" if d == inbox.published else ""), d) for d in inbox.waiting]
        chosen = self.delivery.value
        choose(self.delivery, options, keep=chosen if chosen != inbox.published else None)

    def _ask_for_a_reason(self, wanted: bool) -> None:
        self.reason.layout.display = "" if wanted else "none"
        if not wanted:
            self.reason.value = ""

    def _prepare(self) -> Callable[[Advance], Made]:
        chosen, reason = self.delivery.value, self.reason.value.strip() or None
        if chosen is None:
            raise UsageError(f"there is no delivery to import: put its files into inbox/{self._ws.today()}")
        self.answer.say("")
        return lambda on_progress: import_and_model(self._ws, chosen, accept_anyway=reason, on_progress=on_progress)

    def _show(self, made: Made) -> None:
        if isinstance(made.imported, BlockedError):
            self._ask_for_a_reason(True)
            self.answer.say(str(made.imported), kind="bad")
            return
        self._ask_for_a_reason(False)
        with suppress(OptinbError):
            self._offer(self._ws.inbox())
        if made.stages is None:
            below = page("notice.html.j2", text=made.why_not)
        else:
            below = page("stages.html.j2", stages=made.stages)
        self.answer.value = html(made.imported) + below


def import_and_model(ws: Workspace, run_date: date, *, accept_anyway: str | None, on_progress: Advance) -> Made:
    """Imports a delivery and models its customers; what ends it between the two leaves the import as it stands."""
    try:
        report = ws.import_delivery(run_date, accept_anyway=accept_anyway, on_progress=on_progress)
    except BlockedError as error:
        return Made(imported=error)
    try:
        return Made(imported=report, stages=ws.model(on_progress=on_progress).stages)
    except StoppedError:
        return Made(imported=report)
    except OptinbError as error:
        return Made(imported=report, why_not=FAILED.format(why=error))


def told(inbox: Inbox) -> str:
    """What is published and what waits, in sentences."""
    newer = [d for d in inbox.waiting if inbox.published is None or d > inbox.published]
    if newer:
        waits = f"The delivery of {day(newer[0])} waits in the inbox."
    elif inbox.published is None:
        waits = "IT puts a delivery into the folder inbox/DATE of the workspace; then it shows here by itself."
    else:
        waits = "No newer one waits in the inbox; when it comes, it shows here by itself."
    if inbox.published is None:
        return f"Nothing is published yet. {waits}"
    modelled = "modelled" if inbox.modelled and inbox.modelled >= inbox.published else "not modelled yet"
    return f"The delivery of {day(inbox.published)} is published (version {inbox.version}), {modelled}. {waits}"
