from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optinb.customers import Backtest, Score, backtest, fit_value_model, purchase_days
from optinb.customers.backtest import auc, captured, judge, split
from optinb.errors import ModelError

if TYPE_CHECKING:
    import polars as pl

CUT, END, WINDOW = date(1997, 9, 30), date(1998, 6, 30), 273
"""39 weeks to fit and 39 weeks held out, as in the literature."""


def cdnow(transactions: pl.LazyFrame) -> Backtest:
    customers = split(purchase_days(transactions, run_date=END), cut=CUT, window_days=WINDOW)
    return judge(fit_value_model(customers.lazy()), customers, cut=CUT, window_days=WINDOW)


def show(result: Backtest) -> None:
    for score in result.scores:
        print(
            f"{score.name}: RMSE {score.rmse_purchases:.3f}, total {score.total_error:+.1%}, "
            f"top decile {score.top_decile:.1%}, AUC {score.auc:.3f}"
        )


def test_the_sample_of_cdnow_is_forecast_within_the_bars(cdnow_sample):
    result = cdnow(cdnow_sample)
    show(result)
    model = result.scores[0]
    assert (result.customers, result.purchases) == (2357, 1882)
    assert model.rmse_purchases <= 1.62
    assert abs(model.total_error) <= 0.15
    assert model.top_decile >= 0.46
    assert model.auc is not None
    assert model.auc >= 0.77
    assert result.loses_to == ()


def test_the_whole_of_cdnow_is_forecast_better_than_by_guesses(cdnow_master):
    result = cdnow(cdnow_master)
    show(result)
    assert result.customers == 23570
    assert result.loses_to == ()
    assert result.brier < result.brier_base


def test_a_nightly_backtest_holds_out_the_last_window_before_the_night(cdnow_sample):
    result = backtest(purchase_days(cdnow_sample, run_date=END), run_date=END, value_days=90)
    assert (result.fitted_until, result.window_days) == (date(1998, 4, 1), 90)
    assert [score.name for score in result.scores[1:]] == ["the last window again", "each customer's own average rate"]


def test_the_window_is_at_most_a_third_of_the_history(cdnow_sample):
    result = backtest(purchase_days(cdnow_sample, run_date=END), run_date=END, value_days=365)
    assert result.window_days == (END - date(1997, 1, 1)).days // 3


def test_a_history_that_is_too_short_to_cut_says_so(cdnow_sample):
    bought = purchase_days(cdnow_sample, run_date=date(1997, 2, 15))
    with pytest.raises(ModelError, match="a third of the history, to be held out, is 15 days; 28 are needed"):
        backtest(bought, run_date=date(1997, 2, 15), value_days=365)


def test_past_and_future_are_cut_on_the_day(frames, night):
    bought = [("a", 30, 1.0), ("a", 20, 2.0), ("a", 10, 4.0), ("a", 9, 8.0), ("a", 0, 16.0), ("b", 3, 5.0)]
    days = purchase_days(frames(ids="ab", bought=bought).transactions, run_date=night)
    cut = date(2026, 6, 20)
    assert split(days, cut=cut, window_days=10).to_dicts() == [
        {
            "customer_id": "a",
            "purchases": 3,
            "last_purchases": 1,
            "next_purchases": 2,
            "spend": 7.0,
            "last_spend": 4.0,
            "next_spend": 24.0,
            "repeats": 2,
            "span_days": 20,
            "known_days": 20,
            "average_order": 7 / 3,
        }
    ]


def test_a_model_that_is_worse_than_a_guess_says_on_what():
    def score(name: str, purchases: float, spend: float) -> Score:
        return Score(
            name=name,
            rmse_purchases=purchases,
            total_error=0.0,
            top_decile=0.0,
            auc=None,
            rmse_spend=spend,
            spend_total_error=0.0,
        )

    result = Backtest(
        fitted_until=CUT,
        window_days=30,
        customers=5,
        purchases=5,
        spend=5.0,
        scores=(score("model", 2.0, 9.0), score("last", 1.9, 10.0), score("own", 2.0, 8.0)),
        brier=0.3,
        brier_base=0.2,
    )
    assert result.loses_to == ("last, on purchases", "own, on spend", "the same chance for everybody, on silence")


def test_auc_counts_ties_as_halves_and_is_none_without_both_kinds():
    assert auc(np.array([1.0, 2.0, 3.0]), np.array([False, False, True])) == 1.0
    assert auc(np.array([1.0, 1.0]), np.array([False, True])) == 0.5
    assert auc(np.array([1.0, 2.0]), np.array([True, True])) is None


def test_what_the_best_tenth_holds_doesnt_hang_on_the_order_of_equals():
    truth = np.array([10.0] + [0.0] * 19)
    assert captured(np.zeros(20), truth) == pytest.approx(0.1)
    assert captured(np.zeros(20), truth[::-1]) == pytest.approx(0.1)
    assert captured(truth, truth) == pytest.approx(1.0)
    assert captured(truth, np.zeros(20)) == 0.0
