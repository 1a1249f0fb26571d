"""What permits to write to somebody never becomes more permissive by absence.

Where a delivered value of such a column is missing or can't be read, what was delivered last of that person stays. Of
whom nothing was delivered nothing is known, and nothing is permitted: consent is null, the external user id empty.
Other values of the contract that couldn't be read, or whose column isn't delivered any more, stay as they were too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.warehouse.contract import APP_USERS, CUSTOMERS
from optinb.warehouse.damage import readable
from optinb.warehouse.persons import tables_of
from optinb.warehouse.sql import first_value, ident, literal
from optinb.warehouse.staged import good_rows, passed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import duckdb

    from optinb.warehouse.staged import Staged

NOBODY = ""  # the external user id of whom Appboy can't know

# How the values of several ids of one person become one: the stricter counts.
_STRICTER = {"push_opt_in": "bool_and", "push_enabled": "bool_and", "is_blocked": "bool_or", "is_test": "bool_or"}


def keep_ids(
    con: duckdb.DuckDBPyConnection,
    staged: Iterable[Staged],
    *,
    before: Mapping[str, Collection[str]],
    last: str | None,
) -> None:
    """Fills missing external user ids with those that the same customers had, by which it is found out who is who."""
    con.execute("CREATE OR REPLACE TEMP TABLE carried (customer_id VARCHAR, app_id VARCHAR, field VARCHAR)")
    for part in staged:
        if part.table is CUSTOMERS and last and "external_user_id" in before.get(part.table.name, ()):
            missing = "external_user_id IS NULL"
            if _count(con, part, missing):
                _fill(con, part, last, "external_user_id", missing, by_person=False)


def carry(
    con: duckdb.DuckDBPyConnection,
    staged: Staged,
    *,
    before: Collection[str],
    until_then: Collection[str],
    last: str | None,
) -> Iterator[str]:
    """Fills what is missing of customers or app users with what was delivered last, and says what was filled.

    Args:
        con: with the table persons_now (customer_id, person_id) of those whose person isn't told by their customer_id,
            and what `keep_ids` made. `carried` then has a row (customer_id, app_id, field) for each value that wasn't
            delivered.
        staged: a table of which every reject is known; of others than those two nothing is filled.
        before: the columns of the contract that earlier deliveries brought.
        until_then: those that deliveries up to `last` brought. A correction may be the second to bring a column: what
            `last` has in it is the default.
        last: the attached version of the night before, None where there was none.

    Yields:
        sentences for the people who prepare the files.
    """
    table = staged.table
    if table not in (CUSTOMERS, APP_USERS):
        return
    kept = set(until_then) if last else set()
    permitting = [c.name for c in table.columns if c.permits and c.name in {*staged.delivered, *before}]
    counts: dict[str, tuple[int, int]] = {}
    for name in permitting:
        missing = f"{ident(name)} IS NULL"
        empty = _count(con, staged, missing)
        found = _fill(con, staged, last, name, missing) if empty and name in kept else 0
        if name == "external_user_id":
            con.execute(f"UPDATE {staged.name} SET external_user_id = {literal(NOBODY)} WHERE {missing}")
            (own,) = con.execute("SELECT count(*) FROM carried WHERE field = 'external_user_id'").fetchall()[0]
            empty, found = empty - found + own, own
        if empty:
            counts[name] = empty, found
    if counts:
        yield _sentence(table.name, counts)
    unread = {name for (name,) in con.execute(f"SELECT DISTINCT name FROM {staged.emptied}").fetchall()}
    for column in table.columns:
        if column.permits or column.required or column.name not in kept:
            continue
        missing = f"{ident(column.name)} IS NULL"
        if column.name not in staged.delivered:
            _fill(con, staged, last, column.name, missing)
        elif column.name in unread:
            rows = f"SELECT row FROM {staged.emptied} WHERE name = {literal(column.name)}"
            _fill(con, staged, last, column.name, f"{missing} AND rowid IN ({rows})")


def _sentence(table: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """Says of columns in how many rows they have no value, and in how many of these the last one counts."""
    said = [
        f"{name} in {empty:,}" + (f" (the last value counts in {found:,})" if found else "")
        for name, (empty, found) in counts.items()
    ]
    so = "; without a last value nobody is written to" * any(found < empty for empty, found in counts.values())
    return f"{table}: rows without a readable value: {', '.join(said)}{so}"


def _count(con: duckdb.DuckDBPyConnection, staged: Staged, test: str) -> int:
    return first_value(con, f"SELECT count(*) FROM {good_rows(con, staged)} WHERE {test}")


def _fill(
    con: duckdb.DuckDBPyConnection,
    staged: Staged,
    last: str | None,
    name: str,
    test: str,
    *,
    by_person: bool = True,
) -> int:
    """Fills a column where a test holds with the last value of the same person; returns how many rows got one."""
    column, app = ident(name), ", app_id" if staged.table is APP_USERS else ""
    value = f"{_STRICTER.get(name, 'max')}({column})"
    known = f"nullif({column}, {literal(NOBODY)})" if name == "external_user_id" else column

    # Whoever turns out to be one person tonight had all of their ids' values.
    who = "coalesce(p.person_id, c.customer_id)" if by_person else "c.customer_id"
    joined = " LEFT JOIN persons_now p USING (customer_id)" if by_person else ""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE wanted AS SELECT c.at, c.customer_id, {who} AS person_id{app} "
        f"FROM (SELECT rowid AS at, * FROM {staged.name} WHERE {test} "
        f"AND {passed(con, staged)}) c{joined}"
    )
    rows = f"SELECT * FROM {last}.{staged.table.name}"
    if name in _STRICTER and staged.table is CUSTOMERS and "departed_customers" in tables_of(con, last or ""):
        # Of whoever is back it counts what they had said when they left.
        rows = f"SELECT customer_id, {column} FROM {last}.customers"
        rows += f" UNION ALL SELECT customer_id, {column} FROM {last}.departed_customers"
    with readable(f"the published {staged.table.name}"):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE lasting AS SELECT person_id{app}, {value} AS value FROM ("
            f"SELECT {who} AS person_id{app}, {known} AS {column} FROM ({rows}) c{joined}"
            f") WHERE {column} IS NOT NULL AND person_id IN (SELECT person_id FROM wanted) GROUP BY ALL"
        )
    join = "w.person_id = l.person_id" + (" AND w.app_id = l.app_id" if app else "")
    found = con.execute(
        f"UPDATE {staged.name} SET {column} = l.value FROM wanted w JOIN lasting l ON {join} "
        f"WHERE {staged.name}.rowid = w.at"
    ).fetchall()
    if found[0][0]:
        con.execute(
            f"INSERT INTO carried SELECT w.customer_id, {'w.app_id' if app else literal('')}, {literal(name)} "
            f"FROM wanted w JOIN lasting l ON {join}"
        )
    con.execute("DROP TABLE wanted")
    con.execute("DROP TABLE lasting")
    return found[0][0]
