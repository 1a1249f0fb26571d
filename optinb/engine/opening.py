"""Opens the tables of a published version on the engine of one's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from optinb.base.settings import ENGINES, Engine
from optinb.engine.duck import duckdb_tables_of
from optinb.engine.polars import tables_of
from optinb.engine.spark import spark_session, spark_tables_of
from optinb.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    from optinb.engine.tables import Tables
    from optinb.warehouse import Snapshot


def open_tables(
    snapshot: Snapshot, engine: Engine, *, spark_master: str | None, run_date: date, zone: ZoneInfo, **known: Any
) -> Tables:
    """The tables of a published version on an engine; `known` are further fields of `Tables`.

    Raises UsageError for an engine that isn't known, or Spark where there is none.
    """
    match engine:
        case "polars":
            return tables_of(snapshot, run_date=run_date, zone=zone, **known)
        case "duckdb":
            return duckdb_tables_of(snapshot, run_date=run_date, zone=zone, **known)
        case "spark":
            return spark_tables_of(snapshot, spark_session(spark_master), run_date=run_date, zone=zone, **known)
        case _ if engine not in ENGINES:
            raise UsageError(f"no engine is called {engine!r}{did_you_mean(engine, ENGINES)}")
        case _:
            assert_never(engine)
