"""Reads a delivery into staging tables and finds every reject, table by table, without publishing anything."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from optinb.warehouse import attribute_types, checks, row_query, tool_traces
from optinb.warehouse.again import REPEATED
from optinb.warehouse.contract import APP_USERS, CUSTOMER_IDS, CUSTOMERS, MAX_COLUMNS, TABLES, Table
from optinb.warehouse.damage import first_line, is_machines
from optinb.warehouse.facts import Facts, facts_of
from optinb.warehouse.headers import IGNORED
from optinb.warehouse.reading import DeliveredFile, Source, UnreadableError, open_source, with_plain_newlines
from optinb.warehouse.report import TableReport
from optinb.warehouse.returning import RETURNING, note_returning
from optinb.warehouse.runs import repeated
from optinb.warehouse.sql import ident, literal, numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from optinb.warehouse.column_names import ColumnNames
    from optinb.warehouse.forgotten import Forgotten
    from optinb.warehouse.runs import Entries

_MALFORMED: dict[str, str] = {
    "MISSING COLUMNS": "the line has fewer fields than the header: write one field for each column, empty if need be",
    "TOO MANY COLUMNS": "the line has more fields than the header: quote a field that holds the separator",
    "UNQUOTED VALUE": "a quotation mark is never closed, or stands inside a field: double it, and quote the field",
    "INVALID ENCODING": "the line is not UTF-8: save the file as UTF-8",
    "LINE SIZE OVER MAXIMUM": "the line is longer than 2 MB: a quotation mark that is never closed?",
}
_FIRST_ROWS = 10_000
_AT_ONCE = 1 << 24
_QUESTIONS = 60
FORGOTTEN = "forgotten"  # the reason of rows that are left out without a trace
_BROKEN = "the line can't be read as CSV: check its quotation marks and separators"


class StagedFile(Struct, frozen=True, kw_only=True):
    """One file in a staging table: its rows are those with `first <= rowid < after`."""

    number: int
    source: Source
    first: int
    after: int


class Staged(Struct, frozen=True, kw_only=True):
    """One table of the delivery, read and checked. `attributes` are its further columns, in the order of a0, a1, …

    `delivered`: the columns of the contract that some file has.
    """

    table: Table
    files: tuple[StagedFile, ...]
    attributes: tuple[str, ...]
    delivered: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The staging table."""
        return f"stage_{self.table.name}"

    @property
    def rejects(self) -> str:
        """The table of this table's refused rows: rowid, reason."""
        return f"rejects_{self.table.name}"

    @property
    def emptied(self) -> str:
        """The table of values that couldn't be read and were emptied: row, column, reason, value (null: in `cells`)."""
        return f"emptied_{self.table.name}"

    @property
    def malformed(self) -> str:
        """The table of lines that aren't rows: file number, byte offset, text, reason."""
        return f"malformed_{self.table.name}"

    @property
    def good(self) -> str:
        """SQL of the rows that passed."""
        return f"(SELECT * FROM {self.name} WHERE rowid NOT IN (SELECT row FROM {self.rejects}))"

    @property
    def forgotten(self) -> str:
        """SQL of the rows that are left out since they are of somebody who was forgotten."""
        theirs = f"SELECT row FROM {self.rejects} WHERE reason = {literal(FORGOTTEN)}"
        return f"(SELECT * FROM {self.name} WHERE rowid IN ({theirs}))"


