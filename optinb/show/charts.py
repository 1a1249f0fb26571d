"""Charts of what only notebooks show, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.measure.charts import BLUE, PALETTE, svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from optinb.customers.customer_card import Month
    from optinb.segments import Overlap


def purchases_by_month(months: Sequence[Month]) -> str:
    """What a customer spent in each month, as SVG."""
    import altair as alt

    rows = [{"month": f"{month.first}", "spend": month.spend} for month in months]
    bars = alt.Chart(alt.Data(values=rows)).mark_bar(color=BLUE)
    bars = bars.encode(
        x=alt.X("month:T", title=None, timeUnit="yearmonth"), y=alt.Y("spend:Q", title="spend in a month")
    )
    return svg(bars.properties(width=520, height=120))


def sdk_rollout(reach: pl.DataFrame) -> str:
    """The share of each app's users who run a version with the SDK, night by night, as SVG.

    `reach` has the columns of `ws.reach()`; rows of whole app groups are left out.
    """
    import altair as alt

    rows = [
        {"day": row["day"].isoformat(), "app": row["app"] or row["app_id"], "share": row["with_sdk"] / row["users"]}
        for row in reach.drop_nulls("app_id").to_dicts()
        if row["users"]
    ]
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("day:T", title=None),
            y=alt.Y("share:Q", title="users with the SDK").axis(format="%").scale(domain=[0, 1]),
            color=alt.Color("app:N", title=None).scale(range=PALETTE).legend(labelColor="currentColor"),
        )
    )
    return svg(lines.properties(width=520, height=200))


def combinations(overlap: Overlap, *, limit: int = 20) -> str:
    """The largest combinations of groups as bars over a grid of dots, which says who is in what (UpSet), as SVG.

    Lex, Gehlenborg, Strobelt, Vuillemot, Pfister (2014): UpSet: Visualization of Intersecting Sets.
    """
    import altair as alt

    shown = [c for c in overlap.combinations if c.groups][:limit]
    names = sorted(overlap.sizes, key=lambda name: -overlap.sizes[name])
    labels = {name: f"{name} ({overlap.sizes[name]:,})" for name in names}
    bars = [{"at": at, "customers": c.customers, "text": f"{c.customers:,}"} for at, c in enumerate(shown)]
    dots = [
        {"at": at, "group": labels[name], "is_in": name in c.groups} for at, c in enumerate(shown) for name in names
    ]
    lines = [
        {"at": at, "from": labels[own[0]], "to": labels[own[-1]]}
        for at, c in enumerate(shown)
        if (own := [name for name in names if name in c.groups])
    ]
    x = alt.X("at:O", axis=None)
    y = alt.Y("group:N", title=None, sort=list(labels.values())).axis(grid=False, ticks=False, domain=False)
    bar = alt.Chart(alt.Data(values=bars)).encode(x=x, y=alt.Y("customers:Q", title="customers"))
    text = bar.mark_text(dy=-6, fontSize=9, color="currentColor").encode(text="text:N")
    grid = alt.Chart(alt.Data(values=dots)).mark_circle(size=90, opacity=1)
    colour = alt.Color("is_in:N", legend=None).scale(domain=[True, False], range=[BLUE, "#8884"])
    tied = alt.Chart(alt.Data(values=lines)).mark_rule(color=BLUE, strokeWidth=2)
    below = tied.encode(x=x, y=alt.Y("from:N", sort=list(labels.values())), y2="to:N") + grid.encode(
        x=x, y=y, color=colour
    )
    width = max(26 * len(shown), 60)
    above = (bar.mark_bar(color=BLUE) + text).properties(width=width, height=130)
    return svg(alt.vconcat(above, below.properties(width=width, height=24 * len(names)), spacing=4))
