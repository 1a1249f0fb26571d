"""One column of a file that a person made: a list of customers or codes, from a spreadsheet or any other tool.

Encodings, compression, delimiters and quotes are those of deliveries. What a person has to decide, which column it is
and whether the first line names it, is asked for by an error that says how to answer.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from msgspec import Struct

from optinb.warehouse.delimited import delimiter_of, differs_in_kind, is_word_like, name_lines, plain_cell, plain_name
from optinb.warehouse.formats import OpenedFile
from optinb.warehouse.limits import UnreadableError
from optinb.warehouse.reading import open_other
from optinb.warehouse.sql import Connection, connect

MAX_BYTES = 1 << 30
_SAMPLE = 1 << 18  # signs that delimiter and columns are told from
_WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"})


class Wanted(Struct, frozen=True, kw_only=True):
    """The column that is looked for in a file, and what a person said of it.

    `names` are those by which a header names it, as `plain_name` makes them, and `name` is the one to write.
    `column`: its name, or its number from 1. `header`: whether the first line is one; None if nobody said.
    `secret`: no error shows what is in a cell. `known`: whether a cell is certainly none of a header.
    """

    what: str
    name: str
    names: frozenset[str]
    column: str | None = None
    header: bool | None = None
    secret: bool = False
    known: Callable[[str], bool] = lambda _: False


class ReadColumn(Struct, frozen=True):
    """The cells of a column that hold something, without blanks around them, and the line of each.

    `named`: the first of them is certainly its name. Otherwise `without_header` decides or asks.
    """

    cells: list[str]
    lines: list[int]
    named: bool = False

    @property
    def rest(self) -> ReadColumn:
        """The column without its first cell."""
        return ReadColumn(self.cells[1:], self.lines[1:])


def read_column(path: Path, wanted: Wanted) -> ReadColumn:
    """The column that is looked for, from a text with a cell a line, CSV, TSV, NDJSON or Parquet, also with gzip.

    Its header, if any, is still its first cell: see `without_header`. Raises OSError and UnreadableError, whose text
    says of the file ("it …") what is wrong and what to do.
    """
    if path.suffix.lower() in _WORKBOOKS:
        raise UnreadableError('it is a spreadsheet, not a text; open it and save it as "CSV UTF-8"')
    with path.open("rb") as stream:
        if not stream.read(1):
            return ReadColumn([], [])
    with TemporaryDirectory() as folder, connect(scratch=Path(folder) / "spill") as con:
        opened = open_other(con, path, scratch=Path(folder))
        if isinstance(opened, OpenedFile):
            return _of_table(con, opened, wanted)
        if opened.stat().st_size > MAX_BYTES:
            raise UnreadableError(f"it is larger than {MAX_BYTES >> 20:,} MB; {wanted.what} need a line each")
        try:
            with opened.open(encoding="utf-8-sig", newline="") as stream:
                return _of_text(stream, wanted)
        except UnicodeDecodeError:
            raise UnreadableError(f"line {_first_undecodable(opened)} isn't UTF-8; save the file as UTF-8") from None
        except csv.Error as error:
            raise UnreadableError(f"a line can't be taken apart ({error}); write one cell a line") from error


def without_header(column: ReadColumn, wanted: Wanted) -> ReadColumn:
    """A column without its header, if it has one.

    Raises UnreadableError where only a person can tell, and for a header further below.
    """
    names = wanted.names
    if column.cells and (column.named or _has_header(column.cells, wanted)):
        names = {*names, plain_name(column.cells[0])}
        column = column.rest
    if wanted.header is False or is_word_like(column.cells):
        return column
    again = [line for cell, line in zip(column.cells, column.lines, strict=True) if plain_name(cell) in names]
    if again:
        raise UnreadableError(
            f"{name_lines(again)} names the column; delete what is none of the {wanted.what}, or say that all lines "
            f"are: {_answer('header', 'no')}"
        )
    return column


def _has_header(cells: Sequence[str], wanted: Wanted) -> bool:
    if wanted.header is not None:
        return wanted.header
    first, others = cells[0], cells[1:]
    if plain_name(first) in wanted.names:
        # a word among words may be one of them
        if not others or not is_word_like(others) or differs_in_kind(first, others, words=False):
            return True
    elif not differs_in_kind(first, others) or wanted.known(first):
        return False
    shown = "" if wanted.secret else f" ({first[:60]!r})"
    raise UnreadableError(
        f"its first line{shown} may be a header or one of the {wanted.what}, and it has no column {wanted.name!r} that "
        f"would tell; say which: {_answer('header', 'yes')}, or {_answer('header', 'no')}"
    )


def _answer(option: str, value: str) -> str:
    """How a person answers, in a notebook and as a command."""
    spoken = {"yes": "True", "no": "False"}.get(value, repr(value))
    return f"{option}={spoken} (--{option} {value})"


def _of_text(stream: TextIO, wanted: Wanted) -> ReadColumn:
    beginning = stream.read(_SAMPLE)
    further = _lines(stream)
    hint, sample = _hint(beginning + next(further, ""))  # so that the sample ends with a line
    skipped = 1 if hint else 0
    names = wanted.names if wanted.column is None else {plain_name(wanted.column)}
    delimiter = hint or delimiter_of(sample, known=names, like=plain_name)
    form = {"delimiter": delimiter, "skipinitialspace": True}
    few = [row for row in csv.reader(StringIO(sample, newline=""), **form) if any(map(str.strip, row))]
    if not few:
        return ReadColumn([], [])
    place, named, width = _place(few, wanted)
    reader = csv.reader(chain(StringIO(sample, newline=""), further), **form)
    cells: list[str] = []
    lines: list[int] = []
    wide: list[int] = []
    for row in reader:
        if len(row) > width and any(map(str.strip, row[width:])):
            wide.append(reader.line_num + skipped)
        cell = plain_cell(row[place]) if len(row) > place else ""
        if cell:
            cells.append(cell)
            lines.append(reader.line_num + skipped)
    if wide:
        raise UnreadableError(
            f"{name_lines(wide)} has several columns"
            + (f", more than the {width} of the first line" if width > 1 else "")
            + f'; put quotes ("…") around a cell that has {delimiter!r} in it, or give {wanted.what} alone, each in a '
            "line of its own"
        )
    return ReadColumn(cells, lines, named)


def _lines(stream: TextIO) -> Iterator[str]:
    """The lines of a text, none of them larger than memory allows."""
    while line := stream.readline(_SAMPLE):
        if len(line) == _SAMPLE:
            raise UnreadableError(f"it has a line of more than {_SAMPLE:,} characters; write one cell a line")
        yield line


def _hint(text: str) -> tuple[str | None, str]:
    """The delimiter that a first line `sep=;` tells spreadsheets, and the text without that line."""
    line, _, rest = text.partition("\n")
    line = line.rstrip("\r")
    return (line[4], rest) if len(line) == 5 and line.startswith("sep=") else (None, text)


def _place(rows: Sequence[Sequence[str]], wanted: Wanted) -> tuple[int, bool, int]:
    """Where the column is (from 0), whether the first row surely names it, and how many columns there are."""
    first = rows[0]
    used = [at for at in range(max(map(len, rows))) if any(len(row) > at and row[at].strip() for row in rows)]
    width = used[-1] + 1
    if wanted.column is not None:
        place, named = _chosen(first, wanted, width)
        return place, named, width
    places = [at for at, cell in enumerate(first) if plain_name(cell) in wanted.names]
    if len(used) == 1:
        return used[0], False, width
    if len(places) == 1 and wanted.header is not False:
        return places[0], True, len(first)
    has = "" if wanted.secret else f" ({', '.join(repr(cell.strip()[:40]) for cell in first[:6])})"
    full = [at for at, row in enumerate(rows, start=1) if sum(bool(cell.strip()) for cell in row) > 1]
    where = f"{name_lines(full)} has several columns{has}, and "
    which = "more than one could be" if places else "none is named"
    raise UnreadableError(
        f"{where}{which} {wanted.name!r}; name the column so in the first line, give {wanted.what} alone, or choose by "
        f"name or number: {_answer('column', '2')}"
    )


def _chosen(names: Sequence[str], wanted: Wanted, width: int) -> tuple[int, bool]:
    """Where the column is that a person chose, and whether they chose it by its name."""
    column = (wanted.column or "").strip()
    exact = [at for at, name in enumerate(names) if name.strip() == column]
    alike = exact or [at for at, name in enumerate(names) if plain_name(name) == plain_name(column)]
    if len(alike) == 1 and wanted.header is not False:
        return alike[0], True
    if len(alike) > 1:
        raise UnreadableError(f"its header has {column!r} more than once; choose it by its number")
    if column.isdecimal() and 1 <= int(column) <= width:
        return int(column) - 1, False
    has = "" if wanted.secret else f" (it begins with {', '.join(repr(name.strip()[:40]) for name in names[:6])})"
    raise UnreadableError(
        f"it has no column {column!r}{has}; name one of its first line, or give its number, 1 to {width}"
    )


def _of_table(con: Connection, source: OpenedFile, wanted: Wanted) -> ReadColumn:
    """The column of a file whose columns have names."""
    if wanted.column is None:
        places = [at for at, name in enumerate(source.columns) if plain_name(name) in wanted.names]
        if len(places) != 1:
            has = ", ".join(repr(name[:40]) for name in source.columns[:6])
            raise UnreadableError(
                f"it has {'several columns' if places else 'no column'} {wanted.name!r} (it has {has}); name one so, "
                f"or choose: {_answer('column', source.columns[0] if source.columns else wanted.name)}"
            )
        place = places[0]
    else:
        place, _ = _chosen(source.columns, wanted, len(source.columns))
    if source.file.format.objects:
        broken = con.execute(f"SELECT count(*), any_value(broken) FROM {source.relation} WHERE broken IS NOT NULL")
        count, why = broken.fetchone() or (0, None)
        if count:
            raise UnreadableError(f"{count:,} of its lines can't be read ({why}); mend them")
    cells: list[str] = []
    lines: list[int] = []
    for line, cell in enumerate(_texts(con, source, place), start=1):
        if cell:
            cells.append(cell)
            lines.append(line)
    # as a text would have it, so that the name isn't looked for among the cells
    return ReadColumn([wanted.name, *cells], [0, *lines], named=True)


def _texts(con: Connection, source: OpenedFile, place: int) -> Iterator[str]:
    """The cells of a column as text."""
    rows = con.execute(f"SELECT c{place} FROM {source.relation}")
    while batch := rows.fetchmany(100_000):
        for (value,) in batch:
            yield plain_cell(value or "")


def _first_undecodable(path: Path) -> int:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
