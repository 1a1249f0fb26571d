"""Nights, and what becomes of their deliveries, as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from optinb.appboy import told_by_group
from optinb.campaigns import REASONS
from optinb.console.base import cell, show, table
from optinb.delivery import Cancellation, Recovered, SendMove, Settlements, Why, WorkspaceStatus
from optinb.measure import NightSummary
from optinb.store import AuditVerdict

if TYPE_CHECKING:
    from optinb.store import RunRecord


@show.register
def _(value: NightSummary) -> str:
    parts = [f"Night of {value.run_date}{' (dry run: nothing was sent)' if value.dry_run else ''}"]
    if value.imported:
        rows = [(name, t.read, t.loaded, t.quarantined) for name, t in value.imported.items()]
        parts.append(table(rows, head=("imported", "read", "loaded", "quarantined")))
    if value.stages:
        parts.append(table(value.stages.items(), head=("lifecycle stage", "customers")))
    parts.extend(_campaign(c) for c in value.campaigns)
    if not value.campaigns:
        parts.append("no campaign is due")
    parts.extend(f"! {problem}" for problem in value.problems)
    parts.extend(f"note: {warning}" for warning in value.warnings)
    parts.extend(f"template of {line}" for line in told_by_group(value.templates))
    parts.append("\n".join(f"{k:<9} {v}" for k, v in (("notebook", value.notebook), ("report", value.report)) if v))
    return "\n\n".join(parts)


def _campaign(c: Any) -> str:
    rows: list[tuple[str, int]] = [("target group", c.target)]
    rows += [(f"− {REASONS.get(reason, reason)}", count) for reason, count in c.excluded.items()]
    rows += [("− control group", c.control), ("= recipients", c.recipients)]
    outcomes = ("accepted", "refused", "unknown", "expired", "cancelled", "pending")
    rows += [(f"  {name}", getattr(c, name)) for name in outcomes if getattr(c, name)]
    title = f"{c.name}  ({c.app_group}, {c.template}" + (f", {cell(c.send_at)})" if c.send_at else ")")
    held = f"\nHELD: {c.held}" if c.held else ""
    return f"{title}{held}\n{table(rows, head=('', 'customers'))}"


@show.register
def _(value: Cancellation) -> str:
    lines = [f"campaign {value.campaign!r} is cancelled" + (f": {value.comment}" if value.comment else "")]
    for night in value.nights:
        may_be_out = night.may_be_out + night.out
        lines.append(
            f"  night of {night.run_date}: {night.stopped:,} were not sent, {night.recalled:,} were recalled, "
            f"{may_be_out:,} may already be out"
        )
        if night.left:
            lines.append(f"  {night.left:,} of these are still scheduled; run the same command again to recall them")
        lines.extend(f"    {count:,} × {problem}" for problem, count in night.problems.items())
        lines += [f"  ! {night.untold}"] if night.untold else []
    if not value.nights:
        lines.append("  nothing of it was scheduled")
    return "\n".join(lines)


@show.register
def _(value: SendMove) -> str:
    head = f"{value.campaign!r}, night of {value.run_date}: from {cell(value.before)} to {cell(value.send_at)}"
    lines = [head, f"  {value.moved:,} were moved, {value.to_come:,} are still to be sent and go out at the new time"]
    if value.unmoved:
        lines.append(f"  {value.unmoved:,} couldn't be moved and may get it at the old time; reschedule again")
    if value.unknown:
        lines.append(
            f"  {value.unknown:,} were unknown before and can't be moved: whom Appboy took of them gets it at the old "
            "time; ask with `optinb reconcile` afterwards"
        )
    lines.extend(f"    {count:,} × {problem}" for problem, count in value.problems.items())
    return "\n".join([*lines, *([f"  ! {value.untold}"] if value.untold else [])])


@show.register
def _(value: Settlements) -> str:
    if not value.nights:
        return "no delivery is unknown"
    lines = []
    for night in value.nights:
        r = night.reconciled
        lines.append(f"{r.campaign!r}, night of {r.run_date}: {r.unknown:,} unknown")
        if night.problem:
            lines.append(f"  ! it couldn't be asked: {night.problem}")
            continue
        if r.ask_after:
            lines.append(f"  it is too early to ask; do it after {cell(r.ask_after)}")
            continue
        lines.append(f"  {r.received:,} received it, {r.missing:,} didn't, of {r.untold:,} it can't be said any more")
        if night.list:
            lines.append(f"  who didn't: in_list({json.dumps(night.list, ensure_ascii=False)})")
            lines.append("  nothing is sent to them by itself; plan a campaign for that list, with its own approval")
    return "\n".join(lines)


@show.register
def _(value: WorkspaceStatus) -> str:
    version = f"version {value.warehouse_version} of {value.import_date}, modelled {value.model_date or 'never'}"
    published = version if value.warehouse_version is not None else "nothing is imported yet"
    runs = table((_run(r) for r in value.runs), head=("night", "attempt", "started", "finished", "exit", "by"))
    return "\n".join(
        [
            f"workspace {value.workspace}",
            f"tables    {published}",
            f"campaigns {_counts(value.campaigns) or 'none'}",
            runs or "no night has run yet",
        ]
    )


def _run(run: RunRecord) -> tuple[object, ...]:
    return (
        str(run.run_date),
        run.attempt,
        run.started_at,
        run.finished_at or "not finished",
        run.exit_code,
        run.started_by,
    )


@show.register
def _(value: Why) -> str:
    known = "" if value.is_known else " (no customer of the published tables)"
    if not value.answers:
        return f"customer {value.customer_id}{known}, night of {value.run_date}: no campaign was due"
    lines = [f"customer {value.customer_id}{known}, night of {value.run_date}"]
    for a in value.answers:
        sent = f" ({a.delivery}, for {cell(a.send_at)})" if a.delivery else ""
        code = f"; promotion code {a.code}" if a.code else ""
        lines.append(f"  {a.campaign}: {a.outcome}{sent}: {a.why}{code}")
    return "\n".join(lines)


@show.register
def _(value: Recovered) -> str:
    if not (value.nights or value.witnesses or value.problems):
        return "the database knows all that lies beside it: there is nothing to recover"
    lines = ["what would be done (nothing is changed):"] if value.dry_run else ["the database was brought up to date:"]
    lines += [f"  the audit trail was put back: {witness}" for witness in value.witnesses]
    for night in value.nights:
        lines.append(f"  {night.campaign!r}, night of {night.run_date}: {night.why}")
        lines.append(f"    rebuilt, in recipients: {_counts(night.recipients) or 'none'}")
    if value.unknown_campaigns:
        names = ", ".join(map(repr, value.unknown_campaigns))
        lines.append(f"  not known any more, so plan and approve again what is to go on: {names}")
    if waiting := sorted({night.campaign for night in value.nights if night.recipients.get("planned")}):
        lines.append(f"  held until an approver has looked at what was rebuilt: {', '.join(map(repr, waiting))}")
    lines.append("  groups, campaigns and approvals saved after the moment it was put back to are lost")
    if any(night.recipients.get("unknown") for night in value.nights):
        lines.append(
            "  of the unknown nobody can tell by what lies here; `optinb reconcile` asks Appboy, once they are out"
        )
    lines += [show(Settlements(nights=value.settled, exit_code=0))] if value.settled else []
    return "\n".join([*lines, *(f"  ! {problem}" for problem in value.problems)])


@show.register
def _(value: AuditVerdict) -> str:
    verdict = value.problem or "whole, and it holds every approval that campaigns have"
    lines = [f"the audit trail is {verdict}", f"  {value.entries:,} entries, the last with the hash {value.head}"]
    return "\n".join([*lines, *(f"  {broken}" for broken in value.breaks)])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
