"""Why a campaign's result isn't shown, or shouldn't be decided by: sentences, each with its remedy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.base.figures import day, many, share
from optinb.measure.effect import CONTROL, LEAST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from optinb.delivery.sampling import ShareTold

RARE = 0.001
"""A sample ratio that is less likely than this by chance has another cause."""
MOST_CROSSED = 0.05
"""Of the control group so many may have got the message. Each of them hides a control's share of the effect; beyond a
twentieth that is more than what people read off the interval's ends."""
MOST_MISSED = 0.5
"""Of a message that didn't reach so many, although its template was to, the effect on everybody says nothing of it."""


def why_withheld(
    customers: Mapping[str, int],
    *,
    crossed: int,
    newest: bool,
    stale: str = "",
    alarm: str = "",
    reached: ShareTold | None = None,
) -> str:
    """Why no figure of a campaign is shown; empty where they are.

    Args:
        customers: how many people each arm has.
        crossed: how many who were held out got the message all the same.
        newest: whether the tables tell of purchases after it was sent.
        stale: why the tables of purchases don't reach the end of the window, though they should.
        alarm: what is wrong with its template.
        reached: the share whom it reached; None where nobody knows.
    """
    if not customers:
        return "nothing of it has gone out yet"
    held_out, everybody = customers.get(CONTROL, 0), sum(customers.values())
    if not held_out:
        return "nobody was held out, so that there is nobody to compare with; give it a control group"
    if held_out < LEAST or everybody - held_out < LEAST:
        return (
            f"{many(held_out, 'customer')} in the control group of {everybody:,} are too few to compare; enlarge "
            "`control` or the target group"
        )
    if stale:
        return f"the tables don't tell of all purchases of its window: {stale}"
    if not newest:
        return (
            "no table that was delivered so far tells of purchases after it was sent; it begins with the next delivery "
            "of transactions"
        )
    if alarm and reached is not None and reached.high < MOST_MISSED:
        return (
            f"its template is likely wrongly set, and it reached {share(reached.share)} of its customers: {alarm}; "
            "then send it again, and measure that"
        )
    if crossed > MOST_CROSSED * held_out:
        return (
            f"{_crossed(crossed, held_out)}, more than {share(MOST_CROSSED, decimals=0)}, so that the control group is "
            "no longer one without the message; deliver `customer_ids` before the night, so that the ids of one person "
            "are drawn together, and leave `control` as it is while a campaign runs"
        )
    return ""


def why_doubted(customers: Mapping[str, int], planned: Mapping[str, float], sample_ratio_p: float) -> str:
    """Why nothing should be decided by a campaign's figures; empty where it may be.

    Args:
        customers: how many people each arm has.
        planned: the share of each arm that was planned.
        sample_ratio_p: the chance of a control group as far from that.
    """
    if sample_ratio_p >= RARE:
        return ""
    held_out, everybody = customers.get(CONTROL, 0), max(sum(customers.values()), 1)
    whole = sum(planned.values())
    than = f" of {share(planned[CONTROL] / whole)}" if whole and CONTROL in planned else ""
    return (
        f"{many(held_out, 'customer')} held out of {everybody:,} ({share(held_out / everybody)}) are another share "
        f"than was planned{than}, by more than chance; customers were left out after they had been drawn, ids were "
        "merged since, or nights were frozen from a late delivery. Look in `optinb why` who is missing, and measure "
        "the next send"
    )


def notes_on(
    customers: Mapping[str, int],
    *,
    crossed: int,
    gone: int,
    alarm: str = "",
    ends: datetime | None = None,
) -> Iterator[str]:
    """What else is to be known of figures that are shown, a sentence each.

    Args:
        customers: how many people each arm has.
        crossed: how many who were held out got the message all the same.
        gone: how many left the tables since, or were forgotten.
        alarm: what is wrong with its template.
        ends: when the last window ends, of figures that aren't final; None of those that are.
    """
    if ends is not None:
        yield f"so far: the last window ends on {day(ends.date())}, and intervals are wider until then"
    if crossed:
        held_out = customers.get(CONTROL, 0)
        yield f"{_crossed(crossed, held_out)}; they stay in the control group, and the effect is that much too small"
    if gone:
        have = "has" if gone == 1 else "have"
        yield (
            f"{many(gone, 'customer')} {have} left the tables since, or asked to be forgotten; they stay in the count, "
            "and what is no longer known of them counts as nothing"
        )
    if alarm:
        yield f"not everybody got it: {alarm}"


def _crossed(crossed: int, held_out: int) -> str:
    """How many who were held out got it."""
    return (
        f"{many(crossed, 'customer')} of {held_out:,} held out ({share(crossed / max(held_out, 1))}) got it all the "
        "same, as another id of the same person or in another night"
    )
