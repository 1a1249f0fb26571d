"""From a daily folder of files to checked, published tables. The only writer of DuckDB and Parquet tables."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.warehouse.building import export_tables
    from optinb.warehouse.drift import MEASURES, figure, span, told_first
    from optinb.warehouse.forgetting import Removed
    from optinb.warehouse.freshness import TableAge, table_ages
    from optinb.warehouse.importing import BlockedError
    from optinb.warehouse.inbox import Check, Example, Inbox, Quarantine, Refusal
    from optinb.warehouse.report import ColumnDrift, Gate, ImportReport, TableReport
    from optinb.warehouse.snapshot import Snapshot
    from optinb.warehouse.warehouse import OutdatedError, VersionInfo, Warehouse
else:
    __getattr__ = lazily(
        __name__,
        {
            ".building": "export_tables",
            ".drift": "MEASURES figure span told_first",
            ".forgetting": "Removed",
            ".freshness": "TableAge table_ages",
            ".importing": "BlockedError",
            ".inbox": "Check Example Inbox Quarantine Refusal",
            ".report": "ColumnDrift Gate ImportReport TableReport",
            ".snapshot": "Snapshot",
            ".warehouse": "OutdatedError VersionInfo Warehouse",
        },
    )
