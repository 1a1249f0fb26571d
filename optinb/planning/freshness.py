"""Whether the tables that a campaign reads are fresh enough for a night that sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.campaigns import tables_for
from optinb.rules import from_json
from optinb.warehouse import TableAge, Warehouse, table_ages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.base.context import Context
    from optinb.planning.resolved import Resolved
    from optinb.segments.tables_view import TablesView


class Freshness:
    """`ws.freshness`: how old the published tables are, and which campaigns that holds."""

    def __init__(self, context: Context, tables: TablesView, warehouse: Warehouse) -> None:
        self._settings, self._tables, self._warehouse = context.settings, tables, warehouse

    def ages_on(self, run_date: date) -> tuple[TableAge, ...]:
        """How old each published table is on a night; nothing before the first import."""
        if self._warehouse.current is None:
            return ()
        contents, settings = self._tables.snapshot().contents, self._settings
        return table_ages(contents, run_date=run_date, limits=settings.imports, zone=settings.zone)

    def why_stale(self, resolved: Resolved, ages: Iterable[TableAge]) -> str | None:
        """Why a campaign must not be sent from the tables as they are, or None."""
        stale = [age for age in ages if age.stale is not None]
        if not stale:
            return None
        rule, delivered = from_json(resolved.rule_json), self._tables.snapshot().schema("customers")
        read = tables_for(self._settings, resolved.campaign, rule, delivered=delivered)
        return "; ".join(age.stale for age in stale if age.stale and age.table in read) or None
