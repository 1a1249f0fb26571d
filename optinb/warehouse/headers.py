"""Which columns of the contract a delivery has, and which of them earlier deliveries brought."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.warehouse.contract import TABLES
from optinb.warehouse.damage import readable
from optinb.warehouse.sql import exact_path, ident, literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import duckdb

    from optinb.warehouse.building import Contents
    from optinb.warehouse.contract import Column, Table
    from optinb.warehouse.report import ColumnFigures

IGNORED = "columns that the contract doesn't know are ignored"


class FileHeader(Struct, frozen=True, kw_only=True):
    """The columns of one delivered file. `sparse`: a row without a value may leave the column out, as in NDJSON."""

    file: str
    columns: tuple[str, ...]
    rows: int
    sparse: bool = False

    @property
    def tells(self) -> bool:
        """Whether the file says which columns there are."""
        return not self.sparse or self.rows > 0


class Earlier(Struct, frozen=True, kw_only=True):
    """What earlier deliveries of a table brought.

    Attributes:
        delivered: the columns of the contract that some delivery had.
        everywhere: those that every part of the last one had.
        further: other columns that are known already, as attributes or as ignored.
        filled: of columns, the share of rows that had a value.
    """

    delivered: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()
    further: frozenset[str] = frozenset()
    filled: dict[str, float] = {}


def in_every_part(table: Table, files: Sequence[FileHeader]) -> tuple[str, ...]:
    """The columns of the contract that every file has."""
    told = [set(file.columns) for file in files if file.tells]
    return tuple(c.name for c in table.columns if told and all(c.name in columns for columns in told))


def in_some_part(table: Table, files: Sequence[FileHeader]) -> frozenset[str]:
    """The columns of the contract that at least one file has."""
    return frozenset(c.name for c in table.columns for file in files if c.name in file.columns)


def earlier_of(
    contents: Contents | None,
    table: Table,
    *,
    delivered: Mapping[str, frozenset[str]],
    further: Collection[str],
    figures: Mapping[str, ColumnFigures],
) -> Earlier:
    """What earlier deliveries of a table brought, by what the published version tells of them.

    Args:
        contents: of the published version, None before the first.
        table: the one that is looked at.
        delivered: as `columns_delivered` tells.
        further: attributes of customers that were published.
        figures: what is usual for the table's columns.
    """
    deliveries = contents.deliveries if contents else ()
    reports = [report for d in deliveries for report in d.report.brought if report.table == table.name]
    told = [report for report in reports if report.columns]
    ignored = {
        name
        for d in deliveries
        for warning in d.report.warnings
        if warning.startswith(f"{table.name}: {IGNORED}")
        for name in warning.partition(IGNORED)[2].split("'")[1::2]
    }
    return Earlier(
        delivered=delivered.get(table.name, frozenset()),
        everywhere=frozenset(told[-1].columns) if told else frozenset(),
        further=frozenset(further) if table.attributes else frozenset(ignored),
        filled={name: 1 - one.nulls for name, one in figures.items() if one.nulls is not None},
    )


def columns_delivered(con: duckdb.DuckDBPyConnection, contents: Contents) -> dict[str, frozenset[str]]:
    """By table, the columns of the contract that some earlier delivery brought; `cur` is the published version.

    Of a table whose reports don't tell, as those of optinb 0.1, a column counts that has any value other than its
    default; of a table by day that its newest files have.
    """
    found: dict[str, frozenset[str]] = {}
    for table in TABLES.values():
        reports = [report for d in contents.deliveries for report in d.report.brought if report.table == table.name]
        told = frozenset(name for report in reports for name in (*report.delivered, *report.columns))
        if reports:
            found[table.name] = told or _by_values(con, contents, table)
    return found


def _by_values(con: duckdb.DuckDBPyConnection, contents: Contents, table: Table) -> frozenset[str]:
    rows, there = published_rows(con, contents, table)
    if rows is None:
        return frozenset(table.required)
    asked = [column for column in table.columns if column.name in there and not column.required]
    tests = [f"coalesce({_some(column)}, false)" for column in asked] or ["NULL"]
    with readable(f"the published table {table.name!r}"):
        verdicts = con.execute(f"SELECT {', '.join(tests)} FROM {rows}").fetchone() or ()
    return frozenset(table.required) | {c.name for c, found in zip(asked, verdicts, strict=False) if found}


def _some(column: Column) -> str:
    """A test whether a column has values that it wouldn't have if it had never been delivered."""
    value = ident(column.name)
    match column.default:
        case "true":
            return f"bool_or(NOT {value})"
        case "false":
            return f"bool_or({value})"
        case "customer_id":
            return f"bool_or({value} <> customer_id)"
        case "currency":
            return f"count(DISTINCT {value}) > 1"
        case _:
            return f"count({value}) > 0"


def published_rows(
    con: duckdb.DuckDBPyConnection, contents: Contents, table: Table
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
