"""How news are told: a headline for a marketer, and the evidence for whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optinb.base.figures import many, share
from optinb.segments.news.worth import NOT_WRITTEN_TO, ROSE

if TYPE_CHECKING:
    from optinb.segments.news.changes import Changed
    from optinb.segments.news.worth import WorthCampaign


def change_headline(one: Changed, who: str, *, customers: int, whence: str) -> str:
    """What happened to a group, in a sentence.

    Args:
        one: the change.
        who: the group, read aloud.
        customers: in the group tonight.
        whence: where most of those came from, or went to; empty where that isn't known.
    """
    by, now = share(abs(one.by), decimals=0), many(customers, "customer")
    if one.is_of_value:
        moved = "rose" if one.by > 0 else "fell"
        return f"The mean value of the {now} of whom {who} {moved} by {by} in a week"
    more = "more" if one.by > 0 else "fewer"
    return f"{by} {more} than a week ago: {now} of whom {who} ({one.week_ago:,} then){f'; {whence}' if whence else ''}"


def change_evidence(one: Changed) -> tuple[str, ...]:
    """Why a change is neither chance nor season, in sentences."""
    first, second = (share(float(np.expm1(seen)), signed=True) for seen in one.change.seen)
    low, high = (share(end, signed=True) for end in one.expected)
    return (
        f"{low} to {high} would be usual this week, by the eight weeks before and by what became of everybody",
        f"{first} and {second} in two halves of the customers, drawn by chance",
    )


def worth_headline(worth: WorthCampaign, who: str, *, customers: int) -> str:
    """Why a group is worth a campaign, in a sentence.

    Args:
        worth: the group.
        who: the same, read aloud, without what all of them have.
        customers: in the group tonight.
    """
    rose, others = (share(rate, decimals=0) for rate in (worth.finding.rate, worth.finding.rate_outside))
    whom = many(customers, "customer")
    return (
        f"{whom} of high value to whom nobody wrote in {NOT_WRITTEN_TO} days, and of whom {who}: "
        f"the churn risk of {rose} rose by {100 * ROSE:.0f} points or more in four weeks ({others} of the others)"
    )


def worth_evidence(worth: WorthCampaign) -> tuple[str, ...]:
    """Why the difference isn't chance, in sentences."""
    inside, outside = (share(rate, decimals=0) for rate in (worth.rate, worth.rate_outside))
    points = f"{100 * worth.low:.0f} to {100 * worth.high:.0f} points"
    return (
        f"{inside} against {outside} in the half of the customers that wasn't searched: a difference of {points}",
        f"a push reaches {many(worth.reached, 'customer')} of them",
    )
