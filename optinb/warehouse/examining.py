"""Examines one delivery: stages and checks its files, finds who is who, and judges it, without publishing anything."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.base.progress import Advance, Hundredths
from optinb.warehouse import (
    building,
    checks,
    column_names,
    consent,
    formats,
    gates,
    persons,
    staging,
    table_checks,
    tool_traces,
)
from optinb.warehouse.columns import ColumnWatch
from optinb.warehouse.contract import CUSTOMER_IDS, CUSTOMERS, TABLES, Table
from optinb.warehouse.forgotten import read_forgotten
from optinb.warehouse.report import ColumnDrift, Gate, TableReport
from optinb.warehouse.staged import Staged, good_rows, table_report

if TYPE_CHECKING:
    from optinb.base.settings import Settings
    from optinb.warehouse.sql import Connection
    from optinb.warehouse.versions import Versions


READING = 60  # hundredths of an import that reading the files takes

_log = logging.getLogger("optinb.warehouse")


class Examined(Struct, frozen=True, kw_only=True):
    """A delivery that was staged, checked and judged, and not published. `last`: the version of the night before."""

    staged: tuple[Staged, ...]
    tables: tuple[TableReport, ...]
    gates: tuple[Gate, ...]
    warnings: tuple[str, ...]
    attributes: tuple[building.DeliveredAttribute, ...]
    kinds: dict[str, str]
    drift: tuple[ColumnDrift, ...]
    last: str | None


class Examination:
    """The examination of one delivery on the connection of an import, where the published version is `cur`."""

    def __init__(
        self,
        con: Connection,
        contents: building.Contents | None,
        *,
        versions: Versions,
        settings: Settings,
        names: column_names.ColumnNames,
        watched: Collection[str],
        run_date: date,
        now: datetime,
        scratch: Path,
    ) -> None:
        self._con, self._contents = con, contents
        self._versions, self._settings, self._names = versions, settings, names
        self._run_date = run_date
        limits = settings.imports
        latest = now + timedelta(minutes=limits.future_tolerance_minutes)
        currency = settings.workspace.currency
        context = checks.CheckContext(zone=settings.zone, latest=latest, currency=currency, missing=limits.missing)
        self._stager = staging.Stager(
            con, context=context, scratch=scratch, names=names, most_gb=limits.max_unpacked_gb
        )
        self._watch = ColumnWatch(con, contents, run_date=run_date, names=names, limits=limits, watched=watched)
        self._known = {a.name: a for a in contents.attributes if a.since < run_date} if contents else {}
        self._kinds: dict[str, str] = {}
        self._warnings: list[str] = []
        self._last: str | None = None

    def run(self, files: Sequence[formats.DeliveredFile], *, on_progress: Advance) -> Examined:
        """Stages, checks and judges the files of a delivery."""
        staged = self._stage(files, on_progress=on_progress)
        more_gates = self._look_at_people(staged)
        tables = tuple(self._watch.noted(table_report(self._con, part)) for part in staged)
        self._tell(tables)
        limits, contents = self._settings.imports, self._contents
        last = contents.rows_before(self._run_date) if contents else None
        return Examined(
            staged=staged,
            tables=tables,
            gates=(
                *gates.judge(tables, limits=limits, last=last, problems=self._stager.problems),
                *self._watch.gates,
                *more_gates,
            ),
            warnings=(*self._stager.warnings, *self._warnings),
            attributes=building.merged(self._known, self._kinds, self._run_date),
            kinds=self._kinds,
            drift=tuple(self._watch.drift),
            last=self._last,
        )

    def _stage(self, files: Sequence[formats.DeliveredFile], *, on_progress: Advance) -> tuple[Staged, ...]:
        """Reads the files, table by table, and checks their rows and columns."""
        sizes = {name: sum(f.path.stat().st_size for f in files if f.table == name) for name in TABLES}
        forgotten = read_forgotten(self._versions.folder)
        staged: list[Staged] = []
        for table in _stepwise(sizes, on_progress=on_progress):
            mine = [file for file in files if file.table == table.name]
            part = self._stager.stage(table, mine, before=self._watch.delivered.get(table.name, ()))
            if part is None:
                continue
            on_progress(0, f"checking {table.name}")
            table_checks.leave_out(self._con, part, forgotten)
            if table is not CUSTOMER_IDS:
                has_customers = any(other.table is CUSTOMERS for other in staged)
                self._check(part, customers="known_customers" if has_customers else self._customers_before)
            staged.append(part)
        return tuple(staged)

    @property
    def _customers_before(self) -> str:
        return "cur.customers" if self._contents else "(SELECT NULL::VARCHAR AS customer_id WHERE false)"

    def _check(self, part: Staged, *, customers: str) -> None:
        """Checks a staged table as a whole; `customers`: SQL of those that its rows may be of."""
        con, contents, kinds = self._con, self._contents, {name: a.kind for name, a in self._known.items()}
        if part.table.attributes:
            table_checks.empty_misfits(con, part, kinds)
        else:
            table_checks.refuse_unknown(con, part, customers=customers, apps=self._settings.app_ids())
        table_checks.refuse_duplicates(con, part)
        table_checks.leave_out_repeated(
            con,
            part,
            stored=contents.before(self._run_date) if contents else (),
            root=self._versions.folder,
            drop_equal=self._settings.imports.drop_repeated_events,
        )
        if part.table.attributes:
            self._kinds = table_checks.types_of_attributes(con, part, kinds)
            con.execute(f"CREATE TABLE known_customers AS SELECT customer_id FROM {good_rows(self._con, part)}")
            gone = sorted(self._known.keys() - set(part.attributes) - self._names.no_longer(part.table.name))
            self._warnings += [f"customers: the column {name!r} is no longer delivered" for name in gone]
        # What was delivered is looked at, before anything of it is filled.
        self._watch.look(part, self._kinds if part.table.attributes else {})

    def _look_at_people(self, staged: Sequence[Staged]) -> list[Gate]:
        """Finds who is who, and fills what isn't delivered of people with what was; returns the gates about ids."""
        con, before = self._con, self._watch.delivered
        self._last = last = self._night_before()
        until_then = self._watch.delivered_until_then
        consent.keep_ids(con, staged, before=until_then, last=last)
        linked = self._link(staged)
        self._warnings += linked.warnings
        found = [*linked.gates]
        for part in staged:
            found += tool_traces.altered_ids(con, part)
            self._warnings += tool_traces.lost_zeros(con, part, last=last)
            self._warnings += consent.carry(
                con,
                part,
                before=before.get(part.table.name, ()),
                until_then=until_then.get(part.table.name, ()),
                last=last,
            )
        return found

    def _tell(self, tables: Sequence[TableReport]) -> None:
        """Says in words, and in the log, what the figures of the tables tell."""
        replaced = self._contents.delivery(self._run_date) if self._contents else None
        self._warnings += [
            *(f"{t.table}: {t.forgotten:,} rows of forgotten customers left out" for t in tables if t.forgotten),
            *(_said_of_words(t) for t in tables if t.read_as_missing),
            *(table_checks.told(t) for t in tables if t.repeated),
            *gates.fewer(tables, replaced.report if replaced else None),
            *self._watch.warnings,
            *(f"{t.table} has a header and no row" for t in tables if t.read == 0),
        ]
        for table in tables:
            figures = {"read": table.read, "loaded": table.loaded, "quarantined": table.quarantined}
            _log.info("table checked", extra={"table": table.table, "run_date": str(self._run_date), **figures})

    def _link(self, staged: Sequence[Staged]) -> persons.Linked:
        """Finds who is one person under several ids, among tonight's customers and those before."""
        good = {part.table.name: good_rows(self._con, part) for part in staged}
        nobody = "(SELECT NULL::VARCHAR AS customer_id, NULL::VARCHAR AS external_user_id WHERE false)"
        most_ids = self._settings.imports.max_ids_per_person
        linked = persons.link(
            self._con,
            customers=good.get("customers", "cur.customers" if self._contents else nobody),
            mapping=good.get(CUSTOMER_IDS.name),
            run_date=self._run_date,
            known=self._contents is not None,
            last=self._last,
            most_ids=most_ids,
        )
        forgotten = [
            gate
            for part in staged
            if part.table is CUSTOMER_IDS
            for gate in persons.left_out(self._con, part.forgotten, most_ids=most_ids)
        ]
        return persons.Linked(warnings=linked.warnings, gates=(*linked.gates, *forgotten))

    def _night_before(self) -> str | None:
        """Attaches the version that this delivery follows, which for a correction is none of its own day."""
        con, contents = self._con, self._contents
        if contents is None:
            return None
        if contents.import_date < self._run_date:
            return "cur"
        for number in sorted(self._versions.numbers(), reverse=True):
            if number < contents.version:
                building.attach(con, self._versions.path(number), "earlier", read_only=True)
                if building.read_contents(con, "earlier").import_date < self._run_date:
                    return "earlier"
                con.execute("DETACH earlier")
        return None


def _said_of_words(table: TableReport) -> str:
    columns = ", ".join(f"{name} ({count:,})" for name, count in table.read_as_missing.items())
    return f"{table.table}: words such as NULL or n/a were read as missing values: {columns}; leave the fields empty"


def _stepwise(sizes: Mapping[str, int], *, on_progress: Advance) -> Iterator[Table]:
    """The tables of the contract one by one, which are read in proportion to the bytes that were delivered of each."""
    hundredths, whole = Hundredths(on_progress), sum(sizes.values()) or 1
    for table in TABLES.values():
        if not sizes[table.name]:
            yield table
            continue
        done = hundredths.part(f"reading {table.name}", hundredths=READING * sizes[table.name] / whole)
        yield table
        done(1)
