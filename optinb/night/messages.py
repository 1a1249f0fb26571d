"""The messages of a campaign tonight: what they are to be, what is still to be sent of them, and their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.base.progress import progress
from optinb.campaigns import gets
from optinb.delivery import send
from optinb.delivery.journal import DeliveryCounts
from optinb.measure import CampaignSummary, MessageSummary, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    import polars as pl

    from optinb.appboy import AppboyClient
    from optinb.delivery import FrozenAudience, SendIds
    from optinb.planning import Resolved
    from optinb.workspace import Workspace


def plan_of(message: FrozenAudience) -> tuple[tuple[str, date], str, datetime]:
    """What tells a plan of a message from every other."""
    return message.night, message.sha256, message.planned_at


def counts_of(ws: Workspace, messages: Sequence[FrozenAudience]) -> list[DeliveryCounts]:
    """What became of each message."""
    return [ws.store.deliveries.counts(*message.night) for message in messages]


def still_to_send(ws: Workspace, messages: Sequence[FrozenAudience]) -> list[FrozenAudience]:
    """Those of which something is planned."""
    return [m for m, counts in zip(messages, counts_of(ws, messages), strict=True) if counts.pending]


def figures_of(ws: Workspace, messages: Sequence[FrozenAudience]) -> CampaignSummary:
    """The figures of a campaign whose audience is frozen, from the journal."""
    app_group_id = messages[0].app_group_id
    groups = {group.id: group.name for group in ws.settings.app_groups}
    return frozen(
        messages,
        counts_of(ws, messages),
        app_group=groups.get(app_group_id, app_group_id),
        templates=ws.store.templates.names(app_group_id),
    )


def to_be(rows: pl.DataFrame, resolved: Resolved) -> list[MessageSummary]:
    """The messages of a campaign in a dry run; nothing where it has but one."""
    if len(resolved.messages) == 1:
        return []
    each = [(number, one, gets(rows, number).height) for number, one in enumerate(resolved.messages)]
    return [
        MessageSummary(
            number=number,
            template=one.template.name,
            variant=one.message.variant,
            recipients=recipients,
            counts=DeliveryCounts(pending=recipients),
        )
        for number, one, recipients in each
    ]


def send_message(
    ws: Workspace,
    client: AppboyClient,
    message: FrozenAudience,
    ids: SendIds,
    *,
    holder: str,
    wait_s: float,
    why_not: Callable[[FrozenAudience], str | None],
) -> str | None:
    """Sends what is still planned of one message; returns why its sender gave up, or None. Raises OptinbError."""
    left = ws.store.deliveries.counts(*message.night).pending
    with progress(message.campaign_name, total=left, unit="recipient") as on_progress:
        counts = send(
            ws.store,
            client,
            message,
            root=ws.root,
            clock=ws.now,
            lease_clock=ws.store.clock,
            settings=ws.settings.send,
            holder=holder,
            budget=ws.sends.budget(message.app_group_id),
            wait_s=wait_s,
            progress=on_progress,
            why_not=why_not,
            identify=lambda there, lease: ids.identify(client, there, lease),
        )
    ids.look_again(message)
    return counts.stopped
