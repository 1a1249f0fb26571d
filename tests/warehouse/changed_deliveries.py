"""Deliveries that change between nights as files of daily exports do, drawn at random, and what they say of whom."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

Cell = str | bool | int | float | None

FLAGS = {"push_opt_in": True, "is_blocked": False, "is_test": False}
"""What permits messages, of each yes-or-no column of customers; also its default."""
APPS = ("shop-ios", "shop-android")
EXTERNAL, ENABLED = "external_user_id", "push_enabled"
RENAMED = {
    "push_opt_in": ("pushOptIn", "push-opt-in", "opt_in", "Push_Opt_Inn", "marketing", "c7"),
    "is_blocked": ("isBlocked", "blocked", "is_blockd", "c8"),
    "is_test": ("isTest", "testuser", "c9"),
    EXTERNAL: ("external_id", "extUserId", "c10"),
    ENABLED: ("pushEnabled", "push_on", "c11"),
}
WORDS = ("perhaps", "NULL", "n/a", "2", " ", "")
_MISSING = {"null", "\\n", "n/a", "none", "nan", "#n/a"}
_STYLES = ({True: "true", False: "false"}, {True: "yes", False: "NO"}, {True: True, False: False}, {True: 1, False: 0},
           {True: 1.0, False: 0.0}, {True: " T ", False: "f"})  # fmt: skip


@dataclass
class Part:
    """One file of a table. `form`: csv, ndjson or parquet."""

    header: list[str]
    rows: list[list[Cell]]
    form: str = "csv"
    delimiter: str = ","

    @property
    def names(self) -> list[str]:
        return [name.strip().lower() for name in self.header]

    def written(self) -> bytes:
        if self.form == "csv":
            out = io.StringIO(newline="")
            writer = csv.writer(out, delimiter=self.delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerows([self.header, *([_text(cell) for cell in row] for row in self.rows)])
            return out.getvalue().encode()
        if self.form == "ndjson":
            return "".join(json.dumps(dict(zip(self.header, row, strict=True))) + "\n" for row in self.rows).encode()
        columns = [pl.Series(name, *_typed([row[i] for row in self.rows])) for i, name in enumerate(self.header)]
        file = io.BytesIO()
        pl.DataFrame(columns).write_parquet(file)
        return file.getvalue()

    def read(self) -> list[dict[str, str | None]]:
        """The rows as texts by column; none of a file that names a column twice, or of an object that does."""
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice and self.form != "ndjson":
            return []
        found = []
        for row in self.rows:
            cells = [(name, cell) for name, cell in zip(self.names, row, strict=True) if cell is not None]
            if len({name for name, _ in cells}) == len(cells):
                texts = dict.fromkeys(self.names) | {name: self._read(name, cell) for name, cell in cells}
                found.append(texts)
        return found

    def _read(self, name: str, cell: Cell) -> str | None:
        if name == "customer_id" and isinstance(cell, float) and self.form == "parquet":
            return str(int(cell))
        text = _text(cell).strip()
        return None if not text or text.lower() in _MISSING else text


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def _typed(cells: list[Cell]) -> tuple[list[Cell], pl.DataType]:
    kinds = {type(cell) for cell in cells if cell is not None}
    for kind, stored in ((bool, pl.Boolean()), (int, pl.Int64()), (float, pl.Float64())):
        if kinds == {kind}:
            return cells, stored
    return [None if cell is None else _text(cell) for cell in cells], pl.String()


@dataclass
class Customer:
    """What the systems know of somebody, whatever a delivery makes of it. `apps`: whether push is on, by app."""

    id: str
    external: str
    flags: dict[str, bool]
    apps: dict[str, bool]


@dataclass
class World:
    """All customers of a night, `merges` as (old, new), and the columns that are delivered by rights."""

    rnd: Random
    columns: list[str]
    people: list[Customer] = field(default_factory=list)
    away: list[Customer] = field(default_factory=list)
    merges: list[tuple[str, str]] = field(default_factory=list)
    born: int = 1000

    def new(self) -> Customer:
        self.born += 1
        rnd = self.rnd
        flags = {name: value if rnd.random() < 0.75 else not value for name, value in FLAGS.items()}
        apps = {app: rnd.random() < 0.7 for app in APPS if rnd.random() < 0.8}
        external = f"e{self.born}" if EXTERNAL in self.columns else str(self.born)
        return Customer(str(self.born), external, flags, apps)

    def night_passes(self) -> None:
        """Some change their minds, come, go, come back, get another id, or turn out to be one person."""
        rnd, self.merges = self.rnd, []
        for one in self.people:
            if rnd.random() < 0.15:
                name = rnd.choice(sorted(FLAGS))
                one.flags[name] = not one.flags[name]
            if one.apps and rnd.random() < 0.1:
                app = rnd.choice(sorted(one.apps))
                one.apps[app] = not one.apps[app]
        back = self.away
        self.away = [self.people.pop(rnd.randrange(len(self.people))) for _ in range(rnd.choice((0, 0, 1, 2)))]
        self.people += [*back, *(self.new() for _ in range(rnd.choice((0, 0, 1, 2))))]
        if EXTERNAL in self.columns and rnd.random() < 0.4:
            self.born += 1
            one = rnd.choice(self.people)
            if rnd.random() < 0.5:
                self.merges.append((one.id, str(self.born)))
                one.external = rnd.choice((one.external, f"e{self.born}"))
            one.id = str(self.born)
        if rnd.random() < 0.4:
            old, new = rnd.sample(self.people, 2)
            self.merges.append((old.id, new.id))
            if rnd.random() < 0.7:
                self.people.remove(old)

    def delivery(self) -> dict[str, list[Part]]:
        """The tables in one or two parts, in any format, with what the systems know."""
        flags = [name for name in self.columns if name in FLAGS]
        external = [name for name in self.columns if name == EXTERNAL]
        customers: list[list[Cell]] = [
            [p.id, "2026-01-05", *([p.external] * len(external)), *(p.flags[name] for name in flags), "DE"]
            for p in self.people
        ]
        enabled = [name for name in self.columns if name == ENABLED]
        uses: list[list[Cell]] = [
            [p.id, app, *([on] * len(enabled)), "3.1.0"] for p in self.people for app, on in p.apps.items()
        ]
        tables = {
            "customers": self._parts(["customer_id", "registered_at", *external, *flags, "country"], customers),
            "app_users": self._parts(["customer_id", "app_id", *enabled, "app_version"], uses),
        }
        if self.merges:
            merges: list[list[Cell]] = [[old, new, "2026-11-20"] for old, new in self.merges]
            tables["customer_ids"] = [Part(["old", "new", "since"], merges)]
        return tables

    def _parts(self, header: list[str], rows: list[list[Cell]]) -> list[Part]:
        rnd = self.rnd
        at = rnd.choice((0, 0, len(rows) // 2))
        shares = [rows[:at], rows[at:]] if at else [rows]
        return [
            Part(list(header), share, rnd.choice(("csv", "csv", "ndjson", "parquet")), rnd.choice(",;\t"))
            for share in shares
        ]


def mutate(rnd: Random, parts: list[Part]) -> None:
    """Does to a table what an export may do to it over night."""
    some = rnd.sample(parts, rnd.randrange(1, len(parts) + 1))
    there = [name for name in parts[0].names if name in RENAMED]
    how = rnd.choice(
        ("drop", "rename", "case", "empty", "empty", "words", "words", "double", "again", "retype", "reorder", "floats")
    )
    column = rnd.choice(there) if there else None
    share = rnd.choice((1.0, 0.4))
    for part in some:
        at = part.names.index(column) if column in part.names else None
        if how == "again":
            copies = [list(row) for row in part.rows]
            for row in copies:
                row[:] = [not cell if isinstance(cell, bool) else cell for cell in row]
            part.rows += copies
        elif how == "reorder":
            order = rnd.sample(range(len(part.header)), len(part.header))
            part.header = [part.header[i] for i in order]
            part.rows = [[row[i] for i in order] for row in part.rows]
        elif how == "floats" and part.form == "parquet" and "customer_id" in part.names:
            i = part.names.index("customer_id")
            for row in part.rows:
                row[i] = float(str(row[i]))
        elif column is not None and at is not None:
            _alter(rnd, part, at, column, how, share)


def _alter(rnd: Random, part: Part, at: int, column: str, how: str, share: float) -> None:
    if how == "drop":
        del part.header[at]
        for row in part.rows:
            del row[at]
    elif how == "rename":
        part.header[at] = rnd.choice(RENAMED[column])
    elif how == "case":
        part.header[at] = f" {column.upper()} "
    elif how in ("empty", "words"):
        word = rnd.choice(WORDS) if how == "words" and column != EXTERNAL else None
        for row in part.rows:
            if rnd.random() < share:
                row[at] = word
    elif how == "double":
        part.header.append(column.upper() if part.form != "csv" else column)
        for row in part.rows:
            row.append(row[at])
    elif how == "retype":
        style: Mapping[bool, Cell] = rnd.choice(_STYLES)
        for row in part.rows:
            cell = row[at]
            if isinstance(cell, bool):
                row[at] = style[cell]
