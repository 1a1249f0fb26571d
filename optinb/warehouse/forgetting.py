"""Removes a customer from every version that is kept, from the files by day and from the quarantine.

What is published is never changed, so that it is written anew: the current version as the next one, older ones under
their own number, and each Parquet file that holds the customer once, for all versions that name it. Every step does
what it finds to do: after a crash the same call goes on where it stopped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.erasing import BLANKED
from optinb.base.files import sync
from optinb.warehouse import building, forgotten
from optinb.warehouse.changes import TABLE as CHANGES
from optinb.warehouse.contract import CUSTOMER_IDS, DAILY, OWN_TABLES
from optinb.warehouse.days import DayFile, DayWriter, scan_of
from optinb.warehouse.quarantine import FILE, read_quarantine
from optinb.warehouse.sql import Connection, connect, ident, literal, readable

if TYPE_CHECKING:
    from optinb.warehouse.versions import Versions


BY_DAY = (*DAILY, "history", CHANGES)


class Removed(Struct, frozen=True, kw_only=True):
    """What was removed.

    `rows` of each table of the version that was current and of its files by day; `versions` and `files` that were
    written anew; `quarantined` rows whose text was blanked, and which still count.
    """

    rows: dict[str, int]
    versions: int
    files: int
    quarantined: int

    def __bool__(self) -> bool:
        return bool(self.versions or self.files or self.quarantined)


class _Named(Struct, frozen=True):
    """A kept version: what it says about itself, and how many rows of each of its tables are the customer's."""

    contents: building.Contents
    rows: dict[str, int]


def holds(versions: Versions, customer_id: str, *, quarantine: Path) -> bool:
    """Whether a kept version, a file by day or the quarantine names a customer."""
    with connect() as con:
        for number in versions.numbers():
            version = _look(con, versions, number, {customer_id})
            files = (*version.contents.files, *version.contents.base_files)
            if version.rows or _holding(con, versions.folder, files, {customer_id}):
                return True
    return any(_named(path, {customer_id}).any() for path in _quarantines(quarantine))


def forget(
    versions: Versions,
    ids: Collection[str],
    *,
    external_ids: Collection[str],
    others: Collection[str],
    quarantine: Path,
    now: datetime,
    keep: int,
    exported: bool,
) -> Removed:
    """Removes a person, and remembers keyed hashes of their ids. Needs the lease.

    Args:
        versions: those that are kept.
        ids: all customer ids of the person.
        external_ids: those that are theirs alone; whoever is delivered with one of them is left out.
        others: further texts that name the person in the quarantine.
        quarantine: the folder of the quarantines.
        now: in UTC.
        keep: how many nights are kept.
        exported: whether the next version is to be written for Spark too.
    """
    # must precede the rest: a delivery that comes while this is being resumed brings nobody back
    forgotten.write_forgotten(versions.folder, forgotten.read_forgotten(versions.folder).with_(ids, external_ids))
    blanked = _blank(quarantine, {*ids, *external_ids, *others})
    current = versions.current
    if current is None:
        return Removed(rows={}, versions=0, files=0, quarantined=blanked)
    with connect(scratch=versions.work / "spill") as con:
        named = {number: _look(con, versions, number, ids) for number in versions.numbers()}
        every = {f.path: f for n in named.values() for f in (*n.contents.files, *n.contents.base_files)}
        holding = _holding(con, versions.folder, every.values(), ids)
        writer = DayWriter(
            con,
            root=versions.folder,
            work=versions.work,
            version=current + 1,
            delivery=named[current].contents.import_date,
        )
        moved = {path: writer.without_rows(every[path], _not(ids)) for path in holding}
        mine = {file.path for file in named[current].contents.files}
        rows = Counter(named[current].rows)
        for path in holding.keys() & mine:
            rows[every[path].table] += holding[path]
        written = _write_versions(con, versions, named, moved, ids=ids, current=current, now=now, exported=exported)
        building.clean_up(con, versions, keep=keep)  # the files that held the customer, which no version names now
    return Removed(rows=dict(sorted(rows.items())), versions=written, files=len(moved), quarantined=blanked)


def _write_versions(
    con: Connection,
    versions: Versions,
    named: Mapping[int, _Named],
    moved: Mapping[str, DayFile | None],
    *,
    ids: Collection[str],
    current: int,
    now: datetime,
    exported: bool,
) -> int:
    """Writes every version that holds the customer anew; returns how many.

    The current one comes first, as the next: whoever opens the warehouse from then on doesn't meet the customer.
    """
    written = 0
    for number, version in sorted(named.items(), reverse=True):
        if number > current or not (version.rows or _names_any(version.contents, moved)):
            continue
        if number == current:
            contents = replace(_moved(version.contents, moved), version=current + 1, created_at=now)
            built = _built(con, versions, number, contents, ids, exported=exported)
            versions.publish(built, current + 1)
            written += 1
        built = _built(con, versions, number, _moved(version.contents, moved), ids, exported=False)
        sync(built)
        built.replace(versions.path(number))
        sync(versions.folder)
        if versions.tables(number).is_dir():
            building.export_tables(versions.path(number), versions.tables(number))
        written += 1
    return written


