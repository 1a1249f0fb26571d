"""The audit trail: entries are only added, and each is chained to the one before by its hash."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from optinb.store.schema import audit_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping

    from optinb.store.database import Database

ORIGIN = "0" * 64
K = TypeVar("K", bound="Hashable")


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who did what to which thing, when; `hash` covers all of it and the hash of the entry before."""

    seq: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    hash: str


class AuditVerdict(Struct, frozen=True, kw_only=True):
    """What checking the chain found: `problem` is None when it's whole, `breaks` say when entries were lost.

    Entries cut off at the end leave a whole chain behind: keep `head` elsewhere and compare to notice that.
    """

    entries: int
    head: str
    problem: str | None
    breaks: tuple[str, ...] = ()


def digest(entry: AuditEntry) -> str:
    """SHA-256 over the canonical JSON of an entry without its own hash, in hexadecimal."""
    content = msgspec.to_builtins(entry)
    del content["hash"]
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def check_chain(entries: Iterable[AuditEntry], *, after: int = 0, head: str = ORIGIN) -> AuditVerdict:
    """Follows the chain from its beginning, or from behind entry `after`, to the first entry that doesn't fit."""
    count = after
    for count, entry in enumerate(entries, start=after + 1):
        problem = None
        if entry.seq != count:
            problem = f"entry {count} is missing"
        elif entry.previous != head:
            problem = f"entry {entry.seq} doesn't follow the one before it"
        elif digest(entry) != entry.hash:
            problem = f"entry {entry.seq} ({entry.action} {entry.subject!r}) was changed after it was written"
        if problem:
            return AuditVerdict(entries=count, head=head, problem=problem)
        head = entry.hash
    return AuditVerdict(entries=count, head=head, problem=None)


def record(con: Connection, *, who: str, action: str, subject: str, now: datetime, **detail: object) -> None:
    """Adds an entry within the transaction of the change that it tells of. `con` must be a writing one."""
    last = con.execute(
        select(audit_entries.c.seq, audit_entries.c.hash).order_by(audit_entries.c.seq.desc()).limit(1)
    ).first()
    # Hashed as it will be read back: in UTC, and with what JSON makes of the values.
    text = msgspec.json.encode(detail, order="sorted").decode()
    entry = AuditEntry(
        seq=last.seq + 1 if last else 1,
        at=now.astimezone(UTC),
        who=who,
        action=action,
        subject=subject,
        detail=msgspec.json.decode(text),
        previous=last.hash if last else ORIGIN,
        hash="",
    )
    con.execute(insert(audit_entries).values({**msgspec.structs.asdict(entry), "detail": text, "hash": digest(entry)}))


def entries_of(con: Connection, *, action: str, since: datetime | None = None) -> tuple[AuditEntry, ...]:
    """The entries of one action, all or since a moment, the newest first."""
    chosen = select(audit_entries).where(audit_entries.c.action == action)
    if since is not None:
        chosen = chosen.where(audit_entries.c.at >= since)
    return tuple(_entry(row) for row in con.execute(chosen.order_by(audit_entries.c.seq.desc())))


def entries_since(con: Connection, seq: int, *those: ColumnElement[bool]) -> tuple[AuditEntry, ...]:
    """The entries from a number on, all or `those`, the oldest first."""
    chosen = select(audit_entries).where(audit_entries.c.seq >= seq, *those).order_by(audit_entries.c.seq)
    return tuple(_entry(row) for row in con.execute(chosen))


class EntriesAbout(Generic[K]):
    """The entries of some actions by what they are about, for rows that are held to them again and again.

    The trail is read once, and later only what was added to it, unless another one has taken its place meanwhile.
    """

    def __init__(self, *actions: str, key: Callable[[AuditEntry], K]) -> None:
        """Args: `actions`: which ones are read; `key`: what an entry is about."""
        self._those, self._key, self._lock = audit_entries.c.action.in_(actions), key, Lock()
        self._upto, self._head = 0, ORIGIN
        self._found: dict[K, tuple[AuditEntry, ...]] = {}

    def of(self, con: Connection, key: K) -> tuple[AuditEntry, ...]:
        """Those about one thing, the oldest first."""
        return self.all(con).get(key, ())

    def all(self, con: Connection) -> Mapping[K, tuple[AuditEntry, ...]]:
        """Those about everything, the oldest of each thing first."""
        it = audit_entries.c
        with self._lock:
            last = con.execute(select(it.seq, it.hash).order_by(it.seq.desc()).limit(1)).first()
            seq, head = (last.seq, last.hash) if last else (0, ORIGIN)
            if (seq, head) == (self._upto, self._head):
                return self._found
            if con.execute(select(it.hash).where(it.seq == self._upto)).scalar() != self._head:
                self._upto, self._found = 0, {}
            found = dict(self._found)  # whoever has got the one before goes on with it
            for entry in entries_since(con, self._upto + 1, it.seq <= seq, self._those):
                about = self._key(entry)
                found[about] = (*found.get(about, ()), entry)
            self._upto, self._head, self._found = seq, head, found
            return found


