"""Pools of single-use promotion codes: what was imported, whose each code is, and what nobody has yet."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, cast, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from optinb.delivery.journal.code_checks import IMPORTED, NOT_SENT, check_content, check_free, digest_of
from optinb.delivery.journal.rows import audience_of_night, of_night
from optinb.errors import CampaignError, ConflictError, did_you_mean
from optinb.store import Database, audit
from optinb.store.schema import audiences, batches, code_grants, code_pools, codes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from optinb.delivery.journal.values import FrozenAudience

AT_ONCE = 100_000  # codes that one statement takes


class CodePool(Struct, frozen=True, kw_only=True):
    """A pool of codes.

    Attributes:
        name: of the pool.
        codes: how many were imported into it.
        left: how many nobody has yet.
        changed_by: who imported into it last.
        changed_at: when, in UTC.
    """

    name: str
    codes: int
    left: int
    changed_by: str
    changed_at: datetime


class CodeImport(Struct, frozen=True, kw_only=True):
    """One import into a pool: what it read, by its SHA-256, and how many codes that gave."""

    sha256: str
    codes: int


class Clash(Struct, frozen=True):
    """A code that is in a pool already: its place (from 0) among those to be imported, and that pool's name."""

    place: int
    pool: str


class Draw(Struct, frozen=True, kw_only=True):
    """Codes that nobody had when they were looked up, in order; `runs` are their numbers, as (first, how many)."""

    pool: str
    codes: tuple[str, ...]
    runs: tuple[tuple[int, int], ...]

    def shared(self, sizes: Iterable[int]) -> tuple[Draw, ...]:
        """The same codes as draws of so many each, one after the other."""
        found, at, runs = [], 0, list(self.runs)
        for size in sizes:
            mine: list[tuple[int, int]] = []
            while (left := size - sum(count for _, count in mine)) and runs:
                first, count = runs.pop(0)
                mine.append((first, min(count, left)))
                if count > left:
                    runs.insert(0, (first + left, count - left))
            found.append(Draw(pool=self.pool, codes=self.codes[at : at + size], runs=tuple(mine)))
            at += size
        return tuple(found)


class CodeOwner(Struct, frozen=True):
    """Whose a code is: the recipient at a place (from 0) of a campaign's night."""

    code: str
    campaign_id: str
    run_date: date
    place: int


class CodesTaken(ConflictError):  # noqa: N818 - not a fault: somebody else was first
    """Somebody else got some of the drawn codes meanwhile."""


