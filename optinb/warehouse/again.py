"""Rows of events that come again: within a delivery, and beside what earlier deliveries brought.

An event with an `event_id` is told apart by it: a later delivery's row replaces the earlier one, as transactions do. Of
two rows with one id in the same delivery the first stays; the other is left out where it says the same, and refused
where it doesn't.

An event without an id is told apart by all that it says. Two equal rows of one delivery may be two events of the same
second, and both stay; a row that is equal to one of an earlier delivery is that one, sent again, and is left out. Only
the files of the days that the delivery brings rows of are read, however long the history is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.warehouse.checks import duplicate
from optinb.warehouse.damage import readable
from optinb.warehouse.days import require_whole, scan_of
from optinb.warehouse.runs import repeated
from optinb.warehouse.sql import ident, literal, numbers
from optinb.warehouse.staged import good_rows, passed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date
    from pathlib import Path

    import duckdb

    from optinb.warehouse.contract import Table
    from optinb.warehouse.days import DayFile
    from optinb.warehouse.report import TableReport
    from optinb.warehouse.staged import Staged

REPEATED = "repeated"  # the reason of rows that are left out because they came before
_AT_ONCE = 1 << 24
_ROUGHLY = "hash(customer_id, occurred_at)"


def leave_out_repeated(
    con: duckdb.DuckDBPyConnection, staged: Staged, *, stored: Iterable[DayFile], root: Path, drop_equal: bool
) -> None:
    """Adds the rows of a table with an optional key that came before to its rejects.

    Args:
        con: the connection of the import.
        staged: the rows, of which those that are refused already are left alone.
        stored: the Parquet files of all tables that the delivery adds to.
        root: the warehouse folder, in which they lie.
        drop_equal: whether rows without an id that are equal to stored ones are left out.
    """
    key = staged.table.optional_key
    if key is None:
        return
    delivered = any(key in file.source.columns for file in staged.files)
    if delivered:
        _leave_out_same_ids(con, staged, key)
    files = [file for file in stored if file.table == staged.table.name]
    if drop_equal and files:
        _leave_out_equal(con, staged, key, files, root=root, with_ids=delivered)


def told(report: TableReport) -> str:
    """The warning about a table of which rows came again."""
    return (
        f"{report.table}: {report.repeated:,} rows came before and are left out; if they are further events, tell them "
        "apart by an event_id, or set drop_repeated_events = false under [import] in optinb.toml"
    )


def _leave_out_same_ids(con: duckdb.DuckDBPyConnection, staged: Staged, key: str) -> None:
    """Of rows of this delivery with one id all but the first."""
    import polars as pl

    # By hashes, 8 bytes a row, as `Stager.refuse_duplicates` tells keys apart.
    parts = 1 + staged.files[-1].after // _AT_ONCE
    said = f"({', '.join(ident(name) for name in staged.table.stored())})"
    for part in range(parts):
        some = f"SELECT hash({key}) AS n FROM {good_rows(con, staged)} WHERE {key} IS NOT NULL"
        some += f" AND n % {parts} = {part}" * (parts > 1)
        for hashes in numbers(con, some, at_once=staged.files[-1].after):
            twice = repeated(hashes)
            if not len(twice):
                continue
            con.register("repeated_hashes", pl.DataFrame({"n": twice}))
            con.execute(
                f"INSERT INTO {staged.rejects} SELECT row, "
                f"CASE WHEN alike THEN {literal(REPEATED)} ELSE {literal(duplicate_of(staged.table))} END FROM ("
                f"SELECT rowid AS row, row_number() OVER ids AS nth, "
                f"row{said} IS NOT DISTINCT FROM first_value(row{said}) OVER ids AS alike FROM {staged.name} "
                f"WHERE hash({key}) IN (SELECT n FROM repeated_hashes) AND {key} IS NOT NULL "
                f"AND {passed(con, staged)} "
                f"WINDOW ids AS (PARTITION BY {key} ORDER BY rowid)) WHERE nth > 1"
            )
            con.unregister("repeated_hashes")


def duplicate_of(table: Table) -> str:
    """Why a row is refused whose optional key stood before in the same delivery, with something else beside it."""
    return duplicate(table) if table.key else f"{table.optional_key} stood before in this delivery: the first row stays"


def _leave_out_equal(
    con: duckdb.DuckDBPyConnection,
    staged: Staged,
    key: str,
    files: Sequence[DayFile],
    *,
    root: Path,
    with_ids: bool,
) -> None:
    """Rows that are equal to a stored one in everything but an id that one of the two hasn't got."""
    near, stored = _near(files, _days(con, good_rows(con, staged)), root)
    if not near:
        return
    # A row without an id is any row that says the same; one with an id can only be one that was stored without.
    sides = [("IS NULL", "true"), ("IS NOT NULL", f"{key} IS NULL")] if with_ids else [("IS NULL", "true")]
    require_whole(root, near)
    with readable(f"the published {staged.table.name} of {near[0].day} to {near[-1].day}"):
        # Most rows are told apart by whose they are and when, a number of 8 bytes; only the rest is compared in full.
        con.execute(
            f"CREATE TEMP TABLE perhaps AS SELECT rowid AS row, day, {_ROUGHLY} AS n FROM {staged.name} "
            f"WHERE {_ROUGHLY} IN (SELECT {_ROUGHLY} FROM {stored})"
        )
        near, stored = _near(near, _days(con, "perhaps"), root)
        alike = " AND ".join(
            f"s.{ident(name)} IS NOT DISTINCT FROM d.{ident(name)}" for name in staged.table.stored() if name != key
        )
        for delivered, before in sides if near else ():
            con.execute(
                f"INSERT INTO {staged.rejects} SELECT s.rowid, {literal(REPEATED)} FROM {staged.name} s SEMI JOIN "
                f"(SELECT * FROM {stored} WHERE {before} AND {_ROUGHLY} IN (SELECT n FROM perhaps)) d ON {alike} "
                f"WHERE s.rowid IN (SELECT row FROM perhaps) AND s.{key} {delivered} "
                f"AND s.rowid NOT IN (SELECT row FROM {staged.rejects})"
            )
        con.execute("DROP TABLE perhaps")


def _near(files: Iterable[DayFile], days: Collection[date], root: Path) -> tuple[list[DayFile], str]:
    """The files in which rows of some days may lie, and SQL of these rows."""
    near = [file for file in files if any(file.holds(day) for day in days)]
    some = ", ".join(f"DATE '{day}'" for day in sorted(days))
    return near, f"(SELECT * FROM {scan_of(root, near)} WHERE day IN ({some}))" if near else ""


def _days(con: duckdb.DuckDBPyConnection, rows: str) -> set[date]:
    return {row[0] for row in con.execute(f"SELECT DISTINCT day FROM {rows}").fetchall()}
