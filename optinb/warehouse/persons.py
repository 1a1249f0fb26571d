"""Who is one person under several customer ids, found at each import, for the few that aren't simply their own id.

Three things say so: the delivered table `customer_ids`; an external user id whose holder is gone and which somebody
else has now; and customers of one delivery who share an external user id. The first two last, as rows of the published
`customer_ids` (old, new, since, delivery, source); the last holds while it is so. Nothing is ever unlinked but by a
corrected delivery of the same day: whoever is taken for two people is written to twice.

The published `persons` (customer_id, person_id, drawn) holds only ids whose person has another name. `drawn` ids once
were people of their own, for whom control groups were drawn. Ids that no delivery has any more are in it too, so that
what happened under them is still theirs. `departed_customers` keeps for a while who is gone without an heir.
"""

from __future__ import annotations

from datetime import date

import polars as pl
from msgspec import Struct

from optinb.warehouse.components import PEOPLE, components, cycles, people
from optinb.warehouse.keyindex import repeated
from optinb.warehouse.report import Gate
from optinb.warehouse.sql import Connection, literal, numbers, tables_of, with_frames

LINKS = "old VARCHAR, new VARCHAR, since TIMESTAMP, delivery DATE, source VARCHAR"
PERSONS = "customer_id VARCHAR, person_id VARCHAR, drawn BOOLEAN"
SAID = "push_opt_in, is_blocked, is_test"
DEPARTED = "customer_id VARCHAR, external_user_id VARCHAR, since DATE, " + ", ".join(
    f"{name} BOOLEAN" for name in SAID.split(", ")
)
MAPPING, INHERITED = "customer_ids", "external_user_id"
DEPARTED_DAYS = 400
"""So long whoever takes over the external user id of somebody who is gone counts as that person."""
MOST_SHARING = 10
"""An external user id of more customers is no person's, but what a system writes for everybody it doesn't know."""
SHOWN = 5


class Linked(Struct, frozen=True, kw_only=True):
    """What was found out about people: `warnings` in sentences, and a gate where the delivery says who is whom."""

    warnings: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()


def link(
    con: Connection,
    *,
    customers: str,
    mapping: str | None,
    run_date: date,
    known: bool,
    last: str | None,
    most_ids: int,
) -> Linked:
    """Finds who is who, in TEMP tables: `persons_now`, `persons_before` (of `cur`), `persons_last` and `person_links`.

    Args:
        con: the import's connection.
        customers: SQL of tonight's customers (customer_id, external_user_id).
        mapping: SQL of the delivered rows of customer_ids, if any.
        run_date: of the delivery; delivered again, it replaces what it said before.
        known: whether `cur` is attached.
        last: the attached version of the night before, None where there was none. A correction follows that one.
        most_ids: more of one person than this are a mistake of whoever wrote customer_ids.
    """
    published = tables_of(con, "cur") if known else frozenset()
    base = last or "cur"
    kept = f"FROM {base}.customer_ids WHERE NOT (delivery = ? AND source = {literal(MAPPING)})"
    _create(con, "persons_before", PERSONS, "FROM cur.persons" if "persons" in published else "")
    if known and "persons" not in published:
        # a version from before anybody looked: who shared an external user id was one person there too
        query = "INSERT INTO persons_before SELECT new, old, false FROM shared_before"
        with_frames(con, query, shared_before=_sharing(con, "cur.customers"))
    earlier = published if last == "cur" else tables_of(con, last) if last else frozenset()
    same = "FROM persons_before" if last == "cur" else f"FROM {last}.persons" if "persons" in earlier else ""
    _create(con, "persons_last", PERSONS, same)
    there = earlier if last else published
    con.execute(f"CREATE OR REPLACE TEMP TABLE person_links ({LINKS})")
    if "customer_ids" in there:
        con.execute(f"INSERT INTO person_links {kept}", [run_date])
    delivered = _delivered(con, mapping, run_date) if mapping else pl.DataFrame(schema={"old": pl.String})
    _create(con, "departed", DEPARTED, "")
    if known:
        _depart(con, customers, run_date, version=base, earlier="departed_customers" in there)
        _inherit(con, customers, run_date)
    _create(con, "persons_now", PERSONS, "")
    links = con.sql("SELECT old, new FROM person_links").pl()
    together = pl.concat([links, _sharing(con, customers)])
    if together.is_empty():
        return Linked()
    members = components(together)
    with_frames(con, "INSERT INTO persons_now FROM people_found", people_found=_people(con, members, known=known))
    if delivered.is_empty():
        return Linked()
    sizes = components(links).filter(pl.col("group").is_in(_groups_of(links, delivered)))["group"].value_counts()
    return Linked(warnings=_circles(links), gates=(_gate(int(sizes["count"].max() or 0), most_ids),))  # pyright: ignore[reportArgumentType]


