"""Tables and sentences of a campaign's funnel, and of what it brought by day, that texts and pages show alike."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from optinb.base.figures import NONE, many, share
from optinb.measure.effect import CONTROL
from optinb.show.tables import ShownTable, difference_words

if TYPE_CHECKING:
    from optinb.measure import CampaignResult, FunnelStep, OverDays
    from optinb.measure.funnel import Step

ARM_WORDS = {CONTROL: "held out"}
STEP_HEADS: dict[Step, str] = {
    "target group": "target group",
    "assigned": "to get it, or held out",
    "accepted": "accepted by Appboy",
    "confirmed": "confirmed on the phone",
    "opened": "opened",
    "bought": "bought",
}
UNKNOWN = "not known"


def step_head(step: Step, *, is_over: bool) -> str:
    """What a step of a funnel is called; what still grows is so far.

    Args:
        step: one of them.
        is_over: whether every window is.
    """
    return f"{STEP_HEADS[step]} so far" if step == "bought" and not is_over else STEP_HEADS[step]


def funnel_words(one: FunnelStep) -> str:
    """How many came so far: `7,150 (99.4%)`, `5,000 (60.1%; 4,800 to 5,200)`; not 0 where nobody knows.

    Args:
        one: a step.
    """
    if one.customers is None:
        return UNKNOWN
    between = "" if one.is_certain else f"{one.low:,} to {one.high:,}"
    told = "; ".join(filter(None, ("" if one.share is None else share(one.share), between)))
    return f"{one.customers:,} ({told})" if told else f"{one.customers:,}"


def funnel_table(result: CampaignResult) -> ShownTable:
    """From the target group to the purchases, a row for each arm; shares are of whoever was to get it.

    Args:
        result: of a campaign that was looked at closely.
    """
    head = ("to", *(step_head(step, is_over=result.is_over) for step in STEP_HEADS))
    rows = []
    for of in result.funnel.arms if result.funnel else ():
        told = {one.step: funnel_words(one) for one in of.steps}
        rows.append((ARM_WORDS.get(of.arm, of.arm), *(told.get(step, NONE) for step in STEP_HEADS)))
    return ShownTable(head, rows)


def days_table(told: OverDays) -> ShownTable:
    """What each arm brought by the end of each day of the window.

    Args:
        told: of a campaign.
    """
    rows = []
    for (day, arm), both in groupby(told.rows, key=lambda one: (one.day, one.arm)):
        of = {one.figure: one for one in both}
        first = next(iter(of.values()))
        words = (difference_words(name, of[name]) if name in of else NONE for name in ("response", "spend"))
        rows.append((day, arm, first.customers, first.control_customers, *words))
    return ShownTable(("by day", "to", "customers", "held out", "bought", "spent by each"), rows)


def days_words(told: OverDays) -> str:
    """How the intervals by day are to be read.

    Args:
        told: of a campaign.
    """
    bar = "Each bar is where the true difference lies by the end of that day, counted from each customer's message"
    if told.is_final:
        return f"{bar}. The blue one is the result; those before are wider, so that all of them hold together."
    by_day = {one.day: one.customers + one.control_customers for one in reversed(told.rows)}
    last = max(by_day, default=0)
    some = many(by_day.get(last, 0), "customer")
    has = "has" if by_day.get(last, 0) == 1 else "have"
    return (
        f"{bar}. Only those count whose window has run so far: {some} {has} come to day {last} of {told.days}. So far "
        "the bars are wider, so that they hold although you look every night."
    )
