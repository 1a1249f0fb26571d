"""A published version on Apache Spark: the Parquet files where they lie, and the customer tables beside the version."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import narwhals as nw

from optinb.engine.persons import Identity
from optinb.engine.polars import TABLE_OF, event_names, own_names, rule_columns
from optinb.engine.tables import Tables
from optinb.errors import UsageError
from optinb.warehouse import Snapshot, export_tables
from optinb.warehouse.contract import TABLES, polars_schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    import polars as pl
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

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


def spark_tables_of(
    snapshot: Snapshot, session: SparkSession, *, run_date: date, zone: ZoneInfo, **known: Any
) -> Tables:
    """The tables of a published version on Spark; `known` are further fields of `Tables`.

    Customer tables that weren't published for Spark are exported to a temporary folder, which this machine must share
    with the workers.
    """
    customers, app_users = (_customer_table(snapshot, session, name) for name in ("customers", "app_users"))
    if snapshot.has("features"):
        features = _customer_table(snapshot, session, "features").drop(*own_names(snapshot))
        customers = customers.join(features, on="customer_id", how="left")
    of_days = partial(_of_days, snapshot, session)
    return Tables(
        customers=nw.from_native(customers),
        purchases=of_days("purchases", None, None),
        events=of_days("events", None, None),
        app_users=nw.from_native(app_users),
        event_names=partial(event_names, snapshot),
        run_date=run_date,
        zone=zone,
        version=snapshot.version,
        of_days=of_days,
        take=partial(take, session),
        moment=moment,
        probe=False,
        **{"identity": partial(Identity.of, snapshot), **known},
    )


def moment(at: datetime) -> nw.Expr:
    """A moment in UTC without a zone; as a datetime of Python it would be taken in the session's time zone."""
    return nw.lit(at.isoformat(sep=" ")).cast(nw.Datetime("us"))


def take(session: SparkSession, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    """A Polars frame as one of Spark; times stay without a zone."""
    return nw.from_native(session.createDataFrame(frame.to_arrow(), schema=schema_of(frame.schema)))


def schema_of(columns: Mapping[str, pl.DataType]) -> StructType:
    """Columns of Polars types as Spark's; times without a zone."""
    import polars as pl
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


def _of_days(
    snapshot: Snapshot, session: SparkSession, table: str, first: date | None, last: date | None
) -> nw.LazyFrame[Any]:
    files = snapshot.files(TABLE_OF[table], since=first, until=last)
    known = polars_schema(TABLES[TABLE_OF[table]])
    columns = {name: known[name] for name in rule_columns(table)}
    read = (
        session.read.schema(schema_of(columns)).parquet(*(_address(snapshot.path(file)) for file in files))
        if files
        else session.createDataFrame([], schema=schema_of(columns))
    )
    rows = nw.from_native(read)
    return rows.filter(nw.col("amount") > 0) if table == "purchases" else rows


def _address(path: Path) -> str:
    """A path as Spark takes it literally: signs of patterns in a folder's name are none."""
    return "".join(f"\\{sign}" if sign in "*?[]{}\\" else sign for sign in str(path.absolute()))
