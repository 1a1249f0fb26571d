from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from optinb.customers import BgNbd, GammaGamma, fit_bgnbd, fit_gamma_gamma, fit_value_model
from optinb.customers.bgnbd import _history, _Likelihood
from optinb.errors import ModelError


def test_bgnbd_reaches_the_published_figures(cdnow_summary):
    model = fit_bgnbd(*(cdnow_summary[name] for name in ("x", "t_x", "T")))
    assert (round(model.r, 3), round(model.alpha, 3)) == (0.243, 4.414)
    assert (round(model.a, 3), round(model.b, 3)) == (0.793, 2.426)
    assert round(model.log_likelihood, 1) == -9582.4


def test_mbgnbd_reaches_the_published_figures(cdnow_summary):
    model = fit_bgnbd(*(cdnow_summary[name] for name in ("x", "t_x", "T")), leaves_at_once=True)
    assert (round(model.r, 3), round(model.alpha, 3)) == (0.525, 6.183)
    assert (round(model.a, 3), round(model.b, 3)) == (0.891, 1.614)


def test_gamma_gamma_reaches_the_published_figures(cdnow_sample):
    """From the purchases themselves: averages that were rounded to cents, as a summary has them, give gamma 15.448.

    A purchase is a day, the first one of each customer is left out, and only weeks 1 to 39 count.
    """
    repeat = (
        cdnow_sample.filter(pl.col("day") <= date(1997, 9, 30))
        .group_by("customer_id", "day")
        .agg(pl.col("amount").sum())
        .filter(pl.col("day") > pl.col("day").min().over("customer_id"))
        .group_by("customer_id")
        .agg(n=pl.len(), average=pl.col("amount").mean())
        .sort("customer_id")
        .collect()
    )
    model = fit_gamma_gamma(repeat["n"], repeat["average"])
    assert len(repeat) == 946
    assert (round(model.p, 2), round(model.q, 2), round(model.gamma, 2)) == (6.25, 3.74, 15.44)


def test_the_expectation_of_the_paper_is_met():
    model = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4)
    assert model.expected_purchases(2, 30.43, 38.86, horizon=39) == pytest.approx(1.226, abs=0.0005)


def test_collapsed_histories_with_weights_give_the_same_model(cdnow_summary):
    names = ["x", "t_x", "T"]
    collapsed = cdnow_summary.group_by(names).agg(weight=pl.len()).sort(names)
    one = fit_bgnbd(*(cdnow_summary[name] for name in names))
    two = fit_bgnbd(*(collapsed[name] for name in names), weights=collapsed["weight"])
    assert len(collapsed) < len(cdnow_summary)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-5)
    assert (two.r, two.alpha, two.a, two.b) == pytest.approx((one.r, one.alpha, one.a, one.b), rel=1e-3)


@pytest.mark.parametrize("at_first", [0, 1])
def test_the_gradient_is_the_slope_of_the_likelihood(cdnow_summary, at_first):
    history = _history(*(cdnow_summary[name] for name in ("x", "t_x", "T")))
    likelihood = _Likelihood(history, np.ones(len(cdnow_summary)), at_first=at_first)
    at, step = np.log([0.3, 5.0, 0.9, 2.0]), 1e-6
    slopes = [(likelihood(at + step * e)[0] - likelihood(at - step * e)[0]) / (2 * step) for e in np.eye(4)]
    assert likelihood(at)[1] == pytest.approx(slopes, abs=1e-7)


def by_integration(model: BgNbd, x, t_x, T, horizon) -> float:  # noqa: N803
    """Over the leaving probability of those alive; the rate is integrated in closed form."""

    def purchases(p: float) -> float:
        return -np.expm1(-(model.r + x) * np.log1p(p * horizon / (model.alpha + T))) / p

    law = beta(model.a, model.b + x + model.leaves_at_once)
    mean, _ = quad(lambda u: purchases(float(law.ppf(u))), 0, 1, limit=400, epsabs=1e-9)
    return mean * float(model.p_alive(x, t_x, T))


@pytest.mark.parametrize("a", [0.4, 1.0, 1.000001, 1.7, 1000.0])
@pytest.mark.parametrize("b", [0.2, 2.4])
@pytest.mark.parametrize("history", [(0, 0, 0), (0, 0, 300), (1, 5, 40), (8, 200, 280), (400, 700, 705)])
@pytest.mark.parametrize("at_once", [False, True])
def test_expected_purchases_agree_with_integration_even_at_the_poles(a, b, history, at_once):
    model = BgNbd(r=0.6, alpha=12.0, a=a, b=b, log_likelihood=0.0, leaves_at_once=at_once)
    found = model.expected_purchases(*history, horizon=365)
    assert found == pytest.approx(by_integration(model, *history, 365), rel=2e-5)


