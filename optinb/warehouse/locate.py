"""Finds the line and the raw text of the n-th record of a file, which DuckDB doesn't tell.

Only files with rejects are looked at, and only to the last reject: newlines are counted in chunks with numpy; a newline
inside quotation marks (an odd number of marks before it) ends no record.
"""

from __future__ import annotations

import csv
import io
import mmap
import re
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optinb.warehouse.formats import OpenedFile

_CHUNK = 8 << 20
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13
# Characters of a raw text that are kept; what is longer is no row that anybody would mend by hand.
KEEP_RAW = 20_000


class RecordFinder:
    """Lines and raw texts of records by ordinal. `malformed`: (byte offset, length) of lines that are no record."""

    def __init__(self, source: OpenedFile, malformed: Sequence[tuple[int, int]]) -> None:
        self._source = source
        self._format = source.file.format
        places = [(self._line_start(offset), length) for offset, length in malformed]
        self._malformed = np.array(places, dtype=np.int64).reshape(-1, 2)
        self._fast = self._format.delimited
        self._starts = self._ends = self._newlines = np.zeros(0, dtype=np.int64)
        self._scanned = False

    def line_at(self, offset: int) -> int:
        """The 1-based line on which a byte lies; blank lines before a malformed record are not its own."""
        text = self._bytes()
        while offset < len(text) and text[offset] in (_NEWLINE, _RETURN):
            offset += 1
        self._scan()
        return int(np.searchsorted(self._newlines, offset)) + 1

    def find(
        self, ordinals: Sequence[int], cells: Sequence[Sequence[str | None]]
    ) -> list[tuple[int | None, str | None]]:
        """(line, raw) of each record; a Parquet file has record numbers and no raw text.

        `cells` guard against a miscount after broken quotation marks: a record that lacks them is (None, None).
        """
        if not self._format.text:
            return [(ordinal + 1, None) for ordinal in ordinals]
        found = [self._found(*record) for record in zip(ordinals, cells, strict=True)]
        if self._fast and any(line is None for line, _ in found):
            self._scan_exactly()
            found = [self._found(*record) for record in zip(ordinals, cells, strict=True)]
        return found

    def _found(self, ordinal: int, values: Sequence[str | None]) -> tuple[int | None, str | None]:
        raw = self._raw(ordinal)
        if raw is None or not self._holds(raw, values):
            return None, None
        return self.line_at(int(self._starts[ordinal])), raw[:KEEP_RAW]

    def _raw(self, ordinal: int) -> str | None:
        self._scan()
        if ordinal >= len(self._starts):
            return None
        text, start, end = self._bytes(), int(self._starts[ordinal]), int(self._ends[ordinal])
        return text[start:end].decode("utf-8", errors="replace").strip("\r\n")

    def _holds(self, raw: str, values: Sequence[str | None]) -> bool:
        if not self._format.delimited:
            return True
        try:
            fields = next(csv.reader(io.StringIO(raw, newline=""), delimiter=self._source.delimiter), [])
        except csv.Error:
            return False
        # Stored texts are composed.
        alike = {normalize("NFC", field.strip()) for field in fields}
        return all(normalize("NFC", value.strip()) in alike for value in values if value)

    def _line_start(self, offset: int) -> int:
        # After a quoted newline DuckDB's offsets are one byte late.
        text = self._bytes()
        if offset == 0 or text[offset - 1] in (_NEWLINE, _RETURN):
            return offset
        return max(text.rfind(b"\n", 0, offset), text.rfind(b"\r", 0, offset)) + 1

    def _bytes(self) -> mmap.mmap:
        if not hasattr(self, "_map"):
            with self._source.plain.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def _scan(self) -> None:
        """Start and end of every record, and every newline."""
        if self._scanned:
            return
        self._scanned = True
        text = self._bytes()
        newline = _NEWLINE if text.find(b"\n") >= 0 else _RETURN
        quoted = self._format.delimited and text.find(b'"') >= 0
        ends, newlines, odd = [], [], 0
        for start in range(0, len(text), _CHUNK):
            chunk = np.frombuffer(text[start : start + _CHUNK], dtype=np.uint8)
            at = np.flatnonzero(chunk == newline)
            newlines.append(at + start)
            if quoted:
                marks = chunk == _QUOTE
                for offset, length in self._malformed_in(start, start + _CHUNK):
                    marks[max(offset - start, 0) : max(offset + length - start, 0)] = False
                parity = (np.cumsum(marks) + odd) & 1
                odd = int(parity[-1])
                at = at[parity[at] == 0]
            ends.append(at + start)
        self._newlines = np.concatenate(newlines)
        ends_at = np.append(np.concatenate(ends), len(text))
        self._records(ends_at)

    def _malformed_in(self, start: int, after: int) -> NDArray[np.int64]:
        first = np.searchsorted(self._malformed.sum(axis=1), start)
        return self._malformed[first : np.searchsorted(self._malformed[:, 0], after)]

    def _scan_exactly(self) -> None:
        """As `_scan`, for files in which a quotation mark inside a field put the fast way out of step."""
        self._fast = False
        text, sign = self._bytes(), re.escape(self._source.delimiter.encode())
        field = rb'(?: *"(?:[^"]|"")*+"[^%b\n]*|[^%b\n]*)' % (sign, sign)
        record = re.compile(rb"%b(?:%b%b)*" % (field, sign, field))
        skip = {int(offset): int(length) for offset, length in self._malformed}
        ends, at = [], 0
        while at < len(text):
            match = record.match(text, at)
            end = match.end() if match else len(text)
            if at in skip:
                end = at + skip[at] - (text[at + skip[at] - 1 : at + skip[at]] == b"\n")
            ends.append(end)
            at = end + 1
        if not ends or ends[-1] < len(text):
            ends.append(len(text))
        self._records(np.array(ends, dtype=np.int64))

    def _records(self, ends: NDArray[np.int64]) -> None:
        """Keeps what DuckDB counts: no blank lines, no header, nothing inside a malformed record."""
        text = self._bytes()
        starts = np.concatenate([[0], ends[:-1] + 1])
        length = ends - starts
        blank = length <= 0
        for i in np.flatnonzero(length == 1):
            blank[i] = text[int(starts[i])] == _RETURN
        inside = np.zeros(len(starts) + 1, dtype=np.int64)
        offsets, sizes = self._malformed[:, 0], self._malformed[:, 1]
        np.add.at(inside, np.searchsorted(starts, offsets), 1)
        np.add.at(inside, np.searchsorted(starts, offsets + np.maximum(sizes, 1)), -1)
        blank |= np.cumsum(inside[:-1]) > 0
        starts, ends = starts[~blank], ends[~blank]
        skipped = int(self._format.delimited)
        self._starts, self._ends = starts[skipped:], ends[skipped:]
