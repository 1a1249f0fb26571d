"""Bringing the journal and its files of answers together, after a crash and after a database was put back."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import date, datetime
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, delete, insert, select, update

from optinb.delivery.journal.answers import (
    Account,
    AnswerFiles,
    AnswerLine,
    Grant,
    JournalSide,
    Requests,
    behind,
    certain,
    grouped,
    send_lease,
    why_behind,
)
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
    state_name,
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
)
from optinb.errors import StateError
from optinb.store import Database, audit
from optinb.store.leases import Lease, must_hold
from optinb.store.schema import audiences, audit_entries, batches, code_grants, code_pools, leases

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


class Recovery:
    """Brings the journal and its files of answers together."""

    def __init__(self, database: Database, answers: AnswerFiles) -> None:
        self._database, self._answers = database, answers
        self._taken: set[tuple[str, int]] = set()

    def take_over(self, campaign_id: str, run_date: date, *, lease: Lease, now: datetime) -> None:
        """Brings both together before anything else is done under a lease.

        What the file knows of batches that were under way when the database failed is written, and a file that is
        missing, or that a full disk kept from what the database knows, is brought up to date; where that fails, the
        files' `unwritten` says so. Raises StateError for a database that was put back to an earlier state.
        """
        if not self._answers.is_kept:
            return
        account = self._answers.read(campaign_id, run_date)
        with self._database.writing() as con:
            must_hold(con, lease)
            there = _side_of(con, account, campaign_id, run_date)
            audience = there.audience
            if audience is None:
                return
            if (lease.name, lease.token) not in self._taken:
                there = replace(there, token=lease.token - 1)  # a file that names this lease is ahead of the database
            problem = why_behind(account, there) if account else None
            if problem:
                raise StateError(behind([f"{audience.campaign_name!r}, night of {run_date}: {problem}"]))
            begun = account and account.audience and _plan(account.audience) == _plan(audience)
            if account and begun:
                _take_over(con, account, audience, lease=lease, now=now)
            is_current = account and begun and not _is_untold(con, account, audience)
            line = None if is_current else whole(con, audience, now=now)
        if line:
            self._answers.note(*audience.night, line)
        else:
            self._answers.is_current(*audience.night)
        self._taken.add((lease.name, lease.token))

    def why_behind(self, campaign_id: str, run_date: date) -> str | None:
        """What the database has forgotten of a night that its file of answers knows; None if nothing.

        Raises StateError when the file can't be read.
        """
        account = self._answers.read(campaign_id, run_date)
        while account is not None:
            with self._database.reading() as con:
                problem = why_behind(account, _side_of(con, account, campaign_id, run_date))
            # A sender at work may have planned a batch again since the file was read: its file says so by now.
            before, account = account, self._answers.read(campaign_id, run_date) if problem else None
            if before == account:
                return problem
        return None

    def account(self, campaign_id: str, run_date: date) -> Account | None:
        """What a night's file of answers says; None where there is none. Raises StateError."""
        return self._answers.read(campaign_id, run_date)

    def rebuild_unknown(
        self,
        audience: FrozenAudience,
        *,
        requests: tuple[Requests, ...],
        why: str,
        user: str,
        now: datetime,
        dry_run: bool = False,
    ) -> RebuiltNight:
        """Makes a night known of which only the audience is left: whether it was sent is unknown. Raises StateError."""
        account = Account(audience=audience, requests=requests, damaged=[0])
        return self._rebuild(account, audience.night, why=why, user=user, now=now, dry_run=dry_run)

    def rebuild(
        self, campaign_id: str, run_date: date, *, why: str, user: str, now: datetime, dry_run: bool = False
    ) -> RebuiltNight:
        """Writes into the database what the file of answers knows of a night; what that leaves open is unknown.

        Raises StateError, also for a file that has lost its plan.
        """
        account = self._answers.read(campaign_id, run_date) or Account()
        return self._rebuild(account, (campaign_id, run_date), why=why, user=user, now=now, dry_run=dry_run)

    def _rebuild(
        self, account: Account, night: tuple[str, date], *, why: str, user: str, now: datetime, dry_run: bool
    ) -> RebuiltNight:
        with suppress(_DryRun), self._database.writing() as con:
            rebuilt = _rebuild(con, account, night, why=why, user=user, now=now)
            if dry_run:
                raise _DryRun
            there = find_audience(con, *night)
            assert there is not None
            self._answers.append(*there.night, whole(con, there, now=now))
        return rebuilt  # pyright: ignore[reportPossiblyUnboundVariable]


class _DryRun(Exception):  # noqa: N818 - takes a transaction back
    """Nothing is to be written."""


