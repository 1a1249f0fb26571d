"""Charts of what only notebooks show, of customers, groups and segments, as SVG that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.customers import STAGES
from optinb.measure.charts import BLUE, PALETTE, RED, svg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    import polars as pl

    from optinb.customers.customer_card import Month
    from optinb.segments import GroupHistory, Overlap, Sizes

# churned and dormant stand out from those who buy, also for who can't tell red from green
STAGE_COLOURS = dict(zip(STAGES, ("#56B4E9", "#0072B2", "#D55E00", "#009E73", "#8C8C8C"), strict=True))
MOST_BUBBLES = 60


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


def sizes(found: Sizes) -> str:
    """The size of each group by night, as lines."""
    rows = [
        {"day": row["day"].isoformat(), "group": row["group"], "customers": row["customers"]}
        for row in found.table().drop_nulls().to_dicts()
    ]
    return svg(_lines(rows, "group", PALETTE, list(found.customers)).properties(width=620, height=220))


def group_history(found: GroupHistory) -> str:
    """The size of a group by night over where it was expected, and below it who joined and who left, as SVG."""
    import altair as alt

    rows = [
        {
            "day": one.night.isoformat(),
            "customers": one.size,
            "low": one.expected.low if one.expected else None,
            "high": one.expected.high if one.expected else None,
            "joined": one.joined if one.before else None,
            "left": -one.left if one.before else None,
            "is": "unusual" if one.alarm else "another rule" if one.has_new_rule else "",
        }
        for one in found.nights
    ]
    days = (found.nights[-1].night - found.nights[0].night).days
    x = alt.X("day:T", title=None).axis(format="%-d %b", tickCount={"interval": "day", "step": max(1, days // 8)})
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    size = alt.Y("customers:Q", title="customers").axis(format=",d").scale(zero=False)
    band = base.transform_filter("isValid(datum.low)").mark_area(color="#888", opacity=0.25)
    band = band.encode(y=alt.Y("low:Q", title="customers").scale(zero=False), y2="high:Q")
    marked = base.transform_filter("datum.is != ''").mark_point(size=90, filled=True, opacity=1)
    kinds = ["unusual", "another rule"]
    marked = marked.encode(
        y=size,
        color=alt.Color("is:N", title=None).scale(domain=kinds, range=[RED, "#8C8C8C"]).legend(**_legend()),
        shape=alt.Shape("is:N", title=None).scale(domain=kinds),
    )
    line = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(size=20, color=BLUE)).encode(y=size)
    above = (band + line + marked).properties(width=620, height=200)
    moved = base.transform_filter("isValid(datum.joined)").transform_fold(["joined", "left"], ["who", "people"])
    bars = moved.mark_bar().encode(
        y=alt.Y("people:Q", title="joined, left").axis(format=",d"),
        color=alt.Color("who:N", title=None)
        .scale(domain=["joined", "left"], range=[BLUE, PALETTE[4]])
        .legend(**_legend()),
    )
    below = bars.properties(width=620, height=80)
    return svg(alt.vconcat(above, below, spacing=8).resolve_scale(color="independent", shape="independent"))


def stages(history: pl.DataFrame) -> str:
    """The customers in each lifecycle stage by night; `history` has the columns day, stage, customers."""
    return _stages(history.drop_nulls().iter_rows())


def group_stages(found: GroupHistory) -> str:
    """The customers of a group in each lifecycle stage by night, as SVG; nothing where no night was modelled."""
    told = [stage for stage in STAGES if any(stage in one.stages for one in found.nights)]
    rows = [(one.night, stage, one.stages.get(stage, 0)) for one in found.nights if one.stages for stage in told]
    return _stages(rows) if rows else ""


def _stages(counts: Iterable[tuple[date, str, int]]) -> str:
    rows = [{"day": day.isoformat(), "stage": stage, "customers": customers} for day, stage, customers in counts]
    known = [stage for stage in STAGES if any(row["stage"] == stage for row in rows)]
    colours = tuple(STAGE_COLOURS[stage] for stage in known)
    return svg(_lines(rows, "stage", colours, known).properties(width=620, height=220))


def micro_segments(segments: pl.DataFrame, measure: str, title: str) -> str:
    """The micro-segments by value and a chance, each a disc as large as its customers.

    `segments` has the columns of `ws.micro_segments()`; those without a value or the chance are left out.
    """
    import altair as alt

    known = segments.drop_nulls(["future_value", measure]).head(MOST_BUBBLES)
    rows = [
        {
            "name": row["micro_segment"],
            "stage": row["stage"],
            "customers": row["customers"],
            "value": row["future_value"],
            "chance": row[measure],
        }
        for row in known.to_dicts()
    ]
    if not rows:
        return ""
    present = [stage for stage in STAGES if any(row["stage"] == stage for row in rows)]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, opacity=0.75, stroke="#8888", strokeWidth=1)
        .encode(
            x=alt.X("value:Q", title="future value of a customer, on average"),
            y=alt.Y("chance:Q", title=title).axis(format="%"),
            size=alt.Size("customers:Q", title="customers").scale(range=[30, 1200]).legend(**_legend(), tickCount=3),
            color=alt.Color("stage:N", title="stage", sort=present)
            .scale(domain=present, range=[STAGE_COLOURS[s] for s in present])
            .legend(**_legend()),
            shape=alt.Shape("stage:N", title="stage", sort=present).scale(domain=present),
        )
    )
    return svg(chart.properties(width=420, height=260))


def _lines(rows: list[dict[str, Any]], by: str, colours: tuple[str, ...], order: list[str]) -> Any:
    """Lines by night, told apart by colour and by the shape of their points."""
    import altair as alt

    nights = len({row["day"] for row in rows})
    ticks = {"interval": "day", "step": max(1, nights // 8)}
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=alt.OverlayMarkDef(size=45))
        .encode(
            x=alt.X("day:T", title=None).axis(format="%-d %b", tickCount=ticks),
            y=alt.Y("customers:Q", title="customers").axis(format=",d"),
            color=alt.Color(f"{by}:N", title=None, sort=order)
            .scale(domain=order, range=list(colours))
            .legend(**_legend()),
            shape=alt.Shape(f"{by}:N", title=None, sort=order).scale(domain=order),
        )
    )


def _legend() -> dict[str, Any]:
    return {"labelColor": "currentColor", "titleColor": "currentColor", "symbolStrokeColor": "#8888", "labelLimit": 260}
