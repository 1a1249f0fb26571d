"""Leases: who may work on a thing just now. One that isn't renewed expires, so that a dead holder blocks nobody."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import bindparam, insert, select, update

from optinb.errors import StateError
from optinb.state.schema import leases

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sqlalchemy import Connection

    from optinb.state.database import Database

TTL_S = 30.0


class LeaseTaken(StateError):  # noqa: N818 - not a fault: somebody else is at work
    """Somebody else has the lease, and renews it."""


class Lease(Struct, frozen=True, kw_only=True):
    """The right to work on `name`. Each taking has a larger token, which fences off earlier holders."""

    name: str
    token: int
    holder: str
    taken_at: datetime
    expires_at: datetime


class Leases:
    """Takes, renews and gives back leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, *, holder: str, now: datetime, ttl_s: float = TTL_S, what: str | None = None) -> Lease:
        """Takes a lease that is free or has expired; `what` is its name for people.

        Raises LeaseTaken with a sentence that names the holder.
        """
        until = now + timedelta(seconds=ttl_s)
        with self._database.writing() as con:
            row = con.execute(select(leases).where(leases.c.name == name)).first()
            if row and row.expires_at is not None and row.expires_at > now:
                raise LeaseTaken(
                    f"{row.holder} is working on {what or name} since {row.taken_at:%Y-%m-%d %H:%M:%S} UTC; wait "
                    f"until it's done. If it died, its hold ends by itself at {row.expires_at:%H:%M:%S} UTC"
                )
            lease = Lease(name=name, token=row.token + 1 if row else 1, holder=holder, taken_at=now, expires_at=until)
            values = {"token": lease.token, "holder": holder, "taken_at": now, "expires_at": until}
            if row:
                con.execute(update(leases).where(leases.c.name == name).values(values))
            else:
                con.execute(insert(leases).values(name=name, **values))
        return lease

    def renew(self, lease: Lease, *, now: datetime, ttl_s: float = TTL_S) -> None:
        """Holds on to a lease. Raises StateError when somebody else has taken it meanwhile."""
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


class HeldLease:
    """A lease that a thread renews, three times within its life, until it's released: `with store.lease(...) as lease`.

    A process that is killed or stopped renews nothing, so the lease expires.
    """

    def __init__(self, leases: Leases, lease: Lease, *, clock: Callable[[], datetime], ttl_s: float) -> None:
        self.lease = lease
        self._leases = leases
        self._clock = clock
        self._ttl_s = ttl_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {lease.name}", daemon=True)
        self._thread.start()

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
        while not self._done.wait(self._ttl_s / 3):
            try:
                self._leases.renew(self.lease, now=self._clock(), ttl_s=self._ttl_s)
            except StateError:
                # A store that is busy for once may work the next time. If the lease is lost, the work notices: every
                # step that matters checks the token in its own transaction.
                continue


_HOLDER = select(leases.c.token, leases.c.holder).where(leases.c.name == bindparam("at_name"))


def must_hold(con: Connection, lease: Lease) -> None:
    """Refuses to go on under a lease that somebody else has taken since. Raises StateError."""
    problem = lost(con, lease)
    if problem:
        raise StateError(problem)


def lost(con: Connection, lease: Lease) -> str | None:
    """Who has taken a lease since, in a sentence; None while it is held."""
    row = con.execute(_HOLDER, {"at_name": lease.name}).first()
    if row is not None and row.token == lease.token:
        return None
    other = row.holder if row else "nobody"
    return (
        f"the hold of {lease.holder} on {lease.name} had expired and {other} has it now; this run leaves the rest to it"
    )
