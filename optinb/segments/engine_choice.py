"""Who belongs to a rule, found on the engine of one's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.engine import Tables, open_tables
from optinb.segments.compile import members

if TYPE_CHECKING:
    import polars as pl

    from optinb.base.settings import Engine, EngineSection
    from optinb.rules import Rule
    from optinb.warehouse import Snapshot


def members_on(
    snapshot: Snapshot, rule: Rule, tables: Tables, *, engine: Engine | None, settings: EngineSection
) -> pl.DataFrame:
    """The customers (customer_id, each once) for whom a rule holds.

    `tables` are those of Polars; another engine reads the same version anew. `engine`: "polars", "duckdb" or "spark",
    or None for the one that `settings` name. Raises RuleError, or UsageError for an engine that isn't there.
    """
    engine = engine or settings.default
    if engine != "polars":
        tables = open_tables(
            snapshot,
            engine,
            spark_master=settings.spark_master,
            run_date=tables.run_date,
            zone=tables.zone,
            apps=tables.apps,
            contacts=tables.contacts,
            lists=tables.lists,
            list_names=tables.list_names,
            campaigns=tables.campaigns,
        )
    return members(rule, tables).collect("polars").to_native()
