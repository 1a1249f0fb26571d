"""Deliveries as text and HTML: what was loaded, what was refused, how columns moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.show.pages import page
from optinb.show.registry import Shown
from optinb.show.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.warehouse import Check, ColumnDrift, ImportReport, Quarantine

MOST_DRIFT = 10  # lines after an import; a check shows all


def import_text(value: ImportReport) -> str:
    """What an import read, loaded and refused."""
    rows = [(t.table, t.read, t.loaded, t.quarantined) for t in value.tables]
    state = "it was imported before, nothing changed; it was published" if value.unchanged else "published"
    lines = [f"delivery of {value.run_date}: {state} as version {value.version}"]
    lines.append(table(rows, head=("table", "read", "loaded", "quarantined")))
    lines.extend(f"  {count:,} × {t.table}: {reason}" for t in value.tables for reason, count in t.reasons.items())
    lines.extend(
        f"  {count:,} × {t.table}: {name} can't be read and is left as it was, or empty"
        for t in value.tables
        for name, count in t.emptied.items()
    )
    moved = drift_table(value.drift, most=MOST_DRIFT)
    return "\n".join([*lines, *(f"note: {w}" for w in value.warnings), *(["", moved] if moved else [])])


def import_report(report: ImportReport) -> str:
    """What an import read, loaded and refused."""
    tables = {t.table: t for t in report.tables}
    return page("import_report.html.j2", report=report, tables=tables, moves=_moves(report.drift))


def drift_table(drift: Sequence[ColumnDrift], *, most: int | None = None) -> str:
    """What the columns held before and hold now, what moved furthest first; at most so many lines."""
    rows = [(d.table, d.column, *told, d.verdict) for d, *told in _moves(drift)]
    text = table(rows[:most], head=("table", "column", "figure", "before", "now", "limit", "verdict"))
    rest = len(rows) - len(rows[:most])
    return text + (f"\n… and {rest:,} more figures that moved less; `--json` has all" if rest else "")


def _moves(drift: Sequence[ColumnDrift]) -> list[tuple[ColumnDrift, str, str, str, str]]:
    """Figures of columns in words: which, before, now, and its limits."""
    from optinb.warehouse import MEASURES, figure, span, told_first

    return [(d, MEASURES[d.measure], figure(d, d.before), figure(d, d.now), span(d)) for d in told_first(drift)]


def quarantine_text(value: Quarantine) -> str:
    """What rows were refused for, with examples."""
    if not value.refusals:
        return f"every row of the delivery of {value.run_date} can be loaded"
    rows = f"{value.rows:,} {'row' if value.rows == 1 else 'rows'} of the delivery of {value.run_date} can't be loaded"
    values = f"{value.values:,} {'value' if value.values == 1 else 'values'} can't be read, in rows that can be loaded"
    lines = ["; ".join([rows] * bool(value.rows or not value.values) + [values] * bool(value.values))]
    for refusal in value.refusals:
        lines.append(f"\n{refusal.rows:,} × {refusal.table}: {refusal.reason}")
        lines.extend(
            f"    {e.file}{f':{e.line}' if e.line else ''}  {e.raw!r}".replace("\\n", "⏎") for e in refusal.examples
        )
    return "\n".join(lines)


def check_text(value: Check) -> str:
    """What an import of a folder would do."""
    rows = [(t.table, t.read, t.loaded, t.quarantined) for t in value.report.tables]
    verdict = "would be blocked" if value.blocked else "would be published"
    parts = [
        f"{value.folder}, as the delivery of {value.report.run_date}: it {verdict}; nothing was imported",
        table(rows, head=("table", "read", "would be loaded", "would be quarantined")),
        *(f"! {reason}" for reason in value.blocked),
        *(f"note: {warning}" for warning in value.report.warnings),
        *(["", drift_table(value.report.drift)] if value.report.drift else []),
    ]
    return "\n".join(
        [part for part in parts if part]
        + (["", quarantine_text(value.quarantine)] if value.quarantine.refusals else [])
    )


SHOWN = (
    Shown("optinb.warehouse.report.ImportReport", text=import_text, html=import_report),
    Shown("optinb.warehouse.inbox.Quarantine", text=quarantine_text),
    Shown("optinb.warehouse.inbox.Check", text=check_text),
)
