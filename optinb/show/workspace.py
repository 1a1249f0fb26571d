"""Workspaces, their deliveries (what was loaded, what was refused, how columns moved) and their audit trail as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.show.registry import Shown
from optinb.show.tables import by_table, drift_table, imported_table, table

if TYPE_CHECKING:
    from optinb.base.workspace_folder import NewWorkspace
    from optinb.store import AuditVerdict
    from optinb.warehouse import Check, ImportReport, Quarantine

MOST_DRIFT = 10  # lines after an import; a check shows all


def new_workspace_text(value: NewWorkspace) -> str:
    """Where everything of a new workspace is, and what to do next."""
    return "\n".join(
        [
            f"a new workspace: {value.folder}",
            f"  settings  {value.settings}",
            f"  inbox     {value.inbox}",
            "Next: say in the settings who approves, and which app groups there are; have the first delivery put into",
            f"inbox/DATE; `optinb doctor --workspace {value.folder}` then says what is still missing.",
        ]
    )


def audit_text(value: AuditVerdict) -> str:
    """Whether the audit trail is whole."""
    verdict = value.problem or "whole, and it holds every approval that campaigns have"
    lines = [f"the audit trail is {verdict}", f"  {value.entries:,} entries, the last with the hash {value.head}"]
    return "\n".join([*lines, *(f"  {broken}" for broken in value.breaks)])


def import_text(value: ImportReport) -> str:
    """What an import read, loaded and refused."""
    state = "it was imported before, nothing changed; it was published" if value.unchanged else "published"
    lines = [f"delivery of {value.run_date}: {state} as version {value.version}"]
    lines.append(imported_table(by_table(value)).text)
    lines.extend(f"  {count:,} × {t.table}: {reason}" for t in value.tables for reason, count in t.reasons.items())
    lines.extend(
        f"  {count:,} × {t.table}: {name} can't be read and is left as it was, or empty"
        for t in value.tables
        for name, count in t.emptied.items()
    )
    head, moved = drift_table(value.drift)
    lines += [f"note: {warning}" for warning in value.warnings]
    if moved:
        lines += ["", table(moved[:MOST_DRIFT], head=head)]
    if rest := len(moved[MOST_DRIFT:]):
        lines.append(f"… and {rest:,} more figures that moved less; `--json` has all")
    return "\n".join(lines)


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
    imported = imported_table(by_table(value.report))
    verdict = "would be blocked" if value.blocked else "would be published"
    parts = [
        f"{value.folder}, as the delivery of {value.report.run_date}: it {verdict}; nothing was imported",
        table(imported.rows, head=("table", "read", "would be loaded", "would be quarantined")),
        *(f"! {reason}" for reason in value.blocked),
        *(f"note: {warning}" for warning in value.report.warnings),
        *(["", drift_table(value.report.drift).text] if value.report.drift else []),
    ]
    return "\n".join(
        [part for part in parts if part]
        + (["", quarantine_text(value.quarantine)] if value.quarantine.refusals else [])
    )


SHOWN = (
    Shown("optinb.base.workspace_folder.NewWorkspace", new_workspace_text),
    Shown("optinb.store.audit.AuditVerdict", audit_text),
    Shown("optinb.workspace.Workspace", page="workspace"),
    Shown("optinb.warehouse.report.ImportReport", import_text, "import_report"),
    Shown("optinb.warehouse.inbox.Quarantine", quarantine_text),
    Shown("optinb.warehouse.inbox.Check", check_text),
)
