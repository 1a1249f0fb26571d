"""Values as HTML: pure functions, one for each type that a notebook's cell may end with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from optinb.appboy import told
from optinb.base.figures import figure as in_figures
from optinb.base.figures import share
from optinb.campaigns import REBUILT
from optinb.campaigns.part_words import part_words
from optinb.customers import STAGES
from optinb.measure.pages import environment, steps
from optinb.measure.report import fall, needs_a_person, outcomes, verdict
from optinb.views.states import FILTERS, OUTCOMES
from optinb.warehouse import MEASURES, figure, span, told_first

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    import polars as pl
    from jinja2 import Environment

    from optinb.appboy import GroupSync, Template
    from optinb.campaigns import CampaignRecord, Power, Waterfall
    from optinb.customers import CustomerCard, CustomerModel, Migration, ModelCard
    from optinb.delivery import Why, WorkspaceStatus
    from optinb.measure import CampaignSummary, NightSummary
    from optinb.measure.pages import WaterfallStep
    from optinb.night import Blocked, Night
    from optinb.planning import CampaignPreview, Diagnosis, SampleMessage, SentTest
    from optinb.planning.last_approval import LastApproval
    from optinb.segments import (
        Distribution,
        GroupRecord,
        GroupSize,
        Membership,
        Overlap,
        Preview,
        Profile,
        Reach,
        Sizes,
    )
    from optinb.segments.discovery import Discovery, Finding
    from optinb.warehouse import ImportReport
    from optinb.workspace import Workspace


def page(name: str, **values: Any) -> str:
    """A template of this package, with the style that follows the notebook's theme."""
    return _templates().get_template(name).render(values)


def fragment(name: str, macro: str, *values: Any) -> str:
    """One macro of a template, without the style: for a widget that brings the style once."""
    return str(getattr(_templates().get_template(name).module, macro)(*values))


@cache
def _templates() -> Environment:
    """Those of this package, which look the words of closed sets up."""
    found = environment("optinb.views")
    found.filters |= FILTERS
    found.globals["outcomes_of_requests"] = OUTCOMES
    found.globals["rebuilt_words"] = _rebuilt_words
    return found


def _rebuilt_words(found: CampaignPreview) -> str:
    """The audiences that a recovery rebuilt and an approval of this would let go out; nothing, where there are none."""
    text = found.parts.get(REBUILT)
    return part_words(REBUILT, text) if text else ""


def steps_of(figures: Waterfall, *, end: str = "Get the message") -> list[WaterfallStep]:
    """The waterfall of an audience, for `parts.html.j2`."""
    return steps(
        target=figures.target,
        excluded=figures.excluded,
        control=figures.control,
        recipients=figures.recipients,
        end=end,
    )


def waterfall(figures: Waterfall) -> str:
    """How a target group becomes recipients."""
    return page("waterfall.html.j2", steps=steps_of(figures))


def import_report(report: ImportReport) -> str:
    """What an import read, loaded and refused."""
    moves = [(d, MEASURES[d.measure], figure(d, d.before), figure(d, d.now), span(d)) for d in told_first(report.drift)]
    return page("import_report.html.j2", report=report, tables={t.table: t for t in report.tables}, moves=moves)


def customer_model(model: CustomerModel) -> str:
    """Lifecycle stages, the thresholds with the plot they come from, and the model card."""
    from optinb.measure.charts import chances, pauses

    chart = pauses(model.pauses, churn_days=model.thresholds.churn_days) if len(model.pauses) else ""
    return page("customer_model.html.j2", model=model, chart=chart, card=model.card, plots=chances(model.card))


def model_card(card: ModelCard) -> str:
    """A model card of any night, with its plots."""
    from optinb.measure.charts import chances

    return page("model_card.html.j2", card=card, plots=chances(card))


def customer_card(card: CustomerCard[Any]) -> str:
    """Everything about one customer."""
    from optinb.views.charts import purchases_by_month

    chart = purchases_by_month(card.months) if card.months else ""
    return page("customer_card.html.j2", card=card, chart=chart)


def membership(found: Membership) -> str:
    """Why a customer belongs to a rule or doesn't: its parts as a nested list, each with its mark and value found."""
    return page("membership.html.j2", found=found)


def migration(found: Migration) -> str:
    """Moves between two nights as a heat map: rows are where customers were, columns where they went."""
    values = found.values(STAGES)
    rows = []
    for before in values:
        counts = [found.customers(before, after) for after in values]
        rows.append((before, [(count, count / max(sum(counts), 1)) for count in counts], sum(counts)))
    return page("migration.html.j2", found=found, values=values, rows=rows)


def preview(found: Preview) -> str:
    """A rule on the data: count, reach by app, waterfall."""
    return page("preview.html.j2", preview=found, steps=steps_of(found.waterfall, end="A push message arrives"))


def figures(found: Preview) -> str:
    """The count, reach and waterfall of a rule that is being edited, without the style."""
    return fragment("figures.html.j2", "figures", found, steps_of(found.waterfall, end="A push message arrives"))


def distribution(found: Distribution, meaning: str) -> str:
    """How an attribute is distributed, without the style."""
    return fragment("distribution.html.j2", "distribution", found, meaning)


def profile(found: Profile) -> str:
    """What makes a group different, attribute by attribute."""
    return page("profile.html.j2", found=found)


def overlap(found: Overlap) -> str:
    """The combinations of groups as a chart, and as a table."""
    from optinb.views.charts import combinations

    return page("overlap.html.j2", found=found, chart=combinations(found))


def discovery(found: Discovery) -> str:
    """Groups that were found for a target, with their figures."""
    return page("discovery.html.j2", found=found, **_discovered(found))


