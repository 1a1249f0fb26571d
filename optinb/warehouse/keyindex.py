"""The index of the ids of tables by day: tells a night's new rows from changed ones without reading history.

Each night adds a run of its own rows' entries, and runs of like size are merged, so that there are few; runs are files
that are never changed, and a version names its own as it names its Parquet files. 100 M keys take 1 GB.

An entry may be out of date (a row that moved to another day leaves its old one), and two keys may share a hash:
what is found is verified in the files of the day. No key of a published row is ever missing.

In a run, sorted on disk, a key is found by touching one page, however long the run is. An entry is one 64-bit number:
the upper 47 bits of a key's hash, and its day, counted from 1899, in the other 17. Behind the sorted entries of a run
stands a directory of where each prefix of the hash begins, and a bit for each longer prefix that occurs, which rules
out nine of ten keys that aren't there. Measured on a run of 60 M entries (0.6 GB): 200,000 such keys are looked up in
0.01 s.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from optinb.base.files import sync
from optinb.warehouse.days import DayFile, require_whole, scan_of
from optinb.warehouse.sql import Connection, first_value, numbers, readable, with_frames

Entries = NDArray[np.uint64]
Bits = NDArray[np.uint8]

KEYS = "keys"
# The name under which the runs of a table's ids are kept.
INDEX_OF = {"transactions": KEYS, "events": "event_keys", "redemptions": "redemption_keys"}
# Entries that are sorted at once, 64 MB: a delivery of any size is indexed in parts.
_AT_ONCE = 1 << 23


class KeyIndex:
    """Looks up and adds keys for one new version. A run is a DayFile of the table `name`."""

    def __init__(self, con: Connection, *, root: Path, version: int, delivery: date, name: str = KEYS) -> None:
        self._con, self._root, self._name = con, root, name
        self._version, self._delivery = version, delivery
        self._mine: set[str] = set()
        # Runs are of use only to an engine that hashes alike: a hash of a fixed text stands in their names.
        self._hashes = first_value(con, "SELECT printf('%016x', hash('a fixed text that tells hashes apart'))")

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
        query = f"CREATE TABLE {into} AS SELECT {key} FROM {rows} WHERE {_hash(key)} IN (SELECT n FROM found_hashes)"
        with_frames(self._con, query, found_hashes=pl.DataFrame({"n": np.unique(hashes_of(entries))}))

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


DAY_BITS = 17
_DAY_MASK = np.uint64((1 << DAY_BITS) - 1)
# Times begin in 1900, in UTC; west of it that is still the year before.
FIRST_DAY = date(1899, 1, 1)
_BUCKET = 32
RATIO = 4
# A run beyond this is merged no more: it bounds what a night ever has to merge, at half a second and 0.5 GB of disk.
LARGEST = 1 << 26
_CHUNK = 1 << 20
_FINER = 8
_MOST_BITS = 30


class Run(Struct, frozen=True):
    """A sorted run on disk.

    `entries` (uint64); `starts` (uint64): where each prefix of `bits` bits begins, and the end; `seen` (uint8): a bit
    for each prefix of `bits + 8` bits, set if it occurs.
    """

    entries: Entries
    starts: Entries
    seen: Bits
    bits: int
    mapping: mmap.mmap

    def find(self, hashes: Entries) -> Entries:
        """Every entry whose hash part is among sorted `hashes`."""
        slices = max(1, len(self.entries) // _CHUNK)
        cuts = [0, *np.searchsorted(hashes, _edges(slices)), len(hashes)]
        found = []
        for start, end in pairwise(cuts):
            found.append(self._find(hashes[start:end]))
            self.release()
        return np.concatenate(found)

    def release(self) -> None:
        """Gives back the memory of what was read; it stays in the system's cache."""
        self.mapping.madvise(mmap.MADV_DONTNEED)

    def _find(self, hashes: Entries) -> Entries:
        prefixes = hashes >> np.uint64(64 - self.bits - _FINER)
        inside = (self.seen[prefixes >> np.uint64(3)] >> (prefixes & np.uint64(7)).astype(np.uint8)) & 1
        hashes, prefixes = hashes[inside != 0], (prefixes[inside != 0] >> np.uint64(_FINER)).astype(np.int64)
        low, high = self.starts[prefixes].astype(np.int64), self.starts[prefixes + 1].astype(np.int64)
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            below = (self.entries[np.minimum(middle, len(self.entries) - 1)] < hashes) & (low < high)
            low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
        found = [np.empty(0, dtype=np.uint64)]
        while len(low):
            low, hashes = low[low < len(self.entries)], hashes[low < len(self.entries)]
            entries = self.entries[low]
            hit = (entries & ~_DAY_MASK) == hashes
            found.append(entries[hit])
            low, hashes = low[hit] + 1, hashes[hit]
        return np.concatenate(found)


