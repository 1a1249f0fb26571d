"""What an import did, in figures. Values only."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct, field


class TableReport(Struct, frozen=True, kw_only=True):
    """Rows of one table; read = loaded + quarantined + forgotten + repeated, always.

    `forgotten` are rows of customers whom the workspace has forgotten: they are left out, and kept nowhere. `emptied`:
    for each column how many values of loaded rows couldn't be read and were left empty; `read_as_missing`: in how many
    rows a word such as NULL stood for a missing value. `repeated` are events that came before, and are left out too.
    `newest` is the newest time (UTC) among the loaded rows of a table that is kept by day.
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

    def table(self, name: str) -> TableReport:
        """The figures of one table; zeros if it was not delivered."""
        for report in self.tables:
            if report.table == name:
                return report
        return TableReport(table=name, read=0, loaded=0, quarantined=0)
