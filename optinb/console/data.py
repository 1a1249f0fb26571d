"""Deliveries, models and customers as text."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec

from optinb.base.workspace_folder import NewWorkspace
from optinb.console.base import cell, show, table
from optinb.customers import CustomerCard
from optinb.delivery import ForgottenCustomer
from optinb.segments import CustomerDay, CustomerReach
from optinb.warehouse import MEASURES, Check, ColumnDrift, ImportReport, Quarantine, figure, span, told_first

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_DRIFT = 10  # lines after an import; a check shows all


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `optinb model` prints; `card` is the model's card, a sentence each."""

    run_date: date
    warehouse_version: int | None
    customers: int
    stages: dict[str, int]
    card: tuple[str, ...]


@show.register
def _(value: NewWorkspace) -> str:
    return "\n".join(
        [
            f"a new workspace: {value.folder}",
            f"  settings  {value.settings}",
            f"  inbox     {value.inbox}",
            "Next: say in the settings who approves, and which app groups there are; have the first delivery put into",
            f"inbox/DATE; `optinb doctor --workspace {value.folder}` then says what is still missing.",
        ]
    )


@show.register
def _(value: ImportReport) -> str:
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


def drift_table(drift: Sequence[ColumnDrift], *, most: int | None = None) -> str:
    """What the columns held before and hold now, what moved furthest first; at most so many lines."""
    found = told_first(drift)
    rows = [
        (d.table, d.column, MEASURES[d.measure], figure(d, d.before), figure(d, d.now), span(d), d.verdict)
        for d in found[:most]
    ]
    text = table(rows, head=("table", "column", "figure", "before", "now", "limit", "verdict"))
    rest = len(found) - len(rows)
    return text + (f"\n… and {rest:,} more figures that moved less; `--json` has all" if rest else "")


@show.register
def _(value: ForgottenCustomer) -> str:
    if not value.found:
        lines = ["nothing of this customer was left to remove; a delivery that names them brings nobody back"]
        if value.forgotten_before:
            lines = [f"this customer was forgotten before: {lines[0]}"]
    else:
        removed = ", ".join(f"{count:,} of {table}" for table, count in value.rows.items()) or "none"
        lines = [
            f"the customer was forgotten (in the audit trail: {value.person[:16]})",
            f"  rows removed: {removed}; {value.versions:,} versions and {value.files:,} files were written anew",
            f"  made anonymous: {value.audiences:,} audiences, {value.quarantined:,} refused rows",
            f"  rewritten: {value.rewritten:,} journals, notebooks, reports, logs and drafts",
            f"  taken off {value.lists:,} lists"
            + ("; groups that name these must be approved again" * bool(value.lists)),
        ]
    lines += [f"  still in the inbox, for IT to remove: {name}" for name in value.inbox]
    lines += [f"  still scheduled with Appboy: {name}; cancel it, or write to Appboy" for name in value.scheduled]
    return "\n".join([*lines, *(f"  still named in {name}" for name in value.named_in)])


@show.register
def _(value: ModelReport) -> str:
    parts = [
        f"{value.customers:,} customers modelled for {value.run_date}, published as version {value.warehouse_version}",
        table(value.stages.items(), head=("lifecycle stage", "customers")),
        "\n".join(value.card),
    ]
    return "\n\n".join(part for part in parts if part)


@show.register
def _(value: Quarantine) -> str:
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


@show.register
def _(value: Check) -> str:
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
        [part for part in parts if part] + (["", show(value.quarantine)] if value.quarantine.refusals else [])
    )


@show.register
def _(value: CustomerDay) -> str:
    if not value.is_customer:
        return f"{value.customer_id} was no customer on {value.day} (delivery of {value.delivery})"
    modelled = f", modelled {value.modelled}" if value.modelled else ""
    rows = [(name, item) for name, item in value.attributes.items() if item is not None]
    return f"customer {value.customer_id} on {value.day} (delivery of {value.delivery}{modelled})\n" + table(
        [(name, cell(item)) for name, item in rows], head=("attribute", "value")
    )


@show.register
def _(value: CustomerCard) -> str:
    if not value.is_known:
        return f"{value.customer_id} was no customer on {value.day}"
    months = [(f"{month.first:%Y-%m}", month.purchases, month.spend) for month in value.months[-12:]]
    messages = [(str(m.night), m.answer.campaign, m.answer.outcome, m.answer.why) for m in value.messages]
    parts = [
        f"customer {value.customer_id} on {value.day}: {value.stage or 'not modelled'}",
        *(
            table([(name, cell(item)) for name, item in figures.items()], head=(title, "value"))
            for title, figures in (("profile", value.profile), ("so far", value.features), ("expected", value.future))
        ),
        "\n".join(value.about),
        "\n".join(f"no model tells {name}: {reason}" for name, reason in value.untold.items()),
        table([(s.stage, str(s.since), str(s.until)) for s in value.stages], head=("stage", "since", "until")),
        table(months, head=("month", "purchases", "spend")),
        f"groups: {', '.join(value.groups) or 'none'}",
        table(messages, head=("night", "campaign", "outcome", "the customer …")),
    ]
    return "\n\n".join(part for part in parts if part)


@show.register
def _(value: CustomerReach) -> str:
    if not value.is_known:
        return f"{value.customer_id} is no customer of the published tables"
    verdict = "can be reached" if value.is_reachable else "can't be reached"
    lines = [f"customer {value.customer_id} {verdict} (delivery of {value.day})"]
    lines += [f"  {reason}" for reason in value.why_not]
    rows = [(u.app_group, u.app, u.platform, u.app_version, u.why_not or "a push can arrive") for u in value.apps]
    return "\n".join([*lines, table(rows, head=("app group", "app", "platform", "version", "push"))])
