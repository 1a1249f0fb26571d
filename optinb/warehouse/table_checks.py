"""The checks of a whole staged table: unknown customers, repeated keys, forgotten people, and types of attributes.

Events come again within a delivery, and beside what earlier deliveries brought. An event with an `event_id` is told
apart by it: a later delivery's row replaces the earlier one, as transactions do. Of two rows with one id in the same
delivery the first stays; the other is left out where it says the same, and refused where it doesn't.

An event without an id is told apart by all that it says. Two equal rows of one delivery may be two events of the same
second, and both stay; a row that is equal to one of an earlier delivery is that one, sent again, and is left out. Only
the files of the days that the delivery brings rows of are read, however long the history is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from optinb.warehouse import checks
from optinb.warehouse.contract import APP_USERS, CUSTOMER_IDS, DENIED, REDEMPTIONS, TABLES, Table
from optinb.warehouse.days import DayFile, require_whole, scan_of
from optinb.warehouse.forgotten import RETURNING, Forgotten, note_returning
from optinb.warehouse.keyindex import repeated
from optinb.warehouse.sql import Connection, ident, literal, numbers, readable, with_frames
from optinb.warehouse.staged import FORGOTTEN, REPEATED, Staged, good_rows, passed

if TYPE_CHECKING:
    from optinb.warehouse.report import TableReport


_FIRST_ROWS = 10_000
_AT_ONCE = 1 << 24
_QUESTIONS = 60


def leave_out(con: Connection, staged: Staged, forgotten: Forgotten) -> None:
    """Leaves out the rows of people who were forgotten, under whatever id; also those that were refused already."""
    if not forgotten:
        return
    note_returning(con, staged.table, staged.name, forgotten)
    named = ("old", "new") if staged.table is CUSTOMER_IDS else ("customer_id",)
    theirs = " OR ".join(f"{column} IN (SELECT customer_id FROM {RETURNING})" for column in named)
    rows = f"SELECT rowid FROM {staged.name} WHERE {theirs}"
    con.execute(f"DELETE FROM {staged.rejects} WHERE row IN ({rows})")
    con.execute(f"INSERT INTO {staged.rejects} SELECT rowid, {literal(FORGOTTEN)} FROM ({rows})")


def empty_misfits(con: Connection, staged: Staged, kinds: Mapping[str, str]) -> None:
    """Empties every value of an attribute that doesn't fit the type which it was published with."""
    for i, name in enumerate(staged.attributes):
        kind = kinds.get(name, "VARCHAR")
        if kind != "VARCHAR":
            test = f"a{i} IS NOT NULL AND NOT {checks.suits(kind, f'a{i}')}"
            empty(con, staged, i, test, checks.misfit(name, kind))


def refuse_unknown(con: Connection, staged: Staged, *, customers: str, apps: Collection[str]) -> None:
    """Refuses rows whose customer isn't in `customers` (a table), and app users of an unknown app."""
    refuse(con, staged, f"customer_id NOT IN (SELECT customer_id FROM {customers})", checks.UNKNOWN_CUSTOMER)
    if staged.table is APP_USERS:
        known = ", ".join(literal(app) for app in sorted(apps)) or "NULL"
        refuse(con, staged, f"(app_id IN ({known})) IS NOT TRUE", checks.UNKNOWN_APP)
    if staged.table is REDEMPTIONS:
        refuse(con, staged, "code IS NULL AND offer IS NULL", checks.REDEEMED_NOTHING)
        refuse(con, staged, "code IS NULL AND customer_id IS NULL", checks.NOBODY_REDEEMED)


def refuse_duplicates(con: Connection, staged: Staged) -> None:
    """Refuses every row whose key stood before among the good rows."""
    if not staged.table.key:
        return
    key = ", ".join(staged.table.key)
    for hashes in _repeated(con, staged, key):
        same = f"hash({key}) IN (SELECT n FROM repeated_hashes)"
        with_frames(
            con,
            f"INSERT INTO {staged.rejects} SELECT row, {literal(checks.duplicate(staged.table))} FROM ("
            f"SELECT rowid AS row, row_number() OVER (PARTITION BY {key} ORDER BY rowid) AS nth FROM {staged.name} "
            f"WHERE {same} AND {passed(con, staged)}) WHERE nth > 1",
            repeated_hashes=hashes,
        )
        # Of rows that contradict each other the first stays, and with it whatever any of them denies.
        for name, denied in DENIED.get(staged.table.name, {}).items():
            theirs = f"SELECT ({key}) FROM {staged.name} WHERE {same} AND {name} = {denied}"
            with_frames(
                con,
                f"UPDATE {staged.name} SET {name} = {denied} "
                f"WHERE {name} IS DISTINCT FROM {denied} AND ({key}) IN ({theirs})",
                repeated_hashes=hashes,
            )


