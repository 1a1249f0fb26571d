"""Fetches `[[sources]]`, SQL queries on databases, into the day's delivery folder.

Each source becomes one Parquet file whose cells are all text, as a CSV would have them: from there on a fetched table
is checked like any other. A file is written under a dot name, which an import never reads, and takes its own name when
it is complete.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from optinb.base.files import sync
from optinb.base.settings import SourceSection, read_secret
from optinb.errors import GateError, SettingsError, did_you_mean
from optinb.warehouse.formats import read_name

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine, TextClause

    from optinb.base.progress import Advance


PARAMETERS = ("run_date", "since")
CONNECT_S = 15
# Before any delivery there is nothing that could have been missed: all rows are new.
BEGINNING = date(1900, 1, 1)

# Behind blanks, comments and brackets.
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(?P<word>\w+)", re.DOTALL)
_READING = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})

_log = logging.getLogger("optinb.warehouse")


class SourceError(GateError):
    """A source that couldn't be fetched: nothing of it stays, nothing is imported."""


def fetch_missing(
    sources: Iterable[SourceSection], folder: Path, *, run_date: date, delivered: Collection[date], on_progress: Advance
) -> None:
    """Fetches what the delivery of `run_date` still needs; `delivered` are the dates that were imported.

    A delivery that is older than an imported one is left as it is: it can't be imported, and the databases have moved
    on. Raises SourceError.
    """
    if any(day > run_date for day in delivered):
        return
    since = max((day for day in delivered if day < run_date), default=None)
    for name, rows in fetch(
        missing(sources, folder), folder, run_date=run_date, since=since, on_progress=on_progress
    ).items():
        _log.info("source fetched", extra={"file": name, "run_date": str(run_date), "rows": rows})


def missing(sources: Iterable[SourceSection], folder: Path) -> tuple[SourceSection, ...]:
    """The sources that a delivery folder still needs.

    A table that somebody delivered as a file of their own needs no source: the file is taken in its place.
    """
    sources = tuple(sources)
    fetched = {file_name(source) for source in sources}
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    by_hand = {found.table for name in there - fetched if not name.startswith(".") and (found := read_name(name))}
    return tuple(s for s in sources if s.table not in by_hand and file_name(s) not in there)


def fetch(
    sources: Iterable[SourceSection], folder: Path, *, run_date: date, since: date | None, on_progress: Advance
) -> dict[str, int]:
    """Fetches sources into a delivery folder; returns the rows of each file.

    `since` is the date of the delivery before this one; a query may use `:run_date` and `:since`. `on_progress` hears
    how many rows are there. No file takes its name before the rows of all of them are there.

    Raises SourceError naming the source and the remedy, never the password.
    """
    sources = tuple(sources)
    if not sources:
        return {}
    rows: dict[str, int] = {}
    unfinished: dict[Path, Path] = {}
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            target = folder / file_name(source)
            part = folder / f".{target.name}.unfinished"
            unfinished[part] = target
            on_progress(0, f"fetching {target.name}")
            rows[target.name] = 0
            for batch in _write(source, part, {"run_date": run_date, "since": since or BEGINNING}):
                rows[target.name] += batch
                on_progress(0, f"fetching {target.name}: {rows[target.name]:,} rows")
        for part, target in unfinished.items():
            part.replace(target)
        sync(folder)
    except BaseException:
        for part in unfinished:
            part.unlink(missing_ok=True)
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return rows


def file_name(source: SourceSection) -> str:
    """The file that a source becomes."""
    return f"{source.table}-{source.name}.parquet"


def _write(source: SourceSection, part: Path, parameters: dict[str, date]) -> Iterator[int]:
    """Writes the rows of a query as text in batches, and tells the size of each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _plain_words(source) as url:
        clause = _clause(source)
        if url.get_backend_name() != "sqlite":  # which decides on every action itself
            _refuse_other_statements(source)
        engine = _engine(url, source, part.parents[2])
        try:
            # A cursor on the server: a table of any size passes through in batches.
            with engine.connect().execution_options(stream_results=True, max_row_buffer=source.batch_rows) as con:
                result = con.execute(clause, {name: parameters[name] for name in _names(clause)})
                columns = list(result.keys())
                schema = pa.schema([(name, pa.string()) for name in columns])
                with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                    for batch in result.partitions(source.batch_rows):
                        cells = zip(*batch, strict=True)
                        texts = [_texts(source, name, values) for name, values in zip(columns, cells, strict=True)]
                        arrays = [pa.array(column, pa.string()) for column in texts]
                        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                        yield len(batch)
            sync(part)
        finally:
            engine.dispose()


def _texts(source: SourceSection, column: str, values: Sequence[Any]) -> list[str | None]:
    try:
        return [value if value is None or type(value) is str else _text(value) for value in values]
    except TypeError as error:
        raise SourceError(
            f"{_title(source)}: column {column!r} holds {error}, which has no form as text; convert it in the query, "
            f"for instance CAST({column} AS text)"
        ) from error


def _text(value: object) -> str:
    """A database's value as the contract wants it written: ISO times, true and false, plain numbers."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case str() | int() | float() | UUID():
            return str(value)
        case dict() | list():
            return json.dumps(value, default=_text, ensure_ascii=False)
        case _:
            raise TypeError(type(value).__name__)