def test_expected_purchases_agree_where_a_and_b_together_are_one():
    model = BgNbd(r=0.6, alpha=12.0, a=0.3, b=0.7, log_likelihood=0.0)
    assert model.expected_purchases(0, 0, 30, horizon=90) == pytest.approx(
        by_integration(model, 0, 0, 30, 90), rel=1e-5
    )


def test_where_hardly_anybody_leaves_the_rate_goes_on():
    model = BgNbd(r=2.0, alpha=30.0, a=1e-3, b=1e3, log_likelihood=0.0)
    assert model.expected_purchases(20, 295, 300, horizon=365) == pytest.approx(22 * 365 / 330, rel=1e-4)


def test_the_chance_of_silence_is_that_of_simulated_customers():
    rng = np.random.default_rng(4)
    model = BgNbd(r=0.8, alpha=20.0, a=0.7, b=3.0, log_likelihood=0.0)
    known, horizon, count = 60.0, 45.0, 400_000
    rate, leaves = rng.gamma(0.8, 1 / 20, count), rng.beta(0.7, 3.0, count)
    second = rng.exponential(1 / rate)
    stays = rng.random(count) > leaves
    third = second + rng.exponential(1 / rate)
    once = (second > 20) & (second < 40) & ((third > known) | ~stays)
    silent = (~stays | (third > known + horizon))[once]
    forecast = model.p_silent(np.ones(once.sum()), second[once], np.full(once.sum(), known), horizon=horizon)
    assert forecast.mean() == pytest.approx(silent.mean(), abs=0.01)


def test_longer_silence_lowers_the_chance_of_being_alive_but_not_for_single_purchases():
    model = BgNbd(r=0.8, alpha=20.0, a=0.7, b=3.0, log_likelihood=0.0)
    alive = model.p_alive([5, 5, 5], [100, 100, 100], [100, 200, 20_000])
    assert alive[0] > alive[1] > alive[2] >= 0
    assert model.p_alive(0, 0, 500) == 1.0


def test_expected_spend_lies_between_the_customer_and_the_crowd():
    model = GammaGamma(p=6.25, q=3.74, gamma=15.44, log_likelihood=0.0)
    crowd = 6.25 * 15.44 / 2.74
    table = pl.DataFrame({"n": [1, 10, 1000], "average": [100.0] * 3})
    found = table.select(model.expected_spend(pl.col("n"), pl.col("average"))).to_series().to_list()
    assert crowd < found[0] < found[1] < found[2] < 100.0


def test_gamma_gamma_is_the_same_in_another_currency(cdnow_summary):
    repeat = cdnow_summary.filter(pl.col("x") > 0)
    cents = fit_gamma_gamma(repeat["x"], repeat["zbar"] * 100)
    dollars = fit_gamma_gamma(repeat["x"], repeat["zbar"])
    assert (cents.p, cents.q, cents.gamma / 100) == pytest.approx((dollars.p, dollars.q, dollars.gamma), rel=1e-6)


def buyers(count: int, *, repeats=lambda i: i % 5, known=lambda i: 60 + i % 40, spend=lambda i: 10.0 + i % 7):
    rows = [
        (f"c{i}", repeats(i), min(repeats(i) * 9, known(i)), known(i), repeats(i) + 1, spend(i)) for i in range(count)
    ]
    names = ["customer_id", "repeats", "span_days", "known_days", "purchases", "average_order"]
    types = [pl.String, pl.Int64, pl.Int64, pl.Int64, pl.Int64, pl.Float64]
    return pl.LazyFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (buyers(0), "no purchase to learn from"),
        (buyers(99), "customers with a purchase is 99; 100 are needed"),
        (buyers(500, repeats=lambda i: 0), "who bought twice is 0; 50 are needed"),
        (buyers(500, known=lambda i: i % 14), "the history is 13 days long; 28 are needed"),
        (buyers(500, repeats=lambda i: 2, known=lambda i: 90), "same purchase history"),
        (buyers(500, spend=lambda i: 20.0), "spends the same for a purchase"),
    ],
)
def test_data_that_carries_no_model_is_told_in_a_sentence(rows, reason):
    with pytest.raises(ModelError, match=reason):
        fit_value_model(rows)


def test_scoring_by_lookup_gives_everybody_their_own_figures():
    rows = buyers(600)
    model = fit_value_model(rows)
    scored = model.score(rows, horizon_days=90, silence_days=30).sort("customer_id").collect()
    figures = tuple(scored[name].to_numpy() for name in ("repeats", "span_days", "known_days"))
    assert len(scored) == 600
    assert scored["expected_purchases"].to_numpy() == pytest.approx(
        model.purchases.expected_purchases(*figures, horizon=90)
    )
    assert scored["silence"].to_numpy() == pytest.approx(model.purchases.p_silent(*figures, horizon=30))
    assert len(model.lookup(rows, horizon_days=90, silence_days=30)) < 600
