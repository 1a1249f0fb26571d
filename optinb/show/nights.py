"""Nights and what they do with their campaigns, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.show.pages import page
from optinb.show.registry import Shown
from optinb.show.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.measure import CampaignSummary, NightSummary
    from optinb.night import Blocked, Night


def night_text(value: NightSummary) -> str:
    """A night, campaign by campaign."""
    from optinb.appboy import told_by_group

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
    from optinb.campaigns import REASONS

    rows: list[tuple[str, int]] = [("target group", c.target)]
    rows += [(f"− {REASONS.get(reason, reason)}", count) for reason, count in c.excluded.items()]
    rows += [("− control group", c.control), ("= recipients", c.recipients)]
    outcomes = ("accepted", "refused", "unknown", "expired", "cancelled", "pending")
    rows += [(f"  {name}", getattr(c, name)) for name in outcomes if getattr(c, name)]
    title = f"{c.name}  ({c.app_group}, {c.template}" + (f", {cell(c.send_at)})" if c.send_at else ")")
    held = f"\nHELD: {c.held}" if c.held else ""
    return f"{title}{held}\n{table(rows, head=('', 'customers'))}"


def night(summary: NightSummary) -> str:
    """A night in short; the report says more."""
    from optinb.measure.report import needs_a_person, verdict

    return page("night.html.j2", night=summary, verdict=verdict(summary.exit_code), todo=needs_a_person(summary))


def campaign_summaries(found: Sequence[CampaignSummary]) -> str:
    """What a night does with its campaigns."""
    from optinb.measure.report import fall, outcomes

    return page("campaign_summaries.html.j2", campaigns=found, fall=fall, outcomes=outcomes)


def blocked(step: Blocked) -> str:
    """A step of a night that was not done."""
    return page("blocked.html.j2", step=step)


def night_begun(begun: Night) -> str:
    """Which night this is."""
    return page("night_begun.html.j2", night=begun)


SHOWN = (
    Shown("optinb.measure.summary.NightSummary", text=night_text, html=night),
    Shown("optinb.measure.summary.CampaignSummary", html=campaign_summaries, many=True),
    Shown("optinb.night.steps.Blocked", html=blocked),
    Shown("optinb.night.steps.Night", html=night_begun),
)
