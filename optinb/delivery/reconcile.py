"""Asking Appboy what became of unknown batches: who received the message after its time, and who didn't."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from optinb.delivery.frozen import Recipients
from optinb.delivery.request import last_moment
from optinb.state import Settlement, Unknown, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from optinb.appboy import Exported, ExportedUser, RateLimit
    from optinb.delivery.budget import Budget
    from optinb.state import FrozenAudience, Store

AN_HOUR = 250 * 60  # exports that Appboy allows newer accounts
CONSISTENT = timedelta(minutes=5)
"""How long after the last message went out Appboy is asked: as its pages advise for calls that follow one another."""
FIELDS = ("external_id", "campaigns_received")


class Exporter(Protocol):
    """What is needed of the Appboy client."""

    rate_limit: RateLimit | None

    def export_users(self, external_ids: Iterable[str], fields: Iterable[str]) -> Exported:
        """What Appboy knows of up to 50 users. Raises AppboyError."""
        ...


class Reconciled(Struct, frozen=True, kw_only=True):
    """What Appboy said of the unknown recipients of a campaign's night.

    `missing` received nothing and may be sent to again, by a new approval; of `untold` it can't be said any more.
    `ask_after`: it is too early, nobody was asked about. `missing_ids` are external_user_ids.
    """

    campaign: str
    run_date: date
    unknown: int
    received: int = 0
    missing: int = 0
    untold: int = 0
    ask_after: datetime | None = None
    missing_ids: tuple[str, ...] = ()


def verdict_on(user: ExportedUser | None, *, template_id: str, since: datetime, until: datetime | None) -> Verdict:
    """Whether a user received a template's message that was due at `since`; None is a user whom Appboy doesn't know.

    Appboy keeps the last time only: with one at or after `until`, when the same template went out again, nobody can
    tell what happened before.
    """
    for campaign in user.campaigns_received if user else ():
        if campaign.api_campaign_id != template_id or not campaign.last_received:
            continue
        at = datetime.fromisoformat(campaign.last_received)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at < since:
            return "missing"
        return "untold" if until is not None and at >= until else "received"
    return "missing"


def _lasting(before: Verdict | None, now: Verdict) -> Verdict:
    """The word that counts: what was received stays received, and what was told once isn't untold later."""
    return before if before and (before == "received" or now == "untold") else now


def sent_again_at(audience: FrozenAudience, others: Iterable[FrozenAudience], *, since: datetime) -> datetime | None:
    """When the same template went out again at the earliest, at a time or later; None if it didn't."""
    again = [
        other.send_at
        for other in others
        if other.night != audience.night
        and (other.app_group_id, other.template_id) == (audience.app_group_id, audience.template_id)
        and other.send_at >= since
    ]
    return min(again, default=None)


def reconcile(
    store: Store,
    client: Exporter,
    audience: FrozenAudience,
    *,
    root: Path,
    clock: Callable[[], datetime],
    user: str,
    budget: Budget,
    progress: Callable[[int], None] = lambda _count: None,
) -> Reconciled:
    """Asks Appboy about the recipients of a night's unknown batches, and notes beside each batch what it said.

    Nothing is sent, and the batches stay unknown. May be done again: the later word counts, except where Appboy had a
    word before and none any more.

    Args:
        store: with the journal.
        client: of the campaign's app group.
        audience: the night.
        root: the workspace that `audience.path` is relative to.
        clock: the time in UTC.
        user: who asks.
        budget: of exports, which have a limit of their own.
        progress: called with the number of recipients asked about, again and again.

    Raises:
        AppboyError when it doesn't answer, StateError when the frozen audience was changed.
    """
    unknown = store.deliveries.batches(*audience.night, state="unknown")
    total = sum(batch.size for batch in unknown)
    ask_after = last_moment(audience) + CONSISTENT
    if not unknown or clock() < ask_after:
        return Reconciled(
            campaign=audience.campaign_name,
            run_date=audience.run_date,
            unknown=total,
            ask_after=ask_after if unknown else None,
        )
    others = store.deliveries.list()
    recipients = Recipients(root / audience.path, audience.sha256)
    found: dict[Verdict, list[str]] = {"received": [], "missing": [], "untold": []}
    for batch in unknown:
        moved = batch.state.since if isinstance(batch.state, Unknown) else None
        since = min(audience.send_at, moved or audience.send_at)
        until = sent_again_at(audience, others, since=since)
        ids = [user_id for user_id, _ in recipients.rows(batch.first, batch.size)]
        known = {user.external_id: user for user in _export(client, ids, budget).users}
        told: dict[Verdict, list[str]] = {"received": [], "missing": [], "untold": []}
        for user_id in ids:
            verdict = verdict_on(known.get(user_id), template_id=audience.template_id, since=since, until=until)
            verdict = _lasting(batch.settlement.verdict_on(user_id) if batch.settlement else None, verdict)
            told[verdict].append(user_id)
            found[verdict].append(user_id)
        store.deliveries.settle(
            batch,
            Settlement(
                received=tuple(told["received"]),
                missing=tuple(told["missing"]),
                untold=tuple(told["untold"]),
                asked_at=clock(),
                asked_by=user,
            ),
        )
        progress(batch.size)
    return Reconciled(
        campaign=audience.campaign_name,
        run_date=audience.run_date,
        unknown=total,
        received=len(found["received"]),
        missing=len(found["missing"]),
        untold=len(found["untold"]),
        missing_ids=tuple(found["missing"]),
    )


def _export(client: Exporter, ids: list[str], budget: Budget) -> Exported:
    budget.enter(patience_s=float("inf"))
    try:
        return client.export_users(ids, FIELDS)
    finally:
        budget.leave(client.rate_limit)
