"""What counts of the consent of people who turn out to be one: whatever either side denied.

It is looked at wherever a person has several ids tonight, or two known people became one. What an id denied that is
gone since stays denied for the one that is left as long as that one's own delivered value is what it was at the merge:
a value that changes afterwards is a word of the person. The published `merged_consent` keeps what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.warehouse.contract import APP_USERS, CUSTOMERS, DENIED
from optinb.warehouse.persons import tables_of
from optinb.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

KEPT = "customer_id VARCHAR, app_id VARCHAR, field VARCHAR, delivered BOOLEAN, source VARCHAR"


class MergedCounts(Struct, frozen=True, kw_only=True):
    """How many people were known under two ids that are one now, and for how many of them a denial counts."""

    people: int = 0
    stricter: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be told of them, in sentences."""
        if not self.people:
            return ()
        were = "1 person was" if self.people == 1 else f"{self.people:,} people were"
        told = (
            f"{were} merged, known under two customer ids before; for {self.stricter:,} of them one side had denied "
            "what the other allows, and the denial counts"
        )
        return (told,)


def stricter(con: duckdb.DuckDBPyConnection, *, last: str | None) -> MergedCounts:
    """Lets every denial count for the whole person, in the tables that are being built.

    Needs what `persons.link` has found, and `carried` of `consent.carry`. `last`: the attached version of the night
    before, None where there was none: a correction merges people anew, by what they had said until then.
    """
    con.execute(f"CREATE TABLE next.merged_consent ({KEPT})")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE person_of AS SELECT customer_id, person_id FROM persons_now "
        "UNION SELECT person_id, person_id FROM persons_now"
    )
    if con.execute("SELECT count(*) FROM person_of").fetchall() == [(0,)]:
        return MergedCounts()
    con.execute(f"CREATE OR REPLACE TEMP TABLE consent_now AS {_consent('next')}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE consent_gone AS {_consent(last) if last else 'FROM consent_now'}")
    con.execute(f"INSERT INTO consent_gone {_of_departed()}")
    con.execute("DELETE FROM consent_gone WHERE customer_id IN (SELECT customer_id FROM next.customers)")
    if last and "merged_consent" in tables_of(con, last):
        con.execute(f"INSERT INTO next.merged_consent SELECT m.* FROM {last}.merged_consent m {_STILL}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE known_people AS {_known(last)}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE new_denials AS {_NEW}")
    con.execute("INSERT INTO next.merged_consent SELECT * EXCLUDE (person_id) FROM new_denials")
    for table, columns in DENIED.items():
        for column, value in columns.items():
            app = " AND m.app_id = t.app_id" if table == APP_USERS.name else ""
            con.execute(
                f"UPDATE next.{table} t SET {column} = {value} FROM next.merged_consent m "
                f"WHERE m.customer_id = t.customer_id{app} AND m.field = {literal(column)}"
            )
    (counts,) = con.execute(
        "WITH merged AS (SELECT person_id FROM known_people GROUP BY person_id HAVING count(DISTINCT prior) > 1) "
        "SELECT count(*), count(*) FILTER (person_id IN (SELECT person_id FROM new_denials)) FROM merged"
    ).fetchall()
    return MergedCounts(people=counts[0], stricter=counts[1])


def _consent(version: str) -> str:
    """Each consent of the customers in question: customer_id, person_id, app_id ('' for all), field, value, denied."""
    parts = [
        f"SELECT t.customer_id, p.person_id, {'t.app_id' if table == APP_USERS.name else literal('')} AS app_id, "
        f"{literal(column)} AS field, t.{column} AS value, coalesce(t.{column} = {denied}, false) AS denied "
        f"FROM {version}.{table} t JOIN person_of p USING (customer_id)"
        for table, columns in DENIED.items()
        for column, denied in columns.items()
    ]
    return " UNION ALL ".join(parts)


def _of_departed() -> str:
    """The same of those who left before last night, which nobody has taken over until now."""
    parts = [
        f"SELECT d.customer_id, p.person_id, '' AS app_id, {literal(column)} AS field, d.{column} AS value, "
        f"coalesce(d.{column} = {denied}, false) AS denied FROM departed d JOIN person_of p USING (customer_id)"
        for column, denied in DENIED[CUSTOMERS.name].items()
    ]
    return " UNION ".join(parts)


def _known(last: str | None) -> str:
    """Who each of them was before: customer_id, person_id, prior; only those whom that version knows."""
    there = (
        f"SELECT customer_id FROM {last}.customers UNION SELECT customer_id FROM departed"
        if last
        else "SELECT NULL::VARCHAR AS customer_id WHERE false"
    )
    return (
        "SELECT p.customer_id, p.person_id, coalesce(b.person_id, p.customer_id) AS prior FROM person_of p "
        f"LEFT JOIN persons_last b USING (customer_id) WHERE p.customer_id IN ({there})"
    )


# Denials of earlier merges: as long as both are one person, and neither has said anything since.
_STILL = """
JOIN consent_now t ON t.customer_id = m.customer_id AND t.app_id = m.app_id AND t.field = m.field
JOIN person_of s ON s.customer_id = m.source AND s.person_id = t.person_id
WHERE (t.value IS NOT DISTINCT FROM m.delivered OR (t.customer_id, t.app_id, t.field) IN (FROM carried))
AND NOT EXISTS (
  FROM consent_now n WHERE n.customer_id = m.source AND n.app_id = m.app_id AND n.field = m.field AND NOT n.denied)
"""

# Whom another id of the same person denies something: one that is there too, or one that is gone and was merged now.
_NEW = """
SELECT t.customer_id, t.app_id, t.field, t.value AS delivered, min(s.customer_id) AS source, t.person_id
FROM consent_now t JOIN (
  SELECT customer_id, person_id, app_id, field, NULL AS prior FROM consent_now WHERE denied
  UNION ALL
  SELECT g.customer_id, g.person_id, g.app_id, g.field, k.prior FROM consent_gone g JOIN known_people k
  USING (customer_id) WHERE g.denied
) s ON s.person_id = t.person_id AND s.app_id = t.app_id AND s.field = t.field AND s.customer_id <> t.customer_id
LEFT JOIN known_people k ON k.customer_id = t.customer_id
WHERE NOT t.denied AND (s.prior IS NULL OR s.prior <> k.prior) AND NOT EXISTS (
  FROM next.merged_consent m WHERE m.customer_id = t.customer_id AND m.app_id = t.app_id AND m.field = t.field)
GROUP BY ALL
"""
