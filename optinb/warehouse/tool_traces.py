"""What tools do to ids and numbers on their way: floats, scientific notation, lost zeros, thousands points.

The files can be read, and no row is wrong by itself: only together do the values show what happened to them.
"""

from __future__ import annotations

from collections.abc import Iterator

from optinb.warehouse import formats
from optinb.warehouse.contract import TABLES
from optinb.warehouse.report import Gate
from optinb.warehouse.sql import Connection, ident, readable
from optinb.warehouse.staged import Staged, good_rows

# A row of another table with an altered customer_id is refused anyway, as one of an unknown customer.
_IDS = {
    "customer_ids": ("old", "new"),
    "customers": ("customer_id", "external_user_id"),
    "transactions": ("transaction_id", "promo_code"),
    "events": ("event_id",),
    "redemptions": ("code", "redemption_id"),
}
_EXAMPLES = 5
_LOOKED_AT = 100_000  # rows of a file
_THOUSANDS = r"-?\d{1,3}(\.\d{3})+"


def altered_ids(con: Connection, staged: Staged) -> Iterator[Gate]:
    """A gate for every column of ids that a tool has written as numbers: `1002.0`, or `1.23457E+11`."""
    for name in _IDS.get(staged.table.name, ()):
        if name not in staged.delivered:
            continue
        column = ident(name)
        # What looks for two short texts costs a tenth of a pattern.
        test = (
            f"(ends_with({column}, '.0') AND regexp_full_match({column}, '-?[0-9]+[.]0')) OR "
            f"((contains({column}, 'E+') OR contains({column}, 'e+')) "
            f"AND regexp_full_match({column}, '-?[0-9]([.][0-9]+)?[eE][+][0-9]+'))"
        )
        # A tool that alters ids alters all of them: of a night's rows a part tells.
        rows = staged.name if staged.table.by_day is None else f"(FROM {staged.name} LIMIT {_LOOKED_AT})"
        count, examples = _found(con, f"SELECT {column} AS value FROM {rows} WHERE {test}")
        if count:
            yield Gate(
                name="ids",
                table=staged.table.name,
                value=float(count),
                limit=0.0,
                passed=False,
                setting="",
                message=f"{count:,} values of {name} in {staged.table.name} were written as numbers by a tool "
                f"({examples}), and are no ids any more; export {name} as text, as the systems know it",
            )


def lost_zeros(con: Connection, staged: Staged, *, last: str | None) -> Iterator[str]:
    """Says of customers' ids that came without the zeros which they began with in the version `last`."""
    if last is None or staged.table.name != "customers":
        return
    for name in ("customer_id", "external_user_id"):
        column = ident(name)
        lost = (
            f"SELECT {column} FROM {last}.customers WHERE starts_with({column}, '0') "
            f"AND {column} NOT IN (SELECT {column} FROM {staged.name} WHERE {column} IS NOT NULL)"
        )
        with readable("the published customers"):
            # Few shops have ids that begin with a zero; nothing more is asked of the others.
            if not con.execute(f"SELECT 1 FROM {last}.customers WHERE starts_with({column}, '0') LIMIT 1").fetchall():
                continue
            count, examples = _found(
                con,
                f"SELECT n.{column} || ' (it was ' || c.{column} || ')' AS value "
                f"FROM {good_rows(con, staged)} n JOIN ({lost}) c "
                f"ON ltrim(n.{column}, '0') = ltrim(c.{column}, '0') WHERE strlen(n.{column}) < strlen(c.{column}) "
                f"AND n.{column} NOT IN (SELECT {column} FROM {last}.customers)",
            )
        if count:
            yield (
                f"customers: {count:,} values of {name} seem to have lost the zeros that they begin with: {examples}; "
                f"for Appboy and for the contact policy these are other people: export {name} as text"
            )


def thousands_points(con: Connection, source: formats.OpenedFile) -> Iterator[str]:
    """Says of numbers in a file with semicolons that they may be whole ones with thousands points."""
    if not source.file.format.delimited or source.delimiter != ";":
        return
    table = TABLES[source.file.table]
    kinds = {column.name: column.kind for column in table.columns}
    wanted = [
        (i, name)
        for i, name in enumerate(source.columns)
        if kinds.get(name) == "number" or (table.attributes and name and name not in kinds)
    ]
    for i, name in wanted:
        rows = f"(SELECT trim(c{i}) AS value FROM {source.relation} LIMIT {_LOOKED_AT}) WHERE contains(value, '.')"
        found = con.execute(
            f"SELECT bool_and(regexp_full_match(value, '{_THOUSANDS}')), (list(value))[:{_EXAMPLES}] FROM {rows}"
        ).fetchall()
        formats.forget_errors(con)
        said, values = found[0]
        if said:
            yield (
                f"{source.file.path.name}: every point in {name} is followed by three digits ({', '.join(values)}); "
                "they are read as decimals: if they are thousands, write 1234 without a point"
            )


def _found(con: Connection, query: str) -> tuple[int, str]:
    """How many values a query finds, and the first few of them."""
    rows = con.execute(f"SELECT count(*), (list(value ORDER BY value))[:{_EXAMPLES}] FROM ({query})").fetchall()
    count, values = rows[0]
    return count, ", ".join(values or ())
