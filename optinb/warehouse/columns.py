"""Looks at the columns of a staged delivery: which there are, and what they hold, against the deliveries before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.warehouse import building, column_names, drift
from optinb.warehouse.contract import TABLES, Column, Table
from optinb.warehouse.figures import published_figures, published_rows, staged_figures
from optinb.warehouse.header_gates import IGNORED, Earlier, FileHeader, judge_headers
from optinb.warehouse.sql import Connection, ident, readable

if TYPE_CHECKING:
    from optinb.base.settings import ImportSection
    from optinb.warehouse.report import ColumnDrift, ColumnFigures, Gate, TableReport
    from optinb.warehouse.staged import Staged


# So many deliveries are compared with, and some more, in case that a table doesn't come every day.
_KEPT = 4 * drift.NIGHTS


class ColumnWatch:
    """The columns of one delivery. `gates` are those that fail; `drift` is everything that could be compared.

    `delivered` are the columns of earlier deliveries, `delivered_until_then` those of earlier days.
    """

    def __init__(
        self,
        con: Connection,
        contents: building.Contents | None,
        *,
        run_date: date,
        names: column_names.ColumnNames,
        limits: ImportSection,
        watched: Collection[str],
    ) -> None:
        """Args: `contents` are those of the version attached as `cur`; `watched`: what rules and campaigns use."""
        self._con, self._contents, self._run_date = con, contents, run_date
        self._names, self._limits, self._watched = names, limits, watched
        self._figures: dict[str, dict[str, ColumnFigures]] = {}
        self._columns: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {}
        self.delivered: Mapping[str, frozenset[str]] = columns_delivered(con, contents) if contents else {}
        self.delivered_until_then: Mapping[str, frozenset[str]] = self.delivered
        if contents and contents.import_date >= run_date:
            until_then = tuple(d for d in contents.deliveries if d.run_date < run_date)
            self.delivered_until_then = columns_delivered(con, replace(contents, deliveries=until_then))
        self.gates: list[Gate] = []
        self.warnings: list[str] = []
        self.drift: list[ColumnDrift] = []

    def look(self, staged: Staged, kinds: Mapping[str, str]) -> None:
        """Looks at a staged table once its rejects are known; `kinds` are the types of its attributes."""
        table = staged.table
        files = [
            FileHeader(
                file=file.source.file.path.name,
                columns=file.source.columns,
                rows=file.after - file.first,
                sparse=file.source.file.format.objects,
            )
            for file in staged.files
        ]
        some = in_some_part(table, files)
        self._columns[table.name] = in_every_part(table, files), some
        now = staged_figures(self._con, staged, kinds, delivered=some, watched=self._watched)
        self._figures[table.name] = now
        last = self._before(table)
        known = {a.name for a in self._contents.attributes if a.since < self._run_date} if self._contents else set()
        earlier = earlier_of(self._contents, table, delivered=self.delivered, further=known, figures=last)
        gates, warnings = judge_headers(table, files, names=self._names, earlier=earlier)
        moved = drift.compare(table, now, last, limits=self._limits, watched=self._watched)
        self.gates += [*gates, *drift.gates_of(moved)]
        self.warnings += warnings
        self.drift += moved

    def noted(self, report: TableReport) -> TableReport:
        """A table's report with its columns and figures."""
        columns, some = self._columns.get(report.table, ((), frozenset()))
        ever = some | self.delivered.get(report.table, frozenset())
        ordered = tuple(column.name for column in TABLES[report.table].columns if column.name in ever)
        return replace(report, columns=columns, delivered=ordered, figures=self._figures.get(report.table, {}))

    def _before(self, table: Table) -> dict[str, ColumnFigures]:
        """What is usual for the table's columns; measured once where no delivery has noted it, as optinb 0.1 didn't."""
        if self._contents is None:
            return {}
        earlier = [d for d in self._contents.deliveries if d.run_date < self._run_date]
        found = drift.before(earlier, table)
        brought = any(report.table == table.name for d in earlier for report in d.report.brought)
        if found or not brought or self._contents.import_date >= self._run_date:
            return found
        delivered = self.delivered.get(table.name, frozenset())
        return published_figures(self._con, self._contents, table, delivered=delivered)


