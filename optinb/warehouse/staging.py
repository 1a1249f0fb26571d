"""Reads the files of a delivery into staging tables, and checks their rows, without publishing anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from optinb.warehouse import checks, column_names, formats, reading, row_query, table_checks, tool_traces
from optinb.warehouse.contract import MAX_COLUMNS, Table
from optinb.warehouse.header_gates import IGNORED
from optinb.warehouse.limits import Facts, UnreadableError, facts_of
from optinb.warehouse.sql import Connection, first_line, first_value, is_machines, literal
from optinb.warehouse.staged import Staged, StagedFile

_MALFORMED: dict[str, str] = {
    "MISSING COLUMNS": "the line has fewer fields than the header: write one field for each column, empty if need be",
    "TOO MANY COLUMNS": "the line has more fields than the header: quote a field that holds the separator",
    "UNQUOTED VALUE": "a quotation mark is never closed, or stands inside a field: double it, and quote the field",
    "INVALID ENCODING": "the line is not UTF-8: save the file as UTF-8",
    "LINE SIZE OVER MAXIMUM": "the line is longer than 2 MB: a quotation mark that is never closed?",
}
_BROKEN = "the line can't be read as CSV: check its quotation marks and separators"


class Stager:
    """Stages the files of one delivery on one connection; a gzip may become `most_gb`.

    `problems` collects files that can't be read at all.
    """

    def __init__(
        self,
        con: Connection,
        *,
        context: checks.CheckContext,
        scratch: Path,
        names: column_names.ColumnNames,
        most_gb: float,
    ) -> None:
        from zoneinfo import available_timezones

        self._con, self._context, self._scratch = con, context, scratch
        self._names, self._most_gb = names, most_gb
        self.problems: dict[str, str] = {}
        self.warnings: list[str] = []
        zones = ", ".join(literal(name) for name in sorted(available_timezones()))
        con.execute(f"CREATE TYPE zone_name AS ENUM ({zones})")

    def stage(self, table: Table, files: Iterable[formats.DeliveredFile], *, before: Collection[str]) -> Staged | None:
        """Reads and checks the files of one table, row by row; None if no file of it can be read.

        `before`: the columns that earlier deliveries brought. What permits something has its default only where it was
        never delivered; otherwise a value that is missing is not known.
        """
        sources = self._within_limits(source for file in files if (source := self._open(file)) is not None)
        attributes = self._attributes(table, sources)
        delivered = frozenset(c.name for c in table.columns if any(c.name in source.columns for source in sources))
        told = {*delivered, *before}
        defaults = frozenset(c.name for c in table.columns if c.default and not (c.permits and c.name in told))
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
        self._note_emptied(whole)
        return whole

    def _note_emptied(self, staged: Staged) -> None:
        """Lists the optional values that `row_query` emptied."""
        con = self._con
        con.execute(f'CREATE TABLE {staged.emptied} ("row" BIGINT, name VARCHAR, reason VARCHAR, value VARCHAR)')
        if not row_query.has_marks(staged.table) or not first_value(
            con, f"SELECT count(*) FROM {staged.name} WHERE unfit <> 0"
        ):
            return
        for name, test, reason in row_query.emptied_values(staged.table, self._context):
            con.execute(
                f"INSERT INTO {staged.emptied} SELECT rowid, {literal(name)}, {literal(reason)}, NULL "
                f"FROM {staged.name} WHERE unfit <> 0 AND {test}"
            )
        if first_value(con, f"SELECT count(*) FROM {staged.name} WHERE unfit >= {row_query.UNPRINTABLE}"):
            for i, name in enumerate(staged.attributes):
                table_checks.empty(con, staged, i, f"contains(a{i}, chr(0))", f"{name} {checks.NUL}")

    def _open(self, file: formats.DeliveredFile, plain: Path | None = None) -> formats.OpenedFile | None:
        import duckdb

        try:
            source = reading.open_source(
                self._con, file, scratch=self._scratch, plain=plain, names=self._names, most_gb=self._most_gb
            )
        except UnreadableError as error:
            self.problems[file.path.name] = str(error)
            return None
        except duckdb.Error as error:
            if is_machines(error):
                raise
            self.problems[file.path.name] = (
                f"it is no whole {file.format.name} file ({_short(error, file.path)}); send it again"
            )
            return None
        if "" in source.columns:
            self.warnings.append(f"{file.path.name}: a column without a name is ignored; name it in the header")
        return source

    def _within_limits(self, sources: Iterable[formats.OpenedFile]) -> list[formats.OpenedFile]:
        """The files without those that bring the table more columns than it may have."""
        kept: list[formats.OpenedFile] = []
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

    def _attributes(self, table: Table, sources: Sequence[formats.OpenedFile]) -> tuple[str, ...]:
        own = {column.name for column in table.columns}
        further = list(dict.fromkeys(name for s in sources for name in s.columns if name and name not in own))
        if table.attributes or not further:
            return tuple(further)
        shown = ", ".join(repr(name) for name in further[:12])
        self.warnings.append(f"{table.name}: {IGNORED}: {shown}")
        return ()

    def _read(
        self, staged: Staged, source: formats.OpenedFile, number: int, defaults: Collection[str]
    ) -> tuple[formats.OpenedFile, int] | None:
        """Stages one file: how it was read in the end, and how many rows it has; None if it is unreadable."""
        import duckdb

        try:
            return source, self._insert(staged, source, number, defaults)
        except duckdb.Error as first:
            if is_machines(first):
                raise
            again = None
            if source.file.format.text:
                again = self._open(source.file, reading.with_plain_newlines(source, scratch=self._scratch))
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

    def _insert(self, staged: Staged, source: formats.OpenedFile, number: int, defaults: Collection[str]) -> int:
        form = source.file.format
        query = row_query.stage_query(
            staged.table,
            source.columns,
            source.relation,
            attributes=staged.attributes,
            context=self._context,
            lines=form.objects,
            facts=facts_of(source.plain, source.delimiter) if form.delimited else Facts(),
            defaults=defaults,
        )
        try:
            rows = self._con.execute(f"INSERT INTO {staged.name} {query}").fetchall()
            if form.text:
                reasons = {**_MALFORMED, **form.malformed}
                cases = " ".join(f"WHEN {literal(kind)} THEN {literal(reason)}" for kind, reason in reasons.items())
                # A line can have several errors and is one reject.
                self._con.execute(
                    f"INSERT INTO {staged.malformed} SELECT {number}, line_byte_position, any_value(csv_line), "
                    f"CASE min(error_type::VARCHAR) {cases} ELSE {literal(_BROKEN)} END FROM csv_rejects GROUP BY 2"
                )
        finally:
            formats.forget_errors(self._con)
        return rows[0][0]


def _short(error: Exception, path: Path) -> str:
    """The first line of an error of DuckDB, without folders of this machine."""
    return first_line(error).replace(str(path), path.name)[:160]
