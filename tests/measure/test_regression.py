"""What figures are without what was known of customers before."""

from __future__ import annotations

import numpy as np
import pytest

from optinb.measure import regression
from optinb.measure.regression import take_away


def known_and_figures(customers: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    spend, orders = random.lognormal(3, 1.5, customers), random.poisson(2.0, customers).astype(float)
    known = np.column_stack([spend, orders, np.full(customers, 0.9)])
    figures = np.column_stack([0.1 * spend + random.normal(size=customers), random.normal(size=customers)])
    return known, figures


def test_what_was_known_explains_nothing_of_what_is_left() -> None:
    known, figures = known_and_figures(4_000)
    left = take_away(known, figures.copy(), smaller=400)
    assert np.allclose(left.mean(axis=0), 0) and abs(np.corrcoef(left[:, 0], known[:, 0])[0, 1]) < 1e-9
    assert left[:, 0].std() == pytest.approx(1, abs=0.05) and figures[:, 0].std() > 5


def test_in_parts_of_the_people_the_same_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    known, figures = known_and_figures(4_000)
    whole = take_away(known, figures.copy(), smaller=400)
    monkeypatch.setattr(regression, "AT_ONCE", 333)
    assert np.allclose(take_away(known, figures.copy(), smaller=400), whole, rtol=0, atol=1e-10)


def test_few_customers_leave_terms_out_and_none_leaves_the_mean() -> None:
    known, figures = known_and_figures(4_000)
    only_mean = figures - figures.mean(axis=0)
    assert np.allclose(take_away(known, figures.copy(), smaller=9), only_mean)
    assert np.allclose(take_away(known[:, :0], figures.copy(), smaller=400), only_mean)
    first = take_away(known, figures.copy(), smaller=10)
    assert abs(np.corrcoef(first[:, 0], known[:, 0])[0, 1]) < 1e-9 and not np.allclose(first, only_mean)
