"""Every customer's attributes on any day since the first delivery, in the space of what changed.

A delivery that changes customers leaves a file `changes/day=D/`: the rows that it changed as they were before D, and
of customers whom it brought the id alone (registered_at, which every customer has, is null). The state on a day is then
the published table with the oldest of the later files laid over it. Nothing is written for customers who stay as they
are, and the first delivery writes nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from optinb.base.files import sync
from optinb.warehouse.days import DayFile
from optinb.warehouse.sql import Connection, exact_path, ident, literal

if TYPE_CHECKING:
    from optinb.warehouse import building
    from optinb.warehouse.snapshot import Snapshot


TABLE = "changes"
# Names of delivered columns are stripped, so none of them begins with a blank.
_DAY, _KNOWN, _NEXT_KNOWN, _NEXT = " day", " known", " next known", " next"


def write_changes(
    con: Connection, contents: building.Contents | None, *, root: Path, work: Path, run_date: date
) -> tuple[DayFile, ...]:
    """The files of `changes` that belong to the next version, with one for the delivery of `run_date`.

    `cur.customers` is compared with `next.customers`. A corrected delivery of the same day changes what the first one
    had left: what its file says of the day before stays true.
    """
    if contents is None:
        return ()
    kept = tuple(file for file in contents.files if file.table == TABLE)
    if not any(delivery.run_date < run_date for delivery in contents.deliveries):
        return kept  # nothing is known of the time before the first delivery
    mine = [file for file in kept if file.day == run_date]
    others = tuple(file for file in kept if file.day != run_date)
    version = contents.version + 1
    made = work / "changes.parquet"
    columns = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name='cur' AND table_name='customers'"
    )
    stored = [name for (name,) in columns.fetchall()]
    first = ""
    if mine:
        paths = ", ".join(literal(exact_path(root / file.path)) for file in mine)
        con.execute(
            f"CREATE TEMP TABLE first_changes AS SELECT * FROM read_parquet([{paths}], hive_partitioning=false)"
        )
        # What the first delivery of the day brought is of no day before it, neither its values nor its columns.
        before = {name for (name, *_) in con.execute("DESCRIBE first_changes").fetchall()}
        stored = [name for name in stored if name in before]
        first = "SELECT * FROM first_changes UNION ALL BY NAME "
    own = "".join(f", c.{ident(name)}" for name in stored if name != "customer_id")
    query = f"{first}SELECT id.customer_id{own} FROM ({_changed(con)}) id LEFT JOIN cur.customers c USING (customer_id)"
    if mine:
        query += " WHERE id.customer_id NOT IN (SELECT customer_id FROM first_changes)"
    written = con.execute(
        f"COPY (SELECT * FROM ({query}) ORDER BY customer_id) TO {literal(str(made))} "
        "(FORMAT parquet, COMPRESSION zstd, RETURN_STATS)"
    )
    names = [column[0] for column in written.description or ()]
    rows = written.fetchall()
    stats = dict(zip(names, rows[0], strict=True)) if rows else {"count": 0}
    if not stats["count"]:
        return others
    path = f"{TABLE}/day={run_date}/v{version:06d}.parquet"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    sync(made)
    made.replace(root / path)
    sync((root / path).parent)
    size = (root / path).stat().st_size
    new = DayFile(table=TABLE, day=run_date, path=path, rows=stats["count"], bytes=size, delivery=run_date)
    return (*others, new)


def customers_on(snapshot: Snapshot, day: date, *, columns: Sequence[str] | None = None) -> pl.LazyFrame:
    """The customers as the last delivery up to a day brought them, one row each.

    Columns that were delivered only later are null. What was before the first delivery isn't known. `columns`: the only
    ones that are read, customer_id among them.
    """
    now = snapshot.table("customers", columns=columns)
    later = [
        pl.scan_parquet(path, glob=False, hive_partitioning=False).with_columns(pl.lit(at).alias(_DAY))
        for at, path in _files(snapshot, day)
    ]
    if not later:
        return now if columns is None else now.select(columns)
    before = pl.concat(later, how="diagonal_relaxed").sort(_DAY, maintain_order=True)
    before = before.unique("customer_id", keep="first", maintain_order=True).drop(_DAY)
    same = now.join(before, on="customer_id", how="anti")
    found = pl.concat([same, before.filter(pl.col("registered_at").is_not_null())], how="diagonal_relaxed")
    return found if columns is None else found.select(columns)


def counts_by_day(snapshot: Snapshot, name: str, days: Sequence[date]) -> pl.DataFrame:
    """How many customers had each value of an attribute on each of some days: day, the attribute, customers.

    From the counts of today backwards, so that the cost is that of the changes, not of the days.
    """
    now = _values(snapshot.table("customers"), name).collect()
    files = _files(snapshot, min(days)) if days else []
    steps = [
        _values(pl.scan_parquet(path, glob=False, hive_partitioning=False), name).with_columns(pl.lit(at).alias(_DAY))
        for at, path in files
    ]
    tally = now.filter(_KNOWN).group_by(name).len("customers")
    frames = [tally.select(pl.lit(day).alias("day"), name, pl.col("customers").cast(pl.Int64)) for day in days]
    if steps:
        moves = pl.concat(steps, how="vertical_relaxed")
        theirs = now.lazy().join(moves, on="customer_id", how="semi").with_columns(pl.lit(None, pl.Date).alias(_DAY))
        changed = (
            pl.concat([moves, theirs], how="vertical_relaxed")
            .sort("customer_id", _DAY, nulls_last=True)
            .with_columns(
                pl.col(name).shift(-1).over("customer_id").alias(_NEXT),
                pl.col(_KNOWN).shift(-1, fill_value=False).over("customer_id").alias(_NEXT_KNOWN),
            )
            .filter(pl.col(_DAY).is_not_null())
            .collect()
        )
        gained = changed.filter(_KNOWN).select(_DAY, name, pl.lit(1, pl.Int64).alias("customers"))
        lost = changed.filter(_NEXT_KNOWN).select(
            _DAY, pl.col(_NEXT).alias(name), pl.lit(-1, pl.Int64).alias("customers")
        )
        net = pl.concat([gained, lost], how="vertical_relaxed").group_by(_DAY, name).agg(pl.col("customers").sum())
        frames += [net.filter(pl.col(_DAY) > day).select(pl.lit(day).alias("day"), name, "customers") for day in days]
    if not frames:
        return pl.DataFrame(schema={"day": pl.Date(), name: now.schema[name], "customers": pl.Int64()})
    summed = pl.concat(frames, how="vertical_relaxed").group_by("day", name).agg(pl.col("customers").sum())
    return summed.filter(pl.col("customers") > 0).sort("day", name)


def attributes(snapshot: Snapshot) -> dict[str, pl.DataType]:
    """Every column that customers have or had, with its type."""
    schema = dict(snapshot.schema("customers"))
    for file in snapshot.contents.files:
        if file.table == TABLE:
            schema = dict(pl.read_parquet_schema(snapshot.path(file))) | schema
    return schema


def _changed(con: Connection) -> str:
    """SELECT of the ids of customers who are new, gone, or differ in any column."""
    described = (
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ? AND table_name = 'customers'"
    )
    cur, new = (sorted(con.execute(described, [name]).fetchall()) for name in ("cur", "next"))
    if cur != new:
        return "SELECT customer_id FROM next.customers UNION SELECT customer_id FROM cur.customers"
    # Rows are compared by a hash of 64 bits, so that only the id and 8 bytes of each are held.
    whole = ", ".join(ident(name) for name, _ in cur)
    sides = [f"(SELECT customer_id, hash({whole}) AS h FROM {side}.customers)" for side in ("next", "cur")]
    return (
        f"SELECT coalesce(n.customer_id, c.customer_id) AS customer_id FROM {sides[0]} n FULL JOIN {sides[1]} c "
        "ON n.customer_id = c.customer_id WHERE n.h IS DISTINCT FROM c.h"
    )


def _files(snapshot: Snapshot, day: date) -> list[tuple[date, Path]]:
    """Day and file of every change after a day, the earliest first."""
    found = [file for file in snapshot.contents.files if file.table == TABLE and file.day > day]
    return [(file.day, snapshot.path(file)) for file in sorted(found, key=lambda file: file.day)]


def _values(frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """customer_id, one attribute (null where the frame lacks it), and whether this was a customer at all."""
    value = pl.col(name) if name in frame.collect_schema() else pl.lit(None).alias(name)
    return frame.select("customer_id", value, pl.col("registered_at").is_not_null().alias(_KNOWN))
