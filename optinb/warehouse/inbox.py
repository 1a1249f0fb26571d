"""Deliveries of a workspace: what came, what was refused and why, and who published one all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.errors import DeliveryError, Exit, UsageError
from optinb.warehouse.report import ImportReport

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.base.progress import OnProgress
    from optinb.store.audit import AuditTrail
    from optinb.warehouse.warehouse import Warehouse


EXAMPLES = 3
SHOWN = 300  # characters of a row; the quarantine file has all of it
OVERRIDE = "gate overridden"


class Inbox(Struct, frozen=True, kw_only=True):
    """What is published, and what could be: `waiting` are the days with a delivery, newest first.

    A delivery of the published day itself can be imported again; nothing is published before the first import.
    """

    version: int | None
    published: date | None
    modelled: date | None
    waiting: tuple[date, ...]


class Example(Struct, frozen=True, kw_only=True):
    """A row that was not loaded: where it stands (line None where a file has none) and what it says."""

    file: str
    line: int | None
    raw: str


class Refusal(Struct, frozen=True, kw_only=True):
    """Why rows of a table were not loaded, or values of a `column` left empty, how many, and the first of them."""

    table: str
    column: str | None
    reason: str
    rows: int
    examples: tuple[Example, ...]


class Quarantine(Struct, frozen=True, kw_only=True):
    """What was not loaded of a delivery, the most frequent reason first.

    `rows` were not loaded; `values` couldn't be read and were left empty in rows that were.
    """

    run_date: date
    rows: int
    values: int
    refusals: tuple[Refusal, ...]


class Check(Struct, frozen=True, kw_only=True):
    """What importing a folder would say; `blocked` are the gates that would stop it, as sentences."""

    folder: str
    report: ImportReport
    quarantine: Quarantine
    blocked: tuple[str, ...]

    @property
    def exit_code(self) -> Exit:
        """What `optinb check` ends with."""
        return Exit.DATA_BLOCKED if self.blocked else Exit.DONE


class Arrivals:
    """The deliveries that come to a workspace: seen in the inbox, examined, published, or refused."""

    def __init__(
        self, context: Context, warehouse: Warehouse, *, audit: AuditTrail, watched: Callable[[], frozenset[str]]
    ) -> None:
        """`watched` tells the attributes that somebody uses, which the gates of a delivery watch."""
        self._context, self._warehouse, self._audit, self._watched = context, warehouse, audit, watched

    def inbox(self) -> Inbox:
        """Looks at the inbox; where there are `[[sources]]`, today's delivery can be fetched."""
        version, published, modelled, today = None, None, None, self._context.today()
        if self._warehouse.current is not None:
            with self._warehouse.open() as snapshot:
                version, published, modelled = snapshot.version, snapshot.import_date, snapshot.model_date
        days = set(_days(self._context.root / "inbox")) | ({today} if self._context.settings.sources else set())
        return Inbox(
            version=version,
            published=published,
            modelled=modelled,
            waiting=tuple(sorted((d for d in days if (published or d) <= d <= today), reverse=True)),
        )

    def publish(
        self,
        run_date: date | None = None,
        *,
        accept_anyway: str | None = None,
        wait_s: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> ImportReport:
        """Imports a delivery (today's, when no date is given); an override of its gates is noted in the audit trail.

        Raises GateError when a gate blocks it, UsageError for a day that lies ahead.
        """
        run_date = run_date or self._context.today()
        self._context.refuse_ahead(run_date)
        report = self._warehouse.import_delivery(
            run_date,
            now=self._context.now(),
            accept_anyway=accept_anyway,
            user=self._context.user,
            wait_s=wait_s,
            on_progress=on_progress,
            watched=self._watched(),
        )
        subject = f"delivery {run_date}"
        # An import that was killed between publishing and this line is noted by the next one, which finds it unchanged.
        if report.accepted_by is not None and not any(
            entry.action == OVERRIDE and entry.detail.get("version") == report.version
            for entry in self._audit.list(subject=subject)
        ):
            self._audit.note(
                who=report.accepted_by,
                action=OVERRIDE,
                subject=subject,
                now=self._context.now(),
                version=report.version,
                reason=report.accepted_because,
                gates=_blocking(report),
            )
        return report

    def check(self, folder: Path, *, run_date: date | None = None) -> Check:
        """Examines a folder as a delivery of `run_date` (of the date that is its name, else of today)."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; name the one that the files of a delivery lie in")
        day = run_date or _date(folder.resolve().name) or self._context.today()
        report, refused = self._warehouse.check(folder, run_date=day, now=self._context.now(), watched=self._watched())
        return Check(
            folder=str(folder),
            report=report,
            quarantine=grouped(refused, run_date=day),
            blocked=tuple(_blocking(report)),
        )

    def quarantine(self, run_date: date | None = None) -> Quarantine:
        """The quarantine of a delivery, or of the newest that was examined. Raises UsageError if there is none."""
        days = _days(self._context.root / "quarantine")
        if not days:
            raise UsageError("no delivery has been imported yet: run `optinb import`")
        if run_date is not None and run_date not in days:
            near = max((day for day in days if day < run_date), default=days[0])
            raise UsageError(f"no delivery of {run_date} has been examined; the nearest is of {near}")
        day = run_date or days[-1]
        return grouped(self._warehouse.quarantine(day), run_date=day)


def grouped(rejects: pl.DataFrame, *, run_date: date) -> Quarantine:
    """The quarantine (table, file, line, raw, reason, column) by table and reason, with the first examples of each."""
    one = pl.struct("file", "line", pl.col("raw").str.slice(0, SHOWN)).head(EXAMPLES).alias("examples")
    reasons = rejects.group_by("table", "column", "reason").agg(pl.len().alias("rows"), one)
    return Quarantine(
        run_date=run_date,
        rows=rejects["column"].null_count(),
        values=rejects.height - rejects["column"].null_count(),
        refusals=tuple(
            Refusal(**{**row, "examples": tuple(Example(**example) for example in row["examples"])})
            for row in reasons.sort("rows", "table", "reason", descending=[True, False, False]).to_dicts()
        ),
    )


def _blocking(report: ImportReport) -> list[str]:
    """The gates that a delivery failed, as sentences."""
    return [gate.message for gate in report.gates if not gate.passed]


def _days(folder: Path) -> list[date]:
    """The days that a folder has something of, the first one first."""
    try:
        return sorted(day for path in folder.iterdir() if (day := _date(path.name))) if folder.is_dir() else []
    except OSError as error:
        raise DeliveryError(f"{folder} can't be read: {error.strerror}; check the rights of the folder") from error


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
