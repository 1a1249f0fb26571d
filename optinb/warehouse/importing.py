"""Imports one delivery: stage, check, judge, build, publish."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.base.progress import Advance, OnProgress, progress
from optinb.base.settings import ImportSection, Settings
from optinb.errors import DeliveryError, GateError
from optinb.warehouse import (
    building,
    changes,
    column_names,
    columns,
    consent,
    days,
    forgotten,
    formats,
    gates,
    persons,
    settling,
    sources,
)
from optinb.warehouse.contract import DAILY, PEOPLE_TABLES, TABLES
from optinb.warehouse.examining import READING, Examination, Examined
from optinb.warehouse.keyindex import INDEX_OF, KeyIndex, days_of
from optinb.warehouse.quarantine import read_quarantine, write_quarantine
from optinb.warehouse.reading import digest, find_files
from optinb.warehouse.report import ColumnDrift, Gate, ImportReport, TableReport
from optinb.warehouse.sql import Connection, connect, ident
from optinb.warehouse.staged import Staged, customers_query, drop_rejects, rows_query

if TYPE_CHECKING:
    import polars as pl

    from optinb.warehouse.versions import Versions


# What a person who waits is told of an import, in hundredths; the rest is the tables that are kept by day.
_WHOLE, _CHANGES = 5, 5
_DAY_TABLE = (100 - READING - _WHOLE - _CHANGES) // len(DAILY)

# With what Python and its libraries take, under 2 GB; what is beyond it is spilled to disk while it is checked.
_MEMORY = "1500MB"

_DELIVER = "put the delivery there (data/README.md says what it holds)"

_log = logging.getLogger("optinb.warehouse")


class BlockedError(GateError):
    """A gate blocked the import. `gates`, `tables` and `drift` are the figures; nothing was published."""

    def __init__(
        self,
        text: str,
        *,
        gates: tuple[Gate, ...],
        tables: tuple[TableReport, ...],
        drift: tuple[ColumnDrift, ...] = (),
    ) -> None:
        super().__init__(text)
        self.gates: tuple[Gate, ...] = gates
        self.tables: tuple[TableReport, ...] = tables
        self.drift: tuple[ColumnDrift, ...] = drift


class Import:
    """One import on one connection, under the lease of its caller."""

    def __init__(
        self,
        root: Path,
        versions: Versions,
        settings: Settings,
        *,
        run_date: date,
        now: datetime,
        watched: Collection[str] = (),
    ) -> None:
        """Args: `watched` are the attributes that rules and campaigns use."""
        self._names = column_names.names_of(settings.imports.columns)
        self._root, self._versions, self._settings = root, versions, settings
        self._run_date, self._now, self._watched = run_date, now, watched
        self._current = versions.current

    def run(self, *, accept_anyway: str | None, user: str, on_progress: OnProgress | None = None) -> ImportReport:
        """Imports the delivery; see `Warehouse.import_delivery`."""
        until = time.monotonic() + self._patience
        while True:
            try:
                return self._run(accept_anyway, user, on_progress=on_progress, until=until)
            except settling.ChangedError:
                _log.info("files changed while they were read; read again", extra={"run_date": str(self._run_date)})

    def _run(
        self, accept_anyway: str | None, user: str, *, on_progress: OnProgress | None, until: float
    ) -> ImportReport:
        """Imports the delivery. Raises ChangedError for one that changes while it is read, before a point in time."""
        began = time.monotonic()
        zone = self._settings.workspace.time_zone
        scratch = self._versions.work
        with (
            connect(scratch=scratch / "spill", memory=_MEMORY, zone=zone) as con,
            progress(f"delivery of {self._run_date}", on_progress=on_progress) as step,
        ):
            contents = self._contents(con)
            inbox = self._root / "inbox"
            imported = [delivery.run_date for delivery in contents.deliveries] if contents else []
            folder = inbox / self._run_date.isoformat()
            unsettled = self._settle(folder, on_progress=step)
            sources.fetch_missing(
                self._settings.sources, folder, run_date=self._run_date, delivered=imported, on_progress=step
            )
            there = settling.look_at(folder)
            files, warnings = find_files(inbox, folder)
            print_of = digest(files, context=self._fingerprint())
            last = contents.delivery(self._run_date) if contents else None
            if last and last.digest == print_of:
                return replace(last.report, unchanged=True)
            self._refuse_older(contents)
            if not folder.is_dir():
                raise GateError(f"there is no folder inbox/{self._run_date}, {self._stays}; {_DELIVER}")
            seen = self._examination(con, contents, scratch=scratch).run(files, on_progress=step)
            late = settling.changed(there, settling.look_at(folder))
            if late and time.monotonic() < until:
                raise settling.ChangedError(late)
            seen = replace(seen, gates=(*settling.gates_of(unsettled, late, limit_s=self._patience), *seen.gates))
            warnings += seen.warnings
            write_quarantine(con, seen.staged, folder=self._root / "quarantine" / self._run_date.isoformat())
            self._judge(seen, files, accept_anyway)
            blocked = bool(gates.failed(seen.gates))
            for part in seen.staged:
                drop_rejects(con, part)
            report = ImportReport(
                run_date=self._run_date,
                version=(self._current or 0) + 1,
                tables=seen.tables,
                warnings=tuple(warnings),
                gates=seen.gates,
                drift=seen.drift,
                accepted_by=user if blocked else None,
                accepted_because=accept_anyway if blocked else None,
            )
            return self._publish(con, seen, contents, report, digest=print_of, began=began, on_progress=step)

    def check(self, folder: Path) -> tuple[ImportReport, pl.DataFrame]:
        """Reads and judges a folder as a delivery, and publishes nothing; see `Warehouse.check`."""
        began = time.monotonic()
        with (
            TemporaryDirectory() as scratch,
            connect(scratch=Path(scratch), zone=self._settings.zone.key) as con,
            progress(f"check of {folder.name}", total=READING) as on_progress,
        ):
            contents = self._contents(con)
            unsettled = self._settle(folder, on_progress=on_progress)
            there = settling.look_at(folder)
            files, warnings = find_files(folder, folder)
            seen = self._examination(con, contents, scratch=Path(scratch)).run(files, on_progress=on_progress)
            late = settling.changed(there, settling.look_at(folder))
            seen = replace(seen, gates=(*settling.gates_of(unsettled, late, limit_s=self._patience), *seen.gates))
            write_quarantine(con, seen.staged, folder=Path(scratch) / "quarantine")
            report = ImportReport(
                run_date=self._run_date,
                version=self._current or 0,
                tables=seen.tables,
                warnings=(*warnings, *seen.warnings),
                gates=seen.gates,
                drift=seen.drift,
                seconds=round(time.monotonic() - began, 3),
            )
            return report, read_quarantine(Path(scratch) / "quarantine")

    def _contents(self, con: Connection) -> building.Contents | None:
        if self._current is None:
            return None
        building.attach(con, self._versions.path(self._current), "cur", read_only=True)
        return building.read_contents(con, "cur")

    def _examination(self, con: Connection, contents: building.Contents | None, *, scratch: Path) -> Examination:
        return Examination(
            con,
            contents,
            versions=self._versions,
            settings=self._settings,
            names=self._names,
            watched=self._watched,
            run_date=self._run_date,
            now=self._now,
            scratch=scratch,
        )

    @property
    def _patience(self) -> float:
        return self._settings.imports.settle_seconds

    def _settle(self, folder: Path, *, on_progress: Advance) -> tuple[settling.Unsettled, ...]:
        return settling.settle(lambda: settling.look_at(folder), limit_s=self._patience, on_progress=on_progress)

    def _fingerprint(self) -> str:
        """The settings that decide what a row means: with others, the same files are another delivery."""
        workspace = self._settings.workspace
        limits = self._settings.imports
        keeps = [] if limits.drop_repeated_events else ["repeated events are kept"]
        keeps += [] if limits.missing == ImportSection().missing else ["missing", *limits.missing]
        meanings = [workspace.time_zone, workspace.currency, *sorted(self._settings.app_ids()), *self._names.told()]
        return "\0".join([*meanings, *keeps])

    def _refuse_older(self, contents: building.Contents | None) -> None:
        if contents and self._run_date < contents.import_date:
            raise DeliveryError(
                f"the delivery of {self._run_date} is older than the published one of {contents.import_date}, whose "
                "customers it would overwrite; put rows that were missed into the next delivery, for instance as "
                "transactions-late.csv"
            )

    @property
    def _stays(self) -> str:
        return f"version {self._current} stays current" if self._current else "nothing is published"

    def _judge(self, seen: Examined, files: Sequence[formats.DeliveredFile], accept_anyway: str | None) -> None:
        bad = gates.failed(seen.gates)
        if bad and not (accept_anyway or "").strip():
            raise BlockedError(
                f"the delivery of {self._run_date} is blocked, {self._stays}: "
                + "; ".join(gate.message for gate in bad)
                + f". Put a corrected delivery into inbox/{self._run_date} and import again, or accept this one with "
                "`optinb import --accept-anyway REASON`",
                gates=seen.gates,
                tables=seen.tables,
                drift=seen.drift,
            )
        if not seen.staged:
            raise DeliveryError(
                f"inbox/{self._run_date} has {'no file that can be read' if files else 'no files'}, {self._stays}; "
                f"{_DELIVER}"
            )

    def _publish(
        self,
        con: Connection,
        seen: Examined,
        contents: building.Contents | None,
        report: ImportReport,
        *,
        digest: str,
        began: float,
        on_progress: Advance,
    ) -> ImportReport:
        versions = self._versions
        built = versions.work / "next.duckdb"
        building.attach(con, built, "next", read_only=False)
        staged = {part.table.name: part for part in seen.staged}
        for name, part in staged.items():
            if part.table.whole:
                on_progress(0, f"storing {name}")
                query = customers_query(part, seen.kinds) if part.table.attributes else rows_query(part)
                con.execute(f"CREATE TABLE next.{ident(name)} AS {query}")
                con.execute(f"DROP TABLE {part.name}")
        if contents:
            whole = [name for name in staged if TABLES[name].whole]
            building.carry_over(con, without=[*whole, *PEOPLE_TABLES])
        building.create_missing(con)
        persons.publish(con)
        merged = consent.stricter(con, last=seen.last)
        corrected = contents.delivery(self._run_date) if contents else None
        report = replace(
            report,
            carried=tuple(t for t in corrected.report.brought if TABLES[t.table].whole and t.table not in staged)
            if corrected
            else (),
            merged=merged.people,
            merged_stricter=merged.stricter,
            warnings=(*report.warnings, *merged.warnings),
        )
        base = (
            tuple(f for f in contents.before(self._run_date) if f.table in (*DAILY, *INDEX_OF.values()))
            if contents
            else ()
        )
        history = tuple(file for file in contents.files if file.table == "history") if contents else ()
        on_progress(_WHOLE, "storing what changed of customers")
        history += changes.write_changes(
            con, contents, root=versions.folder, work=versions.work, run_date=self._run_date
        )
        on_progress(_CHANGES)
        loaded = sum(table.loaded for table in report.tables)
        daily = self._write_days(con, staged, base, version=report.version, loaded=loaded, on_progress=on_progress)
        report = replace(report, seconds=round(time.monotonic() - began, 3))
        delivery = building.Delivery(
            run_date=self._run_date, digest=digest, version=report.version, imported_at=self._now, report=report
        )
        earlier = tuple(d for d in contents.deliveries if d.run_date != self._run_date) if contents else ()
        building.write_contents(
            con,
            building.Contents(
                version=report.version,
                created_at=self._now,
                import_date=self._run_date,
                model_date=contents.model_date if contents else None,
                files=(*daily, *history),
                base_files=base,
                deliveries=columns.slim((*earlier, delivery)),
                attributes=seen.attributes if "customers" in staged or not contents else contents.attributes,
            ),
        )
        forgotten.remember(con, forgotten.read_forgotten(versions.folder), versions.folder)
        building.finish(con, exported=versions.built_tables if self._settings.engine.spark_master else None)
        on_progress(0, "publishing")
        versions.publish(built, report.version)
        if contents:
            con.execute("DETACH cur")
            con.execute("DETACH DATABASE IF EXISTS earlier")
        building.clean_up(con, versions, keep=self._settings.workspace.keep_versions)
        return report

    def _write_days(
        self,
        con: Connection,
        staged: dict[str, Staged],
        base: Sequence[days.DayFile],
        *,
        version: int,
        loaded: int,
        on_progress: Advance,
    ) -> tuple[days.DayFile, ...]:
        versions = self._versions
        writer = days.DayWriter(con, root=versions.folder, work=versions.work, version=version, delivery=self._run_date)
        files: list[days.DayFile] = []
        for name in DAILY:
            on_progress(0, f"storing {name}")
            kept = [file for file in base if file.table == name]
            part = staged.get(name)
            optional = TABLES[name].optional_key
            if key := optional or next(iter(TABLES[name].key), None):
                index = KeyIndex(
                    con, root=versions.folder, version=version, delivery=self._run_date, name=INDEX_OF[name]
                )
                runs = [file for file in base if file.table == INDEX_OF[name]]
                if not index.complete(runs, kept, optional=optional is not None):
                    runs = index.rebuild(kept, key=key)
                if part:
                    runs, earlier = index.add(runs, key=key, rows=part.name)
                    if len(earlier):
                        changed = f"changed_{name}"
                        index.select(earlier, key=key, rows=part.name, into=changed)
                        kept = writer.without(kept, key=key, rows=changed, days=days_of(earlier))
                files += runs
            if part:
                kept += writer.write(name, rows_query(part))
            old = days.due(kept, run_date=self._run_date, at_most=days.rows_to_join(loaded))
            if old:
                joined = {file.path for file in old}
                kept = [*(file for file in kept if file.path not in joined), writer.join(old)]
            files += kept
            on_progress(_DAY_TABLE)
        return tuple(files)
