"""The figures of one staged table: what was read, what is loaded, and why the rest isn't."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from optinb.warehouse import row_query
from optinb.warehouse.again import REPEATED
from optinb.warehouse.report import TableReport
from optinb.warehouse.sql import first_value, ident
from optinb.warehouse.staged import FORGOTTEN, Staged, good_rows

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb


def table_report(con: duckdb.DuckDBPyConnection, staged: Staged) -> TableReport:
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


def _words(con: duckdb.DuckDBPyConnection, staged: Staged) -> dict[str, int]:
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


def _newest(con: duckdb.DuckDBPyConnection, staged: Staged) -> datetime | None:
    if staged.table.by_day is None:
        return None
    newest = con.execute(f"SELECT max({ident(staged.table.by_day)}) FROM {good_rows(con, staged)}").fetchone()
    return newest[0].replace(tzinfo=UTC) if newest and newest[0] is not None else None
