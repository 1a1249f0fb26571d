"""Customers, their models, target groups and their members, and what was discovered, as text and HTML."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from optinb.base.figures import many, share, times
from optinb.base.printable import printable_line
from optinb.rules import term_text
from optinb.show.pages import fragment, page
from optinb.show.registry import Shown
from optinb.show.tables import (
    ShownTable,
    card_tables,
    finding_rows,
    group_nights_table,
    rate_of,
    reasons_left_out,
    table,
)

SHOWN_NIGHTS = 30  # of a group's history in a terminal

if TYPE_CHECKING:
    import polars as pl

    from optinb.customers import CustomerCard, ModelReport
    from optinb.customers.scores import PublishedScore
    from optinb.segments import (
        CustomerDay,
        CustomerReach,
        Distribution,
        GroupExport,
        GroupHistory,
        GroupRecord,
        GroupSize,
        GroupsRecorded,
        ListRecord,
        Membership,
        News,
        NewsItem,
        Preview,
        Profile,
        VendorControlRecord,
    )
    from optinb.segments.discovery import Discovery, Finding


def model_report_text(value: ModelReport) -> str:
    """How many customers were modelled, their stages, and the model card."""
    parts = [
        f"{value.customers:,} customers modelled for {value.run_date}, published as version {value.warehouse_version}",
        table(value.stages.items(), head=("lifecycle stage", "customers")),
        "\n".join(value.card),
    ]
    return "\n\n".join(part for part in parts if part)


def customer_card_text(value: CustomerCard[Any]) -> str:
    """Everything about one customer."""
    if not value.is_known:
        return f"{value.customer_id} was no customer on {value.day}"
    tables = {name: found.text for name, found in card_tables(value).items()}
    parts = [
        f"customer {value.customer_id} on {value.day}: {value.stage or 'not modelled'}",
        *(tables[name] for name in ("profile", "so far", "expected")),
        "\n".join(value.about),
        "\n".join(f"no model tells {name}: {reason}" for name, reason in value.not_modelled.items()),
        *(tables[name] for name in ("stages", "months")),
        f"groups: {', '.join(value.groups) or 'none'}",
        tables["messages"],
    ]
    return "\n\n".join(part for part in parts if part)


def stages_over_time(history: pl.DataFrame) -> str:
    """The customers in each lifecycle stage by night (day, stage, customers), as lines and as a table."""
    from optinb.customers import STAGES
    from optinb.show.charts import stages as drawn

    nights: dict[Any, dict[str, int]] = {}
    for day, stage, count in history.drop_nulls().iter_rows():
        nights.setdefault(day, {})[stage] = count
    return page("stages_over_time.html.j2", nights=nights, stages=STAGES, chart=drawn(history))


def micro_segments(segments: pl.DataFrame) -> str:
    """The micro-segments (as `ws.micro_segments()` returns them) as a map of value and risk, and as a table."""
    from optinb.show.charts import micro_segments as drawn

    charts = {
        "Customers who buy: the chance that they stay away": drawn(segments, "churn_risk", "churn risk"),
        "Churned customers: the chance that they come back": drawn(
            segments, "reactivation_chance", "reactivation chance"
        ),
    }
    shown = {title: chart for title, chart in charts.items() if chart}
    return page("micro_segments.html.j2", rows=segments.to_dicts(), charts=shown)


def figures(found: Preview) -> str:
    """The count, reach and waterfall of a rule that is being edited, without the style."""
    return fragment("figures.html.j2", "figures", found)


def tally(found: Preview) -> str:
    """The count of a rule that is being edited, in a line, without the style."""
    return fragment("figures.html.j2", "tally", found)


def download(found: GroupExport) -> str:
    """A link that has the members of a group saved as a file, without the style."""
    content = b64encode((found.csv or "").encode()).decode()
    return fragment("figures.html.j2", "download", found, content)


def distribution(found: Distribution, label: str, meaning: str) -> str:
    """What an attribute is called and means, and of how many it is known, without the style."""
    return fragment("distribution.html.j2", "distribution", found, label, meaning)


def bar(count: int, most: int) -> str:
    """A figure with a bar, as wide as it is part of the largest, without the style."""
    return f'<div class="ob">{fragment("distribution.html.j2", "bar", count, most)}</div>'


def profile_text(value: Profile) -> str:
    """What makes a group different, in percent."""
    against = f" against: {value.against}" if value.against else ""
    head = f"{value.inside:,} customers{against or f' against {value.outside:,} others'}: {value.sentence}"
    rows = [
        (d.label, band.label, *map(share, value.shares(band)), times(*value.shares(band)))
        for d in value.telling
        for band in d.bands
    ]
    left_out = ", ".join(d.label for d in value.restated)
    lines = [head, table(rows, head=("attribute", "values", "this group", "others", "compared"))]
    return "\n".join([*filter(None, lines), *([f"left out, since the rule says it: {left_out}"] if left_out else [])])


def group_size_text(value: GroupSize) -> str:
    """The exact size of a group."""
    part = value.customers / value.total if value.total else 0
    head = f"{value.customers:,} of {value.total:,} customers ({share(part)}) as of {value.run_date}: {value.sentence}"
    return "\n".join([head, *(f"note: {note}" for note in value.notes)])


def export_text(value: GroupExport) -> str:
    """Whose ids were exported, and where to."""
    where = f" are in {value.file}" if value.file else ""
    return f"{many(value.customers, 'customer')} of {value.name!r} on {value.run_date}{where}"


def group_text(value: GroupRecord) -> str:
    """A saved target group, in words and as a rule."""
    from optinb.rules import from_json, to_text

    rule = to_text(from_json(value.rule_json))
    head = f"{value.name} (version {value.version}, {value.author}, {value.updated_at:%Y-%m-%d})"
    return f"{head}\n  {value.sentence}\n  {rule}"


def group_history_text(value: GroupHistory) -> str:
    """What became of a group, the newest nights first."""
    whole = group_nights_table(value)
    shown = ShownTable(whole.head, whole.rows[:SHOWN_NIGHTS]).text
    more = len(whole.rows) - SHOWN_NIGHTS
    tail = f"… and {many(more, 'night')} before; --json has them all" if more > 0 else ""
    return "\n\n".join(filter(None, (value.summary(), "\n".join(value.notes()), shown, tail)))


def groups_recorded_text(value: GroupsRecorded) -> str:
    """What was noted of the saved groups of a night."""
    lines = [f"{many(value.groups, 'target group')} noted for {value.night}"]
    return "\n".join([*lines, *(f"unusual size: {a}" for a in value.alarms), *(f"! {p}" for p in value.problems)])


def news_text(value: News) -> str:
    """What changed and whom to look at, each with its evidence and its key."""
    told = [
        f"{item.key}  {printable_line(item.headline)}\n" + "\n".join(f"          {line}" for line in item.evidence)
        for item in value.shown
    ]
    head = f"{value.night:%Y-%m-%d}: {value.summary()}"
    return "\n".join([head, *told, *(f"! {reason}" for reason in value.silent)])


def news_item(item: NewsItem) -> str:
    """One thing that was told, without the style."""
    return fragment("news_item.html.j2", "item", item)


def membership_text(value: Membership) -> str:
    """Why a customer belongs to a rule or doesn't."""
    if value.tree is None:
        return f"{value.customer_id} is no customer of the published tables, and belongs to no group"
    belongs = "belongs" if value.is_member else "doesn't belong"
    head = f"customer {value.customer_id} {belongs} as of {value.run_date}: {value.sentence}"
    return "\n".join([head, *value.tree.lines(1)])


