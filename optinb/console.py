"""Values as plain text, for terminals."""

from __future__ import annotations

from datetime import date, datetime
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import msgspec

from optinb.appboy import Standing, Template, told, told_by_group
from optinb.campaigns import REASONS, CampaignRecord
from optinb.delivery import Move
from optinb.measure import NightSummary
from optinb.measure.pages import many
from optinb.rules import from_json, to_text
from optinb.segments.discovery.values import Discovery
from optinb.state import GroupRecord, RunRecord
from optinb.warehouse import ImportReport
from optinb.workspace import (
    Cancellation,
    Check,
    CustomerCard,
    CustomerDay,
    CustomerReach,
    Diagnosis,
    GroupSize,
    GroupSync,
    Quarantine,
    SampleMessage,
    SentTest,
    Settlements,
    Status,
    TemplateListing,
    Why,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


SIGNS: dict[Standing, str] = {"good": "✓", "note": "·", "bad": "✗", "unknown": "?"}


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `optinb model` prints; `card` is the model's card, a sentence each."""

    run_date: date
    warehouse_version: int | None
    customers: int
    stages: dict[str, int]
    card: tuple[str, ...]


def table(rows: Iterable[Iterable[object]], *, head: Sequence[str]) -> str:
    """Columns side by side; numbers to the right, with separators."""
    texts = [list(head), *([_cell(value) for value in row] for row in rows)]
    if len(texts) == 1:
        return ""
    numeric = [all(_is_figure(row[i]) for row in texts[1:]) for i in range(len(head))]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    lines = [
        "  ".join(t.rjust(w) if n else t.ljust(w) for t, w, n in zip(row, widths, numeric, strict=True)).rstrip()
        for row in texts
    ]
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(value)


def _is_figure(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit() or not text


def records(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same columns as a table."""
    return table((row.values() for row in rows), head=tuple(rows[0])) if rows else "nothing"


@singledispatch
def show(value: Any) -> str:
    """A value as text; what has no form of its own is shown as its fields."""
    if isinstance(value, list | tuple):
        return "\n\n".join(show(item) for item in value) if value else "nothing"
    if isinstance(value, msgspec.Struct):
        return "\n".join(f"{name}: {_cell(item)}" for name, item in msgspec.structs.asdict(value).items())
    return str(value)


@show.register
def _(value: ImportReport) -> str:
    rows = [(t.table, t.read, t.loaded, t.quarantined) for t in value.tables]
    state = "it was imported before, nothing changed; it was published" if value.unchanged else "published"
    lines = [f"delivery of {value.run_date}: {state} as version {value.version}"]
    lines.append(table(rows, head=("table", "read", "loaded", "quarantined")))
    lines.extend(f"  {count:,} × {t.table}: {reason}" for t in value.tables for reason, count in t.reasons.items())
    return "\n".join([*lines, *(f"note: {w}" for w in value.warnings)])


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
    if not value.rows:
        return f"every row of the delivery of {value.run_date} can be loaded"
    lines = [f"{value.rows:,} rows of the delivery of {value.run_date} can't be loaded"]
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
    ]
    return "\n".join([part for part in parts if part] + (["", show(value.quarantine)] if value.quarantine.rows else []))


@show.register
def _(value: CustomerDay) -> str:
    if not value.is_customer:
        return f"{value.customer_id} was no customer on {value.day} (delivery of {value.delivery})"
    modelled = f", modelled {value.modelled}" if value.modelled else ""
    rows = [(name, item) for name, item in value.attributes.items() if item is not None]
    return f"customer {value.customer_id} on {value.day} (delivery of {value.delivery}{modelled})\n" + table(
        [(name, _cell(item)) for name, item in rows], head=("attribute", "value")
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
            table([(name, _cell(item)) for name, item in figures.items()], head=(title, "value"))
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
    title = f"{c.name}  ({c.app_group}, {c.template}" + (f", {_cell(c.send_at)})" if c.send_at else ")")
    held = f"\nHELD: {c.held}" if c.held else ""
    return f"{title}{held}\n{table(rows, head=('', 'customers'))}"


@show.register
def _(value: GroupSync) -> str:
    if value.result is None:
        return f"{value.app_group}: {value.problem}"
    r = value.result
    head = f"{value.app_group}: {r.usable:,} usable templates, {r.unusable:,} not usable"
    return "\n".join([head, *(f"  {line}" for line in told(r.changes))])


@show.register
def _(value: TemplateListing) -> str:
    parts = [show(template) for template in value.templates]
    if not parts:
        parts = ["no template is imported yet; `optinb templates sync` brings them"]
    if value.news:
        parts += ["\nsince last night:", *(f"  {line}" for line in told_by_group(value.news))]
    return "\n".join(parts)


@show.register
def _(value: Template) -> str:
    head = f"{value.name}  {', '.join(value.platforms) or '–'}  {value.id}"
    if not value.usable:
        return f"{head}\n  not usable: {'; '.join(value.problems)}"
    texts = [f"  {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}" for m in value.messages]
    return "\n".join([head, *texts, *(f"  note: {note}" for note in value.notes)])


@show.register
def _(value: GroupRecord) -> str:
    rule = to_text(from_json(value.rule_json))
    head = f"{value.name} (version {value.version}, {value.author}, {value.updated_at:%Y-%m-%d})"
    return f"{head}\n  {value.sentence}\n  {rule}"


@show.register
def _(value: GroupSize) -> str:
    share = value.customers / value.total if value.total else 0
    return f"{value.customers:,} of {value.total:,} customers ({share:.1%}) as of {value.run_date}: {value.sentence}"


@show.register
def _(value: Discovery) -> str:
    yes_no = value.kind == "yes/no"

    def figure(number: float) -> str:
        return f"{number:.1%}" if yes_no else f"{number:,.2f}"

    among = f", within: {value.within}" if value.within else ""
    head = (
        f"{value.target}{among}: {figure(value.rate)} of {value.known:,} customers as of {value.run_date}; "
        f"{value.tested:,} combinations tested"
    )
    if not value.findings:
        return "\n".join([head, "no group differs by more than chance would bring about", *_notes(value)])
    rows = [
        (i, f.size, figure(f.rate), figure(f.rate_outside), f"{f.lift:.1f}" if f.lift is not None else "",
         f"{figure(f.low)} to {figure(f.high)}", f.sentence)
        for i, f in enumerate(value)
    ]  # fmt: skip
    columns = ("#", "customers", "rate" if yes_no else "average", "others", "lift", "difference (95 %)", "who")
    rules = [f"{i}: {f.text}" for i, f in enumerate(value)]
    return "\n".join([head, table(rows, head=columns), "", *rules, *_notes(value)])


def _notes(value: Discovery) -> list[str]:
    return [f"note: {warning}" for warning in value.warnings]


@show.register
def _(value: CampaignRecord) -> str:
    c = value.campaign
    lines = [
        f"{c.name}: {value.state}" + (f" ({value.comment})" if value.comment else ""),
        f"  {c.channel}, {c.app_group}, template {c.template}, group {c.group}",
        f"  {c.schedule.sentence()}, control group {c.control:.0%}",
        f"  submitted by {value.author} {value.submitted_at:%Y-%m-%d %H:%M} UTC",
    ]
    if value.approval:
        a = value.approval
        lines.append(
            f"  approved by {a.approver} {a.approved_at:%Y-%m-%d %H:%M} UTC "
            f"for {a.band.low:,} to {a.band.high:,} recipients"
        )
        lines.append(f"  fingerprint {a.fingerprint}")
    return "\n".join(lines)


@show.register
def _(value: Diagnosis) -> str:
    if not value.app_groups:
        return "there is no app group in optinb.toml: add an [[app_groups]] table"
    return "\n\n".join(
        "\n".join(
            [f"{health.app_group} ({health.api})"]
            + [f"  {SIGNS[v.standing]} {v.about}: {v.text}" for v in health.verdicts]
        )
        for health in value.app_groups
    )


@show.register
def _(value: SampleMessage) -> str:
    lines = []
    for m in value.messages:
        lines.append(f"{value.customer_id}, {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}")
        lines += [f"  ! {m.note}"] if m.note else []
    return "\n".join(lines)


@show.register
def _(value: SentTest) -> str:
    people = many(len(value.sent), "test customer")
    lines = [f"{value.campaign}: sent to {people} ({value.app_group}, {value.template})"]
    lines += [line for sample in value.sent for line in show(sample).splitlines()]
    lines += [f"not to {customer_id}: {why}" for customer_id, why in value.skipped.items()]
    return "\n  ".join([*lines, *(f"Appboy says: {error}" for error in value.errors)])


@show.register
def _(value: Cancellation) -> str:
    lines = [f"campaign {value.campaign!r} is cancelled" + (f": {value.comment}" if value.comment else "")]
    for night in value.nights:
        may_be_out = night.may_be_out + night.out
        lines.append(
            f"  night of {night.run_date}: {night.stopped:,} were not sent, {night.recalled:,} were recalled, "
            f"{may_be_out:,} may already be out"
        )
        lines.extend(f"    {count:,} × {problem}" for problem, count in night.problems.items())
    if not value.nights:
        lines.append("  nothing of it was scheduled")
    return "\n".join(lines)


@show.register
def _(value: Move) -> str:
    head = f"{value.campaign!r}, night of {value.run_date}: from {_cell(value.before)} to {_cell(value.send_at)}"
    lines = [head, f"  {value.moved:,} were moved, {value.to_come:,} are still to be sent and go out at the new time"]
    if value.unmoved:
        lines.append(f"  {value.unmoved:,} couldn't be moved and may get it at the old time; reschedule again")
    return "\n".join([*lines, *(f"    {count:,} × {problem}" for problem, count in value.problems.items())])


@show.register
def _(value: Settlements) -> str:
    if not value.nights:
        return "no delivery is unknown"
    lines = []
    for night in value.nights:
        r = night.reconciled
        lines.append(f"{r.campaign!r}, night of {r.run_date}: {r.unknown:,} unknown")
        if r.ask_after:
            lines.append(f"  it is too early to ask; do it after {_cell(r.ask_after)}")
            continue
        lines.append(f"  {r.received:,} received it, {r.missing:,} didn't, of {r.untold:,} it can't be said any more")
        if night.list:
            lines.append(f"  who didn't: {night.list}")
            lines.append("  nothing is sent to them by itself; plan a campaign for that list, with its own approval")
    return "\n".join(lines)


@show.register
def _(value: Status) -> str:
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
        sent = f" ({a.delivery}, for {_cell(a.send_at)})" if a.delivery else ""
        lines.append(f"  {a.campaign}: {a.outcome}{sent}: {a.why}")
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
