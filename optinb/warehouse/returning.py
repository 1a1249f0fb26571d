"""People who were forgotten and are delivered again, under the same id or another one: they stay forgotten.

Another id is theirs if it has their external user id, or if customer_ids leads to it from one of their ids. What is
found of them in a delivery is remembered too, so that the new id stays forgotten when nothing links it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.warehouse.contract import CUSTOMER_IDS, CUSTOMERS
from optinb.warehouse.forgotten import write_forgotten

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from optinb.warehouse.contract import Table
    from optinb.warehouse.forgotten import Forgotten

RETURNING = "returning_ids"
"""The TEMP table of their customer ids in this delivery, with the external user id where it is delivered."""


def note_returning(con: duckdb.DuckDBPyConnection, table: Table, rows: str, forgotten: Forgotten) -> None:
    """Adds to RETURNING whom the staged rows of a table name of the forgotten; tables come in the contract's order."""
    con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {RETURNING} (customer_id VARCHAR, external_user_id VARCHAR)")
    if table is CUSTOMER_IDS:
        con.execute(
            f"INSERT INTO {RETURNING} WITH RECURSIVE pairs AS (SELECT old AS id, new AS other FROM {rows} UNION ALL "
            f"SELECT new, old FROM {rows}), theirs AS (SELECT id FROM pairs WHERE {forgotten.test('id')} UNION "
            "SELECT p.other FROM pairs p JOIN theirs t ON p.id = t.id) SELECT DISTINCT id, NULL FROM theirs"
        )
        return
    external, test = "NULL", forgotten.test("customer_id")
    if table is CUSTOMERS:
        external, test = "external_user_id", f"({test} OR {forgotten.test_external('external_user_id')})"
    known = f"customer_id IN (SELECT customer_id FROM {RETURNING})"
    wanted = f"{test} OR {known}" if table is CUSTOMERS else f"{test} AND NOT {known}"
    # each id is looked at once, however many rows it has
    con.execute(
        f"INSERT INTO {RETURNING} SELECT * FROM (SELECT DISTINCT customer_id, {external} AS external_user_id "
        f"FROM {rows}) WHERE {wanted}"
    )


def remember(con: duckdb.DuckDBPyConnection, forgotten: Forgotten, folder: Path) -> None:
    """Keeps the new ids of those who returned. Only for the holder of the lease."""
    if not forgotten:
        return
    found = con.execute(f"SELECT customer_id, external_user_id FROM {RETURNING}").fetchall()
    shared = con.execute(
        f"SELECT DISTINCT external_user_id FROM {RETURNING} WHERE external_user_id IN "
        "(SELECT external_user_id FROM next.customers)"
    ).fetchall()
    others = {row[0] for row in shared}
    external = {row[1] for row in found if row[1] and row[1] not in others}
    more = forgotten.with_((row[0] for row in found if row[0]), external)
    if more != forgotten:
        write_forgotten(folder, more)
