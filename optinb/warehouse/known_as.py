"""By what a person is known in the versions of the warehouse that are kept: ids, and what else is theirs alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.warehouse import building, components, persons
from optinb.warehouse.forgetting import is_any, tables_of
from optinb.warehouse.sql import Connection, connect, ident, literal, readable

if TYPE_CHECKING:
    from optinb.warehouse.versions import Versions


SHORTEST_NAME = 4  # characters of an attribute that names somebody


class KnownAs(Struct, frozen=True, kw_only=True):
    """The names of a person in the kept versions: `ids` of customers, and `external_ids`, which nobody else has.

    `values` are the texts of their attributes, `names` those among them that are theirs alone, such as an address.
    """

    ids: tuple[str, ...]
    external_ids: frozenset[str]
    values: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


def known_as(versions: Versions, customer_id: str) -> KnownAs:
    """Every id under which any kept version knows a person, and their external user ids."""
    ids, external, shared, values, names = {customer_id}, set[str](), set[str](), set[str](), set[str]()
    with connect() as con:
        for number in versions.numbers():
            building.attach(con, versions.path(number), "cur", read_only=True)
            with readable(f"the customers of version {number}"):
                if "customer_ids" in tables_of(con):
                    links = con.sql("SELECT old, new FROM cur.customer_ids").pl()
                    ids |= components.linked(links, ids)
                mine, others = _holders(con, ids)
                if len(others) < persons.MOST_SHARING:
                    ids |= others
                    mine, others = _holders(con, ids)
            external |= mine
            shared |= _shared(con, mine, ids)
            for column in _texts(con):
                texts = _values(con, column, ids)
                values |= texts
                names |= _alone(con, column, texts, ids)
            con.execute("DETACH cur")
    return KnownAs(
        ids=(customer_id, *sorted(ids - {customer_id})),
        external_ids=frozenset(external - shared),
        values=frozenset(values),
        names=frozenset(names),
    )


def _texts(con: Connection) -> list[str]:
    """The columns of customers that hold text, their ids apart."""
    found = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'cur' AND table_name = 'customers' "
        "AND data_type = 'VARCHAR' AND column_name NOT IN ('customer_id', 'external_user_id')"
    ).fetchall()
    return [ident(name) for (name,) in found]


def _values(con: Connection, column: str, ids: Collection[str]) -> set[str]:
    found = con.execute(
        f"SELECT DISTINCT {column} FROM cur.customers WHERE {is_any(ids)} AND {column} <> ''"
    ).fetchall()
    return {value for (value,) in found}


def _alone(con: Connection, column: str, values: Collection[str], ids: Collection[str]) -> set[str]:
    """Those of a person's values that name them: of a column whose values are mostly one customer's, and theirs alone.

    A town may have one customer only, and stays a town.
    """
    long = {value for value in values if len(value) >= SHORTEST_NAME}
    if not long:
        return set()
    mostly = con.execute(f"SELECT approx_count_distinct({column}) >= 0.5 * count({column}) FROM cur.customers")
    if not (mostly.fetchone() or (False,))[0]:
        return set()
    others = con.execute(
        f"SELECT DISTINCT {column} FROM cur.customers WHERE {is_any(long, column)} AND NOT {is_any(ids)}"
    ).fetchall()
    return long - {value for (value,) in others}


def _holders(con: Connection, ids: Collection[str]) -> tuple[set[str], set[str]]:
    """The external user ids of some customers, and who else has them."""
    tables = [name for name in ("customers", "departed_customers") if name in tables_of(con)]
    found = {
        external_id
        for name in tables
        for (external_id,) in con.execute(f"SELECT external_user_id FROM cur.{name} WHERE {is_any(ids)}").fetchall()
        if external_id
    }
    named = ", ".join(map(literal, sorted(found))) or "NULL"
    others = con.execute(
        f"SELECT customer_id FROM cur.customers WHERE external_user_id IN ({named}) AND NOT {is_any(ids)}"
    ).fetchall()
    return found, {row[0] for row in others}


def _shared(con: Connection, external_ids: Collection[str], ids: Collection[str]) -> set[str]:
    """Those of some external user ids that others have too, such as what a system writes for everybody unknown."""
    named = ", ".join(map(literal, sorted(external_ids))) or "NULL"
    rows = con.execute(
        f"SELECT DISTINCT external_user_id FROM cur.customers WHERE external_user_id IN ({named}) AND NOT {is_any(ids)}"
    ).fetchall()
    return {row[0] for row in rows}
