"""What results say of campaigns whose every answer is known; the benchmark of proof looks at 200 of them."""

from __future__ import annotations

from known_world import World, judged
from scipy.stats import binom

CAMPAIGNS = 24


def test_the_truth_is_inside_the_intervals_and_advice_follows_it() -> None:
    found = judged(World(customers=15_000, campaigns=CAMPAIGNS, seed=3).told(seed=3))
    least = binom.ppf(0.001, CAMPAIGNS, 0.95) / CAMPAIGNS
    assert {"response", "spend", "orders"} == set(found.inside)
    assert min(found.inside.values()) >= least
    assert found.wrong_way == 0
    assert found.false_calls <= binom.ppf(0.999, CAMPAIGNS // 2, 0.05) / (CAMPAIGNS // 2)
    assert found.found >= 0.6
    assert {effect for effect, _ in found.advice} == {0.0, 0.15, 0.5, -0.3}
