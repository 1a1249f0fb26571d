"""What `[import.columns]` says: under which header a column is delivered. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from optinb.errors import SettingsError
from optinb.warehouse.contract import TABLES, Table
from optinb.warehouse.nearness import misspelt, opposite

PLACE = "[import.columns] of optinb.toml"


class ColumnNames(Struct, frozen=True, kw_only=True):
    """The names of delivered columns where they aren't their headers.

    Attributes:
        renamed: by table, the name of each header that the settings name, in lower case.
        dropped: by table, the columns that are no longer delivered.
    """

    renamed: dict[str, dict[str, str]] = field(default_factory=dict)
    dropped: dict[str, frozenset[str]] = field(default_factory=dict)

    def named(self, table: str, headers: Iterable[str]) -> tuple[str, ...]:
        """The columns behind the headers of a file."""
        renamed = self.renamed.get(table, {})
        return tuple(renamed.get(header, header) for header in headers)

    def expected(self, table: Table) -> dict[str, str]:
        """The table's columns of the contract of which the settings say the header, and that."""
        columns = _names(table)
        return {name: header for header, name in self.renamed.get(table.name, {}).items() if name in columns}

    def own(self, table: Table) -> frozenset[str]:
        """Columns of which the settings say that they are none of the contract's."""
        return frozenset(self.renamed.get(table.name, {}).values()) - _names(table)

    def no_longer(self, table: str) -> frozenset[str]:
        """Columns of which the settings say that they aren't delivered any more."""
        return self.dropped.get(table, frozenset())

    def told(self) -> tuple[str, ...]:
        """All of it as texts, in the same order whatever order the settings have."""
        renamed = [f"{t}.{name}={header}" for t, names in self.renamed.items() for header, name in names.items()]
        return tuple(
            sorted([*renamed, *(f"{table}.{name}=" for table, names in self.dropped.items() for name in names)])
        )


def names_of(columns: Mapping[str, str | Mapping[str, str]]) -> ColumnNames:
    """Reads the settings. Raises SettingsError for what would mix up columns."""
    renamed: dict[str, dict[str, str]] = {}
    dropped: dict[str, set[str]] = {}
    for key, tables, name, value in _entries(columns):
        header = value.strip().lower()
        for table in tables:
            own = _names(table)
            others = renamed.setdefault(table.name, {})
            if header in others or name in (*others.values(), *dropped.get(table.name, ())):
                raise _complaint(key, f"{table.name} has {header or name!r} there twice; keep one of them")
            if not header:
                if name in table.required:
                    raise _complaint(key, f"{name} must be in every file of {table.name}; name its header")
                dropped.setdefault(table.name, set()).add(name)
                continue
            if header in own and header != name:
                raise _complaint(
                    key,
                    f"{header!r} is itself a column of {table.name}; name the header of the files that holds {name}",
                )
            if name in own and opposite(header, name):
                raise _complaint(key, f"{header!r} says the contrary of {name}; {contrary(name)}")
            meant = next((column for column in sorted(own) if misspelt(name, column)), None)
            if name not in own and header != name and meant:
                raise _complaint(
                    key,
                    f"{name!r} is no column of {table.name}; did you mean {meant!r}? Give an attribute of its own a "
                    "name that can't be mistaken",
                )
            others[header] = name
    return ColumnNames(renamed=renamed, dropped={table: frozenset(names) for table, names in dropped.items()})


def contrary(column: str) -> str:
    """What to deliver in place of a column that says the contrary."""
    return f"deliver {column} itself, with true where that says false"


def key_of(name: str, table: str | None = None) -> str:
    """A name as a key of `[import.columns]`, with its table where one is given."""
    if table is not None:
        return quoted(f"{table}.{name}")
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def quoted(text: str) -> str:
    """A text as TOML writes it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in plain) + '"'


def _entries(columns: Mapping[str, str | Mapping[str, str]]) -> Iterable[tuple[str, Sequence[Table], str, str]]:
    """(key as written, tables, name, header) of each entry."""
    for key, value in columns.items():
        if not isinstance(value, str):
            table = TABLES.get(key.strip().lower())
            if table is None:
                raise _complaint(key, f"{key!r} is no table")
            for name, header in value.items():
                yield f"{key}.{name}", (table,), name.strip().lower(), header
            continue
        prefix, _, rest = key.strip().lower().partition(".")
        if rest and prefix in TABLES:
            yield key, (TABLES[prefix],), rest.strip(), value
            continue
        name = key.strip().lower()
        having = [table for table in TABLES.values() if name in _names(table)]
        # A further column is customers', unless it is only to be left alone under its own name.
        further = [t for t in TABLES.values() if t.attributes or value.strip().lower() == name]
        yield key, having or further, name, value


def _names(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.columns)


def _complaint(key: str, what: str) -> SettingsError:
    return SettingsError(f"optinb.toml: import.columns.{key}: {what}")