class AuditTrail:
    """The audit trail; entries about the store come from its changes themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, *, who: str, action: str, subject: str, now: datetime, **detail: object) -> None:
        """Adds an entry about something that happened outside the store."""
        with self._database.writing() as con:
            record(con, who=who, action=action, subject=subject, now=now, **detail)

    def list(self, *, subject: str | None = None, limit: int | None = None) -> tuple[AuditEntry, ...]:
        """The newest entries first, of one subject or of all."""
        query = select(audit_entries).order_by(audit_entries.c.seq.desc()).limit(limit)
        if subject is not None:
            query = query.where(audit_entries.c.subject == subject)
        with self._database.reading() as con:
            return tuple(_entry(row) for row in con.execute(query))

    def of_action(self, action: str, *, since: datetime) -> tuple[AuditEntry, ...]:
        """The entries of one action since a moment, the newest first."""
        with self._database.reading() as con:
            return entries_of(con, action=action, since=since)

    def newest(self, *actions: str, subject: str) -> AuditEntry | None:
        """The newest entry of some actions on a subject; None where there is none."""
        those = (audit_entries.c.subject == subject) & audit_entries.c.action.in_(actions)
        query = select(audit_entries).where(those).order_by(audit_entries.c.seq.desc()).limit(1)
        with self._database.reading() as con:
            return next((_entry(row) for row in con.execute(query).all()), None)

    def naming(self, text: str) -> int:
        """How many entries hold a text as one of the values in their detail, or as their subject."""
        value = msgspec.json.encode(text).decode()
        there = audit_entries.c.detail.contains(value, autoescape=True) | (audit_entries.c.subject == text)
        with self._database.reading() as con:
            return con.execute(select(func.count()).select_from(audit_entries).where(there)).scalar_one()

    def hashes(self, numbers: Collection[int]) -> dict[int, str]:
        """The hashes of the entries with these numbers, of those that are there."""
        chosen = select(audit_entries.c.seq, audit_entries.c.hash).where(audit_entries.c.seq.in_(numbers))
        with self._database.reading() as con:
            return {row.seq: row.hash for row in con.execute(chosen)}

    def latest_since(self, action: str, *, subject: str) -> datetime | None:
        """The last moment of any entry after the newest of one action on a subject; None where there is none.

        Whatever the clock shows now, that moment has been. What is dated before that action proves nothing of it: a
        clock that once went far ahead would end for good all that is granted afterwards.
        """
        given = select(func.coalesce(func.max(audit_entries.c.seq), 0)).where(
            audit_entries.c.action == action, audit_entries.c.subject == subject
        )
        after = select(func.max(audit_entries.c.at)).where(audit_entries.c.seq > given.scalar_subquery())
        with self._database.reading() as con:
            return con.execute(after).scalar()

    def hash_of(self, seq: int) -> str | None:
        """The hash of an entry by its number, None if it isn't there."""
        with self._database.reading() as con:
            return con.execute(select(audit_entries.c.hash).where(audit_entries.c.seq == seq)).scalar()

    def verify(self) -> AuditVerdict:
        """Checks the whole chain."""
        with self._database.reading() as con:
            rows = con.execution_options(yield_per=1_000).execute(select(audit_entries).order_by(audit_entries.c.seq))
            return check_chain(_entry(row) for row in rows)


def _entry(row: Row[Any]) -> AuditEntry:
    fields = dict(row._mapping)
    try:
        detail = msgspec.json.decode(fields.pop("detail"))
    except msgspec.DecodeError:
        detail = {}  # tampered with: the hash will say so
    return AuditEntry(detail=detail, **fields)
