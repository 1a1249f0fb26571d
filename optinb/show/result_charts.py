"""Charts of what a campaign brought, by day and from the target group to the purchases, as SVG without the network."""

from __future__ import annotations

from itertools import cycle
from math import isfinite
from typing import TYPE_CHECKING, Any

from optinb.measure.arms import EVERYBODY
from optinb.measure.charts import BLUE, PALETTE, svg
from optinb.measure.drawn_result import DRAWN
from optinb.measure.effect import CONTROL
from optinb.show.result_tables import ARM_WORDS, STEP_HEADS, funnel_words, step_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.measure import ArmFunnel, CampaignResult, Funnel, OverDays
    from optinb.measure.over_days import DayEffect

GREY, CLEAR_BLUE = "#8C8C8C", "#2E8BC8"
"""Both are told from a light page and from a dark one."""
WIDTH, BAR, LABEL = 360, 190, 110
"""Of a chart by day, of the longest bar of a funnel, and of the names beside its bars, at the most."""
TICKS = 7
MARGIN = 0.06
"""Left free above and below all intervals, as a share of what is drawn."""


def effects_by_day(result: CampaignResult) -> list[tuple[str, str]]:
    """Each figure's difference by the days since the message, with its interval: what it is, and SVG.

    Arms stand below one another, on one scale.

    Args:
        result: of a campaign.
    """
    told = result.over_days
    if told is None:
        return []
    found = []
    for figure, title in DRAWN.items():
        rows = [one for one in told.rows if one.figure == figure]
        unit = "points" if figure == "response" else result.currency
        if rows:
            found.append((title, _days(told, rows, unit, by=100.0 if figure == "response" else 1.0)))
    return found


def _days(told: OverDays, rows: Sequence[DayEffect], unit: str, *, by: float) -> str:
    import altair as alt

    ends = [0.0, *(by * end for one in rows for end in (one.low, one.estimate, one.high) if isfinite(end))]
    free = MARGIN * ((max(ends) - min(ends)) or 1.0)
    least, most = min(ends) - free, max(ends) + free
    arms = list(dict.fromkeys(one.arm for one in rows))
    x = alt.X("day:Q", title=None).scale(domain=[0.5, told.days + 0.5], nice=False)
    x = x.axis(format="d", values=[*range(told.days, 0, -told.days // TICKS)], grid=False)
    y = alt.Y("at:Q", title=unit).scale(domain=[least, most], nice=False).axis(tickCount=5, format=",~f")
    charts = []
    for arm in arms:
        # an interval without an end goes to the edge
        values = [
            {
                "day": one.day,
                "at": by * one.estimate,
                "low": max(by * one.low, least),
                "high": min(by * one.high, most),
                "is_plain": told.is_final and one.day == told.days,
            }
            for one in rows
            if one.arm == arm
        ]
        base = alt.Chart(alt.Data(values=values)).encode(x=x)
        spans = base.mark_rule(strokeWidth=4).encode(
            y=alt.Y("low:Q", title=unit),
            y2="high:Q",
            color=alt.condition("datum.is_plain", alt.value(CLEAR_BLUE), alt.value("currentColor")),
            opacity=alt.condition("datum.is_plain", alt.value(1), alt.value(0.45)),
        )
        dots = base.mark_point(filled=True, color="currentColor", size=32, opacity=1).encode(y=y)
        none = alt.Chart(alt.Data(values=[{"at": 0}])).mark_rule(color="currentColor", opacity=0.8).encode(y=y)
        chart = alt.layer(none, spans, dots)
        chart = chart.properties(width=WIDTH, height=150 if len(arms) == 1 else 84)
        if len(arms) > 1:
            named = alt.TitleParams(arm, color="currentColor", anchor="start", fontSize=11, offset=4)
            chart = chart.properties(title=named)
        charts.append(chart)
    return svg(alt.vconcat(*charts, spacing=10))


def _rows(found: Funnel, *, is_over: bool) -> list[dict[str, Any]]:
    """A row of the drawing for each step's name and, below it, for each arm that has it; lengths are shares of a bar.

    The first two are of the target group, and the others of whoever was to get it.
    """
    told = [(ARM_WORDS.get(of.arm, of.arm), one, _assigned(of)) for of in found.arms for one in of.steps]
    whole = max((one.customers or 0 for _, one, _ in told), default=0)
    rows: list[dict[str, Any]] = []
    for step in STEP_HEADS:
        rows.append({"head": step_head(step, is_over=is_over)})
        for arm, one, assigned in told:
            if one.step != step:
                continue
            by = (whole if step in ("target group", "assigned") else assigned) or 1
            row: dict[str, Any] = {"arm": arm, "text": funnel_words(one), "place": 0.0}
            if step == "target group":
                row["arm"] = "everybody"
            if one.customers is not None:
                row |= {"at": one.customers / by, "place": max(one.customers, one.high or 0) / by}
                row |= {} if one.is_certain else {"low": (one.low or 0) / by, "high": (one.high or 0) / by}
            rows.append(row)
    return [{"row": at, **row} for at, row in enumerate(rows)]


def _assigned(of: ArmFunnel) -> int:
    return next((one.customers or 0 for one in of.steps if one.step == "assigned"), 0)


def _colours(found: Funnel) -> dict[str, str]:
    """Of each arm by the name that is drawn; those that are no variant have their own."""
    names = {of.arm: ARM_WORDS.get(of.arm, of.arm) for of in found.arms}
    variants = [arm for arm in names if arm not in (EVERYBODY, CONTROL)]
    own = cycle(PALETTE[1:] if EVERYBODY in names else PALETTE)
    coloured = {"everybody": GREY, names.get(CONTROL, ""): GREY, names.get(EVERYBODY, ""): BLUE}
    return coloured | {names[arm]: colour for arm, colour in zip(variants, own, strict=False)}


def funnel_chart(found: Funnel, *, is_over: bool) -> str:
    """From the target group, in customers, to the purchases, as shares of whoever was to get it, arm by arm, as SVG.

    Args:
        found: of a campaign.
        is_over: whether every window is.
    """
    import altair as alt

    colours = _colours(found)
    base = alt.Chart(alt.Data(values=_rows(found, is_over=is_over))).encode(y=alt.Y("row:O", axis=None))
    x = alt.X("at:Q", axis=None).scale(domain=[0, 1], nice=False)
    colour = alt.Color("arm:N", legend=None).scale(domain=list(colours), range=list(colours.values()))
    bars = base.transform_filter("isValid(datum.at)").mark_bar(height=12).encode(x=x, color=colour)
    spans = base.transform_filter("isValid(datum.low)").mark_rule(color="currentColor", strokeWidth=1.5)
    words = base.transform_filter("isValid(datum.arm)")
    left = words.mark_text(align="right", dx=-6, color="currentColor", limit=LABEL)
    right = words.mark_text(align="left", dx=6, color="currentColor")
    heads = base.transform_filter("isValid(datum.head)").mark_text(
        align="left", dy=1, fontWeight="bold", color="currentColor"
    )
    drawn = alt.layer(
        bars,
        spans.encode(x=alt.X("low:Q", axis=None), x2="high:Q"),
        left.encode(x=alt.datum(0, axis=None), text="arm:N"),
        right.encode(x=alt.X("place:Q", axis=None), text="text:N"),
        heads.encode(x=alt.datum(0, axis=None), text="head:N"),
    )
    return svg(drawn.properties(width=BAR, height=alt.Step(18)))
