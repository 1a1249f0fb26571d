"""Ranges of the future value hold in a window that nobody has seen, as often as they say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from optinb.customers.ranges import RANGED, learn_ranges


def window(seed: int, *, level: float = 1.0, rate: float = 1.0, customers: int = 8_000) -> pl.DataFrame:
    """Forecasts that are right but for the level of a window, and what followed."""
    rng = np.random.default_rng(seed)
    expected, paid = rate * rng.gamma(1.0, 1.0, customers), rng.gamma(4, 10, customers)
    purchases = rng.poisson(expected * level)
    # a customer's purchases of a window are of one size
    spent = purchases * paid * np.exp(rng.normal(-0.08, 0.4, customers))
    return pl.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(customers)],
            "expected_purchases": expected,
            "future_value": expected * paid,
            "purchases": purchases,
            "spent": spent,
        }
    )


def held(windows: list[pl.DataFrame], then: pl.DataFrame) -> tuple[float, float]:
    """The shares of buyers inside their range, and of all at most at the high end, in a new window."""
    told = learn_ranges(windows).of(then)
    buyers = told.filter(pl.col("purchases") > 0)
    inside = buyers["spent"].is_between(buyers["value_if_buying_low"], buyers["value_if_buying_high"]).mean()
    below = (told["spent"] <= told["future_value_high"]).mean()
    assert isinstance(inside, float) and isinstance(below, float)
    return inside, below


def test_ranges_hold_in_the_next_window():
    inside, below = held([window(1), window(2)], window(3))
    assert inside == pytest.approx(0.82, abs=0.02)
    assert below == pytest.approx(0.9, abs=0.02)


def test_a_good_season_of_the_past_windows_is_not_taken_for_how_customers_are():
    """Both windows were a third below their forecast; the next one isn't."""
    inside, below = held([window(1, level=0.66), window(2, level=0.66)], window(3))
    assert inside == pytest.approx(0.81, abs=0.03)
    assert below == pytest.approx(0.9, abs=0.02)


def test_what_is_told_of_the_ranges_counts_how_windows_differ():
    """Were it tested on other customers of the same windows, nothing would show."""
    like = learn_ranges([window(1), window(2)])
    unlike = learn_ranges([window(1, level=1.5), window(2, level=0.5)])
    assert like.below_high == pytest.approx(0.9, abs=0.02)
    assert abs(unlike.buyers_inside - 0.82) > abs(like.buyers_inside - 0.82)


def test_where_hardly_anybody_buys_the_high_end_is_the_forecast_and_the_figures_say_so():
    rare, often = learn_ranges([window(1, rate=0.03)]), learn_ranges([window(1, rate=3.0)])
    assert rare.high_at_forecast > 0.8 and rare.below_high > 0.95
    assert often.high_at_forecast < 0.1 and often.below_high == pytest.approx(0.9, abs=0.02)


def test_forecasts_lie_inside_and_higher_ones_have_no_lower_ends():
    told = learn_ranges([window(1), window(2, level=0.8)]).of(window(3))
    for value in ("future_value", "value_if_buying"):
        rising = told.sort(value)
        assert rising[f"{value}_low"].is_sorted() and rising[f"{value}_high"].is_sorted()
        assert rising.filter(~pl.col(value).is_between(f"{value}_low", f"{value}_high")).is_empty()


def test_the_order_of_customers_changes_nothing():
    then = window(3)
    one, two = (
        learn_ranges([w, window(2)]).of(then) for w in (window(1), window(1).sample(fraction=1.0, shuffle=True, seed=4))
    )
    for name in RANGED:
        assert one[name].to_numpy() == pytest.approx(two[name].to_numpy(), rel=1e-9)


def test_a_window_in_which_nobody_bought_breaks_nothing():
    nobody = window(1).with_columns(purchases=0 * pl.col("purchases"), spent=pl.lit(0.0))
    ranges = learn_ranges([window(2), nobody])
    assert ranges.of(window(3)).select(pl.all_horizontal(pl.col(*RANGED).is_finite()).all()).item()
