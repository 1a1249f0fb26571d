from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from optinb.customers import Backtest, Score, ValueReport, choose_value_model, fit_value_model, purchase_days
from optinb.customers.backtest import auc, captured, judge, split

CUT, END, WINDOW = date(1997, 9, 30), date(1998, 6, 30), 273
"""39 weeks to fit and 39 weeks held out, as in the literature."""


def cdnow(transactions: pl.LazyFrame) -> Backtest:
    customers = split(purchase_days(transactions, run_date=END), cut=CUT, window_days=WINDOW)
    models = [fit_value_model(customers.lazy(), leaves_at_once=at_once) for at_once in (False, True)]
    forecasts = {model.name: model.forecast(customers, days=WINDOW) for model in models}
    return judge(forecasts, customers, cut=CUT, window_days=WINDOW)


def show(result: Backtest) -> None:
    for score in (*result.models, *result.guesses):
        print(
            f"{score.name}: RMSE {score.rmse_purchases:.3f}, total {score.total_error:+.1%}, "
            f"top decile {score.top_decile:.1%}, AUC {score.auc:.3f}"
        )


def test_the_sample_of_cdnow_is_forecast_within_the_bars(cdnow_sample):
    result = cdnow(cdnow_sample)
    show(result)
    assert (result.customers, result.purchases) == (2357, 1882)
    model = next(score for score in result.models if score.name == result.winner)
    assert model.rmse_purchases <= 1.62
    assert abs(model.total_error) <= 0.15
    assert model.top_decile >= 0.46
    assert model.auc is not None
    assert model.auc >= 0.77
    assert all(result.loses_to(model) == () for model in result.models)


def test_the_whole_of_cdnow_is_forecast_better_than_by_guesses(cdnow_master):
    result = cdnow(cdnow_master)
    show(result)
    assert result.customers == 23570
    assert all(result.loses_to(model) == () for model in result.models)


def chosen(transactions: pl.LazyFrame, night: date, value_days: int = 90) -> tuple[ValueReport, pl.DataFrame | None]:
    bought = purchase_days(transactions, run_date=night)
    return choose_value_model(bought, run_date=night, value_days=value_days)


def test_a_nightly_backtest_holds_out_the_last_window_before_the_night(cdnow_sample):
    report, forecast = chosen(cdnow_sample, END)
    assert report.backtest is not None
    assert (report.backtest.fitted_until, report.backtest.window_days) == (date(1998, 4, 1), 90)
    assert [score.name for score in report.backtest.guesses] == [
        "the last window again",
        "each customer's own average rate",
    ]
    assert [score.name for score in report.backtest.models] == [
        "BG/NBD with Gamma-Gamma",
        "MBG/NBD with Gamma-Gamma",
        "gradient boosting",
    ]
    assert report.name == report.backtest.winner is not None
    assert forecast is not None and forecast.height == 2357 and forecast["customer_id"].is_sorted()


def test_four_of_five_customers_end_up_in_the_range_of_their_future_value(cdnow_master):
    report, forecast = chosen(cdnow_master, END)
    assert report.ranges is not None and forecast is not None
    assert 0.8 <= report.ranges.covered <= 0.95  # most of CDNOW's customers never come back: many lie at its lower end
    assert forecast.filter(~(pl.col("future_value_low") <= pl.col("future_value_high"))).is_empty()


def test_the_window_is_at_most_a_third_of_the_history(cdnow_sample):
    report, _ = chosen(cdnow_sample, END, 365)
    assert report.backtest is not None
    assert report.backtest.window_days == (END - date(1997, 1, 1)).days // 3


def test_a_history_that_is_too_short_to_cut_says_so_and_publishes_nothing(cdnow_sample):
    report, forecast = chosen(cdnow_sample, date(1997, 2, 15))
    assert report.reason == "it couldn't be tested: a third of the history, to be held out, is 15 days; 28 are needed"
    assert report.parameters is not None and report.name is None and forecast is None


def test_past_and_future_are_cut_on_the_day(frames, night):
    bought = [("a", 30, 1.0), ("a", 20, 2.0), ("a", 10, 4.0), ("a", 9, 8.0), ("a", 0, 16.0), ("b", 3, 5.0)]
    days = purchase_days(frames(ids="ab", bought=bought).transactions, run_date=night)
    cut = date(2026, 6, 20)
    assert split(days, cut=cut, window_days=10).to_dicts() == [
        {
            "customer_id": "a",
            "purchases": 3,
            "last_purchases": 1,
            "recent_purchases": 1,
            "next_purchases": 2,
            "spend": 7.0,
            "last_spend": 4.0,
            "recent_spend": 4.0,
            "next_spend": 24.0,
            "repeats": 2,
            "span_days": 20,
            "known_days": 20,
            "silent_days": 0,
            "average_order": 7 / 3,
        }
    ]


def scored(*figures: tuple[str, float, float]) -> tuple[Score, ...]:
    nothing = {"total_error": 0.0, "top_decile": 0.0, "auc": None, "spend_total_error": 0.0}
    return tuple(Score(name=name, rmse_purchases=p, rmse_spend=s, **nothing) for name, p, s in figures)


def test_only_a_model_that_beats_every_guess_on_purchases_and_spend_wins():
    guesses = scored(("last", 1.9, 10.0), ("own", 2.0, 8.0))

    def result(*models: tuple[str, float, float]) -> Backtest:
        return Backtest(
            fitted_until=CUT, window_days=30, customers=5, purchases=5, spend=5.0, models=scored(*models),
            guesses=guesses,
        )  # fmt: skip

    worse = result(("model", 2.0, 9.0))
    assert worse.loses_to(worse.models[0]) == ("last, on purchases", "own, on purchases", "own, on spend")
    assert worse.winner is None
    assert result(("one", 1.8, 7.9), ("two", 1.8, 7.0), ("three", 9.0, 1.0)).winner == "two"
    assert result(("one", 1.8, 7.0), ("as good", 1.8, 6.99)).winner == "one"


def test_a_model_that_loses_is_not_published_and_says_to_what(frames, night):
    """Everybody buys more from window to window, which no model of a steady rhythm can see coming."""
    ids = [f"c{i:03d}" for i in range(400)]
    days = [*range(0, 30, 2), *range(31, 60, 5), *range(62, 90, 13)]
    bought = [(who, ago, 5.0 + n % 50) for n, who in enumerate(ids) for ago in days if (n + ago) % 3]
    report, forecast = chosen(frames(ids=ids, bought=bought).transactions, night, 30)
    assert report.name is None and forecast is None
    assert report.backtest is not None
    assert (report.reason or "").startswith("in the backtest ") and "lost to a naive guess" in (report.reason or "")


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
