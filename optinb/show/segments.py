"""Target groups, their members, and what was discovered, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.base.figures import amount, many, share
from optinb.base.figures import figure as in_figures
from optinb.show.pages import fragment, page, steps_of
from optinb.show.registry import Shown
from optinb.show.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.campaigns import Waterfall
    from optinb.segments import (
        CustomerDay,
        CustomerReach,
        Distribution,
        GroupRecord,
        GroupSize,
        ListRecord,
        Membership,
        Overlap,
        Preview,
        Profile,
        Reach,
        Sizes,
    )
    from optinb.segments.discovery import Discovery, Finding


def waterfall(figures: Waterfall) -> str:
    """How a target group becomes recipients."""
    return page("waterfall.html.j2", steps=steps_of(figures))


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
    from optinb.show.charts import combinations

    return page("overlap.html.j2", found=found, chart=combinations(found))


def sizes(found: Sizes) -> str:
    """Groups by night, as lines and as a table."""
    from optinb.show.customer_charts import sizes as drawn

    return page("sizes.html.j2", found=found, chart=drawn(found))


def reach(found: Reach) -> str:
    """Reach by app and platform."""
    return page("reach.html.j2", reach=found)


def group_size_text(value: GroupSize) -> str:
    """The exact size of a group."""
    part = value.customers / value.total if value.total else 0
    return f"{value.customers:,} of {value.total:,} customers ({share(part)}) as of {value.run_date}: {value.sentence}"


def group_size(size: GroupSize) -> str:
    """The exact size of a group."""
    return page("group_size.html.j2", size=size)


def group_text(value: GroupRecord) -> str:
    """A saved target group, in words and as a rule."""
    from optinb.rules import from_json, to_text

    rule = to_text(from_json(value.rule_json))
    head = f"{value.name} (version {value.version}, {value.author}, {value.updated_at:%Y-%m-%d})"
    return f"{head}\n  {value.sentence}\n  {rule}"


def groups(records: Sequence[GroupRecord]) -> str:
    """Saved target groups."""
    return page("groups.html.j2", groups=records)


def membership_text(value: Membership) -> str:
    """Why a customer belongs to a rule or doesn't."""
    if value.tree is None:
        return f"{value.customer_id} is no customer of the published tables, and belongs to no group"
    belongs = "belongs" if value.is_member else "doesn't belong"
    head = f"customer {value.customer_id} {belongs} as of {value.run_date}: {value.sentence}"
    return "\n".join([head, *value.tree.lines(1)])


def membership(found: Membership) -> str:
    """Why a customer belongs to a rule or doesn't: its parts as a nested list, each with its mark and value found."""
    return page("membership.html.j2", found=found)


def list_text(value: ListRecord) -> str:
    """An uploaded list of customers."""
    unknown = f", {value.unknown:,} of them unknown" if value.unknown else ""
    head = f"{value.name} (version {value.version}, {value.author}, {value.uploaded_at:%Y-%m-%d})"
    lines = [head, f"  {many(value.customers, 'customer')}{unknown}"]
    lines += [f"  warning: {warning}" for warning in value.warnings]
    return "\n".join([*lines, f"  in_list({value.name!r}), content {value.sha256}"])


def day_text(value: CustomerDay) -> str:
    """What was known of a customer on a day."""
    if not value.is_customer:
        return f"{value.customer_id} was no customer on {value.day} (delivery of {value.delivery})"
    modelled = f", modelled {value.modelled}" if value.modelled else ""
    rows = [(name, item) for name, item in value.attributes.items() if item is not None]
    return f"customer {value.customer_id} on {value.day} (delivery of {value.delivery}{modelled})\n" + table(
        [(name, cell(item)) for name, item in rows], head=("attribute", "value")
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
    yes_no = value.kind == "yes/no"

    def figure(number: float) -> str:
        return share(number, signed=number < 0) if yes_no else amount(number)

    among = f", within: {value.within}" if value.within else ""
    head = (
        f"{value.target}{among}: {figure(value.rate)} of {value.known:,} customers as of {value.run_date}; "
        f"{value.tested:,} combinations tested"
    )
    if not value.findings:
        return "\n".join([head, "no group differs by more than chance would bring about", *_notes(value)])
    rows = [
        (i, f.size, figure(f.rate), figure(f.rate_outside), amount(f.lift, decimals=1) if f.lift is not None else "",
         f"{figure(f.low)} to {figure(f.high)}", f.sentence)
        for i, f in enumerate(value)
    ]  # fmt: skip
    columns = ("#", "customers", "rate" if yes_no else "average", "others", "lift", "difference (95 %)", "who")
    rules = [f"{i}: {f.text}" for i, f in enumerate(value)]
    return "\n".join([head, table(rows, head=columns), "", *rules, *_notes(value)])


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


def _notes(value: Discovery) -> list[str]:
    return [f"note: {warning}" for warning in value.warnings]


SHOWN = (
    Shown("optinb.segments.exclusions.Waterfall", html=waterfall),
    Shown("optinb.segments.group_preview.Preview", html=preview),
    Shown("optinb.segments.profile.Profile", html=profile),
    Shown("optinb.segments.membership.Overlap", html=overlap),
    Shown("optinb.segments.membership.Sizes", html=sizes),
    Shown("optinb.segments.reach.Reach", html=reach),
    Shown("optinb.segments.groups.GroupSize", text=group_size_text, html=group_size),
    Shown("optinb.segments.groups.GroupRecord", text=group_text, html=groups, many=True),
    Shown("optinb.segments.membership.Membership", text=membership_text, html=membership),
    Shown("optinb.segments.lists.ListRecord", text=list_text),
    Shown("optinb.segments.tables_view.CustomerDay", text=day_text),
    Shown("optinb.segments.reach.CustomerReach", text=customer_reach_text),
    Shown("optinb.segments.discovery.run.Discovery", text=discovery_text, html=discovery),
)
