"""The checks of a whole staged table: unknown customers, repeated keys, forgotten people, and types of attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.warehouse import attribute_types, checks
from optinb.warehouse.contract import APP_USERS, CUSTOMER_IDS, DENIED
from optinb.warehouse.returning import RETURNING, note_returning
from optinb.warehouse.runs import repeated
from optinb.warehouse.sql import literal, numbers
from optinb.warehouse.staged import FORGOTTEN, Staged, good_rows, passed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import duckdb

    from optinb.warehouse.forgotten import Forgotten
    from optinb.warehouse.runs import Entries

_FIRST_ROWS = 10_000
_AT_ONCE = 1 << 24
_QUESTIONS = 60


def leave_out(con: duckdb.DuckDBPyConnection, staged: Staged, forgotten: Forgotten) -> None:
    """Leaves out the rows of people who were forgotten, under whatever id; also those that were refused already."""
    if not forgotten:
        return
    note_returning(con, staged.table, staged.name, forgotten)
    named = ("old", "new") if staged.table is CUSTOMER_IDS else ("customer_id",)
    theirs = " OR ".join(f"{column} IN (SELECT customer_id FROM {RETURNING})" for column in named)
    rows = f"SELECT rowid FROM {staged.name} WHERE {theirs}"
    con.execute(f"DELETE FROM {staged.rejects} WHERE row IN ({rows})")
    con.execute(f"INSERT INTO {staged.rejects} SELECT rowid, {literal(FORGOTTEN)} FROM ({rows})")


def empty_misfits(con: duckdb.DuckDBPyConnection, staged: Staged, kinds: Mapping[str, str]) -> None:
    """Empties every value of an attribute that doesn't fit the type which it was published with."""
    for i, name in enumerate(staged.attributes):
        kind = kinds.get(name, "VARCHAR")
        if kind != "VARCHAR":
            test = f"a{i} IS NOT NULL AND NOT {attribute_types.suits(kind, f'a{i}')}"
            empty(con, staged, i, test, attribute_types.misfit(name, kind))


def refuse_unknown(con: duckdb.DuckDBPyConnection, staged: Staged, *, customers: str, apps: Collection[str]) -> None:
    """Refuses rows whose customer isn't in `customers` (a table), and app users of an unknown app."""
    refuse(con, staged, f"customer_id NOT IN (SELECT customer_id FROM {customers})", checks.UNKNOWN_CUSTOMER)
    if staged.table is APP_USERS:
        known = ", ".join(literal(app) for app in sorted(apps)) or "NULL"
        refuse(con, staged, f"(app_id IN ({known})) IS NOT TRUE", checks.UNKNOWN_APP)


def refuse_duplicates(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Refuses every row whose key stood before among the good rows."""
    if not staged.table.key:
        return
    key = ", ".join(staged.table.key)
    # Keys are told apart by a hash: 8 bytes a row instead of the key, and only what collides is looked at.
    parts = 1 + staged.files[-1].after // _AT_ONCE
    for part in range(parts):
        some = f"SELECT hash({key}) AS n FROM {good_rows(con, staged)}" + f" WHERE n % {parts} = {part}" * (parts > 1)
        for hashes in numbers(con, some, at_once=staged.files[-1].after):
            _refuse_repeated(con, staged, key, repeated(hashes))


def _refuse_repeated(con: duckdb.DuckDBPyConnection, staged: Staged, key: str, hashes: Entries) -> None:
    import polars as pl

    if not len(hashes):
        return
    con.register("repeated_hashes", pl.DataFrame({"n": hashes}))
    con.execute(
        f"INSERT INTO {staged.rejects} SELECT row, {literal(checks.duplicate(staged.table))} FROM ("
        f"SELECT rowid AS row, row_number() OVER (PARTITION BY {key} ORDER BY rowid) AS nth FROM {staged.name} "
        f"WHERE hash({key}) IN (SELECT n FROM repeated_hashes) "
        f"AND {passed(con, staged)}) WHERE nth > 1"
    )
    # Of rows that contradict each other the first stays, and with it whatever any of them denies.
    for name, denied in DENIED.get(staged.table.name, {}).items():
        theirs = (
            f"SELECT ({key}) FROM {staged.name} "
            f"WHERE hash({key}) IN (SELECT n FROM repeated_hashes) AND {name} = {denied}"
        )
        con.execute(
            f"UPDATE {staged.name} SET {name} = {denied} "
            f"WHERE {name} IS DISTINCT FROM {denied} AND ({key}) IN ({theirs})"
        )
    con.unregister("repeated_hashes")


def types_of_attributes(con: duckdb.DuckDBPyConnection, staged: Staged, known: Mapping[str, str]) -> dict[str, str]:
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
        dict.fromkeys((i for i, _ in new), attribute_types.ATTRIBUTE_TYPES),
        f"(FROM {good_rows(con, staged)} LIMIT {_FIRST_ROWS})",
    )
    possible = _fitting(
        con, {i: kinds or attribute_types.ATTRIBUTE_TYPES for i, kinds in possible.items()}, good_rows(con, staged)
    )
    return kinds | {name: possible[i][0] for i, name in new if possible[i]}


def _fitting(con: duckdb.DuckDBPyConnection, kinds: Mapping[int, Sequence[str]], rows: str) -> dict[int, list[str]]:
    """Of the given types of each attribute those that all its values in `rows` allow; none if it has no value."""
    fitting: dict[int, list[str]] = {i: [] for i in kinds}
    # The planner's time grows with the square of the number of questions.
    questions = [(i, kind) for i, some in kinds.items() for kind in some]
    for start in range(0, len(questions), _QUESTIONS):
        asked = questions[start : start + _QUESTIONS]
        tests = [f"bool_and({attribute_types.fits(kind, f'a{i}')}) FILTER (a{i} IS NOT NULL)" for i, kind in asked]
        verdicts = con.execute(f"SELECT {', '.join(tests)} FROM {rows}").fetchone() or ()
        for (i, kind), fits in zip(asked, verdicts, strict=True):
            if fits:
                fitting[i].append(kind)
    return fitting


def empty(con: duckdb.DuckDBPyConnection, staged: Staged, i: int, test: str, reason: str) -> None:
    """Empties the values of an attribute that fulfil a test."""
    found = con.execute(
        f"INSERT INTO {staged.emptied} SELECT rowid, {literal(staged.attributes[i])}, {literal(reason)}, a{i} "
        f"FROM {staged.name} WHERE {test}"
    ).fetchall()
    if found[0][0]:
        con.execute(f"UPDATE {staged.name} SET a{i} = NULL WHERE {test}")


def refuse(con: duckdb.DuckDBPyConnection, staged: Staged, test: str, reason: str) -> None:
    con.execute(
        f"INSERT INTO {staged.rejects} SELECT rowid, {literal(reason)} FROM {staged.name} "
        f"WHERE {test} AND {passed(con, staged)}"
    )
