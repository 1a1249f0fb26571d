"""Charts of groups and segments, as SVG that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.customers import STAGES
from optinb.measure.charts import PALETTE, svg

if TYPE_CHECKING:
    import polars as pl

    from optinb.segments import Sizes

# churned and dormant stand out from those who buy, also for who can't tell red from green
STAGE_COLOURS = dict(zip(STAGES, ("#56B4E9", "#0072B2", "#D55E00", "#009E73", "#8C8C8C"), strict=True))
MOST_BUBBLES = 60


def sizes(found: Sizes) -> str:
    """The size of each group by night, as lines."""
    rows = [
        {"day": row["day"].isoformat(), "group": row["group"], "customers": row["customers"]}
        for row in found.table().drop_nulls().to_dicts()
    ]
    return svg(_lines(rows, "group", PALETTE, list(found.customers)).properties(width=620, height=220))


def stages(history: pl.DataFrame) -> str:
    """The customers in each lifecycle stage by night; `history` has the columns day, stage, customers."""
    rows = [
        {"day": row["day"].isoformat(), "stage": row["stage"], "customers": row["customers"]}
        for row in history.drop_nulls().to_dicts()
    ]
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