def _side_of(con: Connection, account: Account | None, campaign_id: str, run_date: date) -> JournalSide:
    """What the database says of a night, to be compared with its file."""
    there = find_audience(con, campaign_id, run_date)
    at = of_night(campaign_id, run_date)
    planned = con.execute(select(batches.c.number).where(at, batches.c.state == "planned")).scalars()
    tried = select(batches).where(at, batches.c.state == "planned", batches.c.detail.contains('"untold"'))
    states = {row.number: batch_from(row).state for row in con.execute(tried)}
    untold = {n: state.untold for n, state in states.items() if isinstance(state, Planned) and state.untold}
    token = con.execute(select(leases.c.token).where(leases.c.name == send_lease(campaign_id, run_date))).scalar()
    seals: frozenset[str] = frozenset()
    if there and account and account.audience and account.audience.sha256 != there.sha256:
        known = select(audit_entries.c.seq).where(
            audit_entries.c.subject == there.campaign_name,
            audit_entries.c.detail.contains(account.audience.sha256, autoescape=True),
        )
        seals = frozenset({account.audience.sha256} if con.execute(known.limit(1)).first() else ())
    return JournalSide(audience=there, planned=frozenset(planned), token=token or 0, seals=seals, untold=untold)


def whole(con: Connection, audience: FrozenAudience, *, now: datetime) -> AnswerLine:
    """A line that a file can begin with: an audience, and all that the database knows of its batches by now."""
    rows = con.execute(select(batches).where(of_night(*audience.night)).order_by(batches.c.number))
    there = [batch_from(row) for row in rows]
    return replace(
        changed(con, audience, now=now),
        states=grouped(batch for batch in there if not isinstance(batch.state, Planned)),
        anew=True,
    )


def changed(con: Connection, audience: FrozenAudience, *, now: datetime) -> AnswerLine:
    """A line that says how an audience is by now."""
    night = audience.night
    sizes = con.execute(select(batches.c.size).where(of_night(*night)).order_by(batches.c.number)).scalars()
    requests = tuple((size, len(list(same))) for size, same in groupby(sizes))
    given = code_grants.c
    mine = select(given.first, given.count, given.place).where(
        given.campaign_id == night[0], given.run_date == night[1]
    )
    grants = tuple((row[0], row[1], row[2]) for row in con.execute(mine.order_by(given.place)))
    return AnswerLine(at=now, audience=audience, requests=requests, grants=grants)


def _is_untold(con: Connection, account: Account, audience: FrozenAudience) -> bool:
    """Whether a file lacks what the database knows, since it couldn't be written for a while."""
    if account.audience != audience:
        return True
    rows = con.execute(select(batches.c.number, batches.c.state).where(of_night(*audience.night)))
    mine = {number: state_name(state) for number, state in account.states.items()}
    return any(mine.get(number, "planned") != state for number, state in rows)


def _take_over(con: Connection, account: Account, audience: FrozenAudience, *, lease: Lease, now: datetime) -> int:
    """Writes what the file knows and the database was kept from writing; returns how many batches.

    Under the lease, so that nobody is about to write it. Of a batch that was under way only the word of whoever
    marked it counts: what another machine's file says may be older. Of an accepted one, only that it was recalled.
    """
    night = of_night(*audience.night)
    told = {number: state for number, state in account.states.items() if certain(state)}
    found: dict[str, list[Batch]] = {"sending": [], "accepted": []}
    for row in con.execute(select(batches).where(night, batches.c.state.in_(found))):
        state = told.get(row.number)
        if row.state == "sending":
            is_theirs = state is not None and account.tokens[row.number] == row.token
        else:
            is_theirs = isinstance(state, Cancelled | Unknown)
        if state is not None and is_theirs:
            found[row.state].append(replace(batch_from(row), state=state))
    for given, mine in found.items():
        write(con, mine, token=None, now=now, given=given)  # pyright: ignore[reportArgumentType]
    everything = [*found["sending"], *found["accepted"]]
    if everything:
        audit.record(
            con,
            who=lease.holder,
            action="answers taken over",
            subject=audience.campaign_name,
            now=now,
            run_date=audience.run_date,
            recipients=_by_state(everything),
        )
    return len(everything)


def _rebuild(
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
    sizes = _by_state(everything)
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


def _plan(audience: FrozenAudience) -> tuple[str, datetime]:
    """What tells the plans of one night apart: a stopped one may have been of the very same people."""
    return audience.sha256, audience.planned_at


def _by_state(everything: list[Batch]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for batch in everything:
        sizes[state_name(batch.state)] += batch.size
    return dict(sizes)
