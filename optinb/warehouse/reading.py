"""Finds the files of a delivery and opens each as a DuckDB relation of text cells c0, c1, ….

Nothing outside the inbox is read, and a file's name is only ever a name.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import DeliveryError
from optinb.warehouse.checks import NAMED_TWICE, NOT_AN_OBJECT
from optinb.warehouse.column_names import PLACE, ColumnNames
from optinb.warehouse.contract import FORMATS, MAX_COLUMNS, MAX_NAME_LENGTH, TABLES, FileName, read_name
from optinb.warehouse.delimited import header_of
from optinb.warehouse.header_gates import did_you_mean_column
from optinb.warehouse.limits import (
    MOST_UNPACKED_GB,
    UnreadableError,
    refuse_long_footer,
    refuse_long_lines,
    refuse_many_columns,
    unpack,
)
from optinb.warehouse.settling import finished_name
from optinb.warehouse.sql import exact_path, ident, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

_HEADER_BYTES = 1 << 20
_KEEP_ERRORS = "store_rejects = true, rejects_limit = 0, rejects_table = 'csv_rejects', rejects_scan = 'csv_scans'"
# In this order: UTF-32 begins as UTF-16 does.
_BOMS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}

# A zip, as workbooks of all kinds are, and the older form of Excel's.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


class DeliveredFile(Struct, frozen=True):
    """One file of a delivery, as its name describes it."""

    path: Path
    name: FileName

    @property
    def table(self) -> str:
        """The table that this file is a part of."""
        return self.name.table


class OpenedFile(Struct, frozen=True, kw_only=True):
    """A file opened for reading: `relation` is SQL that gives text cells c0, c1, … in the file's order.

    `plain`: the uncompressed file. `columns[i]` names cell `ci`, lower-case and stripped; "" is one without a name.
    """

    file: DeliveredFile
    plain: Path
    columns: tuple[str, ...]
    relation: str
    delimiter: str = ","


def find_files(inbox: Path, folder: Path) -> tuple[list[DeliveredFile], list[str]]:
    """The files of a delivery in the order of the contract's tables, and warnings about what is ignored.

    Raises DeliveryError for a link that leads out of the inbox.
    """
    home = inbox.resolve()
    _inside(folder, home)
    found: list[DeliveredFile] = []
    warnings: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        _inside(path, home)
        name = read_name(path.name)
        if not path.is_file():
            warnings.append(f"{path.name} is ignored: it is not a file")
        elif name is None and finished_name(path.name):
            continue  # a gate tells of it
        elif name is None:
            warnings.append(
                f"{path.name} is ignored: its name is none of the contract's; files are named "
                f"{', '.join(TABLES)}, with parts such as customers-1.csv"
            )
        else:
            found.append(DeliveredFile(path, name))
    order = list(TABLES)
    return sorted(found, key=lambda file: (order.index(file.table), file.path.name)), warnings


def digest(files: Sequence[DeliveredFile], *, context: str) -> str:
    """SHA-256 of names and contents of a delivery, and of whatever else decides what its rows mean (`context`)."""
    whole = hashlib.sha256(context.encode())
    for file in files:
        with file.path.open("rb") as stream:
            whole.update(f"\0{file.path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}".encode())
    return whole.hexdigest()


def open_source(
    con: duckdb.DuckDBPyConnection,
    file: DeliveredFile,
    *,
    scratch: Path,
    plain: Path | None = None,
    names: ColumnNames | None = None,
    most_gb: float = MOST_UNPACKED_GB,
) -> OpenedFile:
    """Opens a delivered file, or an uncompressed copy of it; a gzip may become so many GB.

    `names` say what its headers mean.

    Raises UnreadableError, which says what to mend, if no row of it can be read.
    """
    plain = plain or _plain(file, scratch, most_gb=most_gb)
    if plain.stat().st_size == 0:
        raise UnreadableError("it is empty; write at least the header, or leave the file out")
    opener = {"csv": _open_csv, "ndjson": _open_ndjson, "parquet": _open_parquet}[file.name.format]
    source = opener(con, file, plain)
    headers = source.columns
    source = replace(source, columns=(names or ColumnNames()).named(file.table, headers))
    named = [column for column in source.columns if column]
    odd = next((name for name in named if len(name) > MAX_NAME_LENGTH or "\0" in name), None)
    if odd is not None:
        raise UnreadableError(
            f"its header has a name that is none ({odd[:40]!r}…): at most {MAX_NAME_LENGTH} characters, and no NUL"
        )
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        alike = [header for header, name in zip(headers, source.columns, strict=True) if name == twice[0]]
        if len(set(alike)) > 1:
            raise UnreadableError(
                f"its header has both {' and '.join(map(repr, alike))}, which {PLACE} makes one column; keep one of "
                "them, or take the line out there"
            )
        raise UnreadableError(f"its header has {twice[0]!r} more than once; keep one of them")
    table = TABLES[file.table]
    missing = [column for column in table.required if column not in named]
    if missing and file.name.format != "ndjson":
        has = ", ".join(repr(name[:40]) for name in named[:12]) or "none"
        meant = did_you_mean_column(named, missing[0], table)
        raise UnreadableError(f"its header has no column {missing[0]!r} (it has {has}); add it{meant}")
    return source


def with_plain_newlines(source: OpenedFile, *, scratch: Path) -> Path:
    """A copy of a text file whose lines all end alike, since a file that mixes line ends can't be read as it is."""
    target = scratch / f"{source.file.path.name}.newlines"
    with (
        source.plain.open(encoding="utf-8", errors="surrogateescape", newline=None) as mixed,
        target.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as out,
    ):
        shutil.copyfileobj(mixed, out, 1 << 20)
    return target


