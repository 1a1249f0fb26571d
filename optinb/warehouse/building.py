"""Builds the next version beside the current one, on one connection.

`cur` is the current version, attached for reading; `next` is the one that is being written.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec import Struct, field

from optinb.base.files import sync
from optinb.errors import WarehouseError
from optinb.warehouse.contract import DAILY, OWN_TABLES, TABLES
from optinb.warehouse.days import DayFile, read_files, write_files
from optinb.warehouse.keyindex import INDEX_OF
from optinb.warehouse.report import ImportReport
from optinb.warehouse.sql import Connection, connect, ident, lent, literal, readable, tables_of, with_frames

if TYPE_CHECKING:
    from optinb.warehouse.versions import Versions


EXPORTED = frozenset({"customers", "app_users", "features"})
_log = logging.getLogger("optinb.warehouse")


class DeliveredAttribute(Struct, frozen=True):
    """A further attribute of customers: its type and the delivery that set it."""

    name: str
    kind: str
    since: date


class Delivery(Struct, frozen=True, kw_only=True):
    """One imported delivery, as a version remembers it."""

    run_date: date
    digest: str
    version: int
    imported_at: datetime
    report: ImportReport


class Contents(Struct, frozen=True, kw_only=True):
    """What a version says about itself.

    `files`: the Parquet files that belong to it. `base_files`: those of the day before its last delivery, from which a
    corrected delivery of the same day starts again.
    """

    version: int
    created_at: datetime
    import_date: date
    model_date: date | None = None
    files: tuple[DayFile, ...] = ()
    base_files: tuple[DayFile, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    attributes: tuple[DeliveredAttribute, ...] = field(default_factory=tuple)

    def before(self, run_date: date) -> tuple[DayFile, ...]:
        """The daily files that a delivery of that date adds to."""
        return self.base_files if run_date == self.import_date else self.files

    def delivery(self, run_date: date) -> Delivery | None:
        """The imported delivery of a date."""
        return next((delivery for delivery in self.deliveries if delivery.run_date == run_date), None)

    def rows_before(self, run_date: date) -> dict[str, int]:
        """Rows loaded of each table by the last delivery before a date that brought it."""
        rows: dict[str, int] = {}
        for delivery in sorted(self.deliveries, key=lambda d: d.run_date):
            if delivery.run_date < run_date:
                rows |= {table.table: table.loaded for table in delivery.report.brought}
        return rows


def attach(con: Connection, path: Path, name: str, *, read_only: bool) -> None:
    """Attaches a version's file. Raises WarehouseError if it is none."""
    with readable(str(path)):
        con.execute(f"ATTACH {literal(str(path))} AS {name}{' (READ_ONLY)' if read_only else ''}")


@contextmanager
def attached(path: Path, name: str) -> Iterator[Connection]:
    """A connection that reads a version's file by a name. Raises WarehouseError if it is none."""
    with lent() as con:
        attach(con, path, name, read_only=True)
        yield con
        con.execute(f"DETACH {name}")


def read_contents(con: Connection, name: str) -> Contents:
    """What an attached version says about itself. Raises WarehouseError if that can't be read."""
    with readable("what the published version says about itself"):
        return _contents(con, name)


def _contents(con: Connection, name: str) -> Contents:
    meta = con.execute(f"SELECT version, created_at, import_date, model_date FROM {name}.meta").fetchone()
    if meta is None:
        raise WarehouseError("the published version says nothing about itself; import the delivery again")
    deliveries = con.execute(
        f"SELECT run_date, digest, version, imported_at, report FROM {name}.deliveries ORDER BY run_date"
    ).fetchall()
    attributes = con.execute(f"SELECT name, kind, since FROM {name}.attributes ORDER BY name").fetchall()
    return Contents(
        version=meta[0],
        created_at=meta[1].replace(tzinfo=UTC),
        import_date=meta[2],
        model_date=meta[3],
        files=tuple(read_files(con, f"{name}.files")),
        base_files=tuple(read_files(con, f"{name}.base_files")),
        deliveries=tuple(
            Delivery(
                run_date=run_date,
                digest=digest,
                version=version,
                imported_at=at.replace(tzinfo=UTC),
                report=msgspec.json.decode(report, type=ImportReport),
            )
            for run_date, digest, version, at, report in deliveries
        ),
        attributes=tuple(DeliveredAttribute(*row) for row in attributes),
    )