def _built(
    con: Connection,
    versions: Versions,
    number: int,
    contents: building.Contents,
    ids: Collection[str],
    *,
    exported: bool,
) -> Path:
    """A copy of a version without the customer, in a new file: rows that are deleted in place stay readable in it."""
    built = versions.work / "without.duckdb"
    built.unlink(missing_ok=True)
    building.attach(con, versions.path(number), "cur", read_only=True)
    building.attach(con, built, "next", read_only=False)
    for name, columns in tables_of(con).items():
        where = " WHERE " + " AND ".join(_not(ids, column) for column in columns) if columns else ""
        with readable(f"the published table {name!r}"):
            con.execute(f"CREATE TABLE next.{ident(name)} AS SELECT * FROM cur.{ident(name)}{where}")
    building.write_contents(con, contents)
    building.finish(con, exported=versions.built_tables if exported else None)
    con.execute("DETACH cur")
    return built


def _look(con: Connection, versions: Versions, number: int, ids: Collection[str]) -> _Named:
    building.attach(con, versions.path(number), "cur", read_only=True)
    try:
        rows = {}
        for name, columns in ((name, columns) for name, columns in tables_of(con).items() if columns):
            where = " OR ".join(is_any(ids, column) for column in columns)
            with readable(f"the published table {name!r}"):
                found = con.execute(f"SELECT count(*) FROM cur.{ident(name)} WHERE {where}").fetchone()
            if found and found[0]:
                rows[name] = found[0]
        return _Named(building.read_contents(con, "cur"), rows)
    finally:
        con.execute("DETACH cur")


def tables_of(con: Connection) -> dict[str, tuple[str, ...]]:
    """The published tables of the attached version, and in which columns customers are named."""
    found = con.execute(
        "SELECT table_name, bool_or(column_name = 'customer_id') FROM duckdb_columns() "
        "WHERE database_name = 'cur' GROUP BY table_name ORDER BY table_name"
    ).fetchall()
    named = {name: ("customer_id",) if of_customers else () for name, of_customers in found if name not in OWN_TABLES}
    return named | ({CUSTOMER_IDS.name: ("old", "new")} if CUSTOMER_IDS.name in named else {})


def _holding(con: Connection, folder: Path, files: Iterable[DayFile], ids: Collection[str]) -> dict[str, int]:
    """How many rows of the customer each Parquet file holds, for those that hold any."""
    found: dict[str, int] = {}
    files = tuple(files)
    for table in BY_DAY:
        own = [file for file in files if file.table == table and file.rows]
        for file_group in _groups(own, 200):
            paths = {str(folder / file.path): file.path for file in file_group}
            scan = scan_of(folder, file_group, filename=True, by_name=True)
            with readable(f"the published {table}"):
                rows = con.execute(
                    f"SELECT filename, count(*) FROM {scan} WHERE {is_any(ids)} GROUP BY filename"
                ).fetchall()
            found |= {paths[name]: count for name, count in rows}
    return found


def _groups(files: Sequence[DayFile], size: int) -> Iterable[Sequence[DayFile]]:
    return (files[start : start + size] for start in range(0, len(files), size))


def _moved(contents: building.Contents, moved: Mapping[str, DayFile | None]) -> building.Contents:
    def kept(files: Sequence[DayFile]) -> tuple[DayFile, ...]:
        now = (moved.get(file.path, file) for file in files)
        return tuple(file for file in now if file is not None)

    return replace(contents, files=kept(contents.files), base_files=kept(contents.base_files))


def _names_any(contents: building.Contents, moved: Mapping[str, DayFile | None]) -> bool:
    return any(file.path in moved for file in (*contents.files, *contents.base_files))


def is_any(ids: Collection[str], column: str = "customer_id") -> str:
    """SQL that is true where a column holds one of some texts."""
    return f"({column} IN ({', '.join(map(literal, sorted(ids)))}))"


def _not(ids: Collection[str], column: str = "customer_id") -> str:
    return f"{is_any(ids, column)} IS NOT TRUE"


def _blank(quarantine: Path, names: Collection[str]) -> int:
    """Takes the text out of every refused row that names the customer, and leaves the row, so that counts stay."""
    blanked = 0
    for path in _quarantines(quarantine):
        hit = _named(path, names)
        if not hit.any():
            continue
        rows = read_quarantine(path.parent)
        unfinished = path.with_name(f".{FILE}.unfinished")
        rows.with_columns(raw=pl.when(hit).then(pl.lit(BLANKED)).otherwise("raw")).write_parquet(unfinished)
        sync(unfinished)
        unfinished.replace(path)
        blanked += int(hit.sum())
    return blanked


def _quarantines(quarantine: Path) -> list[Path]:
    return sorted(quarantine.glob(f"*/{FILE}")) if quarantine.is_dir() else []


def _named(path: Path, names: Collection[str]) -> pl.Series:
    """Which refused rows of a file name the customer."""
    # A name stands alone between separators, quotes and blanks: '42' isn't in '1042'.
    cell = rf"(?:^|[\s,;|\"'\[:])(?:{'|'.join(re.escape(name) for name in sorted(names))})(?:$|[\s,;|\"'\]}}])"
    return read_quarantine(path.parent)["raw"].str.contains(cell).fill_null(False)