def left_out(con: Connection, rows: str, *, most_ids: int) -> tuple[Gate, ...]:
    """The gate on delivered rows of customer_ids that lead to somebody who was forgotten.

    Whoever they name is left out, and for good: a column with one value for everybody would forget everybody.
    """
    links = con.sql(f"SELECT DISTINCT old, new FROM {rows} WHERE old <> new").pl()
    if links.is_empty():
        return ()
    return (_gate(int(components(links)["group"].value_counts()["count"].max() or 0), most_ids),)  # pyright: ignore[reportArgumentType]


def publish(con: Connection) -> None:
    """Writes what `link` found into the version that is being built."""
    con.execute("CREATE TABLE next.customer_ids AS FROM person_links ORDER BY delivery, old, new")
    con.execute("CREATE TABLE next.persons AS FROM persons_now ORDER BY customer_id")
    heirless = "FROM departed WHERE customer_id NOT IN (SELECT old FROM person_links)"
    con.execute(f"CREATE TABLE next.departed_customers AS {heirless} ORDER BY customer_id")


def _create(con: Connection, name: str, columns: str, rows: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
    if rows:
        con.execute(f"INSERT INTO {name} {rows}")


def _delivered(con: Connection, mapping: str, run_date: date) -> pl.DataFrame:
    """Adds what a delivery says that wasn't known before; returns all that it says."""
    con.execute(
        "INSERT INTO person_links SELECT old, new, min(since), ?, ? "
        f"FROM {mapping} WHERE old <> new AND (old, new) NOT IN (SELECT (old, new) FROM person_links) GROUP BY ALL",
        [run_date, MAPPING],
    )
    return con.sql(f"SELECT DISTINCT old, new FROM {mapping} WHERE old <> new").pl()


def _depart(con: Connection, customers: str, run_date: date, *, version: str, earlier: bool) -> None:
    """Notes who is gone since a version, or since some night before it."""
    # hashes are compared instead of the ids: eight bytes a customer, and only a few rows are left after it
    con.execute(
        f"INSERT INTO departed SELECT customer_id, external_user_id, ?, {SAID} FROM {version}.customers "
        f"WHERE hash(customer_id) NOT IN (SELECT hash(customer_id) FROM {customers})",
        [run_date],
    )
    if earlier and con.execute(f"SELECT 1 FROM {version}.departed_customers LIMIT 1").fetchall():
        con.execute(
            f"INSERT INTO departed SELECT customer_id, external_user_id, since, {SAID} "
            f"FROM {version}.departed_customers WHERE since > ?::DATE - {DEPARTED_DAYS} "
            "AND customer_id NOT IN (SELECT customer_id FROM departed) "
            f"AND customer_id NOT IN (SELECT customer_id FROM {customers})",
            [run_date],
        )


def _inherit(con: Connection, customers: str, run_date: date) -> None:
    """Links whoever is gone with the one who has their external user id now.

    Where several have it they are one person while they share it; what they share may be a word for nobody, and must
    not tie them together for good.
    """
    con.execute(
        f"""INSERT INTO person_links
        WITH heirs AS (
          SELECT t.customer_id, t.external_user_id FROM {customers} t
          WHERE t.external_user_id <> '' AND t.external_user_id IN (SELECT external_user_id FROM departed)),
        pairs AS (
          SELECT d.customer_id AS old, h.customer_id AS new, external_user_id
          FROM departed d JOIN heirs h USING (external_user_id)),
        few AS (
          SELECT external_user_id FROM pairs GROUP BY ALL
          HAVING count(*) <= {MOST_SHARING} AND count(DISTINCT new) = 1)
        SELECT old, new, NULL, ?, ? FROM pairs
        WHERE external_user_id IN (FROM few) AND (old, new) NOT IN (SELECT (old, new) FROM person_links)""",
        [run_date, INHERITED],
    )
    # Ids were stored as they came by earlier versions of optinb, and are composed (NFC) now.
    con.execute(
        "INSERT INTO person_links SELECT d.customer_id, t.customer_id, NULL, ?, ? FROM departed d "
        f"JOIN {customers} t ON t.customer_id = nfc_normalize(d.customer_id) "
        "WHERE (d.customer_id, t.customer_id) NOT IN (SELECT (old, new) FROM person_links)",
        [run_date, INHERITED],
    )


def _sharing(con: Connection, customers: str) -> pl.DataFrame:
    """A link from the first customer to each other of those who share an external user id tonight."""
    none = pl.DataFrame(schema={"old": pl.String, "new": pl.String})
    if not con.execute(f"SELECT 1 FROM {customers} WHERE external_user_id <> customer_id LIMIT 1").fetchall():
        return none
    query = f"SELECT hash(external_user_id) AS n FROM {customers} WHERE external_user_id <> ''"
    hashes = [repeated(part) for part in numbers(con, query, at_once=1 << 62)]
    if not any(map(len, hashes)):
        return none
    con.register("shared_hashes", pl.DataFrame({"n": pl.concat([pl.Series(part) for part in hashes])}))
    found = con.sql(
        "SELECT min(customer_id) OVER (PARTITION BY external_user_id) AS old, customer_id AS new FROM "
        f"{customers} WHERE hash(external_user_id) IN (SELECT n FROM shared_hashes) QUALIFY old <> new"
    ).pl()
    con.unregister("shared_hashes")
    return found


def _people(con: Connection, members: pl.DataFrame, *, known: bool) -> pl.DataFrame:
    """Who each of the members is."""
    mine = "WHERE customer_id IN (SELECT customer_id FROM members)"
    there = f"(SELECT customer_id FROM cur.customers {mine} UNION SELECT customer_id FROM departed {mine})"
    nobody = "(SELECT NULL::VARCHAR AS customer_id WHERE false)"
    con.register("members", members)
    told = con.sql(
        'SELECT m.customer_id, m."group", m.is_new, '
        "coalesce(p.person_id, c.customer_id) AS prior, coalesce(p.drawn, c.customer_id IS NOT NULL) AS was_drawn "
        "FROM members m LEFT JOIN persons_before p USING (customer_id) "
        f"LEFT JOIN {there if known else nobody} c USING (customer_id)"
    ).pl()
    con.unregister("members")
    return people(told).select(PEOPLE.names())


def _groups_of(links: pl.DataFrame, some: pl.DataFrame) -> list[int]:
    found = components(links).join(some.select(customer_id="old"), on="customer_id", how="semi")
    return found["group"].unique().to_list()


def _circles(links: pl.DataFrame) -> tuple[str, ...]:
    found = cycles(links)
    if not found:
        return ()
    shown = "; ".join(" and ".join(some[:SHOWN]) for some in found[:SHOWN])
    told = (
        f"customer_ids: ids replace each other in a circle ({shown}), {len(found):,} in all, so that nobody can tell "
        "which is the newest; they count as one person: deliver each merge once, from the id that ends to the one that "
        "stays"
    )
    return (told,)


def _gate(largest: int, limit: int) -> Gate:
    passed = largest <= limit
    said = f"customer_ids makes one person of at most {largest:,} ids (limit {limit:,})"
    return Gate(
        name="merged_ids",
        table="customer_ids",
        value=float(largest),
        limit=float(limit),
        passed=passed,
        setting="max_ids_per_person",
        message=said
        if passed
        else f"{said}: does a column hold one value for everybody? Leave out rows that merge different people, or "
        "raise max_ids_per_person",
    )
