"""A table of a delivery in staging tables: what they are called, and which of their rows are to be published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.warehouse import attribute_types
from optinb.warehouse.contract import CUSTOMERS, TABLES, Table
from optinb.warehouse.formats import OpenedFile
from optinb.warehouse.sql import ident, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

FORGOTTEN = "forgotten"  # the reason of rows that are left out without a trace


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


def passed(con: duckdb.DuckDBPyConnection, staged: Staged) -> str:
    """SQL of a condition that holds for the rows that passed so far; where all did, no row is looked up."""
    return f"rowid NOT IN (SELECT row FROM {staged.rejects})" if _any_rejects(con, staged) else "true"


def good_rows(con: duckdb.DuckDBPyConnection, staged: Staged) -> str:
    """SQL of the rows that passed so far."""
    return f"(SELECT * FROM {staged.name} WHERE {passed(con, staged)})" if _any_rejects(con, staged) else staged.name


def _any_rejects(con: duckdb.DuckDBPyConnection, staged: Staged) -> bool:
    return bool(con.execute(f"SELECT 1 FROM {staged.rejects} LIMIT 1").fetchall())


def drop_rejects(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Leaves only good rows in a staging table, so that no later query has to look each row up."""
    con.execute(f"DELETE FROM {staged.name} WHERE rowid IN (SELECT row FROM {staged.rejects})")


def customers_query(staged: Staged, kinds: Mapping[str, str]) -> str:
    """SELECT of the customers to publish, once rejects are dropped: the contract's columns and typed attributes."""
    columns = [ident(name) for name in CUSTOMERS.stored()]
    columns += [
        f"{attribute_types.converted(kinds.get(name, 'VARCHAR'), f'a{i}')} AS {ident(name)}"
        for i, name in enumerate(staged.attributes)
    ]
    return f"SELECT {', '.join(columns)} FROM {staged.name}"


def rows_query(staged: Staged) -> str:
    """SELECT of the rows to publish of any other table, once rejects are dropped."""
    return f"SELECT {', '.join(ident(name) for name in TABLES[staged.table.name].stored())} FROM {staged.name}"
