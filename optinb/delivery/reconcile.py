"""Asking Appboy what became of unknown batches: who received the message after its time, and who didn't."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from optinb.delivery.elsewhere import must_be_here
from optinb.delivery.frozen import Recipients
from optinb.delivery.journal import FrozenAudience, Settlement, Store, Unknown, Verdict
from optinb.delivery.request import ask_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from optinb.appboy import CampaignReceived, Exported, RateLimit
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


def verdict_on(
    received: Iterable[CampaignReceived], *, template_id: str, since: datetime, until: datetime | None
) -> Verdict:
    """Whether a user whom Appboy names received a template's message that was due at `since`.

    Appboy keeps the last time only: with one at or after `until`, when the same template went out again, nobody can
    tell what happened before; nor with a time that can't be read, or one that doesn't say which template it is of.
    """
    found: set[Verdict] = set()
    for campaign in received:
        if campaign.api_campaign_id not in (template_id, None):
            continue
        at = _moment(campaign.last_received)
        if at is not None and at < since:
            continue
        is_told = at is not None and campaign.api_campaign_id is not None and (until is None or at < until)
        found.add("received" if is_told else "untold")
    return "received" if "received" in found else "untold" if found else "missing"


def verdicts(
    told: Exported, ids: Iterable[str], *, template_id: str, since: datetime, until: datetime | None
) -> dict[str, Verdict]:
    """The verdict on each id that was asked about.

    Only whom the answer names can be missing: a user without the message, or an id that Appboy says it doesn't know,
    to which it sends nothing. What it passes over in silence is untold.
    """
    received: dict[str, list[CampaignReceived]] = {}
    for user in told.users:
        received.setdefault(user.external_id, []).extend(user.campaigns_received)
    nobody = set(told.invalid_user_ids)
    return {
        user_id: verdict_on(received[user_id], template_id=template_id, since=since, until=until)
        if user_id in received
        else "missing"
        if user_id in nobody
        else "untold"
        for user_id in ids
    }


def _moment(text: Any) -> datetime | None:
    """A moment as Appboy writes it, in UTC where it doesn't say; None where it can't be read."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


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
