"""The Parquet side: rows by day in files that are never changed, and the list of those that belong to a version.

A day's rows may lie in several files. Rows that are added get a file of their own beside the day's others; only a file
that holds a row which is replaced is written anew, without that row.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.warehouse.sql import exact_path, literal
from optinb.warehouse.versions import sync

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

FILES_COLUMNS = (
    '"table" VARCHAR, day DATE, path VARCHAR, rows BIGINT, bytes BIGINT, delivery DATE, '
    "key_min VARCHAR, key_max VARCHAR"
)


class DayFile(Struct, frozen=True, kw_only=True):
    """One Parquet file: rows of one day of one table, brought or rewritten by the delivery of a date.

    `path` is relative to the warehouse. `key_min` and `key_max` bound the keys in it; both None means unknown.
    """

    table: str
    day: date
    path: str
    rows: int
    bytes: int
    delivery: date
    key_min: str | None = None
    key_max: str | None = None


class DayWriter:
    """Writes the files of one new version under `root` (the warehouse folder), `work` being on the same disk."""

    def __init__(self, con: duckdb.DuckDBPyConnection, *, root: Path, work: Path, version: int, delivery: date) -> None:
        self._con = con
        self._root = root
        self._work = work
        self._version = version
        self._delivery = delivery
        self._batch = 0

    def write(self, table: str, query: str, *, key: str | None = None) -> list[DayFile]:
        """Writes the rows of a query, which has a column `day`, as one file for each day."""
        self._batch += 1
        out = self._work / f"{table}-{self._batch}"
        written = self._con.execute(
            f"COPY ({query}) TO {literal(str(out))} (FORMAT parquet, COMPRESSION snappy, PARTITION_BY (day), "
            "WRITE_PARTITION_COLUMNS true, RETURN_STATS)"
        )
        names = [column[0] for column in written.description or ()]
        files = []
        for number, row in enumerate(written.fetchall()):
            made = dict(zip(names, row, strict=True))
            day = date.fromisoformat(made["partition_keys"]["day"])
            path = f"{table}/day={day}/v{self._version:06d}-{self._batch}-{number}.parquet"
            self._move(Path(made["filename"]), self._root / path)
            low, high = _bounds(made["column_statistics"], key)
            files.append(
                DayFile(
                    table=table,
                    day=day,
                    path=path,
                    rows=made["count"],
                    bytes=made["file_size_bytes"],
                    delivery=self._delivery,
                    key_min=low,
                    key_max=high,
                )
            )
        return files

    def without(self, files: Sequence[DayFile], *, key: str, rows: str) -> list[DayFile]:
        """The files without the rows whose key is among `rows` (a table); files that hold none stay as they are."""
        bounds = self._con.execute(f"SELECT min({key}), max({key}) FROM {rows}").fetchone()
        low, high = bounds or (None, None)
        if low is None or high is None:
            return list(files)
        suspects = [file for file in files if may_hold(file, low, high)]
        touched = self._holding(suspects, key=key, rows=rows)
        kept: list[DayFile] = []
        for file in files:
            if file.path not in touched:
                kept.append(file)
            elif touched[file.path] < file.rows:
                rest = f"SELECT * FROM {self._scan([file])} WHERE {key} NOT IN (SELECT {key} FROM {rows})"
                kept += [replace(new, delivery=file.delivery) for new in self.write(file.table, rest, key=key)]
        return kept

    def _holding(self, files: Sequence[DayFile], *, key: str, rows: str) -> dict[str, int]:
        """How many rows each file loses, for those that lose any."""
        if not files:
            return {}
        paths = {str(self._root / file.path): file.path for file in files}
        counts = self._con.execute(
            f"SELECT filename, count(*) FROM {self._scan(files, filename=True)} "
            f"WHERE {key} IN (SELECT {key} FROM {rows}) GROUP BY filename"
        ).fetchall()
        return {paths[name]: count for name, count in counts}

    def _move(self, made: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        sync(made)
        made.replace(target)
        sync(target.parent)

    def _scan(self, files: Sequence[DayFile], *, filename: bool = False) -> str:
        paths = ", ".join(literal(exact_path(self._root / file.path)) for file in files)
        return f"read_parquet([{paths}], hive_partitioning = false, filename = {str(filename).lower()})"


def may_hold(file: DayFile, low: str, high: str) -> bool:
    """Whether a file may hold a key between two, as far as its bounds tell."""
    if file.key_min is None or file.key_max is None:
        return True
    return file.key_min.encode() <= high.encode() and low.encode() <= file.key_max.encode()


def read_files(con: duckdb.DuckDBPyConnection, table: str) -> list[DayFile]:
    """The list of Parquet files in a version's table `files` or `base_files`."""
    rows = con.execute(f'SELECT * FROM {table} ORDER BY "table", day, path').fetchall()
    return [DayFile(**dict(zip(DayFile.__struct_fields__, row, strict=True))) for row in rows]


def write_files(con: duckdb.DuckDBPyConnection, table: str, files: Sequence[DayFile]) -> None:
    """Writes a list of Parquet files as a table of the version that is being built."""
    import polars as pl

    text = pl.String()
    schema = {
        "table": text, "day": pl.Date(), "path": text, "rows": pl.Int64(), "bytes": pl.Int64(),
        "delivery": pl.Date(), "key_min": text, "key_max": text,
    }  # fmt: skip
    listed = pl.DataFrame([[getattr(file, name) for name in schema] for file in files], schema=schema, orient="row")
    con.execute(f"CREATE TABLE {table} ({FILES_COLUMNS})")
    con.register("listed_files", listed)
    con.execute(f"INSERT INTO {table} SELECT * FROM listed_files")
    con.unregister("listed_files")


def _bounds(statistics: dict[str, dict[str, str]], key: str | None) -> tuple[str | None, str | None]:
    """Least and greatest key of a file, if the writer knows them exactly (it cuts long texts)."""
    found = statistics.get(f'"{key}"', {}) if key else {}
    if found.get("min_is_exact") == found.get("max_is_exact") == "true" and "min" in found and "max" in found:
        return found["min"], found["max"]
    return None, None
