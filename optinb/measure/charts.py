"""Charts as SVG that needs no network: Altair says what, vl-convert draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from optinb.customers.calibration import Bin
    from optinb.customers.card import ModelCard

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


def chances(card: ModelCard) -> list[tuple[str, str]]:
    """The reliability of each chance of a model card, as a sentence and SVG."""
    names = {"churn": "churn risk", "reactivation": "reactivation chance"}
    return [
        (f"How often a {names[risk.kind]} came true, by what was forecast", reliability(risk.bins))
        for risk in card.risks
        if risk.bins
    ]
