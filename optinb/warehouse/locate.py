"""Finds the line and the raw text of the n-th record of a file, which DuckDB doesn't tell.

Only files with rejects are looked at, and only to the last reject: newlines are counted in chunks with numpy; a newline
inside quotation marks (an odd number of marks before it) ends no record.
"""

from __future__ import annotations

import csv
import mmap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optinb.warehouse.reading import Source

_CHUNK = 8 << 20
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13
_KEEP_RAW = 20_000


class RecordFinder:
    """Lines and raw texts of records by ordinal. `malformed`: (byte offset, length) of lines that are no record."""

    def __init__(self, source: Source, malformed: Sequence[tuple[int, int]]) -> None:
        self._source = source
        self._format = source.file.name.format
        self._malformed = np.array(malformed, dtype=np.int64).reshape(-1, 2)
        self._starts: NDArray[np.int64] | None = None
        self._newlines: NDArray[np.int64] | None = None

    def line_at(self, offset: int) -> int:
        """The 1-based line on which a byte lies; blank lines before a malformed record are not its own."""
        text = self._bytes()
        while offset < len(text) and text[offset] in (_NEWLINE, _RETURN):
            offset += 1
        self._scan()
        assert self._newlines is not None
        return int(np.searchsorted(self._newlines, offset)) + 1

    def find(
        self, ordinals: Sequence[int], cells: Sequence[Sequence[str | None]]
    ) -> list[tuple[int | None, str | None]]:
        """(line, raw) of each record; a Parquet file has record numbers and no raw text.

        `cells` guard against a miscount after broken quotation marks: a record that lacks them is (None, None).
        """
        if self._format == "parquet":
            return [(ordinal + 1, None) for ordinal in ordinals]
        self._scan()
        assert self._starts is not None
        found = []
        for ordinal, values in zip(ordinals, cells, strict=True):
            raw = self._raw(ordinal)
            if raw is None or not self._holds(raw, values):
                found.append((None, None))
            else:
                found.append((self.line_at(int(self._starts[ordinal])), raw[:_KEEP_RAW]))
        return found

    def _raw(self, ordinal: int) -> str | None:
        assert self._starts is not None
        if ordinal >= len(self._starts):
            return None
        text, start, end = self._bytes(), int(self._starts[ordinal]), int(self._ends[ordinal])
        return text[start:end].decode("utf-8", errors="replace").strip("\r\n")

    def _holds(self, raw: str, values: Sequence[str | None]) -> bool:
        if self._format == "ndjson":
            return True
        fields = next(csv.reader([raw], delimiter=self._source.delimiter), [])
        return all(value in fields or value.strip() in map(str.strip, fields) for value in values if value)

    def _bytes(self) -> mmap.mmap:
        if not hasattr(self, "_map"):
            with self._source.plain.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def _scan(self) -> None:
        """Start and end of every record, and every newline."""
        if self._starts is not None:
            return
        text = self._bytes()
        newline = _NEWLINE if text.find(b"\n") >= 0 else _RETURN
        quoted = self._format == "csv" and text.find(b'"') >= 0
        ends, newlines, odd = [], [], 0
        for start in range(0, len(text), _CHUNK):
            chunk = np.frombuffer(text[start : start + _CHUNK], dtype=np.uint8)
            at = np.flatnonzero(chunk == newline)
            newlines.append(at + start)
            if quoted:
                marks = chunk == _QUOTE
                for offset, length in self._malformed:
                    marks[max(offset - start, 0) : max(offset + length - start, 0)] = False
                parity = (np.cumsum(marks) + odd) & 1
                odd = int(parity[-1])
                at = at[parity[at] == 0]
            ends.append(at + start)
        self._newlines = np.concatenate(newlines)
        ends_at = np.append(np.concatenate(ends), len(text))
        self._records(ends_at)

    def _records(self, ends: NDArray[np.int64]) -> None:
        """Keeps what DuckDB counts: no blank lines, no header, nothing inside a malformed record."""
        text = self._bytes()
        starts = np.concatenate([[0], ends[:-1] + 1])
        length = ends - starts
        blank = length <= 0
        for i in np.flatnonzero(length == 1):
            blank[i] = text[int(starts[i])] == _RETURN
        for offset, size in self._malformed:
            first, last = np.searchsorted(starts, [offset, offset + max(size, 1)])
            blank[first:last] = True
        starts, ends = starts[~blank], ends[~blank]
        skipped = 1 if self._format == "csv" else 0
        self._starts, self._ends = starts[skipped:], ends[skipped:]
