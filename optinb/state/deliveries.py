"""The journal of deliveries: what was planned, and what became of each batch. It decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import Select, and_, bindparam, delete, func, insert, select, update

from optinb.campaigns import Waterfall
from optinb.errors import ConflictError, StateError
from optinb.state import audit
from optinb.state.journal import (
    Batch,
    BatchState,
    Cancelled,
    DeliveryCounts,
    FrozenAudience,
    Sending,
    why,
)
from optinb.state.leases import must_hold
from optinb.state.schema import audiences, batches, campaign_versions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from optinb.state.database import Database
    from optinb.state.leases import Lease

StateName = Literal["planned", "sending", "accepted", "refused", "unknown", "expired", "cancelled"]


class Deliveries:
    """Frozen audiences and their batches, by campaign and night."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(
        self,
        audience: FrozenAudience,
        planned: Sequence[Batch],
        *,
        user: str,
        now: datetime,
        campaign_version: int | None = None,
    ) -> FrozenAudience:
        """Registers an audience with all its batches, or none of it.

        Returns what is there already when the campaign has a plan for this night: there is never a second one, except
        in place of one that a person stopped before anything of it was sent. With `campaign_version`, raises
        ConflictError when the campaign has changed since that version was read.
        """
        with self._database.writing() as con:
            there = _find(con, audience.campaign_id, audience.run_date)
            if there and not _stopped_whole(con, there):
                return there
            if campaign_version is not None:
                _must_be(con, audience, campaign_version)
            if there:
                con.execute(delete(batches).where(_night(audience.campaign_id, audience.run_date)))
                con.execute(
                    delete(audiences).where(
                        audiences.c.campaign_id == audience.campaign_id, audiences.c.run_date == audience.run_date
                    )
                )
            row = msgspec.structs.asdict(audience)
            del row["batches"]
            con.execute(insert(audiences).values({**row, "waterfall": _json(audience.waterfall)}))
            if planned:
                con.execute(insert(batches), [_row(batch, now=now) for batch in planned])
            audit.record(
                con,
                who=user,
                action="delivery planned",
                subject=audience.campaign_name,
                now=now,
                run_date=audience.run_date,
                send_at=audience.send_at,
                recipients=audience.recipients,
                batches=len(planned),
                sha256=audience.sha256,
                fingerprint=audience.fingerprint,
            )
        return audience

    def find(self, campaign_id: str, run_date: date) -> FrozenAudience | None:
        """The plan of a campaign's night, or None. Look here before an audience is built: a plan stays."""
        with self._database.reading() as con:
            return _find(con, campaign_id, run_date)

    def list(self, *, run_date: date | None = None, open_only: bool = False) -> tuple[FrozenAudience, ...]:
        """The plans of one night or of all, the newest night first, then by campaign name.

        `open_only` leaves out those of which nothing is planned or sending any more.
        """
        query = _audiences().order_by(audiences.c.run_date.desc(), audiences.c.campaign_name)
        if run_date is not None:
            query = query.where(audiences.c.run_date == run_date)
        if open_only:
            left = select(batches.c.number).where(
                batches.c.campaign_id == audiences.c.campaign_id,
                batches.c.run_date == audiences.c.run_date,
                batches.c.state.in_(("planned", "sending")),
            )
            query = query.where(left.exists())
        with self._database.reading() as con:
            return tuple(_audience(row) for row in con.execute(query))

    def batches(self, campaign_id: str, run_date: date, *, state: StateName | None = None) -> tuple[Batch, ...]:
        """The batches of a campaign's night in order; all, or those in one state."""
        query = select(batches).where(_night(campaign_id, run_date)).order_by(batches.c.number)
        if state is not None:
            query = query.where(batches.c.state == state)
        with self._database.reading() as con:
            return tuple(_batch(row) for row in con.execute(query))

    def counts(self, campaign_id: str, run_date: date) -> DeliveryCounts:
        """Where the recipients of a campaign's night are."""
        query = (
            select(
                batches.c.state, batches.c.why, func.count().label("batches"), func.sum(batches.c.size).label("size")
            )
            .where(_night(campaign_id, run_date))
            .group_by(batches.c.state, batches.c.why)
        )
        sizes: Counter[str] = Counter()
        errors: dict[str, int] = {}
        total = 0
        with self._database.reading() as con:
            for row in con.execute(query):
                total += row.batches
                sizes[row.state] += int(row.size)
                if row.why:
                    errors[row.why] = errors.get(row.why, 0) + row.batches
        return DeliveryCounts(
            batches=total,
            accepted=sizes["accepted"],
            refused=sizes["refused"],
            unknown=sizes["unknown"],
            expired=sizes["expired"],
            cancelled=sizes["cancelled"],
            pending=sizes["planned"] + sizes["sending"],
            errors=errors,
        )

    def open_window(
        self,
        campaign_id: str,
        run_date: date,
        *,
        lease: Lease,
        size: int,
        now: datetime,
        skip: Collection[int] = (),
    ) -> tuple[Batch, ...]:
        """Marks the next planned batches as sending, at most `size`, and returns them; none are left when it's empty.

        `skip` has the numbers of batches that aren't to be tried again in this run.

        It must come before the requests, so that a crash in between looks like unknown. Raises StateError when the
        lease is lost.
        """
        state = Sending(holder=lease.holder)
        with self._database.writing() as con:
            must_hold(con, lease)
            cancelled = con.execute(
                select(audiences.c.cancelled).where(
                    audiences.c.campaign_id == campaign_id, audiences.c.run_date == run_date
                )
            ).scalar()
            if cancelled is not None:
                # What was under way when a person cancelled, and came back as certainly not sent.
                to = Cancelled(message=cancelled)
                _move(con, campaign_id, run_date, given="planned", to=to, who=lease.holder, now=now)
                return ()
            query = (
                select(batches)
                .where(_night(campaign_id, run_date), batches.c.state == "planned", batches.c.number.not_in(skip))
                .order_by(batches.c.number)
                .limit(size)
            )
            window = tuple(msgspec.structs.replace(_batch(row), state=state) for row in con.execute(query))
            _write(con, window, token=lease.token, now=now)
        return window

    def close_window(self, window: Sequence[Batch], *, lease: Lease, now: datetime) -> None:
        """Writes what became of a window, in one transaction.

        A batch that isn't marked as sending under this lease any more keeps its state: another run took this one for
        dead and has called it unknown, and may have told people so.
        """
        with self._database.writing() as con:
            _write(con, window, token=lease.token, now=now, only_mine=True)

    def move(
        self,
        campaign_id: str,
        run_date: date,
        *,
        given: Literal["planned", "sending"],
        to: BatchState,
        lease: Lease,
        now: datetime,
    ) -> int:
        """Moves every batch that is in one state to another; returns how many recipients. Raises StateError."""
        with self._database.writing() as con:
            must_hold(con, lease)
            return _move(con, campaign_id, run_date, given=given, to=to, who=lease.holder, now=now)

    def cancel(self, campaign_id: str, run_date: date, *, reason: str, user: str, now: datetime) -> int:
        """Cancels what is still planned of a campaign's night; returns how many recipients.

        A sender that is at work finds nothing left at its next window. Raises StateError when there is no plan.
        """
        with self._database.writing() as con:
            noted = con.execute(
                update(audiences)
                .where(audiences.c.campaign_id == campaign_id, audiences.c.run_date == run_date)
                .values(cancelled=reason)
            )
            if noted.rowcount != 1:
                raise StateError(f"campaign {campaign_id} has no plan for {run_date}, so there is nothing to cancel")
            to = Cancelled(message=reason)
            return _move(con, campaign_id, run_date, given="planned", to=to, who=user, now=now)


