"""What an offer costs: at most, before anybody has redeemed it, and in fact afterwards. Pure."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from optinb.base.figures import amount, many, share


class EarlierShare(Struct, frozen=True, kw_only=True):
    """How many redeemed the same offer before: `redeemed` of `given` in the nights of `campaigns`."""

    redeemed: int
    given: int
    campaigns: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of those who got it, 0 to 1."""
        return self.redeemed / self.given if self.given else 0.0


class OfferCost(Struct, frozen=True, kw_only=True):
    """What the next night of a campaign costs if everybody redeems, and by an earlier share of the same offer.

    Attributes:
        recipients: who get it.
        cost_of_one: what one redemption costs.
        currency: of both.
        is_each_night: whether the campaign recurs, so that each of its nights costs as much again.
        earlier: what came of the same offer before; None where nothing is known of it, and nothing is made up.
    """

    recipients: int
    cost_of_one: float
    currency: str
    is_each_night: bool = False
    earlier: EarlierShare | None = None

    @property
    def at_most(self) -> float:
        """If everybody redeems."""
        return cost_of(self.recipients, self.cost_of_one)

    def sentence(self) -> str:
        """The same in words."""
        each = " each time" if self.is_each_night else ""
        told = (
            f"at most {many(self.recipients, 'recipient')} x {amount(self.cost_of_one)} {self.currency} = "
            f"{amount(self.at_most)} {self.currency}{each}, if everybody redeems"
        )
        if self.earlier is None:
            return told
        e = self.earlier
        likely = cost_of(self.recipients * Decimal(e.redeemed) / Decimal(e.given), self.cost_of_one)
        return (
            f"{told}; {amount(likely)} {self.currency} if as many redeem as before: {share(e.share)} "
            f"({e.redeemed:,} of {e.given:,}) redeemed this offer in {', '.join(e.campaigns)}"
        )


def cost_of(count: int | Decimal, cost_of_one: float) -> float:
    """What so many redemptions cost, reckoned in decimals, since 3 * 0.1 is no 0.3 in floats.

    >>> cost_of(3, 0.1), cost_of(10_000, 5.0)
    (0.3, 50000.0)
    """
    return float(count * Decimal(repr(cost_of_one)))
