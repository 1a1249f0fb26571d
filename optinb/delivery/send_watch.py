"""The sends of a night as the state store has them, whoever makes them: what is done, under way, and to come."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from optinb.delivery.journal import DeliveryCounts, FrozenAudience, Store
from optinb.delivery.request import may_be_stopped
from optinb.store import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.base.context import Context

Stage = Literal["planned", "sending", "done", "stopped"]


class Send(Struct, frozen=True, kw_only=True):
    """A campaign's send of a night; `is_recallable` while some of it can still be kept from going out.

    `title`: the campaign, of one with several messages with the template and the variant of this one.
    """

    audience: FrozenAudience
    counts: DeliveryCounts
    is_recallable: bool
    title: str = ""

    @property
    def settled(self) -> int:
        """Recipients of whom it's known what became of their request, or that it will stay unknown."""
        return self.audience.recipients - self.counts.pending

    @property
    def may_arrive(self) -> bool:
        """Whether any of it reaches somebody, or may; of what was recalled, refused or too late nothing does."""
        return bool(self.counts.accepted or self.counts.unknown or self.counts.pending)

    @property
    def stage(self) -> Stage:
        """How far it is."""
        if self.audience.cancelled is not None:
            return "stopped"
        if not self.counts.pending:
            return "done"
        return "sending" if self.settled else "planned"


class NightSends(Struct, frozen=True, kw_only=True):
    """A night: its newest run, its sends by name, and the campaigns that it held, with the reason."""

    run_date: date
    run: RunRecord | None
    sends: tuple[Send, ...]
    held: dict[str, str]

    @property
    def is_under_way(self) -> bool:
        """Whether a run has begun and hasn't ended; one that died looks like that, too."""
        return self.run is not None and self.run.finished_at is None


def nights(store: Store, *, limit: int = 30) -> tuple[date, ...]:
    """The nights that ran or have sends, the newest first."""
    ran = {run.run_date for run in store.runs.list()}
    planned = {audience.run_date for audience in store.deliveries.list()}
    return tuple(sorted(ran | planned, reverse=True)[:limit])


def watch(context: Context, store: Store, run_date: date) -> NightSends:
    """The sends of a night as they are now."""
    run = next((r for r in store.runs.list(run_date=run_date) if not (r.summary or {}).get("dry_run")), None)
    sends = []
    audiences = store.deliveries.list(run_date=run_date)
    for audience in audiences:
        counts = store.deliveries.counts(*audience.night)
        pending, late = counts.pending > 0, context.settings.send.late_minutes
        recallable = bool(counts.accepted or pending) and may_be_stopped(
            audience, pending=pending, now=context.now(), late_minutes=late
        )
        sends.append(
            Send(audience=audience, counts=counts, is_recallable=recallable, title=_title(store, audience, audiences))
        )
    named = {send.audience.campaign_name for send in sends}
    campaigns = (run.summary or {}).get("campaigns", ()) if run else ()
    held = {c["name"]: c["held"] for c in campaigns if c.get("held") and c["name"] not in named}
    return NightSends(run_date=run_date, run=run, sends=tuple(sends), held=held)


def _title(store: Store, audience: FrozenAudience, audiences: Iterable[FrozenAudience]) -> str:
    if audience.variant is None and sum(audience.is_beside(other) for other in audiences) < 2:
        return audience.campaign_name
    names = store.templates.names(audience.app_group_id)
    of = f", variant {audience.variant}" if audience.variant else ""
    return f"{audience.campaign_name}: {names.get(audience.template_id, audience.template_id)}{of}"
