"""Asking Appboy what became of unknown batches: who received the message after its time, and who didn't."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from optinb.delivery.elsewhere import must_be_here
from optinb.delivery.evidence import verdicts
from optinb.delivery.frozen import Recipients
from optinb.delivery.journal import FrozenAudience, Settlement, Store, Unknown, Verdict
from optinb.delivery.request import ask_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from optinb.appboy import Exported, RateLimit
    from optinb.delivery.budget import Budget

AN_HOUR = 250 * 60  # exports that Appboy allows newer accounts
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


class Settled(Struct, frozen=True, kw_only=True):
    """What Appboy said of the unknown recipients of a campaign's night.

    Attributes:
        reconciled: how many got it, didn't, or are still unknown.
        list: the name of the list of those it missed; None where there is none.
        problem: why it couldn't be asked; None where it could.
    """

    reconciled: Reconciled
    list: str | None = None
    problem: str | None = None


class Settlements(Struct, frozen=True, kw_only=True):
    """What Appboy said of every unknown recipient.

    Attributes:
        nights: one entry for each campaign and night that was asked about.
        exit_code: 0; 1 where it couldn't be asked, and 5 where nothing can be said yet, or any more.
    """

    nights: tuple[Settled, ...]
    exit_code: int


def _lasting(before: Verdict | None, now: Verdict) -> Verdict:
    """The word that counts: what was received stays received, and what was told once isn't untold later."""
    return before if before and (before == "received" or now == "untold") else now


def sent_again_at(audience: FrozenAudience, others: Iterable[FrozenAudience], *, since: datetime) -> datetime | None:
    """When the same template went out again at the earliest, at a time or later; None if it didn't."""
    again = [
        other.send_at
        for other in others
        if not audience.is_beside(other)  # another message of that night is for other people, or another template
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
    late_minutes: int,
    budget: Budget,
    again: bool = True,
    progress: Callable[[int], None] = lambda _count: None,
) -> Reconciled:
    """Asks Appboy about the recipients of a night's unknown batches, and notes beside each batch what it said.

    Nothing is sent, and the batches stay unknown. May be done again: the later word counts, except where Appboy had a
    word before and none any more. Without `again`, what it said of a batch once stands.

    Args:
        store: with the journal.
        client: of the campaign's app group.
        audience: the night.
        root: the workspace that `audience.path` is relative to.
        clock: the time in UTC.
        user: who asks.
        late_minutes: how long after its time a send may still be posted; nobody is asked about before that.
        budget: of exports, which have a limit of their own.
        again: ask about the batches too of which Appboy has said something.
        progress: called with the number of recipients asked about, again and again.

    Raises:
        AppboyError when it doesn't answer, StateError when the frozen audience was changed.
    """
    unknown = store.deliveries.batches(*audience.night, state="unknown")
    total = sum(batch.size for batch in unknown)
    opens_at = ask_after(audience, late_minutes)
    if not unknown or clock() < opens_at:
        return Reconciled(
            campaign=audience.campaign_name,
            run_date=audience.run_date,
            unknown=total,
            ask_after=opens_at if unknown else None,
        )
    others = store.deliveries.list()
    must_be_here(store, audience, root)
    recipients = Recipients(root / audience.path, audience.sha256)
    found: dict[Verdict, list[str]] = {"received": [], "missing": [], "untold": []}
    for batch in unknown:
        if batch.settlement and not again:
            _add(found, batch.settlement)
            progress(batch.size)
            continue
        moved = batch.state.since if isinstance(batch.state, Unknown) else None
        since = min(audience.send_at, moved or audience.send_at)
        until = sent_again_at(audience, others, since=since)
        ids = [user_id for user_id, _ in recipients.rows(batch.first, batch.size)]
        exported = export(client, ids, FIELDS, budget)
        now = verdicts(exported, ids, template_id=audience.template_id, since=since, until=until)
        told: dict[Verdict, list[str]] = {"received": [], "missing": [], "untold": []}
        for user_id, verdict in now.items():
            verdict = _lasting(batch.settlement.verdict_on(user_id) if batch.settlement else None, verdict)
            told[verdict].append(user_id)
        settlement = Settlement(
            received=tuple(told["received"]),
            missing=tuple(told["missing"]),
            untold=tuple(told["untold"]),
            asked_at=clock(),
            asked_by=user,
        )
        store.deliveries.settle(batch, settlement)
        _add(found, settlement)
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


def _add(found: dict[Verdict, list[str]], told: Settlement) -> None:
    found["received"] += told.received
    found["missing"] += told.missing
    found["untold"] += told.untold


def export(client: Exporter, ids: Iterable[str], fields: Iterable[str], budget: Budget) -> Exported:
    """What Appboy knows of up to 50 users, asked for within a budget. Raises AppboyError when it doesn't answer."""
    budget.enter(patience_s=float("inf"))
    try:
        return client.export_users(ids, fields)
    finally:
        budget.leave(client.rate_limit)