def list_text(value: ListRecord) -> str:
    """An uploaded list of customers."""
    unknown = f", {value.unknown:,} of them unknown" if value.unknown else ""
    head = f"{value.name} (version {value.version}, {value.author}, {value.uploaded_at:%Y-%m-%d})"
    lines = [head, f"  {many(value.customers, 'customer')}{unknown}"]
    lines += [f"  warning: {warning}" for warning in value.warnings]
    return "\n".join([*lines, f"  in_list({value.name!r}), content {value.sha256}"])


def score_text(value: PublishedScore) -> str:
    """A figure of every customer that is published for rules."""
    head = f"{value.attribute} ({value.author}, {value.published_at:%Y-%m-%d})"
    return f"{head}\n  {value.meaning}\n  {term_text(value.attribute)}, content {value.sha256}"


def vendor_control_text(value: VendorControlRecord) -> str:
    """An uploaded list of Appboy's Global Control Group, with its age."""
    age = "today" if value.age_days == 0 else f"{many(value.age_days, 'day')} ago"
    head = f"Appboy's Global Control Group of {value.app_group} ({value.author}, {value.uploaded_at:%Y-%m-%d}, {age})"
    lines = [head, f"  {many(value.members, 'member')}, {value.known:,} of them known customers"]
    return "\n".join([*lines, *(f"  warning: {warning}" for warning in value.warnings)])


