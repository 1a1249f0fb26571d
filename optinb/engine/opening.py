"""Opens the tables of a published version on the engine of one's choice."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl

from optinb.base.settings import ENGINES, Engine
from optinb.engine.tables import TABLE_OF, Tables, own_names, rule_columns, tables_of, tables_on
from optinb.errors import UsageError, did_you_mean
from optinb.warehouse import Snapshot, export_tables
from optinb.warehouse.contract import TABLES, polars_schema
from optinb.warehouse.sql import connect, exact_path, ident, literal

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType


def open_tables(
    snapshot: Snapshot, engine: Engine, *, spark_master: str | None, run_date: date, zone: ZoneInfo, **known: Any
) -> Tables:
    """The tables of a published version on an engine; `known` are further fields of `Tables`.

    Raises UsageError for an engine that isn't known, or Spark where there is none.
    """
    known |= {"run_date": run_date, "zone": zone}
    match engine:
        case "polars":
            return tables_of(snapshot, **known)
        case "duckdb":
            return duckdb_tables_of(snapshot, **known)
        case "spark":
            return spark_tables_of(snapshot, spark_session(spark_master), **known)
        case _ if engine not in ENGINES:
            raise UsageError(f"no engine is called {engine!r}{did_you_mean(engine, ENGINES)}")
        case _:
            assert_never(engine)


def duckdb_tables_of(snapshot: Snapshot, **known: Any) -> Tables:
    """The tables of a published version on DuckDB; `known` are further fields of `Tables`, with the night and zone."""
    con = connect()
    con.execute(f"ATTACH {literal(str(snapshot.file))} AS v (READ_ONLY)")
    customers = "SELECT * FROM v.customers"
    if snapshot.has("features"):
        hidden = ", ".join(map(ident, ["customer_id", *own_names(snapshot)]))
        customers = f"SELECT c.*, f.* EXCLUDE ({hidden}) FROM v.customers c LEFT JOIN v.features f USING (customer_id)"
    return tables_on(
        snapshot,
        con.sql(customers),
        con.sql("SELECT * FROM v.app_users"),
        partial(_duckdb_rows, con, snapshot),
        take=partial(duckdb_frame, con),
        **known,
    )


def duckdb_frame(con: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    """A Polars frame as a relation of a connection."""
    return nw.from_native(con.from_arrow(frame.to_arrow()))


def _duckdb_rows(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: str, first: date | None, last: date | None
) -> duckdb.DuckDBPyRelation:
    files = snapshot.files(TABLE_OF[table], since=first, until=last)
    # Named one by one, since a file of an earlier version lacks columns that none of these is.
    names = rule_columns(table)
    if files:
        paths = ", ".join(literal(exact_path(snapshot.path(file))) for file in files)
        query = f"SELECT {', '.join(map(ident, names))} FROM read_parquet([{paths}], hive_partitioning = false)"
    else:
        query = f"SELECT {', '.join(f'NULL::{kind} AS {ident(name)}' for name, kind in names.items())} WHERE false"
    return con.sql(query)


_EXPORTED: WeakKeyDictionary[Snapshot, tempfile.TemporaryDirectory[str]] = WeakKeyDictionary()


def spark_session(master: str | None) -> SparkSession:
    """The session that is running, or one on a master such as `spark://host:7077` or `local[2]`.

    Raises UsageError when there is neither, or Spark isn't installed or can't be reached.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise UsageError("engine \"spark\" needs PySpark: pip install 'optinb[spark]'") from error
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    if master is None:
        raise UsageError("no Spark session is running; start one, or name spark_master under [engine] in optinb.toml")
    builder = SparkSession.builder.appName("optinb").master(master).config("spark.sql.session.timeZone", "UTC")  # type: ignore[attr-defined]
    if address := os.environ.get("SPARK_LOCAL_IP"):
        builder = builder.config("spark.driver.bindAddress", address)
    try:
        return builder.getOrCreate()
    except Exception as error:  # Py4J's errors have no base of their own
        raise UsageError(f"Spark can't be started on {master!r}: {str(error).splitlines()[0]}") from error


def spark_tables_of(snapshot: Snapshot, session: SparkSession, **known: Any) -> Tables:
    """The tables of a published version on Spark; `known` are further fields of `Tables`, with the night and zone.

    Customer tables that weren't published for Spark are exported to a temporary folder, which this machine must share
    with the workers.
    """
    customers, app_users = (_customer_table(snapshot, session, name) for name in ("customers", "app_users"))
    if snapshot.has("features"):
        features = _customer_table(snapshot, session, "features").drop(*own_names(snapshot))
        customers = customers.join(features, on="customer_id", how="left")
    return tables_on(
        snapshot,
        customers,
        app_users,
        partial(_spark_rows, snapshot, session),
        take=partial(spark_frame, session),
        moment=moment,
        probe=False,
        **known,
    )


def moment(at: datetime) -> nw.Expr:
    """A moment in UTC without a zone; as a datetime of Python it would be taken in the session's time zone."""
    return nw.lit(at.isoformat(sep=" ")).cast(nw.Datetime("us"))


def spark_frame(session: SparkSession, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    """A Polars frame as one of Spark; times stay without a zone."""
    return nw.from_native(session.createDataFrame(frame.to_arrow(), schema=schema_of(frame.schema)))


def schema_of(columns: Mapping[str, pl.DataType]) -> StructType:
    """Columns of Polars types as Spark's; times without a zone."""
    from pyspark.sql import types

    known: dict[pl.DataType, DataType] = {
        pl.String(): types.StringType(),
        pl.Float64(): types.DoubleType(),
        pl.Int64(): types.LongType(),
        pl.Boolean(): types.BooleanType(),
        pl.Date(): types.DateType(),
        pl.Datetime("us"): types.TimestampNTZType(),
    }
    return types.StructType([types.StructField(name, known[kind]) for name, kind in columns.items()])


def _customer_table(snapshot: Snapshot, session: SparkSession, name: str) -> DataFrame:
    folder = snapshot.exported
    if folder is None:
        if snapshot not in _EXPORTED:
            made = tempfile.TemporaryDirectory(prefix="optinb-spark-", ignore_cleanup_errors=True)
            export_tables(snapshot.file, Path(made.name))
            _EXPORTED[snapshot] = made
        folder = Path(_EXPORTED[snapshot].name)
    return session.read.parquet(_address(folder / f"{name}.parquet"))


def _spark_rows(
    snapshot: Snapshot, session: SparkSession, table: str, first: date | None, last: date | None
) -> DataFrame:
    files = snapshot.files(TABLE_OF[table], since=first, until=last)
    known = polars_schema(TABLES[TABLE_OF[table]])
    columns = schema_of({name: known[name] for name in rule_columns(table)})
    paths = [_address(snapshot.path(file)) for file in files]
    return session.read.schema(columns).parquet(*paths) if paths else session.createDataFrame([], schema=columns)


def _address(path: Path) -> str:
    """A path as Spark takes it literally: signs of patterns in a folder's name are none."""
    return "".join(f"\\{sign}" if sign in "*?[]{}\\" else sign for sign in str(path.absolute()))
