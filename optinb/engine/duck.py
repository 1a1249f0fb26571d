"""A published version on DuckDB: the same files, read where they lie, over one connection that may not write."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw

from optinb.engine.persons import Identity
from optinb.engine.polars import TABLE_OF, event_names, not_modelled, own_names, rule_columns
from optinb.engine.tables import Tables
from optinb.warehouse.sql import connect, exact_path, ident, literal

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    import duckdb
    import polars as pl

    from optinb.warehouse import Snapshot


def duckdb_tables_of(snapshot: Snapshot, *, run_date: date, zone: ZoneInfo, **known: Any) -> Tables:
    """The tables of a published version on DuckDB; `known` are further fields of `Tables`."""
    con = connect()
    con.execute(f"ATTACH {literal(str(snapshot.file))} AS v (READ_ONLY)")
    customers = "SELECT * FROM v.customers"
    if snapshot.has("features"):
        hidden = ", ".join(map(ident, ["customer_id", *own_names(snapshot)]))
        customers = f"SELECT c.*, f.* EXCLUDE ({hidden}) FROM v.customers c LEFT JOIN v.features f USING (customer_id)"
    of_days = partial(_of_days, con, snapshot)
    return Tables(
        customers=nw.from_native(con.sql(customers)),
        purchases=of_days("purchases", None, None),
        events=of_days("events", None, None),
        app_users=nw.from_native(con.sql("SELECT * FROM v.app_users")),
        event_names=partial(event_names, snapshot),
        run_date=run_date,
        zone=zone,
        version=snapshot.version,
        of_days=of_days,
        take=partial(take, con),
        not_modelled=not_modelled(snapshot),
        **{"identity": partial(Identity.of, snapshot), **known},
    )


def take(con: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    """A Polars frame as a relation of a connection."""
    return nw.from_native(con.from_arrow(frame.to_arrow()))


def _of_days(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: str, first: date | None, last: date | None
) -> nw.LazyFrame[Any]:
    files = snapshot.files(TABLE_OF[table], since=first, until=last)
    # Named one by one, since a file of an earlier version lacks columns that none of these is.
    names = rule_columns(table)
    if files:
        paths = ", ".join(literal(exact_path(snapshot.path(file))) for file in files)
        query = f"SELECT {', '.join(map(ident, names))} FROM read_parquet([{paths}], hive_partitioning = false)"
    else:
        columns = (f"NULL::{kind} AS {ident(name)}" for name, kind in names.items())
        query = f"SELECT {', '.join(columns)} WHERE false"
    rows = nw.from_native(con.sql(query))
    return rows.filter(nw.col("amount") > 0) if table == "purchases" else rows