class CodeStore:
    """The pools of a workspace, known by name without regard to case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, new: Sequence[str], *, user: str, now: datetime, sha256: str = ""
    ) -> CodePool | tuple[Clash, ...]:
        """Adds codes, each different, to a pool, which is made if there is none of this name; all of them or none.

        Returns the first clashes instead when some of the codes are in this pool or another already.
        """
        key = name.casefold()
        with self._database.writing() as con:
            clashes = _clashes(con, new)
            if clashes:
                return clashes
            size = con.execute(select(code_pools.c.size).where(code_pools.c.key == key)).scalar()
            values = {"size": (size or 0) + len(new), "changed_by": user, "changed_at": now}
            if size is None:
                con.execute(insert(code_pools).values(key=key, name=name, **values))
            else:
                con.execute(update(code_pools).where(code_pools.c.key == key).values(values))
            for first in range(0, len(new), AT_ONCE):
                place, code = _elements(con, new[first : first + AT_ONCE])
                rows = select(literal(key), place + ((size or 0) + first + 1), code)
                con.execute(insert(codes).from_select(["pool", "number", "code"], rows))
            audit.record(
                con,
                who=user,
                action=IMPORTED,
                subject=name,
                now=now,
                codes=len(new),
                file_sha256=sha256,
                first=(size or 0) + 1,
                content=digest_of(new),
            )
            return _pool(con, key)

    def find(self, name: str) -> CodePool | None:
        """One pool, or None."""
        with self._database.reading() as con:
            there = con.execute(select(code_pools.c.key).where(code_pools.c.key == name.casefold())).scalar()
            return _pool(con, there) if there is not None else None

    def get(self, name: str) -> CodePool:
        """One pool. Raises CampaignError with the nearest name."""
        found = self.find(name)
        if found is None:
            known = [pool.name for pool in self.list()]
            tail = did_you_mean(name, known) if known else "; import some: `optinb codes import NAME FILE`"
            raise CampaignError(f"there is no pool of promotion codes {name!r}{tail}")
        return found

    def list(self) -> tuple[CodePool, ...]:
        """Every pool, by name."""
        with self._database.reading() as con:
            keys = con.execute(select(code_pools.c.key).order_by(code_pools.c.key)).scalars().all()
            return tuple(_pool(con, key) for key in keys)

    def imports(self, name: str) -> tuple[CodeImport, ...]:
        """What a pool was imported from, the first first.

        By the audit trail, which codes that are given out don't change.
        """
        with self._database.reading() as con:
            entries = audit.entries_of(con, action=IMPORTED)
        mine = [entry.detail for entry in reversed(entries) if entry.subject.casefold() == name.casefold()]
        return tuple(CodeImport(sha256=d.get("file_sha256", ""), codes=d.get("codes", 0)) for d in mine)

    def draw(self, name: str, wanted: int) -> Draw:
        """So many codes that nobody has, or as many as are left. Only a plan takes them (`Deliveries.plan`).

        Raises StateError when they aren't those that were imported, by the audit trail.
        """
        key = name.casefold()
        with self._database.reading() as con:
            runs = _free(con, key, wanted)
            if not runs:
                return Draw(pool=key, codes=(), runs=())
            check_content(con, key, runs)
            first, end = runs[0][0], sum(runs[-1])
            span = (codes.c.pool == key) & codes.c.number.between(first, end - 1)
            there = con.execute(select(codes.c.code).where(span).order_by(codes.c.number)).scalars().all()
        found = tuple(code for at, count in runs for code in there[at - first : at - first + count])
        return Draw(pool=key, codes=found, runs=runs)

    def code_of(self, audience: FrozenAudience, place: int) -> str | None:
        """The code of the recipient at a place (from 0) of an audience; None if they have none, or not any more."""
        grant = code_grants.c
        mine = _of_night(*audience.night) & (grant.place <= place) & (grant.place + grant.count > place)
        number = select(grant.first + place - grant.place).where(mine).scalar_subquery()
        with self._database.reading() as con:
            return con.execute(
                select(codes.c.code).where(codes.c.pool == audience.codes, codes.c.number == number)
            ).scalar()

    def owners(self, wanted: Sequence[str]) -> tuple[CodeOwner, ...]:
        """Whose each of some codes is; those that nobody has are left out."""
        found: list[CodeOwner] = []
        grant = code_grants.c
        mine = (grant.pool == codes.c.pool) & (grant.first <= codes.c.number)
        mine &= grant.first + grant.count > codes.c.number
        with self._database.reading() as con:
            for first in range(0, len(wanted), AT_ONCE):
                _, code = _elements(con, wanted[first : first + AT_ONCE])
                place = (grant.place + codes.c.number - grant.first).label("place")
                query = select(codes.c.code, grant.campaign_id, grant.run_date, place)
                query = query.join(code_grants, mine).where(codes.c.code.in_(select(code)))
                found += [CodeOwner(*row) for row in con.execute(query)]
        return tuple(found)


def take(con: Connection, draw: Draw, audience: FrozenAudience) -> None:
    """Gives drawn codes to the recipients of an audience, in order.

    Raises CodesTaken when others got some, StateError when the trail gave some to others who are to keep them.
    """
    campaign_id, run_date = audience.night
    grant, place = code_grants.c, 0
    for first, count in draw.runs:
        theirs = (grant.pool == draw.pool) & (grant.first < first + count) & (grant.first + grant.count > first)
        if con.execute(select(grant.first).where(theirs).limit(1)).first():
            raise CodesTaken(
                f"codes for {audience.campaign_name!r} were given to another campaign meanwhile; run the night again"
            )
        values = {"campaign_id": campaign_id, "run_date": run_date, "place": place}
        con.execute(insert(code_grants).values(pool=draw.pool, first=first, count=count, **values))
        place += count
    check_free(con, draw.pool, draw.runs, but=audience.night)


def give_back(con: Connection, campaign_id: str, run_date: date, *, numbers: Collection[int] | None = None) -> None:
    """Returns to its pool what the batches (of these numbers, or all) of a night had that certainly reached nobody."""
    pool = con.execute(select(audiences.c.codes).where(audience_of_night(campaign_id, run_date))).scalar()
    if pool is None:
        return
    night = of_night(campaign_id, run_date)
    ended = select(batches.c.first, batches.c.size).where(night, batches.c.state.in_(NOT_SENT))
    if numbers is not None:
        ended = ended.where(batches.c.number.in_(numbers))
    spans: list[tuple[int, int]] = []
    for first, size in con.execute(ended.order_by(batches.c.first)):
        if spans and spans[-1][1] == first:
            spans[-1] = (spans[-1][0], first + size)
        else:
            spans.append((first, first + size))
    for begin, end in spans:
        free_places(con, campaign_id, run_date, begin, end)


def free_places(con: Connection, campaign_id: str, run_date: date, begin: int, end: int) -> None:
    """Takes the places from `begin` to before `end` out of the grants of a night."""
    grant = code_grants.c
    over = _of_night(campaign_id, run_date) & (grant.place < end) & (grant.place + grant.count > begin)
    for row in con.execute(select(code_grants).where(over)).all():
        con.execute(delete(code_grants).where(grant.pool == row.pool, grant.first == row.first))
        for since, until in ((row.place, begin), (end, row.place + row.count)):
            if since < until:
                kept = {"first": row.first + since - row.place, "count": until - since, "place": since}
                con.execute(insert(code_grants).values({**row._mapping, **kept}))


def _free(con: Connection, key: str, wanted: int) -> tuple[tuple[int, int], ...]:
    """The first free numbers of a pool, as (first, how many), up to so many."""
    size = con.execute(select(code_pools.c.size).where(code_pools.c.key == key)).scalar() or 0
    grants = select(code_grants.c.first, code_grants.c.count).where(code_grants.c.pool == key)
    runs: list[tuple[int, int]] = []
    free_from = 1
    for first, count in (*con.execute(grants.order_by(code_grants.c.first)), (size + 1, 0)):
        found = min(first - free_from, wanted)
        if found > 0:
            runs.append((free_from, found))
            wanted -= found
        free_from = first + count
    return tuple(runs)


def _of_night(campaign_id: str, run_date: date) -> ColumnElement[bool]:
    return (code_grants.c.campaign_id == campaign_id) & (code_grants.c.run_date == run_date)


def _pool(con: Connection, key: str) -> CodePool:
    row = con.execute(select(code_pools).where(code_pools.c.key == key)).one()
    given = select(func.coalesce(func.sum(code_grants.c.count), 0)).where(code_grants.c.pool == key)
    return CodePool(
        name=row.name,
        codes=row.size,
        left=row.size - int(con.execute(given).scalar_one()),
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )


def _clashes(con: Connection, new: Sequence[str], *, most: int = 10) -> tuple[Clash, ...]:
    if con.execute(select(code_pools.c.key).limit(1)).first() is None:
        return ()
    found: list[Clash] = []
    for first in range(0, len(new), AT_ONCE):
        place, code = _elements(con, new[first : first + AT_ONCE])
        there = select(place, code_pools.c.name).join(codes, codes.c.code == code)
        there = there.join(code_pools, code_pools.c.key == codes.c.pool).order_by(place).limit(most)
        found += [Clash(first + at, name) for at, name in con.execute(there)]
    return tuple(found[:most])


def _elements(con: Connection, texts: Sequence[str]) -> tuple[ColumnElement[int], ColumnElement[Any]]:
    """Texts as rows of (place from 0, text): as one parameter, many times faster than one by one."""
    value = msgspec.json.encode(texts).decode()
    if con.dialect.name == "postgresql":
        rows = func.jsonb_array_elements_text(cast(literal(value), JSONB)).table_valued("value", with_ordinality="key")
        rows = rows.render_derived()
        return rows.c.key - 1, rows.c.value
    rows = func.json_each(value).table_valued("key", "value")
    return rows.c.key, rows.c.value
