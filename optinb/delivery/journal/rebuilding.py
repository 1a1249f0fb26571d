"""What a night was, written into a database that has forgotten it, by what its file of answers says."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, delete, insert, select, update

from optinb.delivery.journal.answers import Account, Grant, Requests, send_lease
from optinb.delivery.journal.batches import write
from optinb.delivery.journal.codes import give_back
from optinb.delivery.journal.manifest import record_plan
from optinb.delivery.journal.origins import REBUILT_NIGHT
from optinb.delivery.journal.rows import (
    audience_of_night,
    audience_row,
    batch_from,
    batch_row,
    find_audience,
    of_night,
)
from optinb.delivery.journal.values import (
    Accepted,
    Batch,
    BatchState,
    Cancelled,
    FrozenAudience,
    Planned,
    Sending,
    Unknown,
    state_name,
)
from optinb.errors import StateError
from optinb.store import audit
from optinb.store.schema import audiences, batches, code_grants, code_pools, leases

if TYPE_CHECKING:
    from collections.abc import Iterator

MAYBE = Unknown(message="its request may have been made before the database was put back to an earlier state")
UNREADABLE = Unknown(
    message="the database was put back to an earlier state, and the file of answers is damaged or missing"
)


class RebuiltNight(Struct, frozen=True, kw_only=True):
    """What a campaign's night is after its journal was rebuilt: recipients by state; `why` it had to be.

    `planned` were certainly not sent.
    """

    campaign: str
    run_date: date
    why: str
    recipients: dict[str, int]


def rebuild(
    con: Connection, account: Account, night: tuple[str, date], *, why: str, user: str, now: datetime
) -> RebuiltNight:
    """Makes the database know of a night what its file does; what that leaves open is unknown from now on.

    A token of a lease that the database has forgotten is jumped, so that whoever still holds it is fenced off.
    Raises StateError for a file that has lost its first line.
    """
    there = find_audience(con, *night)
    audience = account.audience or there
    if audience is None or (there is None and audience.batches and not account.requests):
        raise StateError("the file of answers has lost its plan; restore it from a copy")
    if there and there.planned_at > audience.planned_at:
        raise StateError(
            "the database has a later plan than the file of answers: if another machine recalled what that file tells "
            "of and planned it anew, put the file away; else compare the database with a copy"
        )
    if there and (there.planned_at, there.recipients) != (audience.planned_at, audience.recipients):
        # it was cancelled before anything was sent, and planned anew
        for table, rows in ((batches, of_night(*night)), (audiences, audience_of_night(*night))):
            con.execute(delete(table).where(rows))
        con.execute(
            delete(code_grants).where(code_grants.c.campaign_id == night[0], code_grants.c.run_date == night[1])
        )
        there = None
    if there is None:
        con.execute(insert(audiences).values(audience_row(audience)))
        rows = [batch_row(b, now=now) for b in _cut(audience, account.requests)]
        if rows:
            con.execute(insert(batches), rows)
    else:
        mine = {name: getattr(audience, name) for name in ("path", "sha256", "send_at", "cancelled", "send_id")}
        con.execute(update(audiences).where(audience_of_night(*night)).values(mine))
    _grant(con, audience, account.grants)
    everything: list[Batch] = []
    for row in con.execute(select(batches).where(of_night(*night)).order_by(batches.c.number)).all():
        batch = batch_from(row)
        told = account.states.get(batch.number)
        if isinstance(batch.state, Planned) and account.is_overtaken(batch.number, batch.state.untold):
            told = batch.state
        state = _state_after(batch.state, told, is_whole=not account.damaged)
        everything.append(replace(batch, state=state))
        if state != batch.state:
            write(con, everything[-1:], token=None, now=now, given=row.state)
    give_back(con, *night)
    _jump(con, send_lease(*night), account.token, user=user, now=now)
    sizes = by_state(everything)
    record_plan(con, audience, everything, user=user, now=now, code_runs=account.grants)
    audit.record(
        con,
        who=user,
        action=REBUILT_NIGHT,
        subject=audience.campaign_name,
        now=now,
        campaign_id=audience.campaign_id,
        run_date=audience.run_date,
        send_at=audience.send_at,
        sha256=audience.sha256,
        fingerprint=audience.fingerprint,
        recipients=sizes,
        why=why,
    )
    return RebuiltNight(campaign=audience.campaign_name, run_date=audience.run_date, why=why, recipients=sizes)


def _state_after(there: BatchState, told: BatchState | None, *, is_whole: bool) -> BatchState:
    """What a batch is, by a database that was put back and a file that was not."""
    if isinstance(told, Sending) or (told is None and isinstance(there, Sending)):
        told = MAYBE
    elif told is None or isinstance(told, Planned):
        told = (told or Planned()) if is_whole else UNREADABLE
    if isinstance(there, Planned | Sending):
        return told
    # The database may know more where the file's last lines were lost; and a plan can be made anew, once cancelled.
    is_news = isinstance(there, Accepted) and isinstance(told, Cancelled | Unknown) and told not in (MAYBE, UNREADABLE)
    return told if is_news or (isinstance(there, Cancelled) and told != UNREADABLE) else there


def _cut(audience: FrozenAudience, requests: tuple[Requests, ...]) -> Iterator[Batch]:
    sizes = [size for size, count in requests for _ in range(count)]
    for number, (end, size) in enumerate(zip(accumulate(sizes), sizes, strict=True)):
        yield Batch(
            campaign_id=audience.campaign_id,
            run_date=audience.run_date,
            number=number,
            first=end - size,
            size=size,
            state=Planned(),
        )


def _grant(con: Connection, audience: FrozenAudience, grants: tuple[Grant, ...]) -> None:
    """Gives an audience its codes again, which stand in its frozen file and may be with customers."""
    known = con.execute(select(code_pools.c.key).where(code_pools.c.key == audience.codes)).first()
    campaign_id, run_date = audience.night
    for first, count, place in grants if known else ():
        grant = code_grants.c
        over = (grant.pool == audience.codes) & (grant.first < first + count) & (grant.first + grant.count > first)
        mine = over & (grant.campaign_id == campaign_id) & (grant.run_date == run_date)
        con.execute(delete(code_grants).where(mine))
        theirs = select(grant.first, grant.count).where(over).order_by(grant.first)
        free_from = first
        for other, size in (*con.execute(theirs).all(), (first + count, 0)):
            # what somebody else has by now was given back before; the rest is not for a third one
            if free_from < (until := min(other, first + count)):
                values = {"campaign_id": campaign_id, "run_date": run_date, "place": place + free_from - first}
                values |= {"first": free_from, "count": until - free_from}
                con.execute(insert(code_grants).values(pool=audience.codes, **values))
            free_from = other + size


def _jump(con: Connection, name: str, token: int, *, user: str, now: datetime) -> None:
    held = con.execute(select(leases.c.token).where(leases.c.name == name)).scalar()
    if held is None:
        values = {"name": name, "token": token + 1, "holder": user, "taken_at": now}
        con.execute(insert(leases).values(**values, expires_at=None))
    else:
        con.execute(update(leases).where(leases.c.name == name).values(token=max(held, token) + 1, expires_at=None))


def by_state(everything: list[Batch]) -> dict[str, int]:
    """How many recipients are in each state."""
    sizes: Counter[str] = Counter()
    for batch in everything:
        sizes[state_name(batch.state)] += batch.size
    return dict(sizes)