def discovery_summary(found: Discovery) -> str:
    """What was looked for, among whom, and what to know before believing it, without the style."""
    return fragment("finding.html.j2", "summary", found, _discovered(found))


def finding(found: Discovery, one: Finding) -> str:
    """One group that was found, without the style."""
    return fragment("finding.html.j2", "finding", found, one, _discovered(found))


def _discovered(found: Discovery) -> dict[str, Any]:
    """How the figures of a discovery are written, what was left out by reason, and the highest rate."""
    percent = found.kind == "yes/no"

    def figure(value: float) -> str:
        return share(value) if percent else in_figures(value)

    def signed(value: float) -> str:
        return f"{100 * value:+.1f}" if percent else ("+" if value >= 0 else "−") + figure(abs(value))

    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(name)
    highest = max((finding.rate for finding in found), default=0) or 1
    return {"figure": figure, "signed": signed, "reasons": reasons, "highest": highest}


def sizes(found: Sizes) -> str:
    """Groups by night, as lines and as a table."""
    from optinb.views.customer_charts import sizes as drawn

    return page("sizes.html.j2", found=found, chart=drawn(found))


def stages_over_time(history: pl.DataFrame) -> str:
    """The customers in each lifecycle stage by night (day, stage, customers), as lines and as a table."""
    from optinb.views.customer_charts import stages as drawn

    nights: dict[Any, dict[str, int]] = {}
    for day, stage, count in history.drop_nulls().iter_rows():
        nights.setdefault(day, {})[stage] = count
    return page("stages_over_time.html.j2", nights=nights, stages=STAGES, chart=drawn(history))


def micro_segments(segments: pl.DataFrame) -> str:
    """The micro-segments (as `ws.micro_segments()` returns them) as a map of value and risk, and as a table."""
    from optinb.views.customer_charts import micro_segments as drawn

    charts = {
        "Customers who buy: the chance that they stay away": drawn(segments, "churn_risk", "churn risk"),
        "Churned customers: the chance that they come back": drawn(
            segments, "reactivation_chance", "reactivation chance"
        ),
    }
    shown = {title: chart for title, chart in charts.items() if chart}
    return page("micro_segments.html.j2", rows=segments.to_dicts(), charts=shown)


def reach(found: Reach) -> str:
    """Reach by app and platform."""
    return page("reach.html.j2", reach=found)


def group_size(size: GroupSize) -> str:
    """The exact size of a group."""
    return page("group_size.html.j2", size=size)


def groups(records: Sequence[GroupRecord]) -> str:
    """Saved target groups."""
    return page("groups.html.j2", groups=records)


def templates(found: Sequence[Template]) -> str:
    """Templates with their texts; those that can't be used with the reason."""
    return page("templates.html.j2", usable=[t for t in found if t.usable], others=[t for t in found if not t.usable])


def syncs(found: Sequence[GroupSync]) -> str:
    """What importing templates brought."""
    return page("syncs.html.j2", syncs=found, told=told)


def diagnosis(found: Diagnosis) -> str:
    """The verdicts on each app group."""
    return page("diagnosis.html.j2", found=found)


def sample(found: SampleMessage) -> str:
    """A message as one customer reads it."""
    return page("samples.html.j2", samples=(found,), sent=None)


def sent_test(found: SentTest) -> str:
    """Who got a test send, and what they read."""
    return page("samples.html.j2", samples=found.sent, sent=found)


def campaigns(records: Sequence[CampaignRecord]) -> str:
    """Campaigns and where they stand."""
    return page("campaigns.html.j2", records=records)


def campaign_preview(found: CampaignPreview) -> str:
    """Who would get a campaign, when, and what they read."""
    return page("campaign_preview.html.j2", preview=found, steps=steps_of(found.waterfall))


def message(found: CampaignPreview, at: int) -> str:
    """The message as one customer of a preview's sample reads it, on each platform, without the style."""
    return fragment("phones.html.j2", "one_of", found, at)


def for_decision(
    record: CampaignRecord, found: CampaignPreview, last: LastApproval | None, power: Power | None, zone: ZoneInfo
) -> str:
    """A submitted campaign as it would go out, beside what was approved last, without the style."""
    return fragment("desk.html.j2", "decision", record, found, steps_of(found.waterfall), last, power, zone)


def audience(found: CampaignPreview, zone: ZoneInfo) -> str:
    """Who gets a planned campaign and when, without the style."""
    return fragment("audience.html.j2", "audience", found, steps_of(found.waterfall), zone)


def campaign_summaries(found: Sequence[CampaignSummary]) -> str:
    """What a night does with its campaigns."""
    return page("campaign_summaries.html.j2", campaigns=found, fall=fall, outcomes=outcomes)


def night(summary: NightSummary) -> str:
    """A night in short; the report says more."""
    return page("night.html.j2", night=summary, verdict=verdict(summary.exit_code), todo=needs_a_person(summary))


def blocked(step: Blocked) -> str:
    """A step of a night that was not done."""
    return page("blocked.html.j2", step=step)


def night_begun(begun: Night) -> str:
    """Which night this is."""
    return page("night_begun.html.j2", night=begun)


def status(found: WorkspaceStatus) -> str:
    """What is published, what waits, what ran."""
    return page("status.html.j2", status=found)


def why(found: Why) -> str:
    """Why a customer did or didn't get each message of a night."""
    return page("why.html.j2", why=found)


def workspace(ws: Workspace) -> str:
    """Where one works, and as whom."""
    snapshot = ws.snapshot() if ws.warehouse.current is not None else None
    return page("workspace.html.j2", ws=ws, snapshot=snapshot)
