"""The Pareto/NBD against what was published of it, and against those who leave at any time."""

from __future__ import annotations

import numpy as np
import pytest

from optinb.customers.pareto import ParetoNbd, fit_pareto_nbd
from optinb.errors import ModelError


@pytest.fixture(scope="module")
def fitted(cdnow_summary) -> ParetoNbd:
    return fit_pareto_nbd(*(cdnow_summary[name] for name in ("x", "t_x", "T")))


def test_pareto_nbd_reaches_the_published_figures(fitted):
    """Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way", table 2."""
    assert (round(fitted.r, 3), round(fitted.alpha, 2)) == (0.553, 10.58)
    assert (round(fitted.s, 3), round(fitted.beta, 2)) == (0.606, 11.67)
    assert round(fitted.log_likelihood, 1) == -9595.0


def test_collapsed_histories_with_weights_give_the_same_pareto_nbd(cdnow_summary, fitted):
    names = ["x", "t_x", "T"]
    collapsed = cdnow_summary.group_by(names).len("weight").sort(names)
    again = fit_pareto_nbd(*(collapsed[name] for name in names), weights=collapsed["weight"])
    assert again.log_likelihood == pytest.approx(fitted.log_likelihood, abs=1e-4)
    assert (again.r, again.alpha, again.s, again.beta) == pytest.approx(
        (fitted.r, fitted.alpha, fitted.s, fitted.beta), rel=1e-3
    )


def test_what_it_expects_is_what_simulated_customers_do():
    rng = np.random.default_rng(3)
    count, known, horizon = 400_000, 60.0, 90.0
    model = ParetoNbd(r=0.8, alpha=20.0, s=0.9, beta=50.0, log_likelihood=0.0)
    rate, stay = rng.gamma(0.8, 1 / 20, count), rng.exponential(1 / rng.gamma(0.9, 1 / 50, count))
    second = rng.exponential(1 / rate)
    third = second + rng.exponential(1 / rate)
    once = (second > 20) & (second < 30) & (second < stay) & ((third > known) | (third > stay))
    alive = stay[once] > known
    later = rng.poisson(rate[once] * np.clip(stay[once] - known, 0, horizon))
    history = np.ones(once.sum()), second[once], np.full(once.sum(), known)
    assert model.p_alive(*history).mean() == pytest.approx(alive.mean(), abs=0.01)
    assert model.expected_purchases(*history, horizon=horizon).mean() == pytest.approx(later.mean(), rel=0.03)


def test_the_expectation_is_smooth_where_the_formula_is_not():
    figures = {"r": 0.8, "alpha": 20.0, "beta": 50.0, "log_likelihood": 0.0}
    models = [ParetoNbd(s=s, **figures) for s in (1 - 1e-7, 1.0, 1 + 1e-7)]
    near = [model.expected_purchases([3], [40], [60], horizon=90)[0] for model in models]
    assert near[1] == pytest.approx(near[0], rel=1e-5) and near[1] == pytest.approx(near[2], rel=1e-5)


def test_frequent_buyers_and_those_who_have_just_come_have_finite_figures():
    model = ParetoNbd(r=1.4, alpha=9.5, s=0.5, beta=80.0, log_likelihood=0.0)
    alive = model.p_alive([400, 0, 0, 400], [700, 0, 0, 100], [705, 0, 300, 705])
    assert np.isfinite(alive).all()
    assert alive[1] == 1.0 and alive[0] > 0.9 and alive[3] < 1e-6


def test_without_a_second_purchase_there_is_no_rhythm_to_learn():
    with pytest.raises(ModelError, match="Pareto/NBD: nobody bought a second time"):
        fit_pareto_nbd([0, 0], [0, 0], [30, 40])
