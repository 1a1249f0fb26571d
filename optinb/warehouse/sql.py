"""Names and values written into SQL safely, and the one way to connect to DuckDB."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import duckdb


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