def _inside(path: Path, home: Path) -> None:
    real = path.resolve()
    if real != home and home not in real.parents:
        raise DeliveryError(
            f"{path.name} in the inbox is a link to {real}, outside the inbox, and is not followed; "
            "put the file itself there"
        )


def _plain(file: DeliveredFile, scratch: Path, *, most_gb: float) -> Path:
    """The file uncompressed; a gzip is unpacked first, since only its end says whether it is whole."""
    if not file.name.gzipped:
        return file.path
    target = scratch / f"{file.path.name}.plain"
    try:
        unpack(file.path, target, most_gb=most_gb)
    except EOFError as error:
        raise UnreadableError("its gzip ends too early: the transfer was cut; send the file again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableError(f"it is no valid gzip ({error}); send the file again") from error
    return target


def _start(plain: Path) -> bytes:
    """The first bytes of a text file, without a byte order mark. Raises UnreadableError if it is no UTF-8 text."""
    with plain.open("rb") as stream:
        start = stream.read(_HEADER_BYTES)
    if start.startswith(b"\x1f\x8b"):
        raise UnreadableError("it is compressed with gzip; add .gz to its name")
    if start.startswith(_WORKBOOKS):
        raise UnreadableError('it is a spreadsheet, not a text; open it and save it as "CSV UTF-8"')
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            raise UnreadableError(f"it is {encoding} text; save it as UTF-8")
    if b"\0" in start[:4]:
        raise UnreadableError("it isn't UTF-8 text, but perhaps UTF-16 or UTF-32; save it as UTF-8")
    return start.removeprefix(b"\xef\xbb\xbf")


def _open_csv(con: duckdb.DuckDBPyConnection, file: DeliveredFile, plain: Path) -> OpenedFile:
    start = _start(plain).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = start.lstrip(b"\n")
    if len(text) > _HEADER_BYTES // 2 and b"\n" not in text:
        raise UnreadableError("its first line is too long for a header; it must name the columns, at most 1,000")
    try:
        text.split(b"\n", 1)[0].decode()
        delimiter, header = _header(text.decode(errors="replace"), file.table)
    except UnicodeDecodeError as error:
        raise UnreadableError("its header is not UTF-8; save the file as UTF-8") from error
    except csv.Error as error:
        raise UnreadableError(f"its header can't be read ({error}); the first line must name the columns") from error
    if not header:
        raise UnreadableError("it has no header; the first line must name the columns")
    refuse_many_columns(len(header))
    refuse_long_lines(plain, delimiter=delimiter)
    cells = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(header)))
    relation = _lines(plain, cells, f"header = true, skip = {len(start) - len(text)}, delim = {literal(delimiter)}")
    return OpenedFile(file=file, plain=plain, columns=header, relation=relation, delimiter=delimiter)


def _lines(plain: Path, cells: str, form: str, *, quote: str = '"', errors: str = _KEEP_ERRORS) -> str:
    """SQL that reads a text file; lines that can't be read go to the table `csv_rejects`."""
    return (
        f"read_csv({literal(exact_path(plain))}, columns = {{{cells}}}, auto_detect = false, {form}, "
        f"quote = '{quote}', escape = '{quote}', {errors})"
    )


def _header(text: str, table: str) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names: the delimiter is the one that finds most of the table's columns."""
    known = {column.name for column in TABLES[table].columns}
    return header_of(text, known=known, like=lambda name: name.strip().lower())


