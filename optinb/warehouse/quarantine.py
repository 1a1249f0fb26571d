"""Keeps every refused row and every value that was emptied: source file, line, raw text and reason, as Parquet.

DuckDB doesn't tell the line and the raw text of the n-th record of a file: only files with rejects are looked at, and
only to the last reject: newlines are counted in chunks with numpy; a newline inside quotation marks (an odd number of
marks before it) ends no record.
"""

from __future__ import annotations

import csv
import io
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

import msgspec
import numpy as np
import polars as pl

from optinb.warehouse.sql import Connection, ident, literal
from optinb.warehouse.staged import FORGOTTEN, REPEATED, Staged, StagedFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optinb.warehouse import formats


Reject = tuple[int | None, str, str, str | None, str | None]

FILE = "rejects.parquet"
COLUMNS = ("table", "file", "line", "raw", "reason", "column", "value")
_BATCH = 50_000
_CELLS = msgspec.json.Decoder(list[str | None])


def write_quarantine(con: Connection, staged: Sequence[Staged], *, folder: Path) -> None:
    """Writes the rejects of a delivery to `folder`/rejects.parquet, replacing those of an earlier import of that day.

    Columns: table, file, line (int64; null where it can't be told), raw, reason (text), and of a value that was emptied
    in a row which was loaded, column and value (text; null of a row that was refused). Of a delivery of which nothing
    could be read there is no quarantine.
    """
    if not staged:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name == "line" else pa.string()) for name in COLUMNS])
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{FILE}.unfinished"
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for part in staged:
                for file in part.files:
                    for batch in _rejects(con, part, file):
                        name = file.source.file.path.name
                        columns = [
                            [part.table.name] * len(batch),
                            [name] * len(batch),
                            *map(list, zip(*batch, strict=True)),
                        ]
                        arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
                        writer.write_table(pa.table(arrays, schema=schema))
        unfinished.replace(folder / FILE)
    finally:
        unfinished.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def read_quarantine(folder: Path) -> pl.DataFrame:
    """The rejects and emptied values of a day, with COLUMNS; empty if there are none."""
    schema = {name: pl.Int64() if name == "line" else pl.String() for name in COLUMNS}
    if not (folder / FILE).is_file():
        return pl.DataFrame(schema=schema)
    rows = pl.read_parquet(folder / FILE, glob=False)
    # Those of an earlier version of optinb have no values that were emptied.
    return rows.with_columns(pl.lit(None, schema[name]).alias(name) for name in COLUMNS if name not in rows.columns)


def _rejects(con: Connection, part: Staged, file: StagedFile) -> Iterator[list[Reject]]:
    """(line, raw, reason, column, value) of one file in batches: malformed lines first, then what failed a check."""
    malformed = con.execute(
        f"SELECT place, line, reason FROM {part.malformed} WHERE file_no = ? ORDER BY place", [file.number]
    ).fetchall()
    finder = RecordFinder(file.source, [(at, len(text.encode())) for at, text, _ in malformed])
    found: list[Reject] = [
        (finder.line_at(at), text.strip("\r\n")[:KEEP_RAW], reason, None, None) for at, text, reason in malformed
    ]
    for start in range(0, len(found), _BATCH):
        yield found[start : start + _BATCH]
    key, stored = (
        f"coalesce(s.cells, to_json([{', '.join(f's.{ident(name)}::VARCHAR' for name in names)}]))"
        for names in (part.table.key or part.table.required[:1], part.table.stored())
    )
    left_out = ", ".join(map(literal, (FORGOTTEN, REPEATED)))
    cursor = con.cursor().execute(
        f"SELECT s.rowid - {file.first}, r.reason, {key}, {stored}, r.name, r.value "
        f"FROM (SELECT row, reason, NULL AS name, NULL AS value FROM {part.rejects} UNION ALL "
        f"SELECT row, reason, name, value FROM {part.emptied} WHERE row NOT IN (SELECT row FROM {part.rejects})) r "
        f"JOIN {part.name} s ON s.rowid = r.row WHERE s.rowid >= {file.first} AND s.rowid < {file.after} "
        f"AND r.reason NOT IN ({left_out}) ORDER BY 1, r.name"
    )
    place = {name: i for i, name in enumerate(file.source.columns)}
    while rows := cursor.fetchmany(_BATCH):
        places = finder.find([row[0] for row in rows], [_CELLS.decode(row[2]) for row in rows])
        yield [
            (
                line,
                raw if raw is not None else _as_line(_CELLS.decode(cells), file.source.delimiter),
                reason,
                name,
                value if value is not None or name is None else _CELLS.decode(cells)[place[name]],
            )
            for (_, reason, _, cells, name, value), (line, raw) in zip(rows, places, strict=True)
        ]


def _as_line(cells: Sequence[str | None], delimiter: str) -> str:
    """The cells of a record as one line, for files that have no lines (Parquet)."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


_CHUNK = 8 << 20
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13
# Characters of a raw text that are kept; what is longer is no row that anybody would mend by hand.
KEEP_RAW = 20_000


class RecordFinder:
    """Lines and raw texts of records by ordinal. `malformed`: (byte offset, length) of lines that are no record."""

    def __init__(self, source: formats.OpenedFile, malformed: Sequence[tuple[int, int]]) -> None:
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
