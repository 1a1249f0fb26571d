"""Nights, and what becomes of deliveries, night by night and customer by customer, as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from optinb.base.figures import amount, many
from optinb.delivery.confirmed_nights import alarm_words
from optinb.show.arrivals import arrival_lines, confirmed_text, given_back_text
from optinb.show.campaigns import campaign_text, comment_text
from optinb.show.registry import Shown
from optinb.show.result_tables import funnel_table
from optinb.show.tables import (
    TOO_LATE,
    UNREAD,
    all_results_table,
    cell,
    imported_table,
    local_time,
    parts_table,
    programme_table,
    reach_days_table,
    reach_table,
    reached_lines,
    result_parts_tables,
    results_table,
    runs_table,
    table,
    uplift_table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.delivery import (
        Cancellation,
        ForgottenCustomer,
        ReachSample,
        Recovered,
        SendMove,
        Settlements,
        Why,
        WorkspaceStatus,
    )
    from optinb.delivery.journal import CodePool
    from optinb.delivery.reconcile import Settled
    from optinb.measure import (
        AllResults,
        CampaignFigures,
        CampaignPage,
        CampaignRedemptions,
        CampaignResult,
        CampaignSummary,
        CampaignUplift,
        FiguresRead,
        NightFigures,
        NightSummary,
        Programme,
    )


def pool_text(value: CodePool) -> str:
    """How many promotion codes are left."""
    return f"{value.name}: {value.left:,} of {value.codes:,} promotion codes are left"


def forgotten_text(value: ForgottenCustomer) -> str:
    """What was removed of a customer, and what is left to do."""
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
            f"  taken out of the history of {many(value.groups, 'group')}",
            f"  taken off {value.lists:,} lists"
            + ("; groups that name these must be approved again" * bool(value.lists)),
        ]
    lines += [f"  still in the inbox, for IT to remove: {name}" for name in value.inbox]
    lines += [f"  still scheduled with Appboy: {name}; cancel it, or write to Appboy" for name in value.scheduled]
    return "\n".join([*lines, *(f"  still named in {name}" for name in value.named_in)])


def cancellation_text(value: Cancellation) -> str:
    """What became of a cancelled campaign's sends."""
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


def move_text(value: SendMove) -> str:
    """What became of sends that were moved to another time."""
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


def settlements_text(value: Settlements) -> str:
    """What Appboy said of unknown deliveries."""
    if not value.nights:
        return "no delivery is unknown"
    return "\n".join(_settled(value.nights))


def _settled(nights: Sequence[Settled]) -> list[str]:
    lines = []
    for night in nights:
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
    return lines


def recovered_text(value: Recovered) -> str:
    """What a recovery put back, and what it can't."""
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
    lines += _settled(value.settled)
    return "\n".join([*lines, *(f"  ! {problem}" for problem in value.problems)])


