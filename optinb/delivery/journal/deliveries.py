"""The journal of deliveries: what was planned, and what became of each batch. It decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, func, select, true, update

from optinb.delivery.journal.answers import AnswerFiles, AnswerLine, grouped
from optinb.delivery.journal.batches import mark, move, states, untold, write
from optinb.delivery.journal.manifest import MOVED, all_unlike_planned, why_unlike_planned
from optinb.delivery.journal.plans import MessagePlan, is_stopped, register
from optinb.delivery.journal.recovering import changed
from optinb.delivery.journal.rows import (
    as_json,
    audience_from,
    audience_of_night,
    audiences_with_counts,
    batch_from,
    find_audience,
    in_order_of_messages,
    night_of,
    of_campaign,
    of_night,
)
from optinb.delivery.journal.values import (
    Batch,
    BatchState,
    Cancelled,
    DeliveryCounts,
    FrozenAudience,
    Planned,
    Settlement,
    StateName,
)
from optinb.errors import StateError
from optinb.store import Database, audit
from optinb.store.leases import Lease, lost, must_hold
from optinb.store.schema import audiences, batches

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from optinb.delivery.journal.codes import Draw


class _Ids(msgspec.Struct, frozen=True):
    dispatch_id: str | None = None
    schedule_id: str | None = None


class Deliveries:
    """Frozen audiences and their batches, by campaign and night."""

    def __init__(self, database: Database, answers: AnswerFiles) -> None:
        self._database = database
        self.answers: AnswerFiles = answers

    def plan(
        self,
        audience: FrozenAudience,
        planned: Sequence[Batch],
        *,
        user: str,
        now: datetime,
        campaign_version: int | None = None,
        draw: Draw | None = None,
        place: dict[str, str] | None = None,
        beside: Sequence[MessagePlan] = (),
    ) -> FrozenAudience:
        """Registers an audience with all its batches, and those `beside` it of the campaign's other messages, or none.

        Returns what is there already when the campaign has a plan for this night: there is never a second one, except
        in place of one that a person stopped before anything of it was sent. With `campaign_version`, raises
        ConflictError when the campaign has changed since that version was read. The codes in `draw` are given to the
        recipients, in order, with the plan or not at all; CodesTaken says that somebody else has got some of them.
        `place` says on which machine and in which folder the file lies.
        """
        plans = (MessagePlan(audience, planned, draw), *beside)
        with self._database.writing() as con:
            there = night_of(con, audience.of_campaign, audience.run_date)
            if there and not is_stopped(con, there):
                return there[0]
            version = campaign_version
            lines = register(con, plans, there=there, user=user, now=now, campaign_version=version, place=place)
        for one, line in zip(plans, lines, strict=True):
            self.answers.append(*one.audience.night, line)
        if beside:
            self.answers.append(*audience.night, AnswerLine(at=now, is_told=True))
        return audience

    def find(self, campaign_id: str, run_date: date) -> FrozenAudience | None:
        """The plan of a campaign's night, or None. Look here before an audience is built: a plan stays."""
        with self._database.reading() as con:
            return find_audience(con, campaign_id, run_date)

    def messages(self, campaign_id: str, run_date: date) -> tuple[FrozenAudience, ...]:
        """The plans of all messages of a campaign's night, in the order of their numbers; nothing where there is none.

        Args:
            campaign_id: 12 hexadecimal digits, as `CampaignRecord.id` has them.
            run_date: the night.
        """
        with self._database.reading() as con:
            return night_of(con, campaign_id, run_date)

    def list(
        self,
        *,
        run_date: date | None = None,
        campaign_id: str | None = None,
        having: Collection[StateName] | None = None,
        unsettled: bool = False,
        since: date | None = None,
    ) -> tuple[FrozenAudience, ...]:
        """The plans of one night, or of all messages of a campaign, or of all, the newest night first, then by name.

        `having` leaves out those that have no batch in any of these states, with `unsettled` none of which Appboy
        hasn't said anything yet. `since` is the earliest night.
        """
        query = audiences_with_counts().order_by(
            audiences.c.run_date.desc(), audiences.c.campaign_name, *in_order_of_messages()
        )
        if run_date is not None:
            query = query.where(audiences.c.run_date == run_date)
        if since is not None:
            query = query.where(audiences.c.run_date >= since)
        if campaign_id is not None:
            query = query.where(of_campaign(audiences.c.campaign_id, campaign_id))
        if having is not None:
            some = select(batches.c.number).where(
                batches.c.campaign_id == audiences.c.campaign_id,
                batches.c.run_date == audiences.c.run_date,
                batches.c.state.in_(having),
                batches.c.settlement.is_(None) if unsettled else true(),
            )
            query = query.where(some.exists())
        with self._database.reading() as con:
            return tuple(audience_from(row) for row in con.execute(query))

    def batches(
        self,
        campaign_id: str,
        run_date: date,
        *,
        state: StateName | None = None,
        after: int = -1,
        limit: int | None = None,
    ) -> tuple[Batch, ...]:
        """The batches of a campaign's night in order; all, or at most `limit` after number `after`, in one state."""
        query = select(batches).where(of_night(campaign_id, run_date), batches.c.number > after)
        query = query.order_by(batches.c.number).limit(limit)
        if state is not None:
            query = query.where(batches.c.state == state)
        with self._database.reading() as con:
            return tuple(batch_from(row) for row in con.execute(query))

    def states(
        self, *, since: date, until: date, campaign_id: str | None = None
    ) -> dict[tuple[str, date], dict[StateName, int]]:
        """How many batches of each message of each night are in each state; nothing of one that has none.

        Args:
            since: the first night.
            until: the last night.
            campaign_id: of the only campaign that is looked at, or the key of one of its messages.
        """
        with self._database.reading() as con:
            return states(con, since=since, until=until, campaign_id=campaign_id)

    def batch_of(self, campaign_id: str, run_date: date, place: int) -> Batch | None:
        """The batch that the recipient at a place (from 0) of a campaign's night is in."""
        here = (batches.c.first <= place) & (batches.c.first + batches.c.size > place)
        with self._database.reading() as con:
            row = con.execute(select(batches).where(of_night(campaign_id, run_date), here)).first()
        return batch_from(row) if row else None

    def answered_ids(self, app_group_id: str, *, since: date) -> frozenset[str]:
        """The ids that Appboy gave to batches of an app group, of the nights from a date on."""
        night = (batches.c.campaign_id == audiences.c.campaign_id) & (batches.c.run_date == audiences.c.run_date)
        query = select(batches.c.detail).join(audiences, night)
        query = query.where(audiences.c.app_group_id == app_group_id, audiences.c.run_date >= since)
        query = query.where(batches.c.state.in_(("accepted", "cancelled")))
        with self._database.reading() as con:
            told = [msgspec.json.decode(text, type=_Ids) for text in con.execute(query).scalars()]
        return frozenset(text for ids in told for text in (ids.dispatch_id, ids.schedule_id) if text)

    def counts(self, campaign_id: str, run_date: date) -> DeliveryCounts:
        """Where the recipients of a campaign's night are."""
        night = of_night(campaign_id, run_date)
        by_state = (
            select(
                batches.c.state, batches.c.why, func.count().label("batches"), func.sum(batches.c.size).label("size")
            )
            .where(night)
            .group_by(batches.c.state, batches.c.why)
        )
        asked = select(batches.c.settlement).where(night, batches.c.settlement.is_not(None))
        recalled = select(func.coalesce(func.sum(batches.c.size), 0)).where(
            night, batches.c.state == "cancelled", batches.c.detail.contains('"schedule_id"')
        )
        sizes: Counter[str] = Counter()
        errors: dict[str, int] = {}
        total = 0
        with self._database.reading() as con:
            for row in con.execute(by_state):
                total += row.batches
                sizes[row.state] += int(row.size)
                if row.why:
                    errors[row.why] = errors.get(row.why, 0) + row.batches
            settled = [msgspec.json.decode(text, type=Settlement) for text in con.execute(asked).scalars()]
            sizes["recalled"] = int(con.execute(recalled).scalar_one())
        return DeliveryCounts(
            batches=total,
            accepted=sizes["accepted"],
            refused=sizes["refused"],
            unknown=sizes["unknown"],
            expired=sizes["expired"],
            cancelled=sizes["cancelled"],
            pending=sizes["planned"] + sizes["sending"],
            received=sum(len(s.received) for s in settled),
            missing=sum(len(s.missing) for s in settled),
            recalled=sizes["recalled"],
            errors=errors,
        )

    def turn(
        self,
        campaign_id: str,
        run_date: date,
        *,
        lease: Lease,
        now: datetime,
        settled: Sequence[Batch] = (),
        size: int = 0,
        skip: Collection[int] = (),
    ) -> tuple[Batch, ...]:
        """Writes what became of a window's batches and marks the next planned ones as sending, in one transaction.

        A settled batch that isn't marked as sending under this lease any more keeps its state: another run took this
        one for dead and has called it unknown, and may have told people so. What is marked is at most `size`, leaves
        out the numbers in `skip`, and is returned; nothing is marked of a send that was cancelled. It must come before
        the requests, so that a crash in between looks like unknown.

        What is settled stands in the file of answers before the database is asked, and what is marked after it. Where
        the file can't be written, the database says of what is planned again that the file wasn't told.

        Raises StateError when the lease is lost and more was wanted, or when the file can't be written; what is
        settled is written all the same.
        """
        problem: str | None = None
        marked: tuple[Batch, ...] = ()
        with self.answers.appending(campaign_id, run_date) as pen:
            try:
                pen.tell(settled, at=now, token=lease.token)
                if any(isinstance(batch.state, Planned) for batch in settled):
                    pen.sync()  # a file that lost this line would make the database look put back
            except StateError as error:
                problem, settled = str(error), [untold(batch, lease) for batch in settled]
            with self._database.writing() as con:
                write(con, settled, token=lease.token, now=now, given="sending")
                problem = problem or (lost(con, lease) if size else None)
                if size and not problem:
                    marked = mark(con, campaign_id, run_date, lease=lease, size=size, skip=skip, now=now)
            if problem:
                raise StateError(problem)
            pen.tell(marked, at=now, token=lease.token)
        return marked

    def keep(self, campaign_id: str, run_date: date, settled: Sequence[Batch], *, lease: Lease, now: datetime) -> None:
        """Appends what became of batches to the file of answers alone, for a sender whose database has failed.

        Whoever has the lease next takes it over from there. Raises StateError.
        """
        with self.answers.appending(campaign_id, run_date) as pen:
            pen.tell(settled, at=now, token=lease.token)

    def move(
        self,
        campaign_id: str,
        run_date: date,
        *,
        given: StateName,
        to: BatchState,
        lease: Lease,
        now: datetime,
    ) -> int:
        """Moves every batch that is in one state to another; returns how many recipients. Raises StateError."""
        with self._database.writing() as con:
            must_hold(con, lease)
            moved = move(con, campaign_id, run_date, given=given, to=to, who=lease.holder, now=now)
        if moved:
            line = AnswerLine(at=now, token=lease.token, states=grouped(moved))
            self.answers.note(campaign_id, run_date, line)
        return sum(batch.size for batch in moved)

    def revise(self, revised: Sequence[Batch], *, given: StateName, lease: Lease, now: datetime) -> None:
        """Writes the new states of batches that are in a state that is over already. Raises StateError.

        They stand in the file of answers first, or nowhere but in the database: Appboy has done already what they say.
        """
        if not revised:
            return
        self.answers.note(*revised[0].night, AnswerLine(at=now, token=lease.token, states=grouped(revised)))
        with self._database.writing() as con:
            must_hold(con, lease)
            write(con, revised, token=None, now=now, given=given)

    def bear(
        self, campaign_id: str, run_date: date, *, send_id: str | None, lease: Lease, now: datetime
    ) -> FrozenAudience:
        """Notes the send_id that all requests of a night bear from now on, or None; returns its plan.

        It must come before the first of them. Raises StateError, also when the lease is lost.
        """
        with self._database.writing() as con:
            must_hold(con, lease)
            _change(con, campaign_id, run_date, send_id=send_id)
            audience = find_audience(con, campaign_id, run_date)
            assert audience is not None
            line = changed(con, audience, now=now)
        self.answers.append(*audience.night, msgspec.structs.replace(line, token=lease.token))
        return audience

    def send_ids_since(self, app_group_id: str, since: datetime) -> int:
        """How many audiences of an app group that were planned since a moment have a send_id."""
        mine = (audiences.c.app_group_id == app_group_id) & (audiences.c.planned_at >= since)
        query = select(func.count()).select_from(audiences).where(mine, audiences.c.send_id.is_not(None))
        with self._database.reading() as con:
            return con.execute(query).scalar_one()

    def why_unlike_planned(self, audience: FrozenAudience) -> str | None:
        """Why the rows of an audience aren't what the audit trail recorded, or None."""
        with self._database.reading() as con:
            return why_unlike_planned(con, audience)

    def all_unlike_planned(self) -> tuple[str, ...]:
        """Why audiences aren't what the audit trail recorded, of all of them."""
        with self._database.reading() as con:
            return tuple(all_unlike_planned(con))

    def settle(self, batch: Batch, settlement: Settlement) -> None:
        """Notes beside an unknown batch what Appboy said of its recipients; asked again, the later word counts."""
        with self._database.writing() as con:
            con.execute(
                update(batches)
                .where(of_night(batch.campaign_id, batch.run_date), batches.c.number == batch.number)
                .where(batches.c.state == "unknown")
                .values(settlement=as_json(settlement))
            )

    def cancel(self, campaign_id: str, run_date: date, *, reason: str, user: str, now: datetime) -> int:
        """Cancels what is still planned of a campaign's night; returns how many recipients.

        A sender that is at work finds nothing left at its next window. Raises StateError when there is no plan.
        """
        with self._database.writing() as con:
            _change(con, campaign_id, run_date, cancelled=reason)
            to = Cancelled(message=reason)
            moved = move(con, campaign_id, run_date, given="planned", to=to, who=user, now=now)
            audience = find_audience(con, campaign_id, run_date)
            assert audience is not None
            line = changed(con, audience, now=now)
        self.answers.note(*audience.night, msgspec.structs.replace(line, states=grouped(moved)))
        return sum(batch.size for batch in moved)

    def reschedule(
        self,
        campaign_id: str,
        run_date: date,
        *,
        send_at: datetime,
        user: str,
        now: datetime,
        signature: str | None = None,
    ) -> FrozenAudience:
        """Gives a campaign's night another time, with an entry in the audit trail; returns its plan.

        `signature` is that of the user, where approvers have keys. Raises StateError when there is no plan.
        """
        with self._database.writing() as con:
            before = find_audience(con, campaign_id, run_date)
            _change(con, campaign_id, run_date, send_at=send_at)
            assert before is not None
            audit.record(
                con,
                who=user,
                action=MOVED,
                subject=before.campaign_name,
                now=now,
                campaign_id=campaign_id,
                run_date=run_date,
                before=before.send_at,
                send_at=send_at,
                signature=signature,
            )
            after = msgspec.structs.replace(before, send_at=send_at)
            line = changed(con, after, now=now)
        self.answers.note(*after.night, line)
        return after


def _change(con: Connection, campaign_id: str, run_date: date, **values: Any) -> None:
    found = con.execute(update(audiences).where(audience_of_night(campaign_id, run_date)).values(values))
    if found.rowcount != 1:
        raise StateError(f"campaign {campaign_id} has no plan for {run_date}, so there is nothing to change")
