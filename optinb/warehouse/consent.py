"""What permits to write to somebody never becomes more permissive by absence.

Where a delivered value of such a column is missing or can't be read, what was delivered last of that person stays. Of
whom nothing was delivered nothing is known, and nothing is permitted: consent is null, the external user id empty.
Other values of the contract that couldn't be read, or whose column isn't delivered any more, stay as they were too.

Of people who turn out to be one counts whatever either side denied. It is looked at wherever a person has several ids
tonight, or two known people became one. What an id denied that is gone since stays denied for the one that is left as
long as that one's own delivered value is what it was at the merge: a value that changes afterwards is a word of the
person. The published `merged_consent` keeps what it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from optinb.warehouse.contract import APP_USERS, CUSTOMERS, DENIED
from optinb.warehouse.sql import Connection, first_value, ident, literal, readable, tables_of
from optinb.warehouse.staged import Staged, good_rows, passed

NOBODY = ""  # the external user id of whom Appboy can't know

# How the values of several ids of one person become one: the stricter counts.
_STRICTER = {"push_opt_in": "bool_and", "push_enabled": "bool_and", "is_blocked": "bool_or", "is_test": "bool_or"}


def keep_ids(
    con: Connection,
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
    con: Connection,
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


def _count(con: Connection, staged: Staged, test: str) -> int:
    return first_value(con, f"SELECT count(*) FROM {good_rows(con, staged)} WHERE {test}")


def _fill(
    con: Connection,
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


def stricter(con: Connection, *, last: str | None) -> MergedCounts:
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