def day_text(value: CustomerDay) -> str:
    """What was known of a customer on a day."""
    if not value.is_customer:
        return f"{value.customer_id} was no customer on {value.day} (delivery of {value.delivery})"
    modelled = f", modelled {value.modelled}" if value.modelled else ""
    rows = [(name, item) for name, item in value.attributes.items() if item is not None]
    return f"customer {value.customer_id} on {value.day} (delivery of {value.delivery}{modelled})\n" + table(
        rows, head=("attribute", "value")
    )


def customer_reach_text(value: CustomerReach) -> str:
    """Whether a customer can get a push, and in which app."""
    if not value.is_known:
        return f"{value.customer_id} is no customer of the published tables"
    verdict = "can be reached" if value.is_reachable else "can't be reached"
    lines = [f"customer {value.customer_id} {verdict} (delivery of {value.day})"]
    lines += [f"  {reason}" for reason in value.why_not]
    rows = [(u.app_group, u.app, u.platform, u.app_version, u.why_not or "a push can arrive") for u in value.apps]
    return "\n".join([*lines, table(rows, head=("app group", "app", "platform", "version", "push"))])


def discovery_text(value: Discovery) -> str:
    """Groups that were found for a target, with their figures."""
    word, rate = rate_of(value)
    among = f", within: {value.within}" if value.within else ""
    head = (
        f"{value.target}{among}: {rate} of {value.known:,} customers as of {value.run_date}; "
        f"{value.tested:,} combinations tested"
    )
    notes = [f"note: {warning}" for warning in value.warnings]
    if value.known < value.customers:
        notes.append(
            f"looked at: {value.known:,} of {value.customers:,} customers; the target isn't known of the others"
        )
    notes += [f"left out: {', '.join(names)} ({reason})" for reason, names in reasons_left_out(value).items()]
    if not value.findings:
        return "\n".join([head, "no group differs by more than chance would bring about", *notes])
    if value.not_earlier:
        notes.append(f"whether they held before can't be told: {value.not_earlier}")
    rows = [
        (
            i,
            f.customers,
            f.rate,
            f.others,
            f.lift,
            f"{f.low} to {f.high}",
            *([f.earlier] if value.earlier_on else []),
            f.who,
        )
        for i, f in enumerate(finding_rows(value))
    ]
    columns = ("#", "customers", word, "others", "lift", "difference (95 %)")
    then = (f"on {value.earlier_on}",) if value.earlier_on else ()
    rules = [f"{i}: {f.text}" for i, f in enumerate(value)]
    return "\n".join([head, table(rows, head=(*columns, *then, "who")), "", *rules, *notes])


def discovery_summary(found: Discovery) -> str:
    """What was looked for, among whom, and what to know before believing it, without the style."""
    return fragment("finding.html.j2", "summary", found)


def finding(found: Discovery, one: Finding) -> str:
    """One group that was found, without the style."""
    return fragment("finding.html.j2", "finding", found, one)


SHOWN = (
    Shown("optinb.customers.model.CustomerModel", page="customer_model"),
    Shown("optinb.customers.card.ModelReport", model_report_text),
    Shown("optinb.customers.card.ModelCard", page="model_card"),
    Shown("optinb.customers.customer_card.CustomerCard", customer_card_text, "customer_card"),
    Shown("optinb.customers.moves.Migration", page="migration"),
    Shown("optinb.segments.exclusions.Waterfall", page="waterfall"),
    Shown("optinb.segments.group_preview.Preview", page="preview"),
    Shown("optinb.segments.profile.Profile", profile_text, "profile"),
    Shown("optinb.segments.membership.Overlap", page="overlap"),
    Shown("optinb.segments.membership.Sizes", page="sizes"),
    Shown("optinb.segments.reach.Reach", page="reach"),
    Shown("optinb.segments.group_history.GroupHistory", group_history_text, "group_history"),
    Shown("optinb.segments.group_recording.GroupsRecorded", groups_recorded_text),
    Shown("optinb.segments.news.item.News", news_text, "news"),
    Shown("optinb.segments.groups.GroupSize", group_size_text, "group_size"),
    Shown("optinb.segments.export.GroupExport", export_text),
    Shown("optinb.segments.groups.GroupRecord", group_text, "groups", many=True),
    Shown("optinb.segments.membership.Membership", membership_text, "membership"),
    Shown("optinb.segments.lists.ListRecord", list_text),
    Shown("optinb.customers.scores.PublishedScore", score_text),
    Shown("optinb.segments.vendor_control.VendorControlRecord", vendor_control_text),
    Shown("optinb.segments.tables_view.CustomerDay", day_text),
    Shown("optinb.segments.reach.CustomerReach", customer_reach_text),
    Shown("optinb.segments.discovery.run.Discovery", discovery_text, "discovery"),
)
