"""The database behind the store: opening, migrating, transactions, and its errors in plain words."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from optinb.errors import StateError
from optinb.store.schema import REVISION

BUSY_S = 30.0
# One writer at a time, as SQLite has it anyway: the audit chain, leases and versions need no further locks then, and
# both databases behave alike. Any number will do, so long as it stays.
_WRITER_LOCK = 0x6F7074696E62


class Database:
    """An engine whose transactions either only read, or are the only one that writes.

    It is opened when it is first needed: whoever only looks at tables makes no database.
    """

    def __init__(self, address: Callable[[], str | Path]) -> None:
        """Args: `address`: finds a file path or an SQLAlchemy URL."""
        self._find = address
        self._opened: Engine | None = None
        self._opening = threading.Lock()

    @classmethod
    def open(cls, address: str | Path) -> Database:
        """Opens the database at a file path or an SQLAlchemy URL, creating or migrating its tables.

        Raises StateError with a sentence that holds no password.
        """
        database = cls(lambda: address)
        with database.reading():
            return database

    @property
    def _engine(self) -> Engine:
        with self._opening:
            if self._opened is None:
                self._opened = self._open(self._find())
            return self._opened

    def _open(self, address: str | Path) -> Engine:
        url = _url(address)
        _must_have_folder(url)
        try:
            engine = create_engine(url, connect_args={"timeout": BUSY_S} if _is_sqlite(url) else {}, pool_pre_ping=True)
        except ImportError as error:
            raise StateError("PostgreSQL needs psycopg; install it with `pip install 'optinb[postgres]'`") from error
        if _is_sqlite(url):
            _prepare_sqlite(engine)
        else:
            _prepare_postgresql(engine)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def wipe(self) -> bool:
        """Overwrites what was removed in SQLite's free pages, also by earlier versions, and in its write-ahead log.

        False where another process reads just now. PostgreSQL's own vacuum does it in time.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        import sqlite3

        raw = self._engine.raw_connection()
        try:
            with suppress(sqlite3.OperationalError):
                raw.cursor().execute("VACUUM")
                return not raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return False
        finally:
            raw.close()

    def close(self) -> None:
        """Gives the connections back, if there are any; the next use opens it again."""
        with self._opening:
            if self._opened is not None:
                self._opened.dispose()
                self._opened = None

    @property
    def address(self) -> str:
        """Where the store is, for people: without a password."""
        return _shown(self._engine.url)

    @property
    def tells_time(self) -> bool:
        """Whether it has a clock of its own, which all machines share that use it."""
        return self._engine.dialect.name == "postgresql"

    def now(self) -> datetime:
        """The time in UTC: the database's own, where it tells one, else this machine's. Raises StateError."""
        if not self.tells_time:
            return datetime.now(UTC)
        with self.reading() as con:
            return con.execute(text("select clock_timestamp()")).scalar_one().astimezone(UTC)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises StateError."""
        with _reading(self._engine) as con:
            yield con

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is alone in writing; it commits at the end or takes everything back. Raises StateError."""
        with _writing(self._engine) as con:
            yield con


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    with _plain_words(engine.url), engine.connect() as con, con.begin():
        yield con


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with _plain_words(engine.url), engine.connect() as con:
        con = con.execution_options(optinb_writes=True)
        with con.begin():
            if con.dialect.name == "postgresql":
                con.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
            yield con


@contextmanager
def _plain_words(url: URL) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StateError(_explain(error, url)) from error


def _migrate(engine: Engine) -> None:
    """Brings the tables up to date. Several processes may do this at once: the first does it, the others wait."""
    with _reading(engine) as con:
        if _revision(con) == REVISION:
            return
    with _writing(engine) as con:
        found = _revision(con)
        if found == REVISION:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = con
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise StateError(
                f"the state store {_shown(engine.url)} was made by a newer optinb (its version is {found}, this one "
                f"knows {REVISION}); update optinb"
            )
        command.upgrade(config, "head")


def in_folder(address: str, folder: Path) -> str:
    """An address, whose path is taken from a folder on where it is a relative one of an SQLite file."""
    if "://" not in address:
        return str(folder / address)
    head, slashes, path = address.partition(":///")
    if head.split("+")[0] != "sqlite" or not slashes or path.startswith(("/", ":", "file:", "?")) or not path:
        return address
    return f"{head}:///{folder / path}"


