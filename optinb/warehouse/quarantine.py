"""Keeps every refused row and every value that was emptied: source file, line, raw text and reason, as Parquet."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import msgspec

from optinb.warehouse.again import REPEATED
from optinb.warehouse.locate import KEEP_RAW, RecordFinder
from optinb.warehouse.sql import ident, literal
from optinb.warehouse.staged import FORGOTTEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

    from optinb.warehouse.staged import Staged, StagedFile

Reject = tuple[int | None, str, str, str | None, str | None]

FILE = "rejects.parquet"
COLUMNS = ("table", "file", "line", "raw", "reason", "column", "value")
_BATCH = 50_000
_CELLS = msgspec.json.Decoder(list[str | None])


def write_quarantine(con: duckdb.DuckDBPyConnection, staged: Sequence[Staged], *, folder: Path) -> None:
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
    import polars as pl

    schema = {name: pl.Int64() if name == "line" else pl.String() for name in COLUMNS}
    if not (folder / FILE).is_file():
        return pl.DataFrame(schema=schema)
    rows = pl.read_parquet(folder / FILE, glob=False)
    # Those of an earlier version of optinb have no values that were emptied.
    return rows.with_columns(pl.lit(None, schema[name]).alias(name) for name in COLUMNS if name not in rows.columns)


def _rejects(con: duckdb.DuckDBPyConnection, part: Staged, file: StagedFile) -> Iterator[list[Reject]]:
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