class Stager:
    """Stages the files of one delivery on one connection; a gzip may become `most_gb`.

    `problems` collects files that can't be read at all.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        *,
        context: checks.Context,
        scratch: Path,
        names: ColumnNames,
        most_gb: float,
    ) -> None:
        from zoneinfo import available_timezones

        self._con = con
        self._context = context
        self._scratch = scratch
        self._names = names
        self._most_gb = most_gb
        self.problems: dict[str, str] = {}
        self.warnings: list[str] = []
        zones = ", ".join(literal(name) for name in sorted(available_timezones()))
        con.execute(f"CREATE TYPE zone_name AS ENUM ({zones})")

    def stage(self, table: Table, files: Iterable[DeliveredFile], *, before: Collection[str]) -> Staged | None:
        """Reads and checks the files of one table, row by row; None if no file of it can be read.

        `before`: the columns that earlier deliveries brought. What permits something has its default only where it was
        never delivered; otherwise a value that is missing is not known.
        """
        sources = self._within_limits(source for file in files if (source := self._open(file)) is not None)
        attributes = self._attributes(table, sources)
        delivered = frozenset(c.name for c in table.columns if any(c.name in source.columns for source in sources))
        defaults = frozenset(
            c.name for c in table.columns if c.default and not (c.permits and c.name in {*delivered, *before})
        )
        staged = Staged(table=table, files=(), attributes=attributes, delivered=delivered)
        self._con.execute(f"CREATE TABLE {staged.name} ({row_query.stage_columns(table, len(attributes))})")
        self._con.execute(
            f"CREATE TABLE {staged.malformed} (file_no INTEGER, place BIGINT, line VARCHAR, reason VARCHAR)"
        )
        read: list[StagedFile] = []
        for number, source in enumerate(sources):
            self.warnings += tool_traces.thousands_points(self._con, source)
            first = read[-1].after if read else 0
            outcome = self._read(staged, source, number, defaults)
            if outcome is not None:
                used, rows = outcome
                read.append(StagedFile(number=number, source=used, first=first, after=first + rows))
        if not read:
            return None
        self._con.execute(
            f"CREATE TABLE {staged.rejects} AS SELECT rowid AS row, reason FROM {staged.name} WHERE reason IS NOT NULL"
        )
        whole = replace(staged, files=tuple(read))
        if table.attributes:
            # An id of another table that is a word for nothing is one of an unknown customer.
            word = row_query.is_word("customer_id", self._context)
            self._refuse(whole, word, "customer_id is missing: every row needs one")
        self._note_emptied(whole)
        return whole

    def _note_emptied(self, staged: Staged) -> None:
        """Lists the optional values that `row_query` emptied."""
        con = self._con
        con.execute(f'CREATE TABLE {staged.emptied} ("row" BIGINT, name VARCHAR, reason VARCHAR, value VARCHAR)')
        if not _first(con, f"SELECT count(*) FROM {staged.name} WHERE unfit <> 0"):
            return
        for name, test, reason in row_query.emptied_values(staged.table, self._context):
            con.execute(
                f"INSERT INTO {staged.emptied} SELECT rowid, {literal(name)}, {literal(reason)}, NULL "
                f"FROM {staged.name} WHERE unfit <> 0 AND {test}"
            )
        if _first(con, f"SELECT count(*) FROM {staged.name} WHERE unfit >= {row_query.UNPRINTABLE}"):
            for i, name in enumerate(staged.attributes):
                self._empty(staged, i, f"contains(a{i}, chr(0))", f"{name} {checks.NUL}")

    def _empty(self, staged: Staged, i: int, test: str, reason: str) -> None:
        """Empties the values of an attribute that fulfil a test."""
        found = self._con.execute(
            f"INSERT INTO {staged.emptied} SELECT rowid, {literal(staged.attributes[i])}, {literal(reason)}, a{i} "
            f"FROM {staged.name} WHERE {test}"
        ).fetchall()
        if found[0][0]:
            self._con.execute(f"UPDATE {staged.name} SET a{i} = NULL WHERE {test}")

    def leave_out(self, staged: Staged, forgotten: Forgotten) -> None:
        """Leaves out the rows of people who were forgotten, under whatever id; also those that were refused already."""
        if not forgotten:
            return
        note_returning(self._con, staged.table, staged.name, forgotten)
        named = ("old", "new") if staged.table is CUSTOMER_IDS else ("customer_id",)
        theirs = " OR ".join(f"{column} IN (SELECT customer_id FROM {RETURNING})" for column in named)
        rows = f"SELECT rowid FROM {staged.name} WHERE {theirs}"
        self._con.execute(f"DELETE FROM {staged.rejects} WHERE row IN ({rows})")
        self._con.execute(f"INSERT INTO {staged.rejects} SELECT rowid, {literal(FORGOTTEN)} FROM ({rows})")

    def empty_misfits(self, staged: Staged, kinds: Mapping[str, str]) -> None:
        """Empties every value of an attribute that doesn't fit the type which it was published with."""
        for i, name in enumerate(staged.attributes):
            kind = kinds.get(name, "VARCHAR")
            if kind != "VARCHAR":
                test = f"a{i} IS NOT NULL AND NOT {attribute_types.suits(kind, f'a{i}')}"
                self._empty(staged, i, test, attribute_types.misfit(name, kind))

    def refuse_unknown(self, staged: Staged, *, customers: str, apps: Collection[str]) -> None:
        """Refuses rows whose customer isn't in `customers` (a table), and app users of an unknown app."""
        self._refuse(staged, f"customer_id NOT IN (SELECT customer_id FROM {customers})", checks.UNKNOWN_CUSTOMER)
        if staged.table is APP_USERS:
            known = ", ".join(literal(app) for app in sorted(apps)) or "NULL"
            self._refuse(staged, f"(app_id IN ({known})) IS NOT TRUE", checks.UNKNOWN_APP)

    def refuse_duplicates(self, staged: Staged) -> None:
        """Refuses every row whose key stood before among the good rows."""
        if not staged.table.key:
            return
        key = ", ".join(staged.table.key)
        # Keys are told apart by a hash: 8 bytes a row instead of the key, and only what collides is looked at.
        parts = 1 + staged.files[-1].after // _AT_ONCE
        for part in range(parts):
            some = f"SELECT hash({key}) AS n FROM {staged.good}" + f" WHERE n % {parts} = {part}" * (parts > 1)
            for hashes in numbers(self._con, some, at_once=staged.files[-1].after):
                self._refuse_repeated(staged, key, repeated(hashes))

    def _refuse_repeated(self, staged: Staged, key: str, hashes: Entries) -> None:
        import polars as pl

        if not len(hashes):
            return
        self._con.register("repeated_hashes", pl.DataFrame({"n": hashes}))
        self._con.execute(
            f"INSERT INTO {staged.rejects} SELECT row, {literal(checks.duplicate(staged.table))} FROM ("
            f"SELECT rowid AS row, row_number() OVER (PARTITION BY {key} ORDER BY rowid) AS nth FROM {staged.name} "
            f"WHERE hash({key}) IN (SELECT n FROM repeated_hashes) "
            f"AND rowid NOT IN (SELECT row FROM {staged.rejects})) WHERE nth > 1"
        )
        self._con.unregister("repeated_hashes")

    def attribute_types(self, staged: Staged, known: Mapping[str, str]) -> dict[str, str]:
        """Type of each attribute: the published one, else the narrowest that all its good values allow.

        An attribute without any value is left out: its type is open until the first one comes.
        """
        kinds = {name: known[name] for name in staged.attributes if name in known}
        new = [(i, name) for i, name in enumerate(staged.attributes) if name not in known]
        if not new:
            return kinds
        # Most types are out of the question after a few rows; only the rest are held against all of them.
        possible = self._fitting(
            dict.fromkeys((i for i, _ in new), attribute_types.ATTRIBUTE_TYPES),
            f"(FROM {staged.good} LIMIT {_FIRST_ROWS})",
        )
        possible = self._fitting(
            {i: kinds or attribute_types.ATTRIBUTE_TYPES for i, kinds in possible.items()}, staged.good
        )
        return kinds | {name: possible[i][0] for i, name in new if possible[i]}

    def _fitting(self, kinds: Mapping[int, Sequence[str]], rows: str) -> dict[int, list[str]]:
        """Of the given types of each attribute those that all its values in `rows` allow; none if it has no value."""
        fitting: dict[int, list[str]] = {i: [] for i in kinds}
        # The planner's time grows with the square of the number of questions.
        questions = [(i, kind) for i, some in kinds.items() for kind in some]
        for start in range(0, len(questions), _QUESTIONS):
            asked = questions[start : start + _QUESTIONS]
            tests = [f"bool_and({attribute_types.fits(kind, f'a{i}')}) FILTER (a{i} IS NOT NULL)" for i, kind in asked]
            verdicts = self._con.execute(f"SELECT {', '.join(tests)} FROM {rows}").fetchone() or ()
            for (i, kind), fits in zip(asked, verdicts, strict=True):
                if fits:
                    fitting[i].append(kind)
        return fitting

    def report(self, staged: Staged) -> TableReport:
        """Figures of one table: what was read, and why rows were refused (most frequent first)."""
        rows = self._con.execute(
            f"SELECT reason, count(*) FROM (SELECT reason FROM {staged.rejects} UNION ALL "
            f"SELECT reason FROM {staged.malformed}) GROUP BY reason ORDER BY 2 DESC, 1"
        ).fetchall()
        malformed = self._con.execute(f"SELECT count(*) FROM {staged.malformed}").fetchone()
        read = sum(file.after - file.first for file in staged.files) + (malformed[0] if malformed else 0)
        reasons = dict(rows)
        forgotten, again = reasons.pop(FORGOTTEN, 0), reasons.pop(REPEATED, 0)
        refused = sum(reasons.values())
        emptied = self._con.execute(
            f"SELECT name, count(*) FROM {staged.emptied} WHERE row NOT IN (SELECT row FROM {staged.rejects}) "
            "GROUP BY name ORDER BY 2 DESC, 1"
        ).fetchall()
        return TableReport(
            table=staged.table.name,
            read=read,
            loaded=read - refused - forgotten - again,
            quarantined=refused,
            reasons=reasons,
            forgotten=forgotten,
            emptied=dict(emptied),
            read_as_missing=self._words(staged),
            repeated=again,
            newest=self._newest(staged),
        )

    def _words(self, staged: Staged) -> dict[str, int]:
        """In how many rows of which columns a word such as NULL stood for a value that is missing."""
        if not _first(self._con, f"SELECT count(*) FROM {staged.name} WHERE words <> 0"):
            return {}
        names = row_query.word_columns(staged.table, staged.attributes)
        names = [
            *names[: row_query.MOST_COUNTED],
            *(["further columns"] if len(names) > row_query.MOST_COUNTED else []),
        ]
        counts = ", ".join(f"count_if((words >> {i}) & 1 = 1)" for i in range(len(names)))
        found = self._con.execute(f"SELECT {counts} FROM {staged.name} WHERE words <> 0").fetchone() or ()
        return {name: count for name, count in zip(names, found, strict=True) if count}

    def _newest(self, staged: Staged) -> datetime | None:
        if staged.table.by_day is None:
            return None
        newest = self._con.execute(f"SELECT max({ident(staged.table.by_day)}) FROM {staged.good}").fetchone()
        return newest[0].replace(tzinfo=UTC) if newest and newest[0] is not None else None

    def _refuse(self, staged: Staged, test: str, reason: str) -> None:
        self._con.execute(
            f"INSERT INTO {staged.rejects} SELECT rowid, {literal(reason)} FROM {staged.name} "
            f"WHERE {test} AND rowid NOT IN (SELECT row FROM {staged.rejects})"
        )

    def _open(self, file: DeliveredFile, plain: Path | None = None) -> Source | None:
        import duckdb

        try:
            source = open_source(
                self._con, file, scratch=self._scratch, plain=plain, names=self._names, most_gb=self._most_gb
            )
        except UnreadableError as error:
            self.problems[file.path.name] = str(error)
            return None
        except duckdb.Error as error:
            if is_machines(error):
                raise
            self.problems[file.path.name] = (
                f"it is no whole {file.name.format} file ({_short(error, file.path)}); send it again"
            )
            return None
        if "" in source.columns:
            self.warnings.append(f"{file.path.name}: a column without a name is ignored; name it in the header")
        return source

    def _within_limits(self, sources: Iterable[Source]) -> list[Source]:
        """The files without those that bring the table more columns than it may have."""
        kept: list[Source] = []
        names: set[str] = set()
        for source in sources:
            names |= set(source.columns)
            if len(names) > MAX_COLUMNS:
                self.problems[source.file.path.name] = (
                    f"with it {source.file.table} has more than {MAX_COLUMNS:,} columns; deliver what target groups "
                    "need, and values as rows of events"
                )
                return kept
            kept.append(source)
        return kept

    def _attributes(self, table: Table, sources: Sequence[Source]) -> tuple[str, ...]:
        own = {column.name for column in table.columns}
        further = list(dict.fromkeys(name for s in sources for name in s.columns if name and name not in own))
        if table.attributes or not further:
            return tuple(further)
        shown = ", ".join(repr(name) for name in further[:12])
        self.warnings.append(f"{table.name}: {IGNORED}: {shown}")
        return ()

    def _read(
        self, staged: Staged, source: Source, number: int, defaults: Collection[str]
    ) -> tuple[Source, int] | None:
        """Stages one file: how it was read in the end, and how many rows it has; None if it is unreadable."""
        import duckdb

        try:
            return source, self._insert(staged, source, number, defaults)
        except duckdb.Error as first:
            if is_machines(first):
                raise
            again = None
            if source.file.name.format != "parquet":
                again = self._open(source.file, with_plain_newlines(source, scratch=self._scratch))
            try:
                if again is not None and again.columns == source.columns:
                    return again, self._insert(staged, again, number, defaults)
            except duckdb.Error as second:
                if is_machines(second):
                    raise
            self.problems[source.file.path.name] = (
                f"it can't be read to its end ({_short(first, source.plain)}); send it again"
            )
            return None

    def _insert(self, staged: Staged, source: Source, number: int, defaults: Collection[str]) -> int:
        form = source.file.name.format
        query = row_query.stage_query(
            staged.table,
            source.columns,
            source.relation,
            attributes=staged.attributes,
            context=self._context,
            lines=form == "ndjson",
            facts=facts_of(source.plain, source.delimiter) if form == "csv" else Facts(),
            defaults=defaults,
        )
        try:
            rows = self._con.execute(f"INSERT INTO {staged.name} {query}").fetchall()
            if form != "parquet":
                reasons = _MALFORMED | ({"TOO MANY COLUMNS": checks.NOT_AN_OBJECT} if form == "ndjson" else {})
                cases = " ".join(f"WHEN {literal(kind)} THEN {literal(reason)}" for kind, reason in reasons.items())
                # A line can have several errors and is one reject.
                self._con.execute(
                    f"INSERT INTO {staged.malformed} SELECT {number}, line_byte_position, any_value(csv_line), "
                    f"CASE min(error_type::VARCHAR) {cases} ELSE {literal(_BROKEN)} END FROM csv_rejects GROUP BY 2"
                )
        finally:
            self._con.execute("DROP TABLE IF EXISTS csv_rejects")
            self._con.execute("DROP TABLE IF EXISTS csv_scans")
        return rows[0][0]


def drop_rejects(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Leaves only good rows in a staging table, so that no later query has to look each row up."""
    con.execute(f"DELETE FROM {staged.name} WHERE rowid IN (SELECT row FROM {staged.rejects})")


def customers_query(staged: Staged, kinds: Mapping[str, str]) -> str:
    """SELECT of the customers to publish, once rejects are dropped: the contract's columns and typed attributes."""
    columns = [ident(name) for name in CUSTOMERS.stored()]
    columns += [
        f"{attribute_types.converted(kinds.get(name, 'VARCHAR'), f'a{i}')} AS {ident(name)}"
        for i, name in enumerate(staged.attributes)
    ]
    return f"SELECT {', '.join(columns)} FROM {staged.name}"


def rows_query(staged: Staged) -> str:
    """SELECT of the rows to publish of any other table, once rejects are dropped."""
    return f"SELECT {', '.join(ident(name) for name in TABLES[staged.table.name].stored())} FROM {staged.name}"


def _first(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The one value of a query."""
    return con.execute(query).fetchall()[0][0]


def _short(error: Exception, path: Path) -> str:
    """The first line of an error of DuckDB, without folders of this machine."""
    return first_line(error).replace(str(path), path.name)[:160]
