"""Names and values written into SQL safely, and the one way to connect to DuckDB."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import numpy as np
    from numpy.typing import NDArray


def ident(name: str) -> str:
    """A quoted SQL name; any text is only ever a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A quoted SQL text; any text is only ever a value."""
    return "'" + value.replace("'", "''") + "'"


def utc(value: datetime) -> str:
    """A TIMESTAMP literal in UTC of an aware datetime."""
    return f"TIMESTAMP {literal(value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' '))}"


def exact_path(path: Path) -> str:
    """A path as DuckDB's file functions take it literally: `*`, `?` and `[` in a folder's name are no patterns."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def numbers(con: duckdb.DuckDBPyConnection, query: str, *, at_once: int) -> Iterator[NDArray[np.uint64]]:
    """The one column of a query, UBIGINT without nulls, in arrays of about `at_once` rows, each of them sorted."""
    import numpy as np
    import polars as pl

    parts: list[NDArray[np.uint64]] = []
    for batch in con.cursor().sql(query).to_arrow_reader(1 << 17):
        column = batch.column(0)
        # Its own to_numpy imports pandas, for a third of a second.
        parts.append(np.frombuffer(column.buffers()[1], np.uint64, len(column), 8 * column.offset))
        if sum(map(len, parts)) >= at_once:
            yield pl.Series(np.concatenate(parts)).sort().to_numpy()
            parts = []
    if parts:
        yield pl.Series(np.concatenate(parts)).sort().to_numpy()


def first_value(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The one value of a query that gives one row."""
    return con.execute(query).fetchall()[0][0]


def connect(*, scratch: Path | None = None, memory: str = "1200MB", zone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """An in-memory connection that never fetches extensions; it spills to `scratch` beyond `memory`."""
    import duckdb

    config: dict[str, str] = {"autoinstall_known_extensions": "false", "memory_limit": memory}
    if scratch is not None:
        config["temp_directory"] = str(scratch)
    con = duckdb.connect(config=config)  # pyright: ignore[reportArgumentType]
    con.execute(f"SET TimeZone = {literal(zone)}")
    con.execute("SET enable_progress_bar = false")
    return con