def _repeated(con: Connection, staged: Staged, key: str, test: str = "true") -> Iterator[pl.DataFrame]:
    """The hashes (`n`) of keys that stand more than once among the good rows that fulfil a test, in parts.

    Keys are told apart by a hash: 8 bytes a row instead of the key, and only what collides is looked at.
    """
    parts = 1 + staged.files[-1].after // _AT_ONCE
    for part in range(parts):
        within = f"{test} AND n % {parts} = {part}" if parts > 1 else test
        some = f"SELECT hash({key}) AS n FROM {good_rows(con, staged)} WHERE {within}"
        for hashes in map(repeated, numbers(con, some, at_once=staged.files[-1].after)):
            if len(hashes):
                yield pl.DataFrame({"n": hashes})


def types_of_attributes(con: Connection, staged: Staged, known: Mapping[str, str]) -> dict[str, str]:
    """Type of each attribute: the published one, else the narrowest that all its good values allow.

    An attribute without any value is left out: its type is open until the first one comes.
    """
    kinds = {name: known[name] for name in staged.attributes if name in known}
    new = [(i, name) for i, name in enumerate(staged.attributes) if name not in known]
    if not new:
        return kinds
    # Most types are out of the question after a few rows; only the rest are held against all of them.
    possible = _fitting(
        con,
        dict.fromkeys((i for i, _ in new), checks.ATTRIBUTE_TYPES),
        f"(FROM {good_rows(con, staged)} LIMIT {_FIRST_ROWS})",
    )
    possible = _fitting(
        con, {i: kinds or checks.ATTRIBUTE_TYPES for i, kinds in possible.items()}, good_rows(con, staged)
    )
    return kinds | {name: possible[i][0] for i, name in new if possible[i]}


def _fitting(con: Connection, kinds: Mapping[int, Sequence[str]], rows: str) -> dict[int, list[str]]:
    """Of the given types of each attribute those that all its values in `rows` allow; none if it has no value."""
    fitting: dict[int, list[str]] = {i: [] for i in kinds}
    # The planner's time grows with the square of the number of questions.
    questions = [(i, kind) for i, some in kinds.items() for kind in some]
    for start in range(0, len(questions), _QUESTIONS):
        asked = questions[start : start + _QUESTIONS]
        tests = [f"bool_and({checks.fits(kind, f'a{i}')}) FILTER (a{i} IS NOT NULL)" for i, kind in asked]
        verdicts = con.execute(f"SELECT {', '.join(tests)} FROM {rows}").fetchone() or ()
        for (i, kind), fits in zip(asked, verdicts, strict=True):
            if fits:
                fitting[i].append(kind)
    return fitting


def empty(con: Connection, staged: Staged, i: int, test: str, reason: str) -> None:
    """Empties the values of an attribute that fulfil a test."""
    found = con.execute(
        f"INSERT INTO {staged.emptied} SELECT rowid, {literal(staged.attributes[i])}, {literal(reason)}, a{i} "
        f"FROM {staged.name} WHERE {test}"
    ).fetchall()
    if found[0][0]:
        con.execute(f"UPDATE {staged.name} SET a{i} = NULL WHERE {test}")


def refuse(con: Connection, staged: Staged, test: str, reason: str) -> None:
    con.execute(
        f"INSERT INTO {staged.rejects} SELECT rowid, {literal(reason)} FROM {staged.name} "
        f"WHERE {test} AND {passed(con, staged)}"
    )


def _roughly(table: Table) -> str:
    """SQL of a number that rows have in common which are of the same customer and moment."""
    return f"hash(customer_id, {table.by_day})"


