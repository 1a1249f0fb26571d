"""The gates on a delivery's headers: columns of the contract that are gone, and headers that are nearly one. Pure.

A column that is gone would be filled with what the contract takes for granted, which permits messages; so that none
disappears unnoticed, a delivery is held against all that earlier ones brought.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from optinb.warehouse.column_names import PLACE, ColumnNames, contrary, key_of, quoted
from optinb.warehouse.contract import TABLES, Column, Table
from optinb.warehouse.nearness import near, nearest, opposite
from optinb.warehouse.report import Gate

_SETTING = "columns"
# A part without a key in any object is no sign of a lost column, where that many rows without it can be chance.
_CHANCE = 1e-4
_SHOWN = 3
IGNORED = "columns that the contract doesn't know are ignored"


class FileHeader(Struct, frozen=True, kw_only=True):
    """The columns of one delivered file. `sparse`: a row without a value may leave the column out, as in NDJSON."""

    file: str
    columns: tuple[str, ...]
    rows: int
    sparse: bool = False

    @property
    def tells(self) -> bool:
        """Whether the file says which columns there are."""
        return not self.sparse or self.rows > 0


class Earlier(Struct, frozen=True, kw_only=True):
    """What earlier deliveries of a table brought.

    Attributes:
        delivered: the columns of the contract that some delivery had.
        everywhere: those that every part of the last one had.
        further: other columns that are known already, as attributes or as ignored.
        filled: of columns, the share of rows that had a value.
    """

    delivered: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()
    further: frozenset[str] = frozenset()
    filled: dict[str, float] = {}


def judge_headers(
    table: Table, files: Sequence[FileHeader], *, names: ColumnNames, earlier: Earlier
) -> tuple[list[Gate], list[str]]:
    """The gates that fail for the headers of a table's files, and warnings about what stays as it was accepted."""
    gates, warnings = [], []
    lost: set[str] = set()
    expected = names.expected(table)
    for column in table.columns:
        missing = _missing(column, table, files, names=names, earlier=earlier)
        if missing:
            lost.add(column.name)
            gates.append(
                _lost(column, table, files, missing, names=names, earlier=earlier, header=expected.get(column.name))
            )
    for (header, column), where in _likely(table, files, names).items():
        if column in lost:
            continue
        if header in earlier.further:
            warnings.append(f"{table.name}: {header!r} may be meant as {column}: {_remedy(header, column, table)}")
        else:
            have = f"{_listed(where)} {'has' if len(where) == 1 else 'have'} a column {header!r} and no {column}"
            remedy = _capital(_remedy(header, column, table))
            gates.append(_gate(table, len(where), f"{have}; did you mean {column}? {remedy}"))
    return gates, warnings


def _missing(
    column: Column, table: Table, files: Sequence[FileHeader], *, names: ColumnNames, earlier: Earlier
) -> list[FileHeader]:
    """The files that lack a column which should be there; none where its absence has been announced."""
    name = column.name
    # A file without a required column isn't read at all, and a row without its value is a reject.
    if column.required or name in names.no_longer(table.name):
        return []
    told = [file for file in files if file.tells]
    lacking = [file for file in told if name not in file.columns and not _by_chance(file, column, earlier)]
    somewhere = any(name in file.columns for file in told)
    if name in names.expected(table):
        return lacking
    if column.permits:
        return lacking if somewhere or name in earlier.delivered else []
    if name in earlier.everywhere:
        return lacking
    return lacking if name in earlier.delivered and not somewhere else []


def _by_chance(file: FileHeader, column: Column, earlier: Earlier) -> bool:
    filled = earlier.filled.get(column.name)
    return file.sparse and not column.permits and filled is not None and (1 - filled) ** file.rows > _CHANCE


def _lost(
    column: Column,
    table: Table,
    files: Sequence[FileHeader],
    missing: Sequence[FileHeader],
    *,
    names: ColumnNames,
    earlier: Earlier,
    header: str | None,
) -> Gate:
    name = column.name
    lacking = {file.file for file in missing}
    having = [file.file for file in files if name in file.columns]
    if header is not None:
        why = f", which {PLACE} says is delivered as {quoted(header)},"
    elif name in earlier.delivered:
        why = ", which earlier deliveries had,"
    else:
        why = ""
    place = f"isn't in {_listed(sorted(lacking))}" + (f", only in {_listed(having)}" if having else "")
    known = {c.name for c in table.columns} | names.own(table)
    unknown = list(dict.fromkeys(c for file in missing for c in file.columns if c and c not in known))
    likely, new = nearest(unknown, name), [other for other in unknown if other not in earlier.further]
    if likely is not None:
        remedy = f"{likely!r} is there: {_remedy(likely, name, table, own=False)}"
    else:
        shown = (
            f"new {'is' if len(new) == 1 else 'are'} {_listed([repr(n) for n in new])}; "
            if new and earlier.delivered
            else ""
        )
        remedy = f'{shown}deliver it again under its name, or write {key_of(name)} = "its header" under {PLACE}'
    silent = "" if header is not None else f'; if it is no longer delivered, write {key_of(name)} = "" there'
    return _gate(table, len(lacking), f"{table.name}: the column {name}{why} {place}; {remedy}{silent}")


def _likely(table: Table, files: Sequence[FileHeader], names: ColumnNames) -> dict[tuple[str, str], list[str]]:
    """(header, column) of headers that are near a column which isn't in the same file, with those files."""
    own = {column.name for column in table.columns}
    left_alone = names.own(table) | own
    found: dict[tuple[str, str], list[str]] = {}
    for file in files:
        for header in file.columns:
            if not header or header in left_alone:
                continue
            column = next((c for c in _in_order(table) if c not in file.columns and near(header, c)), None)
            if column is not None:
                found.setdefault((header, column), []).append(file.file)
    return found


def _in_order(table: Table) -> tuple[str, ...]:
    """The names of a table's columns, those first that decide who may be written to."""
    return tuple(c.name for c in sorted(table.columns, key=lambda column: not column.permits))


def _remedy(header: str, column: str, table: Table, *, own: bool = True) -> str:
    if opposite(header, column):
        text = f"it says the contrary: {contrary(column)}"
    else:
        text = f"name the column {column}, or write {key_of(column)} = {quoted(header)} under {PLACE}"
    if not own:
        return text
    what = "an attribute of its own" if table.attributes else "another column"
    elsewhere = any(c.name == header for other in TABLES.values() for c in other.columns)
    key = key_of(header, table.name if elsewhere or not table.attributes else None)
    return f"{text}; if it is {what}, write {key} = {quoted(header)} there"


def _gate(table: Table, files: int, message: str) -> Gate:
    return Gate(
        name="columns",
        table=table.name,
        value=float(files),
        limit=0.0,
        passed=False,
        setting=_SETTING,
        message=message,
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def did_you_mean_column(headers: Collection[str], column: str, table: Table) -> str:
    """A tail for the complaint about a missing column, where another header is likely to be it."""
    own = {c.name for c in table.columns}
    likely = nearest((header for header in headers if header and header not in own), column)
    return f"; did you mean {likely!r}? {_capital(_remedy(likely, column, table, own=False))}" if likely else ""
