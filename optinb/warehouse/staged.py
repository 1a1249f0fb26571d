"""A table of a delivery in staging tables: what they are called, which of their rows are published, its figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from optinb.warehouse import checks, row_query
from optinb.warehouse.contract import CUSTOMERS, TABLES, Table
from optinb.warehouse.formats import OpenedFile
from optinb.warehouse.report import TableReport
from optinb.warehouse.sql import Connection, first_value, ident, literal

# The reasons of rows that are left out without a trace, and because they came before.
FORGOTTEN, REPEATED = "forgotten", "repeated"


class StagedFile(Struct, frozen=True, kw_only=True):
    """One file in a staging table: its rows are those with `first <= rowid < after`."""

    number: int
    source: OpenedFile
    first: int
    after: int


class Staged(Struct, frozen=True, kw_only=True):
    """One table of the delivery, read and checked.

    Attributes:
        delivered: the columns of the contract that some file has.
        attributes: its further columns, in the order of a0, a1, …
    """

    table: Table
    files: tuple[StagedFile, ...]
    attributes: tuple[str, ...]
    delivered: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The staging table."""
        return f"stage_{self.table.name}"

    @property
    def rejects(self) -> str:
        """The table of this table's refused rows: rowid, reason."""
        return f"rejects_{self.table.name}"

    @property
    def emptied(self) -> str:
        """The table of values that couldn't be read and were emptied: row, column, reason, value (null: in `cells`)."""
        return f"emptied_{self.table.name}"

    @property
    def malformed(self) -> str:
        """The table of lines that aren't rows: file number, byte offset, text, reason."""
        return f"malformed_{self.table.name}"

    @property
    def forgotten(self) -> str:
        """SQL of the rows that are left out since they are of somebody who was forgotten."""
        theirs = f"SELECT row FROM {self.rejects} WHERE reason = {literal(FORGOTTEN)}"
        return f"(SELECT * FROM {self.name} WHERE rowid IN ({theirs}))"


def passed(con: Connection, staged: Staged) -> str:
    """SQL of a condition that holds for the rows that passed so far; where all did, no row is looked up."""
    return f"rowid NOT IN (SELECT row FROM {staged.rejects})" if _any_rejects(con, staged) else "true"


def good_rows(con: Connection, staged: Staged) -> str:
    """SQL of the rows that passed so far."""
    return f"(SELECT * FROM {staged.name} WHERE {passed(con, staged)})" if _any_rejects(con, staged) else staged.name


def _any_rejects(con: Connection, staged: Staged) -> bool:
    return bool(con.execute(f"SELECT 1 FROM {staged.rejects} LIMIT 1").fetchall())


def drop_rejects(con: Connection, staged: Staged) -> None:
    """Leaves only good rows in a staging table, so that no later query has to look each row up."""
    con.execute(f"DELETE FROM {staged.name} WHERE rowid IN (SELECT row FROM {staged.rejects})")


def customers_query(staged: Staged, kinds: Mapping[str, str]) -> str:
    """SELECT of the customers to publish, once rejects are dropped: the contract's columns and typed attributes."""
    columns = [ident(name) for name in CUSTOMERS.stored()]
    columns += [
        f"{checks.converted(kinds.get(name, 'VARCHAR'), f'a{i}')} AS {ident(name)}"
        for i, name in enumerate(staged.attributes)
    ]
    return f"SELECT {', '.join(columns)} FROM {staged.name}"


def rows_query(staged: Staged) -> str:
    """SELECT of the rows to publish of any other table, once rejects are dropped."""
    return f"SELECT {', '.join(ident(name) for name in TABLES[staged.table.name].stored())} FROM {staged.name}"


def table_report(con: Connection, staged: Staged) -> TableReport:
    """Figures of one table: what was read, and why rows were refused (most frequent first)."""
    rows = con.execute(
        f"SELECT reason, count(*) FROM (SELECT reason FROM {staged.rejects} UNION ALL "
        f"SELECT reason FROM {staged.malformed}) GROUP BY reason ORDER BY 2 DESC, 1"
    ).fetchall()
    malformed = con.execute(f"SELECT count(*) FROM {staged.malformed}").fetchone()
    read = sum(file.after - file.first for file in staged.files) + (malformed[0] if malformed else 0)
    reasons = dict(rows)
    forgotten, again = reasons.pop(FORGOTTEN, 0), reasons.pop(REPEATED, 0)
    refused = sum(reasons.values())
    emptied = con.execute(
        f"SELECT name, count(*) FROM {staged.emptied} WHERE row NOT IN (SELECT row FROM {staged.rejects}) "
        "GROUP BY name ORDER BY 2 DESC, 1"
    ).fetchall()
    return TableReport(
        table=staged.table.name,
        read=read,
        loaded=read - refused - forgotten - again,
        quarantined=refused,
        reasons=reasons,
        forgotten=forgotten,
        emptied=dict(emptied),
        read_as_missing=_words(con, staged),
        repeated=again,
        newest=_newest(con, staged),
    )


def _words(con: Connection, staged: Staged) -> dict[str, int]:
    """In how many rows of which columns a word such as NULL stood for a value that is missing."""
    if not row_query.has_marks(staged.table) or not first_value(
        con, f"SELECT count(*) FROM {staged.name} WHERE words <> 0"
    ):
        return {}
    names = row_query.word_columns(staged.table, staged.attributes)
    names = [
        *names[: row_query.MOST_COUNTED],
        *(["further columns"] if len(names) > row_query.MOST_COUNTED else []),
    ]
    counts = ", ".join(f"count_if((words >> {i}) & 1 = 1)" for i in range(len(names)))
    found = con.execute(f"SELECT {counts} FROM {staged.name} WHERE words <> 0").fetchone() or ()
    return {name: count for name, count in zip(names, found, strict=True) if count}


def _newest(con: Connection, staged: Staged) -> datetime | None:
    if staged.table.by_day is None:
        return None
    newest = con.execute(f"SELECT max({ident(staged.table.by_day)}) FROM {good_rows(con, staged)}").fetchone()
    return newest[0].replace(tzinfo=UTC) if newest and newest[0] is not None else None
