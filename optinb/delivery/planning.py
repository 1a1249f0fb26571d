"""Planning a night's send: the audience is frozen and registered with its batches before anything is posted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns import Campaign, Waterfall, waterfall, with_codes
from optinb.campaigns.messages import message_key, split
from optinb.delivery.batch import BATCH_SIZE, MAX_PROPERTIES, cut
from optinb.delivery.elsewhere import place_of
from optinb.delivery.frozen import freeze
from optinb.delivery.journal import CodesTaken, Draw, FrozenAudience, MessagePlan, Store
from optinb.errors import CampaignError

TRIES = 5  # to get codes that several campaigns draw at once


def plan(
    store: Store,
    audience: pl.DataFrame,
    *,
    campaign: Campaign,
    run_date: date,
    app_group_id: str,
    template_id: str | Sequence[str],
    send_at: datetime,
    fingerprint: str,
    root: Path,
    user: str,
    now: datetime,
    campaign_version: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> FrozenAudience:
    """Freezes an audience and registers it with its batches and promotion codes, in one transaction.

    Each message of a campaign is frozen apart; all of them are registered, or none. One that nobody gets is left out,
    but the first, whose file tells of everybody who was considered.

    A recipient's code is a part of the frozen audience and is theirs from that transaction on, so that a run that is
    killed and run again sends each the same code.

    A campaign that has a plan for this night already keeps it, whatever `audience` is now: the same night twice sends
    nothing twice. `store.deliveries.find` tells before the audience is built.

    Args:
        store: the journal.
        audience: with AUDIENCE_SCHEMA, and MESSAGES where there are several; its recipients are sent to in its order.
        campaign: what it's the audience of.
        run_date: the night.
        app_group_id: id of the app group.
        template_id: id of the template in Appboy; of a campaign with several messages those of all of them, in the
            order of their numbers.
        send_at: when the messages go out, in UTC; in customers' own times, in the earliest zone.
        fingerprint: of the approval.
        root: the workspace; the file is frozen under `root/audiences/DATE/`.
        user: who plans, for the audit trail.
        now: in UTC.
        campaign_version: of the record that was checked; a campaign that has changed since is not planned.
        batch_size: recipients of a request, at most 50; fewer where their properties are large.

    Returns:
        the first message of the night; `store.deliveries.messages` gives all of them.

    Raises:
        CampaignError: when the pool of codes doesn't suffice, or somebody's properties are too large.
        ConflictError: when the campaign has changed.
        StateError: when the audience can't be written.
    """
    there = store.deliveries.messages(campaign.id, run_date)
    if there and all(message.cancelled is None for message in there):
        return there[0]
    templates = (template_id,) if isinstance(template_id, str) else tuple(template_id)
    figures, parts = waterfall(audience), _parts(audience, campaign, templates, there)
    sent = sum(part.recipients for part in parts)
    if campaign.codes is not None and sent != figures.recipients:
        raise CampaignError(
            f"{campaign.name!r} sends {sent:,} messages to {figures.recipients:,} customers, and each is to get one "
            'code: give it phones = "last_used", so that everybody gets one message'
        )

    def register(draw: Draw | None) -> FrozenAudience:
        draws = draw.shared(part.recipients for part in parts) if draw else (None,) * len(parts)
        drawn = [_with_codes(part, mine, campaign) for part, mine in zip(parts, draws, strict=True)]
        for part in drawn:
            if large := why_too_large(part.rows):
                raise CampaignError(large)
        plans: list[MessagePlan] = []
        for part, mine in zip(drawn, draws, strict=True):
            weights = _weights(part.rows).to_list()
            key, stem = message_key(campaign.id, part.number), f"{campaign.slug}.{part.number}"
            planned = cut(len(weights), campaign_id=key, run_date=run_date, size=batch_size, weights=weights)
            folder = root / "audiences" / run_date.isoformat()
            frozen = freeze(part.rows, folder=folder, stem=stem if part.number else campaign.slug)
            one = FrozenAudience(
                campaign_id=key,
                campaign_name=campaign.name,
                run_date=run_date,
                app_group_id=app_group_id,
                template_id=part.template_id,
                path=frozen.path.relative_to(root).as_posix(),
                sha256=frozen.sha256,
                send_at=send_at,
                recipients=part.recipients,
                batches=len(planned),
                waterfall=part.figures if part.number else figures,
                fingerprint=fingerprint,
                planned_at=now,
                clock=campaign.schedule.clock,
                codes=mine.pool if mine else None,
                variant=part.variant,
            )
            plans.append(MessagePlan(one, planned, mine))
        first, *beside = plans
        try:
            planned_as = store.deliveries.plan(
                first.audience,
                first.batches,
                user=user,
                now=now,
                campaign_version=campaign_version,
                draw=first.draw,
                place=place_of(root / first.audience.path),
                beside=beside,
            )
        except CodesTaken:
            _remove(plans, root=root)  # they tell of codes that others have
            raise
        if planned_as != first.audience:
            kept = {message.path for message in store.deliveries.messages(campaign.id, run_date)}
            # another run was first, and these files are nobody's
            _remove([one for one in plans if one.audience.path not in kept], root=root)
        return planned_as

    if campaign.codes is None:
        return register(None)
    for _ in range(TRIES - 1):
        try:
            return register(_drawn(store, campaign, figures.recipients))
        except CodesTaken:
            continue
    return register(_drawn(store, campaign, figures.recipients))


class _MessagePart(Struct, frozen=True, kw_only=True):
    """What one message of a night is made of."""

    number: int
    template_id: str
    variant: str | None
    rows: pl.DataFrame
    figures: Waterfall

    @property
    def recipients(self) -> int:
        """How many get it."""
        return self.figures.recipients


def _parts(
    audience: pl.DataFrame, campaign: Campaign, templates: Sequence[str], there: Sequence[FrozenAudience]
) -> list[_MessagePart]:
    """What each message is made of that is to be registered.

    One that a person stopped of an earlier plan, and that nobody gets any more, is planned for nobody: its file of
    answers knows it, and would miss it.
    """
    variants = dict(enumerate(message.variant for message in campaign.messages))
    rows = split(audience, len(templates))
    found = [
        _MessagePart(
            number=number, template_id=template, variant=variants.get(number), rows=mine, figures=waterfall(mine)
        )
        for number, (template, mine) in enumerate(zip(templates, rows, strict=True))
    ]
    stopped = {message.number: message for message in there}
    nobody = audience.clear()
    gone = [
        _MessagePart(number=n, template_id=one.template_id, variant=one.variant, rows=nobody, figures=waterfall(nobody))
        for n, one in stopped.items()
        if n >= len(templates)
    ]
    return [part for part in (*found, *gone) if not part.number or part.recipients or part.number in stopped]


def _with_codes(part: _MessagePart, draw: Draw | None, campaign: Campaign) -> _MessagePart:
    if draw is None:
        return part
    return replace(part, rows=with_codes(part.rows, pl.Series(draw.codes), properties=campaign.code_properties))


def _remove(plans: Sequence[MessagePlan], *, root: Path) -> None:
    for one in plans:
        (root / one.audience.path).unlink(missing_ok=True)


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