def _open_ndjson(con: duckdb.DuckDBPyConnection, file: DeliveredFile, plain: Path) -> OpenedFile:
    _start(plain)
    refuse_long_lines(plain)

    # Read as lines, not by read_ndjson: that one loses its place after a line that is no JSON.
    def objects(errors: str) -> str:
        # No JSON text holds this separator unescaped.
        lines = _lines(plain, "'line': 'VARCHAR'", "header = false, delim = '\x01'", quote="", errors=errors)
        return f"(SELECT CASE WHEN json_valid(line) THEN line END AS json FROM {lines} WHERE line IS NOT NULL)"

    # More names than are read anyhow needn't be collected; what is no object has none.
    rows = con.execute(
        f"SELECT DISTINCT unnest(json_keys(json)) FROM {objects('ignore_errors = true')} LIMIT {MAX_COLUMNS + 1}"
    ).fetchall()
    spellings: dict[str, list[str]] = {}
    for (key,) in sorted(rows):
        spellings.setdefault(key.strip().lower(), []).append(key)
    # JSON pointers, since a key may hold any character.
    keys = [key for alike in spellings.values() for key in alike]
    pointers = ", ".join(literal("/" + key.replace("~", "~0").replace("/", "~1")) for key in keys)
    values = f"json_extract_string(json, [{pointers}])" if keys else "[]::VARCHAR[]"
    number = {key: f"v[{i + 1}]" for i, key in enumerate(keys)}
    cells, twice = [], ["false"]
    for i, alike in enumerate(spellings.values()):
        some = ", ".join(number[key] for key in alike)
        cells.append(f"coalesce({some}) AS c{i}")
        if len(alike) > 1:
            twice.append(f"list_count([{some}]) > 1")
    broken = (
        f"CASE WHEN json IS NULL OR json_type(json) <> 'OBJECT' THEN {literal(NOT_AN_OBJECT)} "
        f"WHEN {' OR '.join(twice)} THEN {literal(NAMED_TWICE)} END AS broken"
    )
    relation = f"(SELECT {', '.join([*cells, broken])} FROM (SELECT json, {values} AS v FROM {objects(_KEEP_ERRORS)}))"
    return OpenedFile(file=file, plain=plain, columns=tuple(spellings), relation=relation)


def _open_parquet(con: duckdb.DuckDBPyConnection, file: DeliveredFile, plain: Path) -> OpenedFile:
    rows = f"read_parquet({literal(exact_path(plain))}, hive_partitioning = false)"
    refuse_long_footer(plain)
    names = tuple(_names_in(con, plain))
    refuse_many_columns(len(names))
    described = con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
    columns = tuple(name.strip().lower() for name in names)
    table = TABLES.get(file.table)  # none of a list or of codes, which have nothing but ids
    ids = {column.name for column in table.columns if column.kind == "key"} if table else set(columns)
    cells = [
        f"{_as_text(ident(name), kind, is_id=column in ids)} AS c{i}"
        for i, ((name, kind, *_), column) in enumerate(zip(described, columns, strict=True))
    ]
    return OpenedFile(file=file, plain=plain, columns=columns, relation=f"(SELECT {', '.join(cells)} FROM {rows})")


def _as_text(value: str, kind: str, *, is_id: bool) -> str:
    """SQL of a Parquet value as text."""
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
        return f"to_json({value})::VARCHAR"
    if kind == "BLOB":
        # Some writers don't mark text as UTF-8. A NUL stands for what is none, and no check lets it pass.
        return f"CASE WHEN {value} IS NOT NULL THEN coalesce(TRY(decode({value})), chr(0)) END"
    if is_id and kind.startswith(("FLOAT", "DOUBLE", "DECIMAL")):
        # Whole numbers with gaps are floats in many tools. From 2^53 on a float no longer tells one from the next.
        whole = f"{value} = trunc({value}) AND abs({value}) < 9e15"
        return f"CASE WHEN {whole} THEN TRY_CAST({value} AS BIGINT)::VARCHAR ELSE {value}::VARCHAR END"
    return f"{value}::VARCHAR"


def _names_in(con: duckdb.DuckDBPyConnection, plain: Path) -> Iterator[str]:
    """The columns of a Parquet file as it names them itself; DuckDB renames one that differs from another in case."""
    elements = iter(
        con.execute(f"SELECT name, num_children FROM parquet_schema({literal(exact_path(plain))})").fetchall()
    )

    def pass_over(children: int | None) -> None:
        for _ in range(children or 0):
            pass_over(next(elements)[1])

    next(elements, None)  # the root
    for name, children in elements:
        pass_over(children)
        yield name


def open_other(con: duckdb.DuckDBPyConnection, path: Path, *, scratch: Path) -> OpenedFile | Path:
    """Opens a file that is no table of a delivery, a list or codes, by what its name ends with, as deliveries are read.

    Returns the uncompressed file, UTF-8 as far as its beginning tells, where it is a text of lines. Raises
    UnreadableError.
    """
    endings = [ending.lower().lstrip(".") for ending in path.suffixes]
    gzipped = endings[-1:] == ["gz"]
    ending = next(iter(endings[:-1][-1:] if gzipped else endings[-1:]), "")
    file = DeliveredFile(path, FileName("", FORMATS.get(ending, "csv"), gzipped))
    plain = _plain(file, scratch, most_gb=MOST_UNPACKED_GB)
    if plain.stat().st_size == 0:
        raise UnreadableError("it is empty")
    if file.name.format == "csv":
        _start(plain)
        return plain
    return {"ndjson": _open_ndjson, "parquet": _open_parquet}[file.name.format](con, file, plain)
