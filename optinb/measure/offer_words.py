"""What a campaign's offer cost, and what each buyer cost whom it added. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.base.figures import amount

if TYPE_CHECKING:
    from optinb.measure.redeemed import CampaignRedemptions


def cost_of_one(cost: float, added: tuple[float, float, float]) -> tuple[float | None, float, float | None]:
    """What each added buyer cost: estimate, low and high; None where it has no bound, or nobody was added.

    Args:
        cost: of the offer, in all.
        added: buyers: the estimate, the low and the high bound.
    """
    estimate, low, high = (max(one, 0.0) for one in added)
    return (cost / estimate if estimate else None, cost / high if high else 0.0, cost / low if low else None)


def offer_words(offer: CampaignRedemptions, added: tuple[float, float, float]) -> str:
    """What became of the offer, and what each added buyer cost, in a sentence.

    Args:
        offer: what is known of it.
        added: buyers, as for `cost_of_one`.
    """
    told = offer.sentence()
    if offer.problem or offer.until is None or not offer.nights:
        return told
    if offer.cost is None:
        return f"{told}; what a buyer cost can't be told: give the offer its `cost_of_one`, or have `cost` delivered"
    if added[2] <= 0:
        return f"{told}; it added no buyers, so that none had a price"
    estimate, low, high = cost_of_one(offer.cost, added)

    def money(one: float) -> str:
        return f"{amount(one)} {offer.currency}"

    if high is not None and estimate is not None:
        return f"{told}; each added buyer cost {money(estimate)} ({amount(low)} to {amount(high)})"
    about = f"about {money(estimate)}, and " if estimate is not None else ""
    most = "how much at most can't be said, since it may have added none"
    return f"{told}; each added buyer cost {about}{money(low)} at least: {most}"
