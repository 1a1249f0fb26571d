"""Measures what the columns of a table hold: exact shares of a whole table, the rest on a sample of its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from optinb.warehouse.report import ColumnFigures
from optinb.warehouse.sql import Connection, exact_path, ident, literal, readable
from optinb.warehouse.staged import Staged, passed

if TYPE_CHECKING:
    from optinb.warehouse import building, contract

# Enough for shares within half a percent; more would cost time, and gates ask for larger changes.
SAMPLE = 60_000
# Rows are taken as DuckDB keeps them, by whole blocks, since others would be read for nothing.
_BLOCK = 2048
# Of more columns the figures would be larger than the night's other news.
MOST_ATTRIBUTES = 200
_AT_ONCE = 20
Sort = Literal["flag", "number", "text", "plain"]
# By the kind of a column of the contract, and the type of an attribute; all others are texts.
_SORTS: Mapping[str, Sort] = {
    "flag": "flag",
    "BOOLEAN": "flag",
    "number": "number",
    "BIGINT": "number",
    "DOUBLE": "number",
    "time": "plain",
    "json": "plain",
    "TIMESTAMP": "plain",
}


class MeasuredColumn(Struct, frozen=True):
    """A column to measure: its value in SQL (null where it is missing), and what can be told of it."""

    name: str
    value: str
    sort: Sort


def staged_figures(
    con: Connection,
    staged: Staged,
    kinds: Mapping[str, str],
    *,
    delivered: Collection[str],
    watched: Collection[str],
) -> dict[str, ColumnFigures]:
    """Figures of a staged table's good rows.

    Args:
        con: where it is staged.
        staged: the table.
        kinds: types of its attributes, as far as they are known.
        delivered: the columns of the contract that some file has.
        watched: attributes that are measured in any case, where there are very many.
    """
    columns = _contract(staged.table, delivered)
    numbered = sorted(enumerate(staged.attributes), key=lambda item: item[1] not in watched)[:MOST_ATTRIBUTES]
    columns += [_attribute(name, f"a{i}", kinds.get(name, "VARCHAR"), text=True) for i, name in sorted(numbered)]
    refused = passed(con, staged)
    return _figures(con, staged.name, columns, where=refused, exact=staged.table.by_day is None)


def published_figures(
    con: Connection, contents: building.Contents, table: contract.Table, *, delivered: Collection[str]
) -> dict[str, ColumnFigures]:
    """Figures of a published table that no report has: what a column's default filled is not told from other rows."""
    rows, there = published_rows(con, contents, table)
    if rows is None:
        return {}
    columns = [column for column in _contract(table, delivered) if column.name in there]
    if table.attributes:
        kinds = {a.name: a.kind for a in contents.attributes if a.name in there}
        some = sorted(kinds.items())[:MOST_ATTRIBUTES]
        columns += [_attribute(name, ident(name), kind, text=False) for name, kind in some]
    if table.by_day is not None:
        rows = f"(SELECT * FROM {rows} LIMIT {SAMPLE})"
    found = _figures(con, rows, columns, exact=table.by_day is None, blocks=table.by_day is None)
    defaults = {column.name for column in table.columns if column.default}
    return {name: replace(figures, nulls=None) if name in defaults else figures for name, figures in found.items()}


def _contract(table: contract.Table, delivered: Collection[str]) -> list[MeasuredColumn]:
    found = [_own(table, column) for column in table.columns if column.name in delivered]
    return [column for column in found if column is not None]


def _own(table: contract.Table, column: contract.Column) -> MeasuredColumn | None:
    value = ident(column.name)
    if column.name == "customer_id" or column.name in table.key or (column.required and column.kind == "time"):
        return None
    if column.kind == "key":
        value = f"nullif({value}, '')"
    return MeasuredColumn(column.name, value, _SORTS.get(column.kind, "text"))


def _attribute(name: str, value: str, kind: str, *, text: bool) -> MeasuredColumn:
    if kind in ("BIGINT", "DOUBLE") or (text and kind == "BOOLEAN"):
        value = f"TRY_CAST({value} AS {'DOUBLE' if kind == 'BIGINT' else kind})"
    return MeasuredColumn(name, value, _SORTS.get(kind, "text"))


