"""The formats of delivered files: for each how a name tells it, how it is opened, and what is special about its lines.

A new format is a value of `FORMATS` and the function that opens it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from msgspec import Struct

from optinb.warehouse.checks import NAMED_TWICE, NOT_AN_OBJECT
from optinb.warehouse.contract import MAX_COLUMNS, TABLES
from optinb.warehouse.delimited import header_of
from optinb.warehouse.limits import UnreadableError, refuse_long_footer, refuse_long_lines, refuse_many_columns
from optinb.warehouse.sql import Connection, exact_path, ident, literal

if TYPE_CHECKING:
    Opener = Callable[[Connection, "DeliveredFile", Path], "OpenedFile"]

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


class Format(Struct, frozen=True, kw_only=True):
    """One format. `endings` of names tell it; `opens` gives a file's relation, or raises UnreadableError.

    `delimited`: a header, and lines of cells apart by a delimiter. `objects`: each line names its own columns, and the
    relation has a text `broken`, what is wrong with the line. `malformed`: what DuckDB's errors mean here, where it is
    something else than in other texts.
    """

    name: str
    endings: tuple[str, ...]
    opens: Opener
    delimited: bool = False
    objects: bool = False
    malformed: Mapping[str, str] = {}

    @property
    def text(self) -> bool:
        """Whether it is a text of lines."""
        return self.delimited or self.objects


class FileName(Struct, frozen=True):
    """What a file's name says about its content."""

    table: str
    format: Format
    gzipped: bool


class DeliveredFile(Struct, frozen=True):
    """One file of a delivery, as its name describes it."""

    path: Path
    name: FileName

    @property
    def format(self) -> Format:
        """Its format."""
        return self.name.format

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


def text_start(plain: Path) -> bytes:
    """The first bytes of a text file, without a byte order mark. Raises UnreadableError if it is no UTF-8 text."""
    with plain.open("rb") as stream:
        start = stream.read(_HEADER_BYTES)
    if start.startswith(b"\x1f\x8b"):
        raise UnreadableError("it is compressed with gzip; add .gz to its name")
    if plain.suffix.lower() == ".zip" or (start.startswith(_WORKBOOKS) and is_archive(plain)):
        raise UnreadableError(
            "it is a zip archive; unpack it and give the file in it, or, of several, one into which they are joined"
        )
    if start.startswith(_WORKBOOKS):
        raise UnreadableError('it is a spreadsheet, not a text; open it and save it as "CSV UTF-8"')
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            raise UnreadableError(f"it is {encoding} text; save it as UTF-8")
    if b"\0" in start[:4]:
        raise UnreadableError("it isn't UTF-8 text, but perhaps UTF-16 or UTF-32; save it as UTF-8")
    return start.removeprefix(b"\xef\xbb\xbf")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip of other files, and no workbook, which is one too."""
    try:
        with ZipFile(path) as archive:
            return not {"[Content_Types].xml", "mimetype"} & set(archive.namelist())
    except (BadZipFile, OSError):
        return False


def _open_csv(con: Connection, file: DeliveredFile, plain: Path) -> OpenedFile:
    start = text_start(plain).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
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


def forget_errors(con: Connection) -> None:
    """Drops the tables of lines that couldn't be read, before another file is."""
    con.execute("DROP TABLE IF EXISTS csv_rejects")
    con.execute("DROP TABLE IF EXISTS csv_scans")


def _header(text: str, table: str) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names: the delimiter is the one that finds most of the table's columns."""
    known = {column.name for column in TABLES[table].columns}
    return header_of(text, known=known, like=lambda name: name.strip().lower())


def _open_ndjson(con: Connection, file: DeliveredFile, plain: Path) -> OpenedFile:
    text_start(plain)
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


def _open_parquet(con: Connection, file: DeliveredFile, plain: Path) -> OpenedFile:
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


def _names_in(con: Connection, plain: Path) -> Iterator[str]:
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


CSV = Format(name="csv", endings=("csv", "tsv", "txt"), opens=_open_csv, delimited=True)
FORMATS = (
    CSV,
    Format(
        name="ndjson",
        endings=("ndjson", "jsonl", "json"),
        opens=_open_ndjson,
        objects=True,
        malformed={"TOO MANY COLUMNS": NOT_AN_OBJECT},
    ),
    Format(name="parquet", endings=("parquet",), opens=_open_parquet),
)
BY_ENDING: Mapping[str, Format] = {ending: form for form in FORMATS for ending in form.endings}

# A part's number may follow anything; a word (customers-eu.csv) only a hyphen or a dot, since `customers_old` is
# more likely another table than a part of this one.
_FILE = re.compile(
    rf"(?P<table>{'|'.join(TABLES)})(?:[-_.]?(?:part[-_]?)?[0-9][0-9\-_]*|[-.][\w\-]+)?"
    rf"\.(?P<format>{'|'.join(BY_ENDING)})(?P<gz>\.gz)?",
    re.IGNORECASE,
)


def read_name(name: str) -> FileName | None:
    """Table, format and compression of a delivered file by its name, or None if the contract knows no such name."""
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    return FileName(match["table"].lower(), BY_ENDING[match["format"].lower()], match["gz"] is not None)