def status_text(value: WorkspaceStatus) -> str:
    """What is published, what waits, what ran."""
    version = f"version {value.warehouse_version} of {value.import_date}, modelled {value.model_date or 'never'}"
    published = version if value.warehouse_version is not None else "nothing is imported yet"
    return "\n".join(
        [
            f"workspace {value.workspace}",
            f"tables    {published}",
            f"campaigns {_counts(value.campaigns) or 'none'}",
            runs_table(value.runs).text or "no night has run yet",
            *(f"! {alarm_words(night)}" for night in value.arrived if night.alarm),
            *(f"over: {night.past_alarm}" for night in value.arrived if night.past_alarm),
            *arrival_lines(value.arrived),
        ]
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def why_text(value: Why) -> str:
    """Why a customer did or didn't get each message of a night."""
    known = "" if value.is_known else " (no customer of the published tables)"
    if not value.answers:
        return f"customer {value.customer_id}{known}, night of {value.run_date}: no campaign was due"
    lines = [f"customer {value.customer_id}{known}, night of {value.run_date}"]
    for a in value.answers:
        sent = f" ({a.delivery}, for {cell(a.send_at)})" if a.delivery else ""
        code = f"; promotion code {a.code}" if a.code else ""
        lines.append(f"  {a.campaign}: {a.outcome}{sent}: {a.why}{code}")
    return "\n".join(lines)


def reach_sample_text(value: ReachSample) -> str:
    """How far the table of app users is from what Appboy knows, app by app."""
    head = f"{value.app_group}, night of {value.night}: push tokens at Appboy, by a sample"
    if value.problem:
        return f"{value.app_group}, night of {value.night}: {value.problem}"
    rows = [
        (
            app.app,
            app.reachable.customers,
            app.reachable.words,
            app.others.customers,
            app.others.words,
        )
        for app in value.apps
    ]
    return f"{head}\n" + table(
        rows, head=("app", "reachable, by our data", "with a token", "out of reach, by our data", "with a token")
    )


def figures_read_text(value: FiguresRead) -> str:
    """What a reading of Appboy's figures brought."""
    restated = (
        f"; {many(value.restated, 'figure')} of earlier days said otherwise than before" if value.restated else ""
    )
    nothing = not value.series and (value.problems or value.notes)
    lines = [] if nothing else [f"read {value.series:,} series of Appboy's figures, {value.days:,} days{restated}"]
    if not value.series and not nothing:
        lines = ["nothing was sent in the last 14 days, so there is nothing to read"]
    lines += [f"! {problem}" for problem in value.problems]
    return "\n".join([*lines, *(f"note: {note}" for note in value.notes)])


def campaign_figures_text(value: CampaignFigures) -> str:
    """What Appboy counted of a campaign, by night, day and platform."""
    from optinb.measure import in_one_line

    if not value.nights and not value.templates:
        return f"{value.campaign}: nothing of it has gone out yet"
    parts = [reach_table([in_one_line(value)]).text]
    parts += [_figures_of(f"night of {night.run_date}{value.message_of(night)}", night) for night in value.nights]
    parts += [
        _figures_of(f"everything that went out with the template {template.template}", template)
        for template in value.templates
    ]
    return "\n\n".join(parts)


def campaign_page_text(value: CampaignPage) -> str:
    """A campaign, where it stands, and what Appboy counted of it."""
    waiting = value.waiting
    waits = [f"  {waiting.sentence()}, since {local_time(waiting.since)}"] if waiting else []
    head = "\n".join([campaign_text(value), *waits, *map(comment_text, value.comments)])
    redeemed = [redeemed_text(value.redeemed)] if value.redeemed else []
    return "\n\n".join([head, *redeemed, campaign_figures_text(value.figures)])


def redeemed_text(value: CampaignRedemptions) -> str:
    """How often an offer was redeemed, by night, and what that cost."""
    lines = [value.sentence()]
    for night in value.nights if value.until and len(value.nights) > 1 else ():
        cost = "" if night.cost is None else f", cost {amount(night.cost)} {value.currency}"
        lines.append(f"  night of {night.night}: redeemed {night.redeemed:,} of {night.given:,}{cost}")
    return "\n".join(lines)


def result_text(value: CampaignResult) -> str:
    """What a campaign brought, in a sentence and by figure."""
    from optinb.measure.noted_results import final_words

    notes = "\n".join([*reached_lines(value), *(f"note: {note}" for note in value.notes)])
    tables = [f"{title}\n{shown.text}" for title, shown in result_parts_tables(value).items()]
    tables += [f"From the target group to the purchases\n{funnel_table(value).text}"] if value.funnel else []
    parts = (f"{value.campaign}: {value.sentence()}", results_table(value).text, notes, *tables, final_words(value))
    return "\n\n".join(filter(None, parts))


def programme_text(value: Programme) -> str:
    """What all campaigns together brought, with what each of them did."""
    parts = [f"{value.sentence()}.", programme_table(value).text, parts_table(value).text]
    parts += [f"{value.luck()}.", "\n".join(f"{line}." for line in value.how())]
    return "\n\n".join(filter(None, parts))


def uplift_text(value: CampaignUplift) -> str:
    """Whom a campaign moves: whether that can be told, of whom it was learned, and what it would bring."""
    how = ". ".join(filter(None, (value.learned_from(), value.ranked())))
    parts = (f"{value.campaign}: {value.sentence()}", how, uplift_table(value).text)
    return "\n\n".join(part for part in parts if part)


def all_results_text(value: AllResults) -> str:
    """What all campaigns brought, a line for each."""
    return "\n\n".join(part for part in (value.sentence(), all_results_table(value).text) if part)


def _figures_of(what: str, figures: NightFigures) -> str:
    unread = [f"never read: {', '.join(map(str, figures.unread))}"] if figures.unread else []
    if not figures.days:
        head = f"{what}: {figures.accepted:,} accepted; {UNREAD if figures.can_be_read else TOO_LATE}"
        return head if figures.can_be_read else "\n".join([head, *unread])
    people = f"{figures.total('unique_recipients'):,} people reached, {figures.total('conversions'):,} conversions"
    lines = [f"{what}: {figures.accepted:,} accepted, {people}", reach_days_table(figures).text, *unread]
    return "\n".join(filter(None, lines))


def night_text(value: NightSummary) -> str:
    """A night, campaign by campaign."""
    from optinb.appboy import told_by_group
    from optinb.measure.report import final_results

    parts = [f"Night of {value.run_date}{' (dry run: nothing was sent)' if value.dry_run else ''}"]
    if value.imported:
        parts.append(imported_table(value.imported, named="imported").text)
    if value.stages:
        parts.append(table(value.stages.items(), head=("lifecycle stage", "customers")))
    parts.extend(_campaign(c) for c in value.campaigns)
    if not value.campaigns:
        parts.append("no campaign is due")
    parts.extend(map(reach_sample_text, value.tokens))
    parts.extend(arrival_lines(value.confirmed))
    if value.reach:
        parts.append(f"What Appboy counted in the last 14 days\n{reach_table(value.reach).text}")
    parts.extend(
        f"final: {' of the '.join((r.campaign, *filter(None, [of])))}: {r.sentence()}" for r, of in final_results(value)
    )
    if value.measuring:
        open_ones = (f"{one.campaign} (until {local_time(one.until)})" for one in value.measuring)
        parts.append(f"still measuring: {', '.join(open_ones)}")
    parts.extend(f"! {problem}" for problem in value.problems)
    parts.extend(f"unusual size: {alarm}" for alarm in value.groups)
    parts.extend(f"note: {warning}" for warning in value.warnings)
    parts.extend(f"template of {line}" for line in told_by_group(value.templates))
    parts.append("\n".join(f"{k:<9} {v}" for k, v in (("notebook", value.notebook), ("report", value.report)) if v))
    return "\n\n".join(parts)


def _campaign(c: CampaignSummary) -> str:
    from optinb.measure.pages import TAKEN

    rows: list[tuple[str, int]] = [("target group", c.target)]
    rows += [(f"− {TAKEN.get(reason, reason)}", count) for reason, count in c.excluded.items()]
    rows += [("− control group", c.control), ("= recipients", c.recipients)]
    rows += [("messages to them", c.planned)] if c.messages else []
    outcomes = ("accepted", "refused", "unknown", "expired", "cancelled", "pending")
    rows += [(f"  {name}", getattr(c, name)) for name in outcomes if getattr(c, name)]
    title = f"{c.name}  ({c.app_group}, {c.template}" + (f", {cell(c.send_at)})" if c.send_at and c.may_arrive else ")")
    held = f"\nHELD: {c.held}" if c.held else ""
    parts = [f"{title}{held}", table(rows, head=("", "customers, then messages" if c.messages else "customers"))]
    if c.messages:
        of_each = [(m.title, m.recipients, *(getattr(m.counts, name) for name in outcomes)) for m in c.messages]
        parts.append(table(of_each, head=("message", "recipients", *outcomes)))
    return "\n".join(parts)


SHOWN = (
    Shown("optinb.measure.programme.Programme", programme_text, "programme"),
    Shown("optinb.delivery.confirmed_nights.ConfirmedNights", confirmed_text, "confirmed"),
    Shown("optinb.delivery.journal.codes.CodePool", pool_text),
    Shown("optinb.delivery.confirmed_nights.CodesGivenBack", given_back_text),
    Shown("optinb.delivery.forgetting.ForgottenCustomer", forgotten_text),
    Shown("optinb.delivery.appboy_reach.ReachSample", reach_sample_text, "reach_samples", many=True),
    Shown("optinb.delivery.sends.Cancellation", cancellation_text),
    Shown("optinb.delivery.recall.SendMove", move_text),
    Shown("optinb.delivery.reconcile.Settlements", settlements_text),
    Shown("optinb.delivery.recovery.Recovered", recovered_text),
    Shown("optinb.delivery.night_answers.WorkspaceStatus", status_text, "status"),
    Shown("optinb.delivery.night_answers.Why", why_text, "why"),
    Shown("optinb.measure.all_results.AllResults", all_results_text, "all_results"),
    Shown("optinb.measure.campaign_page.CampaignPage", campaign_page_text, "campaign_pages", many=True),
    Shown("optinb.measure.redeemed.CampaignRedemptions", redeemed_text, "redeemed"),
    Shown("optinb.measure.result.CampaignResult", result_text, "result"),
    Shown("optinb.measure.campaign_uplift.CampaignUplift", uplift_text, "uplift"),
    Shown("optinb.measure.summary.NightSummary", night_text, "night"),
    Shown("optinb.measure.summary.CampaignSummary", page="campaign_summaries", many=True),
    Shown("optinb.measure.campaign_figures.FiguresRead", figures_read_text, "figures_read"),
    Shown("optinb.measure.campaign_figures.CampaignFigures", campaign_figures_text, "campaign_figures", many=True),
    Shown("optinb.night.steps.Blocked", page="blocked"),
    Shown("optinb.night.steps.Night", page="night_begun"),
)
