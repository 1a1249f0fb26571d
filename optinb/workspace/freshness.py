"""Whether the tables that a campaign reads are fresh enough for a night that sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.campaigns import tables_for
from optinb.rules import from_json
from optinb.warehouse import table_ages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.warehouse import TableAge
    from optinb.workspace.handle import Workspace
    from optinb.workspace.resolved import Resolved


def ages_on(ws: Workspace, run_date: date) -> tuple[TableAge, ...]:
    """How old each published table is on a night; nothing before the first import."""
    if ws.warehouse.current is None:
        return ()
    contents, settings = ws.snapshot().contents, ws.settings
    return table_ages(contents, run_date=run_date, limits=settings.imports, zone=settings.zone)


def reads(ws: Workspace, resolved: Resolved) -> frozenset[str]:
    """The delivered tables that a campaign reads: by its rule, by its properties, and what every audience needs."""
    delivered = ws.snapshot().schema("customers")
    return tables_for(ws.settings, resolved.campaign, from_json(resolved.rule_json), delivered=delivered)


def why_stale(ws: Workspace, resolved: Resolved, ages: Iterable[TableAge]) -> str | None:
    """Why a campaign must not be sent from the tables as they are, or None."""
    stale = [age for age in ages if age.stale is not None]
    if not stale:
        return None
    read = reads(ws, resolved)
    return "; ".join(age.stale for age in stale if age.stale and age.table in read) or None
