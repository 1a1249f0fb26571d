"""Planning a night's send: the audience is frozen and registered with its batches before anything is posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.campaigns import waterfall
from optinb.delivery.batch import BATCH_SIZE, cut
from optinb.delivery.frozen import freeze
from optinb.state import FrozenAudience

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    import polars as pl

    from optinb.campaigns import Campaign
    from optinb.state import Store


def plan(
    store: Store,
    audience: pl.DataFrame,
    *,
    campaign: Campaign,
    run_date: date,
    app_group_id: str,
    template_id: str,
    send_at: datetime,
    fingerprint: str,
    root: Path,
    user: str,
    now: datetime,
    campaign_version: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> FrozenAudience:
    """Freezes an audience and registers it with its batches, in one transaction.

    A campaign that has a plan for this night already keeps it, whatever `audience` is now: the same night twice sends
    nothing twice. `store.deliveries.find` tells before the audience is built.

    Args:
        audience: with AUDIENCE_SCHEMA; its recipients are sent to in its order.
        campaign: what it's the audience of.
        run_date: the night.
        app_group_id: id of the app group.
        template_id: id of the template in Appboy.
        send_at: when the messages go out, in UTC; in customers' own times, in the earliest zone.
        fingerprint: of the approval.
        root: the workspace; the file is frozen under `root/audiences/DATE/`.
        user: who plans, for the audit trail.
        now: in UTC.
        campaign_version: of the record that was checked; a campaign that has changed since is not planned.
        batch_size: recipients of a request, at most 50.

    Raises:
        ConflictError when the campaign has changed, StateError when it can't be written.
    """
    there = store.deliveries.find(campaign.id, run_date)
    if there and there.cancelled is None:
        return there
    figures = waterfall(audience)
    frozen = freeze(audience, folder=root / "audiences" / run_date.isoformat(), stem=campaign.slug)
    planned = cut(figures.recipients, campaign_id=campaign.id, run_date=run_date, size=batch_size)
    return store.deliveries.plan(
        FrozenAudience(
            campaign_id=campaign.id,
            campaign_name=campaign.name,
            run_date=run_date,
            app_group_id=app_group_id,
            template_id=template_id,
            path=frozen.path.relative_to(root).as_posix(),
            sha256=frozen.sha256,
            send_at=send_at,
            recipients=figures.recipients,
            batches=len(planned),
            waterfall=figures,
            fingerprint=fingerprint,
            planned_at=now,
            clock=campaign.schedule.clock,
        ),
        planned,
        user=user,
        now=now,
        campaign_version=campaign_version,
    )
