"""Charts as SVG that needs no network: Altair says what, vl-convert draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from optinb.customers.risk import Bin
    from optinb.segments import Overlap
    from optinb.workspace.person import Month

# Okabe and Ito's palette, told apart by colour-blind people too
BLUE, RED = "#0072B2", "#D55E00"
PALETTE = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def svg(chart: Any) -> str:
    """A chart as inline SVG, transparent, with texts in the colour of the page."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(
        chart.configure(background="transparent", font="system-ui")
        .configure_axis(labelColor="currentColor", titleColor="currentColor", gridColor="#8883", domainColor="#888")
        .configure_view(stroke=None)
        .to_dict()
    )
    return drawn.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)


def pauses(histogram: pl.DataFrame, *, churn_days: int) -> str:
    """The pauses between purchases (pause_days, pauses) with the days that make a churn, as SVG."""
    import altair as alt

    shown = max(churn_days * 2, 30)
    width = max(1, shown // 45)
    binned = (
        histogram.filter(histogram["pause_days"] <= shown)
        .with_columns(start=histogram["pause_days"].filter(histogram["pause_days"] <= shown) // width * width)
        .group_by("start")
        .sum()
        .sort("start")
    )
    rows = [{"from": row["start"], "to": row["start"] + width, "pauses": row["pauses"]} for row in binned.to_dicts()]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("from:Q", title="days between two purchases").bin("binned"),
            x2="to:Q",
            y=alt.Y("pauses:Q", title="how often"),
        )
    )
    line = alt.Chart(alt.Data(values=[{"at": churn_days, "text": f"churned after {churn_days} days"}])).encode(x="at:Q")
    mark = line.mark_rule(color=RED, strokeWidth=2, strokeDash=[5, 3])
    text = line.mark_text(align="left", dx=5, y=8, color="currentColor").encode(text="text:N")
    return svg((bars + mark + text).properties(width=520, height=130))


def reliability(bins: Sequence[Bin]) -> str:
    """What a chance was forecast to be against how often it came true, as SVG; on the line it is right."""
    import altair as alt

    rows = [{"forecast": b.forecast, "happened": b.happened, "customers": b.customers} for b in bins]
    share = alt.Scale(domain=[0, 1])
    line = alt.Chart(alt.Data(values=[{"at": 0}, {"at": 1}])).mark_line(color="#888", strokeDash=[5, 3])
    dots = alt.Chart(alt.Data(values=rows)).mark_circle(color=BLUE, opacity=0.9)
    dots = dots.encode(
        x=alt.X("forecast:Q", title="forecast").axis(format="%").scale(share),
        y=alt.Y("happened:Q", title="came true").axis(format="%").scale(share),
        size=alt.Size("customers:Q", legend=None),
    )
    return svg((line.encode(x="at:Q", y="at:Q") + dots).properties(width=220, height=180))


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
