"""From a daily folder of files to checked, published tables. The only writer of DuckDB and Parquet tables."""

from optinb.warehouse.building import export_tables
from optinb.warehouse.drift import MEASURES, figure, span, told_first
from optinb.warehouse.forgetting import Removed
from optinb.warehouse.freshness import TableAge, table_ages
from optinb.warehouse.importing import BlockedError
from optinb.warehouse.inbox import Check, Example, Inbox, Quarantine, Refusal
from optinb.warehouse.report import ColumnDrift, Gate, ImportReport, TableReport
from optinb.warehouse.snapshot import Snapshot
from optinb.warehouse.warehouse import OutdatedError, VersionInfo, Warehouse

__all__ = [
    "MEASURES",
    "BlockedError",
    "Check",
    "ColumnDrift",
    "Example",
    "Gate",
    "ImportReport",
    "Inbox",
    "OutdatedError",
    "Quarantine",
    "Refusal",
    "Removed",
    "Snapshot",
    "TableAge",
    "TableReport",
    "VersionInfo",
    "Warehouse",
    "export_tables",
    "figure",
    "span",
    "table_ages",
    "told_first",
]