def _url(address: str | Path) -> URL:
    """The URL of an address; a path is one of an SQLite file."""
    if isinstance(address, Path) or "://" not in address:
        return URL.create("sqlite", database=str(Path(address).absolute()))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # Not chained, and the address isn't shown: a password stands somewhere in it.
        raise StateError(
            "the address of the state store can't be read; write one such as "
            "postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE, with special characters of the password as %XX"
        ) from None
    match url.drivername:
        case "sqlite" | "postgresql+psycopg":
            return url
        case "postgresql":
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise StateError(
                f"the state store can't be {other!r}; give an SQLite file or a postgresql+psycopg:// address"
            )


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _shown(url: URL) -> str:
    return (url.database or ":memory:") if _is_sqlite(url) else url.set(query={}).render_as_string(hide_password=True)


def _must_have_folder(url: URL) -> None:
    if not _is_sqlite(url):
        return
    if not url.database or url.database == ":memory:":
        raise StateError("the state store must be a file: in memory it would be lost with the process")
    file = Path(url.database)
    if not file.parent.is_dir():
        raise StateError(
            f"the folder {file.parent} of the state store isn't there; make the workspace with `optinb init`"
        )
    with suppress(OSError):  # SQLite says so itself
        if not file.exists():
            file.touch()  # SQLite's own new files are never writable for a group, and its logs are made like the file


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the begin event below says BEGIN; the driver must not say its own
        raw.execute(f"PRAGMA busy_timeout={int(BUSY_S * 1000)}")
        raw.execute("PRAGMA foreign_keys=ON")
        # What is removed because somebody is forgotten is overwritten, not only marked as free.
        raw.execute("PRAGMA secure_delete=ON")
        # For a million promotion codes, whose unique index is written in random order; it grows with what is touched.
        raw.execute("PRAGMA cache_size=-131072")
        # A window must be on the disk before its requests go out, also when the power fails: NORMAL would not do.
        raw.execute("PRAGMA synchronous=FULL")
        _use_wal(raw)

    @event.listens_for(engine, "begin")
    def _begun(con: Connection) -> None:
        con.exec_driver_sql("BEGIN IMMEDIATE" if con.get_execution_options().get("optinb_writes") else "BEGIN")


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: object) -> None:
        # The driver reads times in ISO 8601 alone, and a server or a role may be set to another style.
        raw.execute("SET datestyle = 'ISO, YMD'")
        # A process that is stopped in a transaction would keep all others out for as long as it likes.
        raw.execute("SET idle_in_transaction_session_timeout = '60s'")
        raw.commit()


def _use_wal(raw: Any) -> None:
    """Turns on the write-ahead log, which the file then remembers. SQLite doesn't wait for others here."""
    import sqlite3

    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                raw.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _revision(con: Connection) -> str | None:
    if not inspect(con).has_table("alembic_version"):
        return None
    return con.execute(text("select version_num from alembic_version")).scalar()


def _explain(error: SQLAlchemyError, url: URL) -> str:
    """What a database's error means and what to do, without the password."""
    place = f"the state store {_shown(url)}"
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    if url.password:
        cause = cause.replace(str(url.password), "***")
    first = cause.splitlines()[0] if cause else type(error).__name__
    if "database is locked" in cause:
        return f"{place} has been locked by another program for more than {BUSY_S:.0f} s; close it and try again"
    if "not a database" in cause:
        return f"{place} isn't an SQLite file; restore it from a copy, or move it away to begin anew"
    if "readonly" in cause or "unable to open" in cause:
        return f"{place} can't be opened for writing ({first}); check the rights of the file and its folder" + _sticky(
            url
        )
    if "password authentication failed" in cause:
        return f"{place} refuses this user and password; check the address that [workspace] state refers to"
    if "connection" in cause and url.get_backend_name() == "postgresql":
        return f"{place} can't be reached ({first}); check its address and whether the server is up"
    if any(words in cause for words in ("disk I/O error", "disk is full", "No space left")):
        return f"{place} can't be written ({first}); check the space and the rights of its folder, then run it again"
    return f"{place} failed: {first}"


def _sticky(url: URL) -> str:
    folder = Path(url.database or "").absolute().parent
    if not _is_sqlite(url) or folder.stat().st_mode & (stat.S_ISVTX | stat.S_IWOTH) != stat.S_ISVTX:
        return ""
    return f", which is sticky, so that files that others made can't be opened: its owner runs chmod -t {folder}"
