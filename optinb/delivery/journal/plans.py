"""Registering the plan of a campaign's night: all of its messages in one transaction, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, delete, func, insert, select

from optinb.delivery.journal.batches import stopped_whole
from optinb.delivery.journal.codes import Draw, take
from optinb.delivery.journal.manifest import planned_before, record_plan
from optinb.delivery.journal.recovering import changed
from optinb.delivery.journal.rows import audience_of_night, audience_row, batch_row, of_night
from optinb.delivery.journal.values import Batch, FrozenAudience
from optinb.errors import ConflictError, StateError
from optinb.store.schema import audiences, batches, campaign_versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from optinb.delivery.journal.answers import AnswerLine


class MessagePlan(Struct, frozen=True):
    """What is to be registered of one message: its audience, its batches, and the codes of its recipients, in order."""

    audience: FrozenAudience
    batches: Sequence[Batch]
    draw: Draw | None = None


def is_stopped(con: Connection, there: Sequence[FrozenAudience]) -> bool:
    """Whether a person stopped a night before anything of any of its messages was sent, or recalled all of it."""
    sent = [audience for audience in there if audience.recipients or len(there) == 1]
    return bool(sent) and all(stopped_whole(con, audience) for audience in sent)


def register(
    con: Connection,
    plans: Sequence[MessagePlan],
    *,
    there: Sequence[FrozenAudience],
    user: str,
    now: datetime,
    campaign_version: int | None,
    place: Mapping[str, str] | None,
) -> list[AnswerLine]:
    """Registers the messages of a night in place of those that are there; returns what their files are to be told.

    Raises StateError for a night that the audit trail knows and the tables don't, ConflictError when the campaign has
    changed, or a message would be left over, and CodesTaken.
    """
    known = {audience.night for audience in there}
    for one in plans:
        if one.audience.night not in known and (before := planned_before(con, one.audience)):
            raise StateError(
                f"{one.audience.campaign_name!r} was planned for {one.audience.run_date} already, by entry "
                f"{before.seq} of the audit trail, but its audience isn't there any more; compare the database with a "
                "copy"
            )
    if campaign_version is not None:
        _must_be(con, plans[0].audience, campaign_version)
    if known - {one.audience.night for one in plans}:
        raise ConflictError(
            f"{plans[0].audience.campaign_name!r} was planned by somebody else meanwhile; run the night again"
        )
    for night in known:
        con.execute(delete(batches).where(of_night(*night)))
        con.execute(delete(audiences).where(audience_of_night(*night)))
    first, *others = [_registered(con, one, user=user, now=now, place=place) for one in plans]
    return [replace(first, beside=tuple(others)), *others]


def _registered(
    con: Connection, one: MessagePlan, *, user: str, now: datetime, place: Mapping[str, str] | None
) -> AnswerLine:
    con.execute(insert(audiences).values(audience_row(one.audience)))
    if one.batches:
        con.execute(insert(batches), [batch_row(batch, now=now) for batch in one.batches])
    if one.draw is not None:
        take(con, one.draw, one.audience)
    code_runs = one.draw.runs if one.draw else ()
    record_plan(con, one.audience, one.batches, user=user, now=now, code_runs=code_runs, place=place)
    return replace(changed(con, one.audience, now=now), anew=True)


def _must_be(con: Connection, audience: FrozenAudience, version: int) -> None:
    newest = select(func.max(campaign_versions.c.version)).where(campaign_versions.c.id == audience.of_campaign)
    if con.execute(newest).scalar() != version:
        raise ConflictError(
            f"campaign {audience.campaign_name!r} was changed while its audience was built; run the night again"
        )
