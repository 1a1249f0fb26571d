"""Planning a night's send: the audience is frozen and registered with its batches before anything is posted."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl

from optinb.campaigns import Campaign, waterfall, with_codes
from optinb.delivery.batch import BATCH_SIZE, MAX_PROPERTIES, cut
from optinb.delivery.elsewhere import place_of
from optinb.delivery.frozen import freeze
from optinb.delivery.journal import CodesTaken, Draw, FrozenAudience, Store
from optinb.errors import CampaignError

TRIES = 5  # to get codes that several campaigns draw at once


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
    """Freezes an audience and registers it with its batches and promotion codes, in one transaction.

    A recipient's code is a part of the frozen audience and is theirs from that transaction on, so that a run that is
    killed and run again sends each the same code.

    A campaign that has a plan for this night already keeps it, whatever `audience` is now: the same night twice sends
    nothing twice. `store.deliveries.find` tells before the audience is built.

    Args:
        store: the journal.
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
        batch_size: recipients of a request, at most 50; fewer where their properties are large.

    Raises:
        CampaignError: when the pool of codes doesn't suffice, or somebody's properties are too large.
        ConflictError: when the campaign has changed.
        StateError: when the audience can't be written.
    """
    there = store.deliveries.find(campaign.id, run_date)
    if there and there.cancelled is None:
        return there
    figures = waterfall(audience)

    def register(draw: Draw | None) -> FrozenAudience:
        rows = with_codes(audience, pl.Series(draw.codes), properties=campaign.code_properties) if draw else audience
        large = why_too_large(rows)
        if large:
            raise CampaignError(large)
        weights = _weights(rows).to_list()
        planned = cut(len(weights), campaign_id=campaign.id, run_date=run_date, size=batch_size, weights=weights)
        frozen = freeze(rows, folder=root / "audiences" / run_date.isoformat(), stem=campaign.slug)
        try:
            planned_as = store.deliveries.plan(
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
                    codes=draw.pool if draw else None,
                ),
                planned,
                user=user,
                now=now,
                campaign_version=campaign_version,
                draw=draw,
                place=place_of(frozen.path),
            )
        except CodesTaken:
            frozen.path.unlink(missing_ok=True)  # it tells of codes that others have
            raise
        if planned_as.sha256 != frozen.sha256:
            frozen.path.unlink(missing_ok=True)  # another run was first, and this file is nobody's
        return planned_as

    if campaign.codes is None:
        return register(None)
    for _ in range(TRIES - 1):
        try:
            return register(_drawn(store, campaign, figures.recipients))
        except CodesTaken:
            continue
    return register(_drawn(store, campaign, figures.recipients))


def why_short(campaign: Campaign, *, left: int, needed: int) -> str | None:
    """Why a campaign can't go out with so many codes left in its pool, or None."""
    if needed <= left:
        return None
    return (
        f"{needed - left:,} promotion codes are missing: {needed:,} recipients, and {left:,} codes are left in the "
        f"pool {campaign.codes!r}; import more of them (`optinb codes import`), and approve the campaign again"
    )


def why_too_large(audience: pl.DataFrame) -> str | None:
    """Why the properties of an audience with AUDIENCE_SCHEMA can't be sent, or None."""
    weights = _weights(audience)
    large = int((weights > MAX_PROPERTIES).sum())
    if not large:
        return None
    return (
        f"the properties of {large:,} recipients are too large: up to {weights.max():,} bytes, and Appboy takes "
        f"{MAX_PROPERTIES:,} in a request; shorten the texts under [properties] or the attributes that they show"
    )


def _weights(audience: pl.DataFrame) -> pl.Series:
    """The bytes of each recipient's properties, in the order in which they are sent."""
    return audience.filter(pl.col("outcome") == "recipient")["properties"].str.len_bytes()


def _drawn(store: Store, campaign: Campaign, recipients: int) -> Draw:
    """The codes for so many recipients. Raises CampaignError saying how many are missing."""
    pool = store.codes.get(campaign.codes or "")
    draw = store.codes.draw(pool.name, recipients)
    short = why_short(campaign, left=len(draw.codes), needed=recipients)
    if short:
        raise CampaignError(short)
    return draw
