"""Moves batches from state to state, within the transaction of whoever decides it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from optinb.delivery.journal.codes import NOT_SENT, give_back
from optinb.delivery.journal.rows import batch_from, find_audience, of_campaign, of_night, state_columns
from optinb.delivery.journal.values import (
    Batch,
    BatchState,
    Cancelled,
    FrozenAudience,
    Planned,
    Sending,
    StateName,
    state_name,
    why,
)
from optinb.store import Lease, audit
from optinb.store.schema import audiences, batches

# Made once, since a sender turns many windows a second.
_AT = (batches.c.campaign_id == bindparam("at_campaign"), batches.c.run_date == bindparam("at_date"))
_STOPPED = select(audiences.c.cancelled).where(
    audiences.c.campaign_id == bindparam("at_campaign"), audiences.c.run_date == bindparam("at_date")
)
_NEXT = (
    select(batches)
    .where(*_AT, batches.c.state == "planned", batches.c.number.not_in(bindparam("skip", expanding=True)))
    .order_by(batches.c.number)
    .limit(bindparam("most"))
)
_MARK = (
    update(batches)
    .where(*_AT, batches.c.number.in_(bindparam("numbers", expanding=True)))
    .values({name: bindparam(name) for name in ("token", "changed_at", "state", "detail", "why")})
)
_BATCH = update(batches).where(*_AT, batches.c.number == bindparam("at_number"), batches.c.state == bindparam("given"))
_MY_BATCH = _BATCH.where(batches.c.token == bindparam("mine"))


def mark(
    con: Connection,
    campaign_id: str,
    run_date: date,
    *,
    lease: Lease,
    size: int,
    skip: Collection[int],
    now: datetime,
) -> tuple[Batch, ...]:
    """Marks the next planned batches as sending."""
    at = {"at_campaign": campaign_id, "at_date": run_date}
    stopped = con.execute(_STOPPED, at).scalar()
    if stopped is not None:
        # what was under way when a person cancelled, and came back as certainly not sent
        to = Cancelled(message=stopped)
        move(con, campaign_id, run_date, given="planned", to=to, who=lease.holder, now=now)
        return ()
    state = Sending(holder=lease.holder)
    planned = con.execute(_NEXT, {**at, "skip": list(skip), "most": size})
    marked = tuple(msgspec.structs.replace(batch_from(row), state=state) for row in planned)
    if marked:
        values = {"token": lease.token, "changed_at": now, **state_columns(state)}
        con.execute(_MARK, {**at, "numbers": [batch.number for batch in marked], **values})
    return marked


def move(
    con: Connection, campaign_id: str, run_date: date, *, given: StateName, to: BatchState, who: str, now: datetime
) -> tuple[Batch, ...]:
    """Moves every batch that is in one state to another, with an entry in the audit trail; returns them as they are."""
    affected = of_night(campaign_id, run_date) & (batches.c.state == given)
    rows = con.execute(select(batches).where(affected).order_by(batches.c.number)).all()
    if rows:
        con.execute(update(batches).where(affected).values({**state_columns(to), "changed_at": now}))
        if state_name(to) in NOT_SENT:
            give_back(con, campaign_id, run_date)
        audience = find_audience(con, campaign_id, run_date)
        assert audience is not None
        audit.record(
            con,
            who=who,
            action=f"batches {state_columns(to)['state']}",
            subject=audience.campaign_name,
            now=now,
            campaign_id=campaign_id,
            run_date=run_date,
            recipients=sum(row.size for row in rows),
            why=why(to),
        )
    return tuple(msgspec.structs.replace(batch_from(row), state=to) for row in rows)


def write(con: Connection, changed: Sequence[Batch], *, token: int | None, now: datetime, given: StateName) -> None:
    """Writes the states of batches that are in the given one, and with a token only of those marked under it."""
    if not changed:
        return
    where = {"given": given} if token is None else {"given": given, "mine": token}
    con.execute(
        _BATCH if token is None else _MY_BATCH,
        [
            {
                "at_campaign": batch.campaign_id,
                "at_date": batch.run_date,
                "at_number": batch.number,
                "changed_at": now,
                **where,
                **state_columns(batch.state),
            }
            for batch in changed
        ],
    )
    ended = [batch.number for batch in changed if state_name(batch.state) in NOT_SENT]
    if ended:
        give_back(con, changed[0].campaign_id, changed[0].run_date, numbers=ended)


def states(
    con: Connection, *, since: date, until: date, campaign_id: str | None
) -> dict[tuple[str, date], dict[StateName, int]]:
    """How many batches of each message of the nights between two are in each state."""
    by = batches.c.campaign_id, batches.c.run_date, batches.c.state
    night = (batches.c.campaign_id == audiences.c.campaign_id) & (batches.c.run_date == audiences.c.run_date)
    # by way of the few audiences, since an index finds only the batches of a key among millions
    query = select(*by, func.count()).select_from(audiences).join(batches, night).group_by(*by)
    query = query.where(audiences.c.run_date.between(since, until))
    if campaign_id is not None:
        query = query.where(of_campaign(audiences.c.campaign_id, campaign_id))
    found: dict[tuple[str, date], dict[StateName, int]] = {}
    for key, run_date, state, count in con.execute(query):
        found.setdefault((key, run_date), {})[state] = count
    return found


def untold(batch: Batch, lease: Lease) -> Batch:
    """A batch as the database keeps it where the file of answers goes on calling it under way."""
    if not isinstance(batch.state, Planned):
        return batch
    return msgspec.structs.replace(batch, state=msgspec.structs.replace(batch.state, untold=lease.token))


def stopped_whole(con: Connection, there: FrozenAudience) -> bool:
    """Whether a person stopped a plan before anything of it was sent, or recalled all of it."""
    if there.cancelled is None:
        return False
    others = of_night(*there.night) & (batches.c.state != "cancelled")
    return con.execute(select(func.count()).select_from(batches).where(others)).scalar_one() == 0
