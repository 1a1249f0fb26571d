"""Looks at the columns of a staged delivery: which there are, and what they hold, against the deliveries before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.warehouse import drift
from optinb.warehouse.contract import TABLES
from optinb.warehouse.figures import published_figures, staged_figures
from optinb.warehouse.header_gates import judge_headers
from optinb.warehouse.headers import FileHeader, columns_delivered, earlier_of, in_every_part, in_some_part

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    import duckdb

    from optinb.base.settings import ImportSection
    from optinb.warehouse.building import Contents, Delivery
    from optinb.warehouse.column_names import ColumnNames
    from optinb.warehouse.contract import Table
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
        con: duckdb.DuckDBPyConnection,
        contents: Contents | None,
        *,
        run_date: date,
        names: ColumnNames,
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


def slim(deliveries: Collection[Delivery]) -> tuple[Delivery, ...]:
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
