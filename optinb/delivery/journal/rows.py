"""Frozen audiences and batches as rows, and back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from optinb.campaigns import Waterfall
from optinb.delivery.journal.values import Batch, BatchState, FrozenAudience, Settlement, state_name, why
from optinb.store.schema import audiences, batches

_STATE: msgspec.json.Decoder[BatchState] = msgspec.json.Decoder(BatchState)


def of_night(campaign_id: str, run_date: date) -> ColumnElement[bool]:
    """The batches of a campaign's night."""
    return and_(batches.c.campaign_id == campaign_id, batches.c.run_date == run_date)


def audience_of_night(campaign_id: str, run_date: date) -> ColumnElement[bool]:
    """The audience of a campaign's night."""
    return and_(audiences.c.campaign_id == campaign_id, audiences.c.run_date == run_date)


def of_campaign(column: ColumnElement[str], campaign_id: str) -> ColumnElement[bool]:
    """Whether a column has the key of one of a campaign's messages."""
    return or_(column == campaign_id, column.startswith(f"{campaign_id}.", autoescape=True))


def in_order_of_messages() -> tuple[ColumnElement[Any], ...]:
    """What sorts the messages of a campaign's night by their numbers."""
    return func.length(audiences.c.campaign_id), audiences.c.campaign_id


def night_of(con: Connection, campaign_id: str, run_date: date) -> tuple[FrozenAudience, ...]:
    """The audiences of all messages of a campaign's night, in the order of their numbers."""
    mine = and_(of_campaign(audiences.c.campaign_id, campaign_id), audiences.c.run_date == run_date)
    query = audiences_with_counts().where(mine).order_by(*in_order_of_messages())
    return tuple(audience_from(row) for row in con.execute(query))


def audiences_with_counts() -> Select[Any]:
    """Every audience with its number of batches."""
    count = (
        select(func.count())
        .where(batches.c.campaign_id == audiences.c.campaign_id, batches.c.run_date == audiences.c.run_date)
        .scalar_subquery()
    )
    return select(audiences, count.label("batches"))


def find_audience(con: Connection, campaign_id: str, run_date: date) -> FrozenAudience | None:
    """The audience of a campaign's night, or None."""
    row = con.execute(audiences_with_counts().where(audience_of_night(campaign_id, run_date))).first()
    return audience_from(row) if row else None


def audience_from(row: Row[Any]) -> FrozenAudience:
    """The audience in a row of `audiences_with_counts`."""
    fields = dict(row._mapping)
    waterfall = msgspec.json.decode(fields.pop("waterfall"), type=Waterfall)
    return FrozenAudience(waterfall=waterfall, **fields)


def audience_row(audience: FrozenAudience) -> dict[str, Any]:
    """The row of an audience."""
    row = msgspec.structs.asdict(audience)
    del row["batches"]
    return {**row, "waterfall": as_json(audience.waterfall)}


def batch_from(row: Row[Any]) -> Batch:
    """The batch in a row."""
    return Batch(
        campaign_id=row.campaign_id,
        run_date=row.run_date,
        number=row.number,
        first=row.first,
        size=row.size,
        state=_STATE.decode(row.detail),
        settlement=msgspec.json.decode(row.settlement, type=Settlement) if row.settlement else None,
    )


def batch_row(batch: Batch, *, now: datetime) -> dict[str, Any]:
    """The row of a new batch."""
    return {
        "campaign_id": batch.campaign_id,
        "run_date": batch.run_date,
        "number": batch.number,
        "first": batch.first,
        "size": batch.size,
        "changed_at": now,
        **state_columns(batch.state),
    }


def state_columns(state: BatchState) -> dict[str, str | None]:
    """The columns that hold a state."""
    return {"state": state_name(state), "detail": as_json(state), "why": why(state)}


def as_json(value: object) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()
