"""What an import did, in figures. Values only."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct, field

Measure = Literal["empty", "true", "values", "median"]
Verdict = Literal["ok", "jump", "rare values", "not gated"]


class ColumnFigures(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a column holds, by some rows; None for what doesn't apply or isn't known.

    Attributes:
        rows: how many were looked at.
        nulls: the share of rows without a value.
        true: of the rows with a value, the share that says yes.
        sampled: how many values were looked at for the rest, which is told of a sample.
        distinct: the number of different values.
        evenly: the number of values that would be as varied if all were equally frequent; rare ones hardly count.
        low, median, high: a quarter, half, and three quarters of the values are below.
    """

    rows: int
    nulls: float | None = None
    true: float | None = None
    sampled: int | None = None
    distinct: int | None = None
    evenly: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None


class ColumnDrift(Struct, frozen=True, kw_only=True):
    """How a figure of a column moved against the deliveries before.

    Attributes:
        measure: the share of rows that are `empty`, the share of values that are `true`, the number of different
            `values`, or the `median`.
        lowest, highest: between them it may lie; None where there is no bound.
        verdict: `jump` blocks; `rare values` came or went, which doesn't; what no rule and no campaign uses is
            `not gated`.
    """

    table: str
    column: str
    measure: Measure
    before: float
    now: float
    lowest: float | None
    highest: float | None
    verdict: Verdict
    setting: str


class TableReport(Struct, frozen=True, kw_only=True):
    """Rows of one table; read = loaded + quarantined + forgotten + repeated, always.

    `forgotten` are rows of customers whom the workspace has forgotten: they are left out, and kept nowhere. `emptied`:
    for each column how many values of loaded rows couldn't be read and were left empty; `read_as_missing`: in how many
    rows a word such as NULL stood for a missing value. `repeated` are events that came before, and are left out too.
    `newest` is the newest time (UTC) among the loaded rows of a table that is kept by day. `columns`
    are those of the contract that every part had, `delivered` those that any delivery so far brought; `figures` tell
    what the columns hold.
    """

    table: str
    read: int
    loaded: int
    quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)
    forgotten: int = 0
    emptied: dict[str, int] = field(default_factory=dict)
    read_as_missing: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    newest: datetime | None = None
    columns: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    figures: dict[str, ColumnFigures] = field(default_factory=dict)


class Gate(Struct, frozen=True, kw_only=True):
    """One figure of a delivery against its limit. `setting` is the key of `[import]` that moves the limit."""

    name: str
    table: str
    value: float
    limit: float
    passed: bool
    setting: str
    message: str


class ImportReport(Struct, frozen=True, kw_only=True):
    """What one import read, loaded and refused.

    `version` is the published one. `unchanged`: the same files had been imported before, nothing was done, and the
    figures are those of the first time. `accepted_by` and `accepted_because` say who overrode failed gates, and why.
    `merged`: people who were known under two ids and turned out to be one; for `merged_stricter` of them one side had
    denied what the other allows, and the denial counts.
    `drift` compares what the columns hold with the deliveries before. `carried` are whole tables as an earlier delivery
    of the same day brought them, which this one leaves as they are.
    """

    run_date: date
    version: int
    tables: tuple[TableReport, ...]
    warnings: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    unchanged: bool = False
    seconds: float = 0.0
    accepted_by: str | None = None
    accepted_because: str | None = None
    merged: int = 0
    merged_stricter: int = 0
    drift: tuple[ColumnDrift, ...] = ()
    carried: tuple[TableReport, ...] = ()

    @property
    def brought(self) -> tuple[TableReport, ...]:
        """What came of the day in all: the tables of this delivery, and those that it left as they were."""
        return (*self.tables, *self.carried)

    def table(self, name: str) -> TableReport:
        """The figures of one table; zeros if it was not delivered.

        Args:
            name: of the table, such as "customers".
        """
        none = TableReport(table=name, read=0, loaded=0, quarantined=0)
        return next((report for report in self.tables if report.table == name), none)