def _stopped_whole(con: Connection, there: FrozenAudience) -> bool:
    """Whether a person stopped a plan before anything of it was sent."""
    if there.cancelled is None:
        return False
    others = _night(there.campaign_id, there.run_date) & (batches.c.state != "cancelled")
    return con.execute(select(func.count()).select_from(batches).where(others)).scalar_one() == 0


def _must_be(con: Connection, audience: FrozenAudience, version: int) -> None:
    newest = select(func.max(campaign_versions.c.version)).where(campaign_versions.c.id == audience.campaign_id)
    if con.execute(newest).scalar() != version:
        raise ConflictError(
            f"campaign {audience.campaign_name!r} was changed while its audience was built; run the night again"
        )


def _move(
    con: Connection, campaign_id: str, run_date: date, *, given: StateName, to: BatchState, who: str, now: datetime
) -> int:
    affected = and_(_night(campaign_id, run_date), batches.c.state == given)
    recipients = int(con.execute(select(func.coalesce(func.sum(batches.c.size), 0)).where(affected)).scalar_one())
    if recipients:
        con.execute(update(batches).where(affected).values({**_columns(to), "changed_at": now}))
        audit.record(
            con,
            who=who,
            action=f"batches {_columns(to)['state']}",
            subject=_audience_name(con, campaign_id, run_date),
            now=now,
            run_date=run_date,
            recipients=recipients,
            why=why(to),
        )
    return recipients


