"""Chances that are told must come true as often as they say, most of all those near 0 and 1."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from purchase_worlds import World

from optinb.base.settings import LifecycleSection
from optinb.customers import purchase_days
from optinb.customers.backtest import auc, split
from optinb.customers.calibration import calibrate, reliability
from optinb.customers.risk import risks

NIGHT, DAYS = date(2025, 2, 5), 60


def drawn(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Chances that are right, and what came of them."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.6, 0.9, count)
    return chance, (rng.random(count) < chance).astype(float)


def off(chance: np.ndarray, truth: np.ndarray) -> float:
    """The mean error of the chance over its bins, weighted by customers."""
    found = reliability(chance, truth)
    return sum(part.customers * abs(part.forecast - part.happened) for part in found) / len(chance)


@pytest.mark.parametrize("count", [300, 3_000, 30_000])
def test_chances_that_are_right_stay_so(count):
    curve = calibrate(*drawn(count))
    fresh, truth = drawn(20_000, seed=2)
    assert off(curve(fresh), truth) < off(fresh, truth) + 2 / count**0.5
    assert auc(curve(fresh), truth > 0) == pytest.approx(auc(fresh, truth > 0), abs=0.001)


@pytest.mark.parametrize("bent", [lambda p: p**3, lambda p: 0.3 + 0.4 * p, lambda p: 1 - (1 - p) ** 2])
def test_chances_that_are_bent_are_straightened(bent):
    chance, truth = drawn(5_000)
    curve = calibrate(bent(chance), truth)
    fresh, happened = drawn(20_000, seed=2)
    assert off(bent(fresh), happened) > 0.08
    assert off(curve(bent(fresh)), happened) < 0.03


@pytest.mark.parametrize("all_did", [True, False])
def test_a_hundred_who_happened_to_do_the_same_make_nothing_certain(all_did):
    """Half of everybody did it, whatever they were told, but for those at an end of the chances."""
    rng = np.random.default_rng(3)
    raw = np.linspace(0.01, 0.99, 3_000)
    truth = (rng.random(3_000) < 0.5).astype(float)
    end = slice(-100, None) if all_did else slice(None, 100)
    truth[end] = float(all_did)
    extreme = calibrate(raw, truth)(raw)[end]
    assert (0.6 < extreme.mean() < 0.9) if all_did else (0.1 < extreme.mean() < 0.4)


def test_who_was_told_less_and_did_more_is_told_no_less_any_longer():
    raw = np.linspace(0.01, 0.99, 4_000)
    truth = (np.random.default_rng(6).random(4_000) < 0.7 - 0.4 * raw).astype(float)
    told = calibrate(raw, truth)(raw)
    assert np.ptp(told) < 0.02
    assert auc(told, truth > 0) == pytest.approx(0.5, abs=0.1) and auc(raw, truth > 0) < 0.42


def test_who_was_told_more_is_told_more_where_few_did_anything():
    """A step of many must not make equals of customers whom nothing says to be alike."""
    raw, truth = drawn(400)
    assert len(np.unique(calibrate(raw, truth)(np.linspace(raw.min(), raw.max(), 50)))) == 50


def test_a_step_of_many_is_believed():
    raw = np.repeat([0.2, 0.5, 0.6], 20_000)
    truth = np.concatenate([np.arange(20_000) % 100 < share for share in (2, 50, 98)]).astype(float)
    assert calibrate(raw, truth)(np.array([0.2, 0.5, 0.6])) == pytest.approx([0.02, 0.5, 0.98], abs=0.005)


def test_the_curve_never_falls_and_is_the_same_in_any_order():
    raw, truth = drawn(2_000)
    raw = raw.round(2)
    order = np.random.default_rng(5).permutation(2_000)
    curve = calibrate(raw, truth)
    assert curve == calibrate(raw[order], truth[order])
    assert (np.diff(curve.chance) >= 0).all() and curve.chance[0] > 0 and curve.chance[-1] < 1


def test_chances_that_sort_nobody_are_all_the_share_that_did():
    raw, truth = np.tile([0.1, 0.5, 0.9], 1_000), np.repeat([1.0, 0.0, 0.0], 1_000)
    assert calibrate(raw, truth)(raw) == pytest.approx(np.full(3_000, 1 / 3), abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_told_near_0_or_1_from_two_short_windows_comes_true(seed):
    """Rounds of 28 to 91 days: a model of random rhythm sorts these customers wrongly, and some steps were pure."""
    transactions = World(rhythm="regular").purchases(6_000, seed).collect().lazy()
    bought = purchase_days(transactions, run_date=NIGHT + timedelta(days=DAYS)).collect().lazy()
    known = bought.filter(pl.col("day") <= NIGHT)
    (churn, _), chances = risks(known, run_date=NIGHT, days=DAYS, settings=LifecycleSection())
    assert churn.reason is None
    then = split(bought, cut=NIGHT, window_days=DAYS).join(chances, on="customer_id").drop_nulls("churn_risk")
    told, silent = then["churn_risk"].to_numpy(), (then["next_purchases"] == 0).cast(pl.Float64).to_numpy()
    ends = [b for b in reliability(told, silent) if b.customers >= 100 and not 0.1 <= b.forecast <= 0.9]
    assert ends
    for b in ends:
        print(f"{b.customers}: told {b.forecast:.3f}, came true {b.happened:.3f}")
        assert abs(b.forecast - b.happened) < 2 * (b.forecast * (1 - b.forecast) / b.customers) ** 0.5 + 0.03
