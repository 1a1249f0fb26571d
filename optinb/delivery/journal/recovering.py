"""Bringing the journal and its files of answers together, after a crash and after a database was put back."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from itertools import groupby

from msgspec.structs import replace
from sqlalchemy import Connection, select

from optinb.campaigns.messages import campaign_of
from optinb.delivery.journal.answers import (
    Account,
    AnswerFiles,
    AnswerLine,
    JournalSide,
    Requests,
    behind,
    certain,
    grouped,
    send_lease,
    why_behind,
    with_plan,
)
from optinb.delivery.journal.batches import write
from optinb.delivery.journal.rebuilding import RebuiltNight, by_state, rebuild
from optinb.delivery.journal.rows import (
    batch_from,
    find_audience,
    night_of,
    of_night,
)
from optinb.delivery.journal.values import (
    Batch,
    Cancelled,
    FrozenAudience,
    Planned,
    Unknown,
    state_name,
)
from optinb.errors import StateError
from optinb.store import Database, audit
from optinb.store.leases import Lease, must_hold
from optinb.store.schema import audit_entries, batches, code_grants, leases


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
            is_told = bool(account and begun and account.is_told)
            line = None if is_current else replace(whole(con, audience, now=now), is_told=is_told)
        if line:
            self._answers.note(*audience.night, line)
        else:
            self._answers.is_current(*audience.night)
        self._tell_all(audience, now=now)
        self._taken.add((lease.name, lease.token))

    def _tell_all(self, audience: FrozenAudience, *, now: datetime) -> None:
        """Tells the files of a night's messages their plans, where the planner was killed before it had, and says so.

        Whoever begins with one of the messages comes by here first.
        """
        with self._database.reading() as con:
            messages = night_of(con, audience.of_campaign, audience.run_date)
            if len(messages) == 1 or _is_told(self._answers.read(*messages[0].night), messages[0]):
                return
            lines = [whole(con, message, now=now) for message in messages]
        for message, line in zip(messages, lines, strict=True):
            there = self._answers.read(*message.night)
            if there is None or there.audience is None:
                # takes nothing back: somebody may have begun with it meanwhile
                self._answers.note(*message.night, replace(line, anew=False))
            elif there.audience.planned_at < message.planned_at:
                return  # whoever begins with that one tells its file
        if not any(self._answers.unwritten(*message.night) for message in messages):
            self._answers.note(*messages[0].night, AnswerLine(at=now, is_told=True))

    def why_behind(self, campaign_id: str, run_date: date) -> str | None:
        """What the database has forgotten of a night that its file of answers knows; None if nothing.

        Raises StateError when the file can't be read.
        """
        return self._why_behind(campaign_id, run_date, self.account(campaign_id, run_date))

    def whys_behind(self, campaign_id: str, run_date: date) -> dict[str, str]:
        """The same of a message, and of those beside it that have no file, by their keys; nothing where all is known.

        Raises StateError when a file can't be read.
        """
        account = self.account(campaign_id, run_date)
        alone = [key for key in (account.beside if account else ()) if not self._answers.path(key, run_date).exists()]
        found = {key: self.why_behind(key, run_date) for key in alone}
        found[campaign_id] = self._why_behind(campaign_id, run_date, account)
        return {key: why for key, why in found.items() if why}

    def _why_behind(self, campaign_id: str, run_date: date, account: Account | None) -> str | None:
        while account is not None:
            with self._database.reading() as con:
                problem = why_behind(account, _side_of(con, account, campaign_id, run_date))
            # A sender at work may have planned a batch again since the file was read: its file says so by now.
            before, account = account, self.account(campaign_id, run_date) if problem else None
            if before == account:
                return problem
        return None

    def account(self, campaign_id: str, run_date: date) -> Account | None:
        """What the files of answers say of a message's night; None where they don't know it.

        Its plan stands in the file of the night's first message, too. Raises StateError.
        """
        account = self._answers.read(campaign_id, run_date)
        if (key := campaign_of(campaign_id)) == campaign_id:
            return account
        first = self._answers.read(key, run_date)
        return with_plan(account, campaign_id, first) if first else account

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
        account = self.account(campaign_id, run_date) or Account()
        return self._rebuild(account, (campaign_id, run_date), why=why, user=user, now=now, dry_run=dry_run)

    def _rebuild(
        self, account: Account, night: tuple[str, date], *, why: str, user: str, now: datetime, dry_run: bool
    ) -> RebuiltNight:
        with suppress(_DryRun), self._database.writing() as con:
            rebuilt = rebuild(con, account, night, why=why, user=user, now=now)
            if dry_run:
                raise _DryRun
            there = find_audience(con, *night)
            assert there is not None
            self._answers.append(*there.night, replace(whole(con, there, now=now), is_told=account.is_told))
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
        beside=_beside(con, audience, now=now),
    )


def _beside(con: Connection, audience: FrozenAudience, *, now: datetime) -> tuple[AnswerLine, ...]:
    """What the file of a night's first message says of the others."""
    if audience.number:
        return ()
    return tuple(changed(con, one, now=now) for one in night_of(con, audience.of_campaign, audience.run_date)[1:])


def _is_told(account: Account | None, audience: FrozenAudience) -> bool:
    there = account.audience if account and account.is_told else None
    return there is not None and there.planned_at == audience.planned_at


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
            recipients=by_state(everything),
        )
    return len(everything)


def _plan(audience: FrozenAudience) -> tuple[str, datetime]:
    """What tells the plans of one night apart: a stopped one may have been of the very same people."""
    return audience.sha256, audience.planned_at
