"""What an offer cost, and what each added buyer cost."""

from __future__ import annotations

from datetime import date

import pytest

from optinb.measure.offer_words import offer_words
from optinb.measure.redeemed import CampaignRedemptions, RedeemedNight


def offer(cost: float | None = 500.0, **more: object) -> CampaignRedemptions:
    night = RedeemedNight(night=date(2026, 11, 1), given=900, redeemed=100, by_others=0, cost=cost)
    return CampaignRedemptions(offer="Ten off", currency="EUR", nights=(night,), until=date(2026, 11, 9), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of", "added", "said"),
    [
        (offer(), (50.0, 25.0, 100.0), "each added buyer cost 10.00 EUR (5.00 to 20.00)"),
        (
            offer(),
            (50.0, -25.0, 100.0),
            "each added buyer cost about 10.00 EUR, and 5.00 EUR at least: how much at most can't be said, since it",
        ),
        (offer(), (-5.0, -25.0, 100.0), "each added buyer cost 5.00 EUR at least: how much at most can't be said"),
        (offer(), (-50.0, -90.0, -10.0), "it added no buyers, so that none had a price"),
        (offer(None), (50.0, 25.0, 100.0), "what a buyer cost can't be told: give the offer its `cost_of_one`"),
        (offer(problem="it broke"), (50.0, 25.0, 100.0), "can't be told: it broke"),
    ],
)  # fmt: skip
def test_what_a_buyer_cost_has_an_interval_or_says_why_not(of, added, said) -> None:
    assert said in offer_words(of, added)
