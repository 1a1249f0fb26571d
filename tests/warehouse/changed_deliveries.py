"""Deliveries that change between nights as files of daily exports do, drawn at random, and what they say of whom.

`Oracle` says who may be written to by the rules alone, in plain Python: it keeps of everybody what was delivered last.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random

Cell = str | bool | int | float | None
Consent = dict[str, bool | None]

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
_YES, _NO = {"true", "t", "yes", "y", "1", "1.0"}, {"false", "f", "no", "n", "0", "0.0"}
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


@dataclass
class Known:
    """What one night left known. `uses` by (customer, app); `kept` are denials of merges: (value then, whose).

    `departed`: external user ids of who is gone, `left`: what they had said.
    """

    ever: dict[str, set[str]] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Consent] = field(default_factory=dict)
    uses: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[tuple[str, str, str], tuple[bool | None, str]] = field(default_factory=dict)
    departed: dict[str, str] = field(default_factory=dict)
    left: dict[str, Consent] = field(default_factory=dict)

    @property
    def shared(self) -> list[tuple[str, str]]:
        """Pairs of customers who have one external user id."""
        ids = [(one, external) for one, external in self.external.items() if external]
        return [(a, b) for a, one in ids for b, other in ids if a < b and one == other]

    def may(self) -> dict[str, set[str]]:
        """By app, the customers who may be written to there."""
        willing = {one for one, flags in self.flags.items() if all(flags[f] is v for f, v in FLAGS.items())}
        fine = {one for one in willing if self.external[one]}
        return {app: {one for one in fine if self.uses.get((one, app))} for app in APPS}


def _people(ids: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Everybody's ids: those that chains of links join."""
    found = {one: frozenset([one]) for one in ids}
    for old, new in links:
        both = found.get(old, frozenset([old])) | found.get(new, frozenset([new]))
        found |= dict.fromkeys(both, both)
    return found