def _figures(
    con: Connection,
    rows: str,
    columns: Sequence[MeasuredColumn],
    *,
    where: str = "true",
    exact: bool,
    blocks: bool = True,
) -> dict[str, ColumnFigures]:
    if not columns:
        return {}
    (count,) = con.execute(f"SELECT count(*) FROM {rows}").fetchone() or (0,)
    every = 1 + (count - 1) // SAMPLE if blocks and count else 1
    some = f"{where} AND (rowid // {_BLOCK}) % {every} = 0" if every > 1 else where
    values = ", ".join(f"{column.value} AS v{i}" for i, column in enumerate(columns))
    con.execute(f"CREATE OR REPLACE TEMP TABLE measured AS SELECT {values} FROM {rows} WHERE {some}")
    try:
        counted = f"(SELECT {values} FROM {rows} WHERE {where})" if exact and every > 1 else "measured"
        shares = _shares(con, counted, columns)
        told = _values(con, columns)
    finally:
        con.execute("DROP TABLE measured")
    return {c.name: ColumnFigures(**shares[c.name], **told.get(c.name, {})) for c in columns if c.name in shares}


def _shares(con: Connection, rows: str, columns: Sequence[MeasuredColumn]) -> dict[str, dict[str, Any]]:
    """Rows, and the shares of nulls and of true."""
    asked = ["count(*)"]
    for i, column in enumerate(columns):
        asked += [f"count(v{i})", f"count_if(v{i})" if column.sort == "flag" else "NULL"]
    counts: tuple[Any, ...] = con.execute(f"SELECT {', '.join(asked)} FROM {rows}").fetchone() or (0,)
    whole, found = counts[0], counts[1:]
    if not whole:
        return {}
    shares: dict[str, dict[str, Any]] = {}
    for i, column in enumerate(columns):
        known, true = found[2 * i], found[2 * i + 1]
        shares[column.name] = {"rows": whole, "nulls": _round(1 - known / whole)}
        if true is not None and known:
            shares[column.name]["true"] = _round(true / known)
    return shares


def _values(con: Connection, columns: Sequence[MeasuredColumn]) -> dict[str, dict[str, Any]]:
    """How many different values the sample has, and the quarters of numbers."""
    found: dict[str, dict[str, Any]] = {}
    numbered = [(i, column) for i, column in enumerate(columns) if column.sort in ("number", "text")]
    for start in range(0, len(numbered), _AT_ONCE):
        part = numbered[start : start + _AT_ONCE]
        asked = [
            f"(SELECT [count(*), sum(n), sum(n * n)] FROM (SELECT count(*)::DOUBLE AS n FROM measured "
            f"WHERE v{i} IS NOT NULL GROUP BY v{i}))"
            for i, _ in part
        ]
        told: tuple[Any, ...] = con.execute(f"SELECT {', '.join(asked)}").fetchone() or ()
        for (_, column), (different, rows, squares) in zip(part, told, strict=True):
            if different:
                evenly = _round(rows * rows / squares)
                found[column.name] = {"sampled": int(rows), "distinct": int(different), "evenly": evenly}
    numbers = [(i, column) for i, column in numbered if column.sort == "number" and column.name in found]
    if numbers:
        asked = [f"quantile_cont(v{i}, [0.25, 0.5, 0.75]) FILTER (isfinite(v{i}))" for i, _ in numbers]
        told = con.execute(f"SELECT {', '.join(asked)} FROM measured").fetchone() or ()
        for (_, column), quarters in zip(numbers, told, strict=True):
            if quarters:
                found[column.name] |= dict(zip(("low", "median", "high"), map(_round, quarters), strict=True))
    return found


def _round(value: float) -> float:
    """A figure with as many digits as it tells: each night keeps them."""
    return float(f"{value:.6g}")


def published_rows(
    con: Connection, contents: building.Contents, table: contract.Table
) -> tuple[str | None, frozenset[str]]:
    """SQL of a published table (of one by day, of its newest files), and its columns; None where there is none."""
    if table.by_day is None:
        columns = con.execute(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = 'cur' AND table_name = ?", [table.name]
        ).fetchall()
        return (f"cur.{ident(table.name)}" if columns else None), frozenset(name for (name,) in columns)
    files = [file for file in contents.files if file.table == table.name]
    newest = max((file.delivery for file in files), default=None)
    if newest is None:
        return None, frozenset()
    (home,) = con.execute("SELECT path FROM duckdb_databases() WHERE database_name = 'cur'").fetchone() or ("",)
    paths = [exact_path(Path(home).parent / file.path) for file in files if file.delivery == newest]
    rows = f"read_parquet([{', '.join(map(literal, paths))}], union_by_name = true, hive_partitioning = false)"
    with readable(f"the files of {table.name!r}"):
        columns = con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
    return rows, frozenset(row[0] for row in columns)
