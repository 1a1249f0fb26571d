"""Whom the warehouse has forgotten: keyed hashes of their ids, so that what is delivered again is left out.

    warehouse/FORGOTTEN.json   a random key of the workspace, and sha256(key, id) of everybody who was forgotten: of
                               their customer ids (`hashes`), and of their external user ids (`external`)

Without the key a hash tells nobody; with it, only whoever knows an id already can ask whether it's that one.

People who are delivered again, under the same id or another one, stay forgotten. Another id is theirs if it has their
external user id, or if customer_ids leads to it from one of their ids. What is found of them in a delivery is
remembered too, so that the new id stays forgotten when nothing links it any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

import msgspec
from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.errors import WarehouseError
from optinb.warehouse.contract import CUSTOMER_IDS, CUSTOMERS, Table
from optinb.warehouse.sql import Connection, literal

FILE_NAME = "FORGOTTEN.json"


class Forgotten(Struct, frozen=True, omit_defaults=True):
    """The key and the hashes, those of customer ids and those of external user ids apart: one may be the other's."""

    key: str
    hashes: tuple[str, ...] = ()
    external: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hashes or self.external)

    def hash_of(self, customer_id: str) -> str:
        """What is kept of an id."""
        return sha256((self.key + customer_id).encode()).hexdigest()

    def knows(self, customer_id: str) -> bool:
        """Whether this customer was forgotten before."""
        return self.hash_of(customer_id) in self.hashes

    def with_(self, customer_ids: Iterable[str], external_ids: Iterable[str] = ()) -> Forgotten:
        """With some more ids of people."""
        hashes = {*self.hashes, *map(self.hash_of, customer_ids)}
        external = {*self.external, *map(self.hash_of, external_ids)}
        return Forgotten(self.key, tuple(sorted(hashes)), tuple(sorted(external)))

    def test(self, column: str) -> str:
        """SQL that is true of the customer ids of the forgotten, exactly as `hash_of` has it."""
        return self._test(column, self.hashes)

    def test_external(self, column: str) -> str:
        """SQL that is true of the external user ids of the forgotten."""
        return self._test(column, self.external)

    def _test(self, column: str, hashes: tuple[str, ...]) -> str:
        if not hashes:
            return "false"
        return f"coalesce(sha256({literal(self.key)} || {column}) IN ({', '.join(map(literal, hashes))}), false)"


def read_forgotten(folder: Path) -> Forgotten:
    """Whom the warehouse in a folder has forgotten; nobody, under a new key, before the first.

    Raises WarehouseError when the file can't be read: nothing may be imported then, as it could bring somebody back.
    """
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Forgotten)
    except FileNotFoundError:
        return Forgotten(token_hex(32))
    except (OSError, msgspec.MsgspecError) as error:
        raise WarehouseError(
            f"{path} can't be read ({error}), so that nobody knows who was forgotten; restore it from a copy"
        ) from error


def write_forgotten(folder: Path, forgotten: Forgotten) -> None:
    """Keeps whom the warehouse has forgotten. Only for the holder of the lease."""
    write_atomically(folder / FILE_NAME, msgspec.json.encode(forgotten))


RETURNING = "returning_ids"
"""The TEMP table of their customer ids in this delivery, with the external user id where it is delivered."""


def note_returning(con: Connection, table: Table, rows: str, forgotten: Forgotten) -> None:
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


def remember(con: Connection, forgotten: Forgotten, folder: Path) -> None:
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