def _write(con: Connection, window: Sequence[Batch], *, token: int, now: datetime, only_mine: bool = False) -> None:
    if not window:
        return
    change = update(batches).where(
        batches.c.campaign_id == bindparam("at_campaign"),
        batches.c.run_date == bindparam("at_date"),
        batches.c.number == bindparam("at_number"),
    )
    if only_mine:
        change = change.where(batches.c.state == "sending", batches.c.token == token)
    con.execute(
        change,
        [
            {
                "at_campaign": batch.campaign_id,
                "at_date": batch.run_date,
                "at_number": batch.number,
                "token": token,
                "changed_at": now,
                **_columns(batch.state),
            }
            for batch in window
        ],
    )


def _night(campaign_id: str, run_date: date) -> ColumnElement[bool]:
    return and_(batches.c.campaign_id == campaign_id, batches.c.run_date == run_date)


def _audiences() -> Select[Any]:
    count = (
        select(func.count())
        .where(batches.c.campaign_id == audiences.c.campaign_id, batches.c.run_date == audiences.c.run_date)
        .scalar_subquery()
    )
    return select(audiences, count.label("batches"))


def _find(con: Connection, campaign_id: str, run_date: date) -> FrozenAudience | None:
    row = con.execute(
        _audiences().where(audiences.c.campaign_id == campaign_id, audiences.c.run_date == run_date)
    ).first()
    return _audience(row) if row else None


def _audience_name(con: Connection, campaign_id: str, run_date: date) -> str:
    audience = _find(con, campaign_id, run_date)
    if audience is None:
        raise StateError(f"campaign {campaign_id} has no plan for {run_date}")
    return audience.campaign_name


def _audience(row: Row[Any]) -> FrozenAudience:
    fields = dict(row._mapping)
    waterfall = msgspec.json.decode(fields.pop("waterfall"), type=Waterfall)
    return FrozenAudience(waterfall=waterfall, **fields)


def _row(batch: Batch, *, now: datetime) -> dict[str, Any]:
    return {
        "campaign_id": batch.campaign_id,
        "run_date": batch.run_date,
        "number": batch.number,
        "first": batch.first,
        "size": batch.size,
        "changed_at": now,
        **_columns(batch.state),
    }


def _columns(state: BatchState) -> dict[str, str | None]:
    """The columns that hold a state."""
    return {"state": str(type(state).__struct_config__.tag), "detail": _json(state), "why": why(state)}


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        campaign_id=row.campaign_id,
        run_date=row.run_date,
        number=row.number,
        first=row.first,
        size=row.size,
        state=msgspec.json.decode(row.detail, type=BatchState),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
