"""Target groups, lists and what was discovered, as text."""

from __future__ import annotations

from optinb.base.figures import amount, share
from optinb.console.base import show, table
from optinb.measure.pages import many
from optinb.rules import from_json, to_text
from optinb.segments import GroupRecord, GroupSize, ListRecord, Membership
from optinb.segments.discovery.values import Discovery


@show.register
def _(value: GroupRecord) -> str:
    rule = to_text(from_json(value.rule_json))
    head = f"{value.name} (version {value.version}, {value.author}, {value.updated_at:%Y-%m-%d})"
    return f"{head}\n  {value.sentence}\n  {rule}"


@show.register
def _(value: GroupSize) -> str:
    part = value.customers / value.total if value.total else 0
    return f"{value.customers:,} of {value.total:,} customers ({share(part)}) as of {value.run_date}: {value.sentence}"


@show.register
def _(value: Membership) -> str:
    if value.tree is None:
        return f"{value.customer_id} is no customer of the published tables, and belongs to no group"
    belongs = "belongs" if value.is_member else "doesn't belong"
    head = f"customer {value.customer_id} {belongs} as of {value.run_date}: {value.sentence}"
    return "\n".join([head, *value.tree.lines(1)])


@show.register
def _(value: ListRecord) -> str:
    unknown = f", {value.unknown:,} of them unknown" if value.unknown else ""
    head = f"{value.name} (version {value.version}, {value.author}, {value.uploaded_at:%Y-%m-%d})"
    lines = [head, f"  {many(value.customers, 'customer')}{unknown}"]
    lines += [f"  warning: {warning}" for warning in value.warnings]
    return "\n".join([*lines, f"  in_list({value.name!r}), content {value.sha256}"])


@show.register
def _(value: Discovery) -> str:
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


def _notes(value: Discovery) -> list[str]:
    return [f"note: {warning}" for warning in value.warnings]
