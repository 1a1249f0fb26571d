"""From a daily folder of files to checked, published tables. The only writer of DuckDB and Parquet tables."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.warehouse.building import export_tables
    from optinb.warehouse.drift import MEASURES, figure, span, told_first
    from optinb.warehouse.forgetting import Removed
    from optinb.warehouse.freshness import TableAge, table_ages
    from optinb.warehouse.importing import BlockedError
    from optinb.warehouse.inbox import Check, Inbox, Quarantine
    from optinb.warehouse.report import ColumnDrift, ImportReport, TableReport
    from optinb.warehouse.snapshot import Snapshot
    from optinb.warehouse.warehouse import OutdatedError, Warehouse
else:
    __getattr__ = lazily(
        __name__,
        {
            ".building": "export_tables",
            ".drift": "MEASURES figure span told_first",
            ".forgetting": "Removed",
            ".freshness": "TableAge table_ages",
            ".importing": "BlockedError",
            ".inbox": "Check Inbox Quarantine",
            ".report": "ColumnDrift ImportReport TableReport",
            ".snapshot": "Snapshot",
            ".warehouse": "OutdatedError Warehouse",
        },
    )
