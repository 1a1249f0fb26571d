"""The index of the ids of transactions and events: tells a night's new rows from changed ones without reading history.

Each night adds a run of its own rows' entries, and runs of like size are merged, so that there are few; runs are files
that are never changed, and a version names its own as it names its Parquet files. 100 M keys take 1 GB.

An entry may be out of date (a row that moved to another day leaves its old one), and two keys may share a hash:
what is found is verified in the files of the day. No key of a published row is ever missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optinb.base.files import sync
from optinb.warehouse.damage import readable
from optinb.warehouse.days import DayFile, require_whole, scan_of
from optinb.warehouse.runs import DAY_BITS, FIRST_DAY, hashes_of, in_parts, mergeable, merged, open_run, write_run
from optinb.warehouse.sql import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    import duckdb

    from optinb.warehouse.runs import Entries, Run

KEYS = "keys"
# The name under which the runs of a table's ids are kept.
INDEX_OF = {"transactions": KEYS, "events": "event_keys"}
# Entries that are sorted at once, 64 MB: a delivery of any size is indexed in parts.
_AT_ONCE = 1 << 23


class KeyIndex:
    """Looks up and adds keys for one new version. A run is a DayFile of the table `name`."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, *, root: Path, version: int, delivery: date, name: str = KEYS
    ) -> None:
        self._con = con
        self._root = root
        self._name = name
        self._version = version
        self._delivery = delivery
        self._mine: set[str] = set()
        # Runs are of use only to an engine that hashes alike: a hash of a fixed text stands in their names.
        rows = con.execute("SELECT printf('%016x', hash('a fixed text that tells hashes apart'))").fetchall()
        self._hashes = rows[0][0]

    def complete(self, runs: Sequence[DayFile], files: Sequence[DayFile], *, optional: bool = False) -> bool:
        """Whether `runs` can be used as the index of the rows in `files`; without any, no row may have an id."""
        return bool(runs or not files or optional) and all(
            f"/{self._hashes}-" in run.path and self._open(run) is not None for run in runs
        )

    def rebuild(self, files: Sequence[DayFile], *, key: str) -> list[DayFile]:
        """The index of the rows in some Parquet files, made from these. Raises WarehouseError if one is damaged."""
        if not files:
            return []
        require_whole(self._root, files)
        with readable(f"the published {files[0].table}"):
            return self.add([], key=key, rows=scan_of(self._root, files))[0]

    def add(self, runs: Sequence[DayFile], *, key: str, rows: str) -> tuple[list[DayFile], Entries]:
        """`runs` with the keys and days of `rows` (a table) added, and the earlier entries of these keys."""
        index, found = list(runs), [np.empty(0, dtype=np.uint64)]
        query = f"SELECT {_hash(key)} | (day - DATE '{FIRST_DAY}')::UBIGINT FROM {rows} WHERE {key} IS NOT NULL"
        for entries in numbers(self._con, query, at_once=_AT_ONCE):
            found += [run.find(hashes_of(entries)) for run in self._opened(runs)]
            index.append(self._write(in_parts(entries), at_most=len(entries)))
            last = mergeable([run.rows for run in index])
            if last:
                old = index[-last:]
                together = merged(list(self._opened(old)))
                index[-last:] = [self._write(together, at_most=sum(run.rows for run in old))]
                for file in old:
                    if file.path in self._mine:
                        (self._root / file.path).unlink()
        return index, np.concatenate(found)

    def select(self, entries: Entries, *, key: str, rows: str, into: str) -> None:
        """Makes a table `into` of the keys in `rows` that have one of the entries, by its hash."""
        import polars as pl

        self._con.register("found_hashes", pl.DataFrame({"n": np.unique(hashes_of(entries))}))
        self._con.execute(
            f"CREATE TABLE {into} AS SELECT {key} FROM {rows} WHERE {_hash(key)} IN (SELECT n FROM found_hashes)"
        )
        self._con.unregister("found_hashes")

    def _write(self, parts: Iterable[Entries], *, at_most: int) -> DayFile:
        path = f"{self._name}/{self._hashes}-v{self._version:06d}-{len(self._mine) + 1:04d}.run"
        self._mine.add(path)
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        count = write_run(target, parts, at_most=at_most)
        sync(target.parent)
        return DayFile(
            table=self._name,
            day=self._delivery,
            path=path,
            rows=count,
            bytes=target.stat().st_size,
            delivery=self._delivery,
        )

    def _open(self, file: DayFile) -> Run | None:
        return open_run(self._root / file.path, file.rows)

    def _opened(self, files: Iterable[DayFile]) -> Iterator[Run]:
        return (run for file in files if (run := self._open(file)) is not None)


def _hash(key: str) -> str:
    return f"(hash({key}) & {(1 << 64) - (1 << DAY_BITS)}::UBIGINT)"