def _clause(source: SourceSection) -> TextClause:
    from sqlalchemy import Date, bindparam, text

    clause = text(source.query)
    for name in _names(clause):
        if name not in PARAMETERS:
            raise SourceError(
                f"{_title(source)}: the query's parameter :{name} isn't known{did_you_mean(name, PARAMETERS)}; put a "
                "backslash before a colon that begins no parameter"
            )
    # As a date, since a text would be compared letter by letter, or not at all.
    return clause.bindparams(*(bindparam(name, type_=Date) for name in _names(clause)))


def _refuse_other_statements(source: SourceSection) -> None:
    """Refuses a query that isn't one that reads. What it reads with may still write: a database's own rights decide."""
    begins = _FIRST_WORD.match(source.query)
    word = begins["word"].upper() if begins else ""
    if word not in _READING:
        raise SourceError(
            f"{_title(source)}: the query begins with {word or source.query.strip()[:20]!r}, and a source only reads; "
            "write a SELECT"
        )


def _names(clause: TextClause) -> list[str]:
    return sorted(clause.compile().params)


def _engine(url: URL, source: SourceSection, root: Path) -> Engine:
    from sqlalchemy import create_engine, event

    options: dict[str, Any] = {}
    match url.get_backend_name():
        case "sqlite":
            database = root / (url.database or "")
            if not database.is_file():
                raise SourceError(f"{_title(source)}: there is no SQLite file {database}; check {source.address}")
            # Read-only: a source is only ever read, and a missing file is not made.
            url = url.set(database=f"file:{database.absolute()}", query={"mode": "ro", "uri": "true"})
        case "postgresql":
            if url.drivername == "postgresql":
                url = url.set(drivername="postgresql+psycopg")
            if url.drivername == "postgresql+psycopg":
                options = {"connect_args": {"connect_timeout": CONNECT_S}}
    try:
        engine = create_engine(url, **options)
    except ImportError as error:
        remedy = "pip install 'optinb[postgres]'" if "psycopg" in str(error) else f"install the package {error.name}"
        raise SourceError(f"{_title(source)}: no driver for {url.drivername} is installed; {remedy}") from error
    match engine.dialect.name:
        case "sqlite":
            event.listen(engine, "connect", _only_read)
        case "postgresql":
            event.listen(engine, "connect", _as_written)
            engine = engine.execution_options(postgresql_readonly=True)
    return engine


def _only_read(connection: Any, _record: object) -> None:
    """Leaves an SQLite connection nothing but reading: ATTACH would make files, and PRAGMA change them."""
    import sqlite3

    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

    def decide(action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(decide)


def _as_written(connection: Any, _record: object) -> None:
    """Takes times of PostgreSQL as the server writes them, since Python has no `infinity` and no year 10000.

    Such a value is then one row's reject, and stops no other.
    """
    if type(connection).__module__.partition(".")[0] != "psycopg":
        return
    from psycopg.adapt import Loader

    class Text(Loader):
        def load(self, data: Any) -> str:
            return bytes(data).decode()

    for kind in ("date", "timestamp", "timestamptz"):
        connection.adapters.register_loader(kind, Text)
    with connection.cursor() as cursor:
        cursor.execute("SET datestyle = 'ISO, YMD'")
    connection.commit()


@contextmanager
def _plain_words(source: SourceSection) -> Iterator[URL]:
    """The address of a source; what goes wrong with it becomes one sentence without the password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

    try:
        url = make_url(read_secret(source.address))
    except SettingsError as error:
        raise SourceError(f"{_title(source)}: {error}") from error
    except (ArgumentError, ValueError):
        # Not chained, and not shown: a password stands somewhere in it.
        raise SourceError(
            f"{_title(source)}: the address behind {source.address} can't be read; write one such as "
            "postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE, with special characters of the password as %XX"
        ) from None
    try:
        yield url
    except NoSuchModuleError as error:
        raise SourceError(
            f"{_title(source)}: {url.drivername!r} is no database that is known here; install its SQLAlchemy dialect"
        ) from error
    except SQLAlchemyError as error:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        for secret in (url.password, *url.query.values()):
            cause = cause.replace(str(secret), "***") if secret else cause
        place = url.set(query={}).render_as_string(hide_password=True)
        first = cause.splitlines()[0] if cause else type(error).__name__
        raise SourceError(
            f"{_title(source)} can't be fetched from {place}: {first}; check the query, and whether the database is up"
        ) from (None if url.password and url.password in str(error) else error)


def _title(source: SourceSection) -> str:
    return f"the source {source.table}-{source.name}"
