"""A reader of one published version, which it keeps to the end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import polars as pl

from optinb.errors import WarehouseError, did_you_mean
from optinb.warehouse.building import Contents, attached, read_contents
from optinb.warehouse.contract import DAILY, OWN_TABLES, TABLES, polars_schema
from optinb.warehouse.days import DayFile, require_whole
from optinb.warehouse.sql import ident, readable, tables_of
from optinb.warehouse.versions import Versions, open_shared


class Snapshot:
    """One version of the warehouse. Any number may be open, also while an import runs; use it with `with`, or close it.

    `version`, `import_date` (of the last delivery), `model_date` (None before the first model run), `created_at` (UTC).
    """

    def __init__(self, versions: Versions, number: int, descriptor: int) -> None:
        self._folder = versions.folder
        self._path = versions.path(number)
        self._tables_folder = versions.tables(number)
        self._descriptor: int | None = descriptor
        self._lock = Lock()
        self._frames: dict[str, pl.DataFrame] = {}
        with attached(self._path, "v") as con:
            self._contents = read_contents(con, "v")
            self._tables = tables_of(con, "v") - OWN_TABLES

    @property
    def version(self) -> int:
        """The number of the version."""
        return self._contents.version

    @property
    def import_date(self) -> date:
        """The date of its last delivery."""
        return self._contents.import_date

    @property
    def model_date(self) -> date | None:
        """The date of its customer models, None before the first."""
        return self._contents.model_date

    @property
    def created_at(self) -> datetime:
        """When the version was made (aware, UTC)."""
        return self._contents.created_at

    @property
    def contents(self) -> Contents:
        """All that the version says about itself: its files, deliveries and attributes."""
        return self._contents

    @property
    def tables(self) -> frozenset[str]:
        """The names that `table` takes."""
        return self._tables

    def has(self, table: str) -> bool:
        """Whether this version has a table of that name."""
        return table in self._tables

    def schema(self, table: str) -> dict[str, pl.DataType]:
        """Column names and Polars types of a table, also of `transactions` and `events`."""
        if table in DAILY:
            return polars_schema(TABLES[table])
        if table in self._frames:
            return dict(self._frames[table].schema)
        return dict(self._query(f"SELECT * FROM v.{ident(self._known(table))} LIMIT 0").schema)

    def table(self, name: str, *, columns: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table of this version (customers, app_users, features, …), read once and kept. Raises WarehouseError.

        `columns`: the only ones that are needed; these are read for the caller alone, unless the table is there.
        """
        with self._lock:
            if columns is not None and name not in self._frames:
                those = ", ".join(map(ident, columns))
                return self._query(f"SELECT {those} FROM v.{ident(self._known(name))}").lazy()
            if name not in self._frames:
                self._frames[name] = self._query(f"SELECT * FROM v.{ident(self._known(name))}")
            return self._frames[name].lazy()

    @property
    def file(self) -> Path:
        """The DuckDB file of the version. Raises WarehouseError once the snapshot is closed."""
        self._known_open()
        return self._path

    @property
    def exported(self) -> Path | None:
        """The folder with the version's customer tables as Parquet files; None if they weren't written."""
        return self._tables_folder if self._tables_folder.is_dir() else None

    def path(self, file: DayFile) -> Path:
        """Where one of the version's Parquet files lies. Raises WarehouseError once the snapshot is closed."""
        self._known_open()
        return self._folder / file.path

    def paths(self, name: str) -> tuple[Path, ...]:
        """The Parquet files of `transactions`, `events` or `history` that belong to this version, by day."""
        return tuple(self._folder / file.path for file in self._contents.files if file.table == name)

    def scan(self, name: str, *, since: date | None = None, until: date | None = None) -> pl.LazyFrame:
        """`transactions` or `events`, read in place; without any row the columns are there all the same.

        Files without a row of the days from `since` to `until` (both included) are left out; the others are whole.
        """
        if name not in DAILY:
            raise WarehouseError(f"{name!r} isn't kept by day{did_you_mean(name, DAILY)}")
        files = self.files(name, since=since, until=until)
        if not files:
            return pl.LazyFrame(schema=polars_schema(TABLES[name]))
        # A file of an earlier version lacks columns that the contract has today.
        return pl.scan_parquet(
            [self._folder / f.path for f in files],
            glob=False,
            hive_partitioning=False,
            schema=polars_schema(TABLES[name]),
            missing_columns="insert",
        )

    def files(self, name: str, *, since: date | None = None, until: date | None = None) -> list[DayFile]:
        """The Parquet files of a table that may hold rows of some days, each of them whole. Raises WarehouseError."""
        self._known_open()
        found = [
            file
            for file in self._contents.files
            if file.table == name
            and (since is None or (file.until or file.day) >= since)
            and (until is None or file.day <= until)
        ]
        require_whole(self._folder, found)
        return found

    def history(self, *, since: date | None = None, until: date | None = None) -> pl.LazyFrame:
        """The state of every customer on each day that was published, with a column `day`; both ends are included."""
        files = self.files("history", since=since, until=until)
        if not files:
            return pl.LazyFrame(schema={"customer_id": pl.String(), "day": pl.Date()})
        # A later model may know more columns: a day that lacks one has nulls there.
        frames = [pl.scan_parquet(self._folder / f.path, glob=False, hive_partitioning=False) for f in files]
        return pl.concat(frames, how="diagonal_relaxed")

    def close(self) -> None:
        """Lets go of the version; what was read stays usable."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Snapshot of version {self.version}, delivery of {self.import_date}>"

    def _known(self, name: str) -> str:
        if name not in self._tables:
            known = self._tables | ({"features"} if name == "features" else set())
            raise WarehouseError(
                f"version {self.version} has no table 'features' yet: run `optinb model`"
                if name == "features"
                else f"version {self.version} has no table {name!r}{did_you_mean(name, known)}"
            )
        return name

    def _known_open(self) -> None:
        if self._descriptor is None:
            raise WarehouseError(f"this snapshot of version {self.version} was closed; open another one")

    def _query(self, sql: str) -> pl.DataFrame:
        self._known_open()
        with attached(self._path, "v") as con, readable(str(self._path)):
            return con.sql(sql).pl()


def open_snapshot(versions: Versions, number: int | None) -> Snapshot:
    """Opens the published version, or the one of that number. Raises WarehouseError with the remedy."""
    # Between reading the pointer and opening the file a very old pointer may be cleaned up: look again.
    wanted = number
    for _ in range(10):
        wanted = number if number is not None else versions.current
        if wanted is None:
            raise WarehouseError("nothing has been imported yet: run `optinb import`")
        descriptor = open_shared(versions.path(wanted))
        if descriptor is not None:
            return Snapshot(versions, wanted, descriptor)
        if number is not None or wanted == versions.current:
            break
    kept = ", ".join(map(str, versions.numbers())) or "none"
    raise WarehouseError(
        f"version {wanted} of the warehouse isn't there (kept are: {kept}); "
        "raise keep_versions in optinb.toml to keep more"
    )
