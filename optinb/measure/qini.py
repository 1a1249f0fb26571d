"""Whether a ranking finds those whom a message moves: its Qini curve, against writing to as many at random. Pure.

Of the first customers of a ranking one adds up what the message did; random targeting brings the same share of the
effect as of the customers. The area between the two is the coefficient, which needs nothing but the chance with which
each customer was to get the message (Radcliffe 2007, "Using control groups to target on predicted lift"; Yadlowsky et
al. 2025, "Evaluating treatment prioritization rules via rank-weighted average treatment effects", JASA 120).
"""

from __future__ import annotations

from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = 20
"""Of the curve."""
TWO_SIDED = 1.959964
POWER = 0.841621
"""The normal quantile of the chance of 80 % to show a ranking that is there."""
REPEATED = sqrt(2)
"""What the interval is wider by than that of a ranking which was there before. Each part of the customers is ranked by
what was learned from the others, and these by what was learned from it, so that the parts repeat each other's luck:
without any difference between customers the variance of their mean is 2 / parts of one part's, not 1 / parts (measured:
1.34² to 1.39² of it)."""


class Qini(Struct, frozen=True, kw_only=True):
    """How much better a ranking targets than chance.

    Attributes:
        coefficient: the outcome that it adds for each customer, over random targeting of as many, on the average of all
            shares that one could write to.
        low: of its interval of 95 %.
        high: of it.
        effect: what the message did for each customer, on average.
        curve: the effect on the first customers, divided by all customers, by the share that they are; from none to
            all. At random it would be the share times `effect`.
    """

    coefficient: float
    low: float
    high: float
    effect: float
    curve: tuple[tuple[float, float], ...]

    @property
    def is_shown(self) -> bool:
        """Whether the ranking is better than chance by more than luck explains."""
        return self.low > 0

    def gain(self, share: float) -> float:
        """What writing to the first customers alone would bring for each of all customers.

        Args:
            share: of the customers, 0 to 1.
        """
        shares, gains = zip(*self.curve, strict=True)
        return float(np.interp(share, np.array(shares), np.array(gains)))

    def times_for(self, least: float) -> float | None:
        """By how many times the customers would have to be more for a ranking worth `least` to be shown in 80 %.

        Args:
            least: a coefficient.
        """
        half = (self.high - self.low) / 2
        if least <= 0 or not isfinite(half) or half <= 0:
            return None
        return (half * (1 + POWER / TWO_SIDED) / least) ** 2


def qini_of(ranks: NDArray[np.float64], contrast: NDArray[np.float64]) -> Qini:
    """The curve and the coefficient of a ranking that was learned from other customers.

    Args:
        ranks: (customers,) the place of each, above 0 for the first and below 1 for the last.
        contrast: (customers,) what is, on average over the draws of the control group, the effect on each.
    """
    customers, effect = len(ranks), float(contrast.mean())
    terms = (contrast - effect) * (0.5 - ranks)
    coefficient, spread = float(terms.mean()), float(terms.std()) / sqrt(customers)
    half = TWO_SIDED * REPEATED * spread
    gains = np.cumsum(contrast[np.argsort(ranks, kind="stable")]) / customers
    shares = [n / POINTS for n in range(POINTS + 1)]
    return Qini(
        coefficient=coefficient,
        low=coefficient - half,
        high=coefficient + half,
        effect=effect,
        curve=tuple((share, float(gains[ceil(share * customers) - 1]) if share else 0.0) for share in shares),
    )