def open_run(path: Path, count: int) -> Run | None:
    """The run of `count` entries at a path, mapped into memory; None if the file is missing or not whole."""
    try:
        with path.open("rb") as stream:
            mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        whole = np.frombuffer(mapping, dtype="<u8")
    except (OSError, ValueError):
        return None
    bits = int(whole[-1])
    if not 1 <= bits <= _MOST_BITS or len(whole) != count + _behind(bits):
        return None
    directory = whole[count:]
    after = (1 << bits) + 1
    return Run(whole[:count], directory[:after], directory[after:-1].view(np.uint8), bits, mapping)


def write_run(path: Path, parts: Iterable[Entries], *, at_most: int) -> int:
    """Writes entries that come in sorted parts, equal ones once. Returns how many there are, `at_most` or fewer."""
    count, last = 0, None
    bits = min(max(2, (at_most // _BUCKET).bit_length()), _MOST_BITS)
    counts = np.zeros(1 << bits, dtype=np.int64)
    seen = np.zeros(1 << (bits + _FINER - 3), dtype=np.uint8)
    with path.open("wb") as stream:
        for part in parts:
            fresh = np.ones(len(part), dtype=bool)
            np.not_equal(part[1:], part[:-1], out=fresh[1:])
            fresh[:1] &= part[:1] != last if last is not None else True
            kept = part if fresh.all() else part[fresh]
            if len(kept):
                last = kept[-1]
                finer = (kept >> np.uint64(64 - bits - _FINER)).astype(np.int64)
                among = np.bincount((finer >> _FINER) - (finer[0] >> _FINER))
                counts[finer[0] >> _FINER :][: len(among)] += among
                here = np.zeros(((finer[-1] >> 3) - (finer[0] >> 3) + 1) * 8, dtype=bool)
                here[finer - (finer[0] >> 3 << 3)] = True
                seen[finer[0] >> 3 : (finer[-1] >> 3) + 1] |= np.packbits(here, bitorder="little")
                stream.write(kept.astype("<u8", copy=False).data)
                count += len(kept)
        stream.write(np.concatenate([[0], np.cumsum(counts)]).astype("<u8").data)
        stream.write(seen.data)
        stream.write(np.array([bits], dtype="<u8").data)
    sync(path)
    return count


def merged(runs: Sequence[Run]) -> Iterator[Entries]:
    """The entries of several runs as one sorted sequence, in parts of bounded size."""
    slices = max(1, sum(len(run.entries) for run in runs) // _CHUNK)
    cuts = [[0, *np.searchsorted(run.entries, _edges(slices)), len(run.entries)] for run in runs]
    for i in range(slices):
        part = np.concatenate([run.entries[cut[i] : cut[i + 1]] for run, cut in zip(runs, cuts, strict=True)])
        for run in runs:
            run.release()
        # The stable sort finds that it has sorted pieces before it and merges them: 5 ns an entry, others take 60.
        part.sort(kind="stable")
        yield part


def mergeable(counts: Sequence[int]) -> int:
    """How many of the newest runs (`counts`: entries of each, oldest first) belong together now; 0 or at least 2.

    A run is merged while those after it make up a quarter of it or more: few runs, and an entry is rewritten few times.
    """
    total, taken = 0, 0
    for number, count in enumerate(reversed(counts)):
        if number and (count > RATIO * total or total + count > LARGEST):
            break
        total, taken = total + count, number + 1
    return taken if taken > 1 else 0


def repeated(hashes: Entries) -> Entries:
    """Those of some sorted hashes that stand there more than once, each once."""
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def days_of(entries: Entries) -> set[date]:
    """The days of some entries."""
    return {FIRST_DAY + timedelta(days=int(number)) for number in np.unique(entries & _DAY_MASK)}


def hashes_of(entries: Entries) -> Entries:
    """The hash parts of some entries."""
    return entries & ~_DAY_MASK


def in_parts(entries: Entries) -> Iterator[Entries]:
    """Sorted entries in memory, in parts as `write_run` takes them."""
    for start in range(0, len(entries), _CHUNK):
        yield entries[start : start + _CHUNK]


def _edges(slices: int) -> Entries:
    """What divides all hashes into so many equal ranges."""
    return np.array([((1 << 64) - 1) * i // slices for i in range(1, slices)], dtype=np.uint64)


def _behind(bits: int) -> int:
    """How many words of 8 bytes stand behind the entries of a run."""
    return (1 << bits) + 1 + (1 << (bits + _FINER - 6)) + 1