def slim(deliveries: Collection[building.Delivery]) -> tuple[building.Delivery, ...]:
    """Deliveries without the figures that no later one is compared with: a version has all the deliveries of years."""
    newest = sorted(delivery.run_date for delivery in deliveries)[-_KEPT:]
    return tuple(
        delivery
        if delivery.run_date in newest
        else replace(
            delivery,
            report=replace(
                delivery.report,
                drift=(),
                tables=tuple(replace(table, figures={}) for table in delivery.report.tables),
                carried=tuple(replace(table, figures={}) for table in delivery.report.carried),
            ),
        )
        for delivery in deliveries
    )


def in_every_part(table: Table, files: Sequence[FileHeader]) -> tuple[str, ...]:
    """The columns of the contract that every file has."""
    told = [set(file.columns) for file in files if file.tells]
    return tuple(c.name for c in table.columns if told and all(c.name in columns for columns in told))


def in_some_part(table: Table, files: Sequence[FileHeader]) -> frozenset[str]:
    """The columns of the contract that at least one file has."""
    return frozenset(c.name for c in table.columns for file in files if c.name in file.columns)


def earlier_of(
    contents: building.Contents | None,
    table: Table,
    *,
    delivered: Mapping[str, frozenset[str]],
    further: Collection[str],
    figures: Mapping[str, ColumnFigures],
) -> Earlier:
    """What earlier deliveries of a table brought, by what the published version tells of them.

    Args:
        contents: of the published version, None before the first.
        table: the one that is looked at.
        delivered: as `columns_delivered` tells.
        further: attributes of customers that were published.
        figures: what is usual for the table's columns.
    """
    deliveries = contents.deliveries if contents else ()
    reports = [report for d in deliveries for report in d.report.brought if report.table == table.name]
    told = [report for report in reports if report.columns]
    ignored = {
        name
        for d in deliveries
        for warning in d.report.warnings
        if warning.startswith(f"{table.name}: {IGNORED}")
        for name in warning.partition(IGNORED)[2].split("'")[1::2]
    }
    return Earlier(
        delivered=delivered.get(table.name, frozenset()),
        everywhere=frozenset(told[-1].columns) if told else frozenset(),
        further=frozenset(further) if table.attributes else frozenset(ignored),
        filled={name: 1 - one.nulls for name, one in figures.items() if one.nulls is not None},
    )


def columns_delivered(con: Connection, contents: building.Contents) -> dict[str, frozenset[str]]:
    """By table, the columns of the contract that some earlier delivery brought; `cur` is the published version.

    Of a table whose reports don't tell, as those of optinb 0.1, a column counts that has any value other than its
    default; of a table by day that its newest files have.
    """
    found: dict[str, frozenset[str]] = {}
    for table in TABLES.values():
        reports = [report for d in contents.deliveries for report in d.report.brought if report.table == table.name]
        told = frozenset(name for report in reports for name in (*report.delivered, *report.columns))
        if reports:
            found[table.name] = told or _by_values(con, contents, table)
    return found


def _by_values(con: Connection, contents: building.Contents, table: Table) -> frozenset[str]:
    rows, there = published_rows(con, contents, table)
    if rows is None:
        return frozenset(table.required)
    asked = [column for column in table.columns if column.name in there and not column.required]
    tests = [f"coalesce({_some(column)}, false)" for column in asked] or ["NULL"]
    with readable(f"the published table {table.name!r}"):
        verdicts = con.execute(f"SELECT {', '.join(tests)} FROM {rows}").fetchone() or ()
    return frozenset(table.required) | {c.name for c, found in zip(asked, verdicts, strict=False) if found}


def _some(column: Column) -> str:
    """A test whether a column has values that it wouldn't have if it had never been delivered."""
    value = ident(column.name)
    match column.default:
        case "true":
            return f"bool_or(NOT {value})"
        case "false":
            return f"bool_or({value})"
        case "customer_id":
            return f"bool_or({value} <> customer_id)"
        case "currency":
            return f"count(DISTINCT {value}) > 1"
        case _:
            return f"count({value}) > 0"