def write_contents(con: Connection, contents: Contents) -> None:
    """Writes what the version that is being built says about itself."""
    con.execute("CREATE TABLE next.meta (version BIGINT, created_at TIMESTAMP, import_date DATE, model_date DATE)")
    con.execute(
        "INSERT INTO next.meta VALUES (?, ?, ?, ?)",
        [contents.version, naive(contents.created_at), contents.import_date, contents.model_date],
    )
    con.execute(
        "CREATE TABLE next.deliveries "
        "(run_date DATE, digest VARCHAR, version BIGINT, imported_at TIMESTAMP, report VARCHAR)"
    )
    con.execute("CREATE TABLE next.attributes (name VARCHAR, kind VARCHAR, since DATE)")
    # At once: a statement for each of the deliveries of some years would take as long as the night's rows.
    listed = pl.DataFrame(
        [
            (d.run_date, d.digest, d.version, naive(d.imported_at), msgspec.json.encode(d.report).decode())
            for d in contents.deliveries
        ],
        schema=["run_date", "digest", "version", "imported_at", "report"],
        orient="row",
    )
    if contents.deliveries:
        with_frames(con, "INSERT INTO next.deliveries SELECT * FROM listed", listed=listed)
    for attribute in contents.attributes:
        con.execute("INSERT INTO next.attributes VALUES (?, ?, ?)", [attribute.name, attribute.kind, attribute.since])
    write_files(con, "next.files", contents.files)
    write_files(con, "next.base_files", contents.base_files)


def carry_over(con: Connection, *, without: Collection[str]) -> None:
    """Copies the published tables of the current version that the next one doesn't replace."""
    for name in sorted(tables_of(con, "cur")):
        if name not in OWN_TABLES and name not in without:
            with readable(f"the published table {name!r}"):
                con.execute(f"CREATE TABLE next.{ident(name)} AS SELECT * FROM cur.{ident(name)}")


def create_missing(con: Connection) -> None:
    """Creates the contract's whole tables that were never delivered, empty, so that readers always find them."""
    present = tables_of(con, "next")
    for table in TABLES.values():
        if table.whole and table.name not in present:
            columns = ", ".join(f"{ident(name)} {kind}" for name, kind in table.stored().items())
            con.execute(f"CREATE TABLE next.{table.name} ({columns})")


def finish(con: Connection, *, exported: Path | None = None) -> None:
    """Writes the version that is being built to its file, and its customer tables to a folder of Parquet files."""
    if exported is not None:
        export(con, "next", exported)
    con.execute("CHECKPOINT next")
    con.execute("DETACH next")


def export(con: Connection, name: str, folder: Path) -> None:
    """Writes the customer tables of an attached version as Parquet files, for an engine that can't read its file."""
    folder.mkdir(exist_ok=True)
    for table in EXPORTED & tables_of(con, name):
        path = folder / f"{table}.parquet"
        con.execute(f"COPY {name}.{ident(table)} TO {literal(str(path))} (FORMAT parquet)")
        sync(path)


def export_tables(file: Path, folder: Path) -> None:
    """Writes the customer tables of a published version as Parquet files. Raises WarehouseError."""
    with connect() as con:
        attach(con, file, "v", read_only=True)
        with readable(str(file)):
            export(con, "v", folder)


def clean_up(con: Connection, versions: Versions, *, keep: int) -> None:
    """Removes the versions of nights before the last `keep`, and the Parquet files that no version names.

    A version that somebody has open stays, and so do its files. Needs the lease.
    """
    current = versions.current or 0
    nights: dict[int, date] = {}
    named: dict[int, set[str]] = {}
    versions.remove(number for number in versions.numbers() if number > current)  # what a killed build left
    for number in versions.numbers():
        try:
            with readable(str(versions.path(number))):
                nights[number], named[number] = _names(con, versions.path(number))
        except WarehouseError as error:
            # What it names isn't known, and somebody may yet restore it.
            _log.warning("nothing is cleaned up", extra={"version": number, "error": str(error)})
            return
    kept = sorted(set(nights.values()))[-keep:]
    gone = versions.remove(number for number, night in nights.items() if night not in kept)
    versions.remove_unnamed(
        {path for number, paths in named.items() if number not in gone for path in paths},
        (*DAILY, "history", "changes", *INDEX_OF.values()),
    )


def _names(con: Connection, path: Path) -> tuple[date, set[str]]:
    """The night of a version, and every file that it names."""
    attach(con, path, "old", read_only=True)
    try:
        (night,) = con.execute("SELECT import_date FROM old.meta").fetchall()[0]
        paths = con.execute("SELECT path FROM old.files UNION SELECT path FROM old.base_files").fetchall()
    finally:
        con.execute("DETACH old")
    return night, {row[0] for row in paths}


def naive(at: datetime) -> datetime:
    """An aware time as it is stored: UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None)


def merged(
    old: Mapping[str, DeliveredAttribute], kinds: Mapping[str, str], run_date: date
) -> tuple[DeliveredAttribute, ...]:
    """The attributes known after a delivery: published ones stay, new ones begin."""
    new = {name: DeliveredAttribute(name, kind, run_date) for name, kind in kinds.items() if name not in old}
    return tuple(sorted((new | dict(old)).values(), key=lambda attribute: attribute.name))