class Oracle:
    """Who may be written to after each night. A correction follows the night before, not what it corrects."""

    def __init__(self) -> None:
        self.before = Known()
        self.now = Known()

    def night(self) -> None:
        """Another day begins."""
        self.before = self.now

    def imported(self, delivery: Mapping[str, list[Part]]) -> None:
        """Takes a delivery that was published."""
        last = self.before
        ever = {table: set(names) for table, names in self.now.ever.items()}
        rows = {table: [row for part in parts for row in part.read()] for table, parts in delivery.items()}
        read = {
            table: [p for p in parts if p.form == "ndjson" or len(set(p.names)) == len(p.names)]
            for table, parts in delivery.items()
        }
        for table, parts in read.items():
            ever.setdefault(table, set()).update(
                name for part in parts for name in part.names if part.form != "ndjson" or part.rows
            )
        now = Known(ever=ever, external=dict(self.now.external), flags=dict(self.now.flags), uses=dict(self.now.uses))
        known_columns = last.ever
        if read.get("customers"):
            mine: dict[str, dict[str, str | None]] = {}
            for row in rows["customers"]:
                if row.get("customer_id"):
                    mine.setdefault(row["customer_id"] or "", row)
            kept_ids = EXTERNAL in known_columns.get("customers", ())
            now.external = {
                one: row.get(EXTERNAL)
                or (last.external.get(one, "") if kept_ids else "")
                or ("" if EXTERNAL in ever["customers"] else one)
                for one, row in mine.items()
            }
            now.flags = {one: {name: _flag(row.get(name)) for name in FLAGS} for one, row in mine.items()}
        carried: set[tuple[str, str, str]] = set()
        now.links = [*last.links, *self._linked(last, now, rows.get("customer_ids", []))]
        person = _people([*now.flags, *last.flags, *last.left], [*now.links, *now.shared])
        if read.get("customers"):
            ids, said = person, last.left | last.flags
            for one, flags in now.flags.items():
                for name in FLAGS:
                    if flags[name] is None:
                        past = [said[i][name] for i in ids[one] if i in said]
                        flags[name] = self._past(name, past, FLAGS[name], "customers", ever)
                        if name in known_columns.get("customers", ()) and flags[name] is not None:
                            carried.add((one, "", name))
                if not now.external[one] and EXTERNAL in known_columns.get("customers", ()):
                    now.external[one] = max((last.external.get(i, "") for i in ids[one]), default="")
        if read.get("app_users"):
            now.uses = {}
            for row in rows["app_users"]:
                key = row.get("customer_id") or "", row.get("app_id") or ""
                if key[0] in now.flags and key not in now.uses:
                    now.uses[key] = _flag(row.get(ENABLED))
            for (one, app), said in now.uses.items():
                if said is None:
                    past = [last.uses[i, app] for i in person[one] if (i, app) in last.uses]
                    now.uses[one, app] = self._past(ENABLED, past, True, "app_users", ever)
                    if ENABLED in known_columns.get("app_users", ()) and now.uses[one, app] is not None:
                        carried.add((one, app, ENABLED))
        now.left = {one: flags for one, flags in (last.left | last.flags).items() if one in now.departed}
        self._stricter(last, now, person, carried)
        for one, _ in now.links:
            now.departed.pop(one, None)
            now.left.pop(one, None)
        self.now = now

    def _past(
        self, name: str, past: list[bool | None], permits: bool, table: str, ever: Mapping[str, set[str]]
    ) -> bool | None:
        """What counts of a value that wasn't delivered: the strictest of the person's last ones."""
        if name not in ever[table]:
            return permits
        known = [value for value in past if value is not None] if name in self.before.ever.get(table, ()) else []
        return (permits if all(value is permits for value in known) else not permits) if known else None

    def _linked(self, last: Known, now: Known, mapping: list[dict[str, str | None]]) -> list[tuple[str, str]]:
        told = [(row["old"] or "", row["new"] or "") for row in mapping]
        gone = last.departed | last.external
        now.departed = {one: external for one, external in gone.items() if one not in now.external}
        heirs = [(old, new) for old, e in now.departed.items() for new, same in now.external.items() if same == e != ""]
        return told + heirs

    def _stricter(
        self,
        last: Known,
        now: Known,
        person: Mapping[str, frozenset[str]],
        carried: set[tuple[str, str, str]],
    ) -> None:
        """A denial of any id of a person counts for all of them."""
        prior = _people([*last.flags, *now.left], [*last.links, *last.shared])
        mine, theirs = _consent(now), {k: v for k, v in _consent(last).items() if k[0] not in now.flags}
        theirs |= {(one, "", name): value for one, flags in now.left.items() for name, value in flags.items()}
        for key, (value, whose) in last.kept.items():
            one, app, name = key
            said = mine.get(key, "gone")
            other = mine.get((whose, app, name), "gone")
            if said == "gone" or whose not in person.get(one, ()) or (other != "gone" and not _denied(name, other)):
                continue
            if said == value or key in carried:
                now.kept[key] = value, whose
        for (one, app, name), value in mine.items():
            if _denied(name, value) or (one, app, name) in now.kept:
                continue
            sources = []
            for other in person.get(one, frozenset()) - {one}:
                here, there = mine.get((other, app, name)), theirs.get((other, app, name))
                apart = one in last.flags and other in prior and prior[one] != prior[other]
                if _denied(name, here) or (_denied(name, there) and apart):
                    sources.append(other)
            if sources:
                now.kept[one, app, name] = value, min(sources)
        for one, app, name in now.kept:
            if app:
                now.uses[one, app] = False
            else:
                now.flags[one][name] = not FLAGS[name]


def _flag(text: str | None) -> bool | None:
    return None if text is None else True if text.lower() in _YES else False if text.lower() in _NO else None


def _denied(name: str, value: object) -> bool:
    return isinstance(value, bool) and value is not FLAGS.get(name, True)


def _consent(known: Known) -> dict[tuple[str, str, str], bool | None]:
    found = {(one, "", name): value for one, flags in known.flags.items() for name, value in flags.items()}
    return found | {(one, app, ENABLED): value for (one, app), value in known.uses.items()}