def leave_out_repeated(
    con: Connection, staged: Staged, *, stored: Iterable[DayFile], root: Path, drop_equal: bool
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
    key = TABLES[report.table].optional_key or ""
    return (
        f"{report.table}: {report.repeated:,} rows came before and are left out; if they are further {report.table}, "
        f"tell them apart by their {key}, or set drop_repeated_events = false under [import] in optinb.toml"
    )


def _leave_out_same_ids(con: Connection, staged: Staged, key: str) -> None:
    """Of rows of this delivery with one id all but the first."""
    said = f"({', '.join(ident(name) for name in staged.table.stored())})"
    for hashes in _repeated(con, staged, key, f"{key} IS NOT NULL"):
        with_frames(
            con,
            f"INSERT INTO {staged.rejects} SELECT row, "
            f"CASE WHEN alike THEN {literal(REPEATED)} ELSE {literal(duplicate_of(staged.table))} END FROM ("
            f"SELECT rowid AS row, row_number() OVER ids AS nth, "
            f"row{said} IS NOT DISTINCT FROM first_value(row{said}) OVER ids AS alike FROM {staged.name} "
            f"WHERE hash({key}) IN (SELECT n FROM repeated_hashes) AND {key} IS NOT NULL "
            f"AND {passed(con, staged)} "
            f"WINDOW ids AS (PARTITION BY {key} ORDER BY rowid)) WHERE nth > 1",
            repeated_hashes=hashes,
        )


def duplicate_of(table: Table) -> str:
    """Why a row is refused whose optional key stood before in the same delivery, with something else beside it."""
    return (
        checks.duplicate(table)
        if table.key
        else f"{table.optional_key} stood before in this delivery: the first row stays"
    )


def _leave_out_equal(
    con: Connection,
    staged: Staged,
    key: str,
    files: Sequence[DayFile],
    *,
    root: Path,
    with_ids: bool,
) -> None:
    """Rows that are equal to a stored one in everything but an id that one of the two hasn't got."""
    roughly = _roughly(staged.table)
    near, stored = _near(files, _days(con, good_rows(con, staged)), root)
    if not near:
        return
    # A row without an id is any row that says the same; one with an id can only be one that was stored without.
    sides = [("IS NULL", "true"), ("IS NOT NULL", f"{key} IS NULL")] if with_ids else [("IS NULL", "true")]
    require_whole(root, near)
    with readable(f"the published {staged.table.name} of {near[0].day} to {near[-1].day}"):
        # Most rows are told apart by whose they are and when, a number of 8 bytes; only the rest is compared in full.
        con.execute(
            f"CREATE TEMP TABLE perhaps AS SELECT rowid AS row, day, {roughly} AS n FROM {staged.name} "
            f"WHERE {roughly} IN (SELECT {roughly} FROM {stored})"
        )
        near, stored = _near(near, _days(con, "perhaps"), root)
        alike = " AND ".join(
            f"s.{ident(name)} IS NOT DISTINCT FROM d.{ident(name)}" for name in staged.table.stored() if name != key
        )
        for delivered, before in sides if near else ():
            con.execute(
                f"INSERT INTO {staged.rejects} SELECT s.rowid, {literal(REPEATED)} FROM {staged.name} s SEMI JOIN "
                f"(SELECT * FROM {stored} WHERE {before} AND {roughly} IN (SELECT n FROM perhaps)) d ON {alike} "
                f"WHERE s.rowid IN (SELECT row FROM perhaps) AND s.{key} {delivered} "
                f"AND s.rowid NOT IN (SELECT row FROM {staged.rejects})"
            )
        con.execute("DROP TABLE perhaps")


def _near(files: Iterable[DayFile], days: Collection[date], root: Path) -> tuple[list[DayFile], str]:
    """The files in which rows of some days may lie, and SQL of these rows."""
    near = [file for file in files if any(file.holds(day) for day in days)]
    some = ", ".join(f"DATE '{day}'" for day in sorted(days))
    return near, f"(SELECT * FROM {scan_of(root, near)} WHERE day IN ({some}))" if near else ""


def _days(con: Connection, rows: str) -> set[date]:
    return {row[0] for row in con.execute(f"SELECT DISTINCT day FROM {rows}").fetchall()}
