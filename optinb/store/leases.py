"""Leases: who may work on a thing just now. One that isn't renewed expires, so that a dead holder blocks nobody.

Clocks differ, jump, and stand still while a machine is suspended. So a holder trusts its lease for half its life only,
by whichever of its clocks went furthest since it was renewed; and who waits for a lease goes by a clock that all share,
by a margin, or by having watched it for a whole life in which nobody renewed it.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, update

from optinb.errors import StateError
from optinb.store.schema import leases

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from optinb.store.database import Database

TTL_S = 30.0
APART_S = 300.0  # by how much the clocks of machines that share a file may differ
Ticks = tuple[float, ...]


class LeaseLost(StateError):  # noqa: N818 - as LeaseTaken: not a fault
    """Somebody else has taken the lease since."""


class LeaseTaken(StateError):  # noqa: N818 - not a fault: somebody else is at work
    """Somebody else has the lease, and renews it."""


class Lease(Struct, frozen=True, kw_only=True):
    """The right to work on `name`. Each taking has a larger token, which fences off earlier holders."""

    name: str
    token: int
    holder: str
    taken_at: datetime
    expires_at: datetime


class SharedClock:
    """The clock by which leases end where several machines may want them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def margin_s(self) -> float:
        """By how many seconds another holder's clock may differ from it."""
        return 0.0 if self._database.tells_time else APART_S

    def __call__(self) -> datetime:
        """The database's time on PostgreSQL, this machine's on SQLite; in UTC."""
        return self._database.now()


class Watch:
    """What somebody who waits for a lease has seen of it, by a clock of their own that nobody sets."""

    def __init__(self) -> None:
        self._seen: tuple[int, datetime] | None = None
        self._since = 0.0

    def unrenewed_s(self, token: int, expires_at: datetime, *, ticks: float) -> float:
        """For how many seconds at least nobody has renewed it."""
        if self._seen != (token, expires_at):
            self._seen, self._since = (token, expires_at), ticks
        return ticks - self._since


class Leases:
    """Takes, renews and gives back leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        name: str,
        *,
        holder: str,
        now: datetime,
        ttl_s: float = TTL_S,
        what: str | None = None,
        margin_s: float = 0.0,
        watch: Watch | None = None,
    ) -> Lease:
        """Takes a lease that is free, or that has expired: so long ago as clocks may differ, or under a `watch`.

        Args:
            name: of the thing.
            holder: who takes it.
            now: in UTC.
            ttl_s: how long it lasts.
            what: the name for people.
            margin_s: by how much the holder's clock may be behind.
            watch: of somebody who asks again and again; one that isn't renewed for `ttl_s` is over by any clock.

        Raises:
            LeaseTaken with a sentence that names the holder.
        """
        until = now + timedelta(seconds=ttl_s)
        with self._database.writing() as con:
            row = con.execute(select(leases).where(leases.c.name == name)).first()
            if row and row.expires_at is not None:
                ends_at = row.expires_at + timedelta(seconds=margin_s)
                watched_s = watch.unrenewed_s(row.token, row.expires_at, ticks=time.monotonic()) if watch else 0.0
                if ends_at > now and watched_s < ttl_s:
                    raise LeaseTaken(
                        f"{row.holder} is working on {what or name} since {row.taken_at:%Y-%m-%d %H:%M:%S} UTC; wait "
                        f"until it's done. If it died, its hold ends by itself at {ends_at:%H:%M:%S} UTC"
                    )
            lease = Lease(name=name, token=row.token + 1 if row else 1, holder=holder, taken_at=now, expires_at=until)
            values = {"token": lease.token, "holder": holder, "taken_at": now, "expires_at": until}
            if row:
                con.execute(update(leases).where(leases.c.name == name).values(values))
            else:
                con.execute(insert(leases).values(name=name, **values))
        return lease

    def is_held(self, name: str, *, now: datetime) -> bool:
        """Whether somebody holds a lease at a moment, in UTC."""
        with self._database.reading() as con:
            ends_at = con.execute(select(leases.c.expires_at).where(leases.c.name == name)).scalar()
        return ends_at is not None and ends_at > now

    def renew(self, lease: Lease, *, now: datetime, ttl_s: float = TTL_S) -> None:
        """Holds on to a lease. Raises LeaseLost when somebody else has taken it meanwhile."""
        with self._database.writing() as con:
            must_hold(con, lease)
            until = now + timedelta(seconds=ttl_s)
            con.execute(update(leases).where(leases.c.name == lease.name).values(expires_at=until))

    def release(self, lease: Lease) -> None:
        """Gives a lease back; nothing happens when it is lost already."""
        with self._database.writing() as con:
            con.execute(
                update(leases).where(leases.c.name == lease.name, leases.c.token == lease.token).values(expires_at=None)
            )


def ticks() -> Ticks:
    """Seconds by each clock of this machine: one that nobody sets, the wall's, and one that no suspension stops."""
    lasting = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic(), time.time(), *(() if lasting is None else (time.clock_gettime(lasting),)))


def elapsed_s(since: Ticks, now: Ticks) -> float:
    """Seconds between two looks at the clocks, by the one that went furthest: none that is set back can hide any."""
    return max(after - before for before, after in zip(since, now, strict=True))


class HeldLease:
    """A lease that a thread renews, six times within its life, until it's released: `with store.lease(...) as lease`.

    A process that is killed or stopped renews nothing, so the lease expires. One that was stopped and goes on asks
    `is_safe` before each act that can't be taken back.
    """

    def __init__(
        self, leases: Leases, lease: Lease, *, clock: Callable[[], datetime], ttl_s: float, since: Ticks
    ) -> None:
        """Args: `since`: a look at the clocks from before the lease was taken."""
        self.lease = lease
        self._leases = leases
        self._clock = clock
        self._ttl_s = ttl_s
        self._renewed = since
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {lease.name}", daemon=True)
        self._thread.start()

    def is_safe(self) -> bool:
        """Whether nobody can have taken it, nor will while a request takes that begins now: half its life is left."""
        return not self._done.is_set() and elapsed_s(self._renewed, ticks()) < self._ttl_s / 2

    def release(self) -> None:
        """Stops renewing and gives the lease back; once is enough."""
        if self._done.is_set():
            return
        self._done.set()
        self._thread.join()
        self._leases.release(self.lease)

    def __enter__(self) -> Lease:
        return self.lease

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._done.wait(self._ttl_s / 6):
            # must precede the renewal, which may take long, or end after the process was stopped in it
            since = ticks()
            try:
                self._leases.renew(self.lease, now=self._clock(), ttl_s=self._ttl_s)
            except LeaseLost:
                self._renewed = (float("-inf"),) * len(since)
                return
            except StateError:
                # A store that is busy for once may work the next time; until then the lease is trusted no longer.
                continue
            else:
                self._renewed = since


_HOLDER = select(leases.c.token, leases.c.holder).where(leases.c.name == bindparam("at_name"))


def must_hold(con: Connection, lease: Lease) -> None:
    """Refuses to go on under a lease that somebody else has taken since. Raises LeaseLost."""
    problem = lost(con, lease)
    if problem:
        raise LeaseLost(problem)


def lost(con: Connection, lease: Lease) -> str | None:
    """Who has taken a lease since, in a sentence; None while it is held."""
    row = con.execute(_HOLDER, {"at_name": lease.name}).first()
    if row is not None and row.token == lease.token:
        return None
    other = row.holder if row else "nobody"
    return (
        f"the hold of {lease.holder} on {lease.name} had expired and {other} has it now; this run leaves the rest to it"
    )
