"""What permits to write to somebody never becomes more permissive by absence.

Where a delivered value of such a column is missing or can't be read, what was delivered last of that person stays. Of
whom nothing was delivered nothing is known, and nothing is permitted: consent is null, the external user id empty.
Other values of the contract that couldn't be read, or whose column isn't delivered any more, stay as they were too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.warehouse.contract import APP_USERS, CUSTOMERS
from optinb.warehouse.damage import readable
from optinb.warehouse.sql import ident, literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import duckdb

    from optinb.warehouse.staging import Staged

NOBODY = ""  # the external user id of whom Appboy can't know

# How the values of several ids of one person become one: the stricter counts.
_STRICTER = {"push_opt_in": "bool_and", "push_enabled": "bool_and", "is_blocked": "bool_or", "is_test": "bool_or"}


def carry(
    con: duckdb.DuckDBPyConnection, staged: Staged, *, before: Collection[str], last: str | None
) -> Iterator[str]:
    """Fills what is missing of a staged whole table with what was delivered last, and says what was filled.

    Args:
        con: with the tables persons_before and persons_now (customer_id, person_id) of those whose person isn't told
            by their customer_id.
        staged: customers or app users, of which every reject is known.
        before: the columns of the contract that earlier deliveries brought.
        last: the attached version of the night before, None where there was none.

    Yields:
        sentences for the people who prepare the files.
    """
    table = staged.table
    kept = set(before) if last else set()
    permitting = [c.name for c in table.columns if c.permits and c.name in {*staged.delivered, *before}]
    gone = [c.name for c in table.columns if not (c.permits or c.required) and c.name in kept - staged.delivered]
    unread = _unread(con, staged) - set(permitting)
    for name in permitting:
        missing = f"{ident(name)} IS NULL"
        empty = _count(con, staged, missing)
        if not empty:
            continue
        found = _fill(con, staged, last, name, missing) if name in kept else 0
        if table is CUSTOMERS and name == "external_user_id":
            con.execute(f"UPDATE {staged.name} SET external_user_id = {literal(NOBODY)} WHERE {missing}")
        yield _sentence(table.name, name, empty, found)
    for name in gone:
        _fill(con, staged, last, name, f"{ident(name)} IS NULL")
    for name in sorted(unread & kept):
        rows = f"SELECT row FROM {staged.emptied} WHERE name = {literal(name)}"
        _fill(con, staged, last, name, f"{ident(name)} IS NULL AND rowid IN ({rows})")


def _sentence(table: str, name: str, empty: int, found: int) -> str:
    rows = f"{empty:,} {'row' if empty == 1 else 'rows'}"
    said = []
    if found:
        said.append(
            f"what was delivered last counts for {found:,} of them"
            if found < empty
            else "what was delivered last counts"
        )
    if found < empty:
        nothing = "they have no id in Appboy" if name == "external_user_id" else "nothing is permitted"
        said.append(f"{empty - found:,} had none before, so that {nothing}")
    return f"{table}: {name} is missing or can't be read in {rows}: {', and '.join(said)}"


def _unread(con: duckdb.DuckDBPyConnection, staged: Staged) -> set[str]:
    own = {column.name for column in staged.table.columns}
    return own & {name for (name,) in con.execute(f"SELECT DISTINCT name FROM {staged.emptied}").fetchall()}


def _count(con: duckdb.DuckDBPyConnection, staged: Staged, test: str) -> int:
    return con.execute(f"SELECT count(*) FROM {staged.good} WHERE {test}").fetchall()[0][0]


def _fill(con: duckdb.DuckDBPyConnection, staged: Staged, last: str | None, name: str, test: str) -> int:
    """Fills a column where a test holds with the last value of the same person; returns how many rows got one."""
    column, app = ident(name), ", app_id" if staged.table is APP_USERS else ""
    value = f"{_STRICTER.get(name, 'max')}({column})"
    empty = f"nullif({column}, {literal(NOBODY)})" if name == "external_user_id" else column
    con.execute(
        "CREATE OR REPLACE TEMP TABLE wanted AS SELECT s.rowid AS at, s.customer_id, "
        f"coalesce(p.person_id, s.customer_id) AS person_id{', s.app_id' if app else ''} "
        f"FROM (SELECT rowid, * FROM {staged.name} WHERE {test} AND rowid NOT IN (SELECT row FROM {staged.rejects})) s "
        "LEFT JOIN persons_now p USING (customer_id)"
    )
    with readable(f"the published {staged.table.name}"):
        con.execute(
            "CREATE OR REPLACE TEMP TABLE lasting AS SELECT person_id" + app + f", {value} AS value FROM ("
            f"SELECT coalesce(p.person_id, c.customer_id) AS person_id{app}, {empty} AS {column} "
            f"FROM {last}.{staged.table.name} c LEFT JOIN persons_before p USING (customer_id)"
            f") WHERE {column} IS NOT NULL AND person_id IN (SELECT person_id FROM wanted) GROUP BY ALL"
        )
    join = "w.person_id = l.person_id" + (" AND w.app_id = l.app_id" if app else "")
    found = con.execute(
        f"UPDATE {staged.name} SET {column} = l.value FROM wanted w JOIN lasting l ON {join} "
        f"WHERE {staged.name}.rowid = w.at"
    ).fetchall()
    con.execute("DROP TABLE wanted")
    con.execute("DROP TABLE lasting")
    return found[0][0]
