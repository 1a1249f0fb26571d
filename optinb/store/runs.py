"""The nightly runs: one row an attempt."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, func, insert, select, update

from optinb.errors import StateError
from optinb.store import audit
from optinb.store.schema import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optinb.store.database import Database


class RunRecord(Struct, frozen=True, kw_only=True):
    """An attempt at a night. Without `finished_at` it is under way, or it died."""

    run_date: date
    attempt: int
    started_by: str
    started_at: datetime
    finished_at: datetime | None = None
    exit_code: int | None = None
    summary: dict[str, Any] | None = None


class Runs:
    """What ran, when, and how it ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, run_date: date, *, user: str, now: datetime) -> RunRecord:
        """A new attempt at a night."""
        with self._database.writing() as con:
            last = con.execute(select(func.max(runs.c.attempt)).where(runs.c.run_date == run_date)).scalar()
            run = RunRecord(run_date=run_date, attempt=(last or 0) + 1, started_by=user, started_at=now)
            con.execute(insert(runs).values(run_date=run_date, attempt=run.attempt, started_by=user, started_at=now))
            audit.record(
                con, who=user, action="run started", subject=run_date.isoformat(), now=now, attempt=run.attempt
            )
        return run

    def finish(self, run: RunRecord, *, exit_code: int, summary: Mapping[str, Any], now: datetime) -> RunRecord:
        """Notes how an attempt ended; the last word counts. Raises StateError when it was never started."""
        done = msgspec.structs.replace(run, finished_at=now, exit_code=int(exit_code), summary=dict(summary))
        with self._database.writing() as con:
            changed = con.execute(
                update(runs)
                .where(runs.c.run_date == run.run_date, runs.c.attempt == run.attempt)
                .values(
                    finished_at=now,
                    exit_code=done.exit_code,
                    summary=msgspec.json.encode(done.summary).decode(),
                )
            )
            if changed.rowcount != 1:
                raise StateError(f"attempt {run.attempt} at {run.run_date} was never started in this store")
            audit.record(
                con,
                who=run.started_by,
                action="run finished",
                subject=run.run_date.isoformat(),
                now=now,
                attempt=run.attempt,
                exit_code=done.exit_code,
            )
        return done

    def get(self, run_date: date) -> RunRecord | None:
        """The newest attempt at a night, or None."""
        return next(iter(self._select(run_date, limit=1)), None)

    def list(self, *, run_date: date | None = None, limit: int | None = None) -> tuple[RunRecord, ...]:
        """Attempts, the newest first; of one night or of all."""
        return self._select(run_date, limit=limit)

    def before(self, run_date: date) -> RunRecord | None:
        """The newest attempt at an earlier night, or None."""
        query = select(runs).where(runs.c.run_date < run_date)
        with self._database.reading() as con:
            row = con.execute(query.order_by(runs.c.run_date.desc(), runs.c.attempt.desc()).limit(1)).first()
        return None if row is None else _run(row)

    def _select(self, run_date: date | None, *, limit: int | None) -> tuple[RunRecord, ...]:
        query = select(runs).order_by(runs.c.run_date.desc(), runs.c.attempt.desc()).limit(limit)
        if run_date is not None:
            query = query.where(runs.c.run_date == run_date)
        with self._database.reading() as con:
            return tuple(_run(row) for row in con.execute(query))


def _run(row: Row[Any]) -> RunRecord:
    fields = dict(row._mapping)
    summary = fields.pop("summary")
    return RunRecord(summary=msgspec.json.decode(summary) if summary else None, **fields)
