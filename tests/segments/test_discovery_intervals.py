"""The interval of a group that was searched and sharpened on the same customers holds the truth as often as it says."""

from __future__ import annotations

import numpy as np
import planted
import polars as pl
import pytest

from optinb.segments import members
from optinb.segments.discovery import discover
from optinb.segments.discovery.evidence import PassedBar, Sums, interval, sums_of

BASE, RATE = 0.08, 0.24


def test_a_group_near_the_bar_has_an_interval_that_reaches_further_down_and_far_above_the_usual_one() -> None:
    inside, outside = Sums(300, 72, 72), Sums(9_700, 970, 970)
    usual = interval(inside, outside, yes_no=True)
    far = interval(inside, outside, yes_no=True, passed=PassedBar(strength=12.0, bar=6.0, sure=5.0))
    near = interval(inside, outside, yes_no=True, passed=PassedBar(strength=6.3, bar=6.0, sure=5.0))
    assert far == pytest.approx(usual, abs=1e-4)
    assert near[0] < usual[0] - 0.05
    assert near[1] < usual[1]


def test_no_interval_reaches_further_down_than_what_holds_for_all_combinations_together() -> None:
    by_a_hair = PassedBar(strength=6.0, bar=6.0, sure=5.0).ends(0.95)
    assert by_a_hair[0] == 5.0
    assert PassedBar(strength=12.0, bar=6.0, sure=5.0).ends(0.95) == pytest.approx((1.96, 1.96), abs=1e-2)


def test_each_end_that_was_moved_makes_the_interval_reach_further_down_and_not_less_far_up() -> None:
    ends = [PassedBar(strength=15.0, bar=6.0, sure=5.0, moved=moved).ends(0.95) for moved in (0, 1, 4)]
    assert [below - ends[0][0] for below, _ in ends] == pytest.approx([0, 0.2, 0.8])
    assert len({above for _, above in ends}) == 1


def test_the_ends_hold_the_truth_of_what_passed_as_often_as_they_claim() -> None:
    rng = np.random.default_rng(9)
    for truth in (1.0, 3.0, 5.0, 7.0):
        drawn = rng.normal(truth, 1, 400_000 if truth < 3 else 20_000)
        passed = drawn[drawn > 4.0][:400]
        ends = [PassedBar(float(z), bar=4.0, sure=4.0).ends(0.95) for z in passed]
        held = [z - below <= truth <= z + above for z, (below, above) in zip(passed, ends, strict=True)]
        assert 0.91 < np.mean(held) < 0.99


def test_intervals_of_weak_groups_that_were_sharpened_hold_the_truth_where_the_usual_ones_do_not() -> None:
    size, held, usual = 3_000, [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.random((size, 3)).round(3)
        start = rng.uniform(0.1, 0.6)
        group = (x[:, 0] >= start) & (x[:, 0] < start + 0.25) & (x[:, 1] < 0.3)
        chances = np.where(group, RATE, BASE)
        frame = pl.DataFrame(
            {
                "customer_id": [f"{i:04d}" for i in range(size)],
                **{f"x{at}": x[:, at] for at in range(3)},
                "y": rng.random(size) < chances,
            }
        )
        for finding in discover(planted.tables(frame), "y", depth=2):
            ids = members(finding.condition, planted.tables(frame)).collect().to_native()["customer_id"]
            mask = frame["customer_id"].is_in(ids.implode()).to_numpy()
            truth = float(chances[mask].mean() - chances[~mask].mean())
            low, high = interval(*(sums_of(frame["y"].cast(float).to_numpy()[m]) for m in (mask, ~mask)), yes_no=True)
            held.append(finding.low <= truth <= finding.high)
            usual.append(low <= truth <= high)
    assert len(held) > 30
    assert np.mean(held) > 0.92  # 95 % of so few, with what chance may take away
    assert np.mean(usual) < 0.9
