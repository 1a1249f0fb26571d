"""Examines one delivery: stages and checks its files, finds who is who, and judges it, without publishing anything."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.progress import Hundredths
from optinb.warehouse import again, building, consent, gates, persons, tool_traces
from optinb.warehouse.building import Attribute
from optinb.warehouse.checks import Context
from optinb.warehouse.columns import ColumnWatch
from optinb.warehouse.contract import CUSTOMER_IDS, TABLES
from optinb.warehouse.forgotten import read_forgotten
from optinb.warehouse.persons import Linked
from optinb.warehouse.report import Drift, Gate, TableReport
from optinb.warehouse.staging import Staged, Stager

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    import duckdb

    from optinb.progress import Tell
    from optinb.settings import Settings
    from optinb.warehouse.building import Contents
    from optinb.warehouse.column_names import ColumnNames
    from optinb.warehouse.contract import Table
    from optinb.warehouse.reading import DeliveredFile
    from optinb.warehouse.versions import Versions

READING = 60  # hundredths of an import that reading the files takes

_log = logging.getLogger("optinb.warehouse")


class Examined(Struct, frozen=True, kw_only=True):
    """A delivery that was staged, checked and judged, and not published."""

    staged: tuple[Staged, ...]
    tables: tuple[TableReport, ...]
    gates: tuple[Gate, ...]
    warnings: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    kinds: dict[str, str]
    drift: tuple[Drift, ...]


class Examination:
    """The examination of one delivery on the connection of an import, where the published version is `cur`."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        contents: Contents | None,
        *,
        versions: Versions,
        settings: Settings,
        names: ColumnNames,
        watched: Collection[str],
        run_date: date,
        now: datetime,
        scratch: Path,
    ) -> None:
        self._con = con
        self._contents = contents
        self._versions = versions
        self._settings = settings
        self._names = names
        self._watched = watched
        self._run_date = run_date
        self._now = now
        self._scratch = scratch

    def run(self, files: Sequence[DeliveredFile], *, tell: Tell) -> Examined:
        """Stages, checks and judges the files of a delivery."""
        con, contents = self._con, self._contents
        limits, workspace = self._settings.imports, self._settings.workspace
        latest = self._now + timedelta(minutes=limits.future_tolerance_minutes)
        context = Context(zone=self._settings.zone, latest=latest, currency=workspace.currency, missing=limits.missing)
        stager = Stager(con, context=context, scratch=self._scratch, names=self._names, most_gb=limits.max_unpacked_gb)
        known = {a.name: a for a in contents.attributes if a.since < self._run_date} if contents else {}
        customers = "cur.customers" if contents else "(SELECT NULL::VARCHAR AS customer_id WHERE false)"
        forgotten = read_forgotten(self._versions.folder)
        last = self._night_before(con, contents)
        watch = ColumnWatch(
            con, contents, run_date=self._run_date, names=self._names, limits=limits, watched=self._watched
        )
        before = watch.delivered
        kinds: dict[str, str] = {}
        staged: list[Staged] = []
        altered: list[Gate] = []
        sizes = {name: sum(f.path.stat().st_size for f in files if f.table == name) for name in TABLES}
        for table in _stepwise(sizes, tell=tell):
            mine = [file for file in files if file.table == table.name]
            part = stager.stage(table, mine, before=before.get(table.name, ()))
            if part is None:
                continue
            tell(0, f"checking {table.name}")
            stager.leave_out(part, forgotten)
            if table is CUSTOMER_IDS:
                staged.append(part)
                continue
            if table.attributes:
                stager.empty_misfits(part, {name: a.kind for name, a in known.items()})
            else:
                stager.refuse_unknown(part, customers=customers, apps=self._settings.app_ids())
            stager.refuse_duplicates(part)
            again.leave_out_repeated(
                con,
                part,
                stored=contents.before(self._run_date) if contents else (),
                root=self._versions.folder,
                drop_equal=limits.drop_repeated_events,
            )
            if table.attributes:
                kinds = stager.attribute_types(part, {name: a.kind for name, a in known.items()})
                con.execute(f"CREATE TABLE known_customers AS SELECT customer_id FROM {part.good}")
                customers = "known_customers"
                gone = sorted(known.keys() - set(part.attributes) - self._names.no_longer(table.name))
                stager.warnings += [f"customers: the column {name!r} is no longer delivered" for name in gone]
            watch.look(part, kinds if table.attributes else {})
            staged.append(part)
        consent.keep_ids(con, staged, before=before, last=last)
        linked = self._link(con, staged, contents)
        stager.warnings += linked.warnings
        for part in staged:
            altered += tool_traces.altered_ids(con, part)
            stager.warnings += tool_traces.lost_zeros(con, part, last=last)
            stager.warnings += consent.carry(con, part, before=before.get(part.table.name, ()), last=last)
        tables = tuple(watch.noted(stager.report(part)) for part in staged)
        stager.warnings += [
            f"{t.table}: {t.forgotten:,} rows of forgotten customers left out" for t in tables if t.forgotten
        ]
        stager.warnings += [_said_of_words(t) for t in tables if t.read_as_missing]
        stager.warnings += [again.told(t) for t in tables if t.repeated]
        for table in tables:
            figures = {"read": table.read, "loaded": table.loaded, "quarantined": table.quarantined}
            _log.info("table checked", extra={"table": table.table, "run_date": str(self._run_date), **figures})
        rows = contents.rows_before(self._run_date) if contents else None
        replaced = contents.delivery(self._run_date) if contents else None
        stager.warnings += gates.fewer(tables, replaced.report if replaced else None)
        return Examined(
            staged=tuple(staged),
            tables=tables,
            gates=(
                *gates.judge(tables, limits=limits, last=rows, problems=stager.problems),
                *watch.gates,
                *altered,
                *linked.gates,
            ),
            warnings=(
                *stager.warnings,
                *watch.warnings,
                *(f"{t.table} has a header and no row" for t in tables if t.read == 0),
            ),
            attributes=building.merged(known, kinds, self._run_date),
            kinds=kinds,
            drift=tuple(watch.drift),
        )

    def _link(self, con: duckdb.DuckDBPyConnection, staged: Sequence[Staged], contents: Contents | None) -> Linked:
        """Finds who is one person under several ids, among tonight's customers and those before."""
        good = {part.table.name: part.good for part in staged}
        nobody = "(SELECT NULL::VARCHAR AS customer_id, NULL::VARCHAR AS external_user_id WHERE false)"
        most_ids = self._settings.imports.max_ids_per_person
        linked = persons.link(
            con,
            customers=good.get("customers", "cur.customers" if contents else nobody),
            mapping=good.get(CUSTOMER_IDS.name),
            run_date=self._run_date,
            known=contents is not None,
            most_ids=most_ids,
        )
        forgotten = [
            gate
            for part in staged
            if part.table is CUSTOMER_IDS
            for gate in persons.left_out(con, part.forgotten, most_ids=most_ids)
        ]
        return Linked(warnings=linked.warnings, gates=(*linked.gates, *forgotten))

    def _night_before(self, con: duckdb.DuckDBPyConnection, contents: Contents | None) -> str | None:
        """Attaches the version that this delivery follows, which for a correction is none of its own day."""
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


def _stepwise(sizes: Mapping[str, int], *, tell: Tell) -> Iterator[Table]:
    """The tables of the contract one by one, which are read in proportion to the bytes that were delivered of each."""
    hundredths, whole = Hundredths(tell), sum(sizes.values()) or 1
    for table in TABLES.values():
        if not sizes[table.name]:
            yield table
            continue
        done = hundredths.part(f"reading {table.name}", hundredths=READING * sizes[table.name] / whole)
        yield table
        done(1)
