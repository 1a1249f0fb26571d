from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from optinb.customers import Backtest, Score, ValueReport, choose_value_model, fit_value_model, purchase_days
from optinb.customers.backtest import auc, captured, judge, split
from optinb.customers.gate import best, shortcomings
from optinb.customers.trials import trial_windows
from optinb.errors import ModelError

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
    winner = best([result], [score.name for score in result.models])
    model = next(score for score in result.models if score.name == winner)
    assert model.rmse_purchases <= 1.62
    assert abs(model.total_error) <= 0.15
    assert model.top_decile >= 0.46
    assert model.auc is not None
    assert model.auc >= 0.77
    assert all(shortcomings([result], model.name) == () for model in result.models)


def test_the_whole_of_cdnow_is_forecast_better_than_by_guesses(cdnow_master):
    result = cdnow(cdnow_master)
    show(result)
    assert result.customers == 23570
    assert all(shortcomings([result], model.name) == () for model in result.models)


def chosen(transactions: pl.LazyFrame, night: date, value_days: int = 90) -> tuple[ValueReport, pl.DataFrame | None]:
    bought = purchase_days(transactions, run_date=night)
    return choose_value_model(bought, run_date=night, value_days=value_days)


def test_a_nightly_backtest_holds_out_the_last_window_before_the_night(cdnow_sample):
    report, forecast = chosen(cdnow_sample, END)
    assert report.backtest is not None
    assert (report.backtest.fitted_until, report.backtest.window_days) == (date(1998, 4, 1), 90)
    assert [score.name for score in report.backtest.guesses] == [
        "everybody like the mean",
        "the last window again",
        "the same days of last year again",
        "each customer's own average rate",
    ]
    names = [score.name for score in report.backtest.models]
    assert names[:5] == [
        "BG/NBD with Gamma-Gamma",
        "MBG/NBD with Gamma-Gamma",
        "Pareto/NBD with Gamma-Gamma",
        "gradient boosting",
        "boosted MBG/NBD",
    ]
    assert all(name.startswith("mean of ") for name in names[5:])
    assert report.name in names
    assert report.earlier and all(test.fitted_until < date(1998, 4, 1) for test in report.earlier)
    assert forecast is not None and forecast.height == 2357 and forecast["customer_id"].is_sorted()


def test_a_forecast_lies_in_its_own_range_and_a_higher_one_has_a_higher_range(cdnow_master):
    report, forecast = chosen(cdnow_master, END)
    assert report.bands is not None and forecast is not None
    assert report.bands.buyers_inside == pytest.approx(0.8, abs=0.04)
    assert report.bands.below_high == pytest.approx(0.9, abs=0.04)
    assert forecast["purchase_chance"].is_between(0, 1).all()
    for value in ("future_value", "value_if_buying"):
        low, high = f"{value}_low", f"{value}_high"
        assert forecast.filter(~pl.col(value).is_between(low, high)).is_empty()
        rising = forecast.sort(value)
        assert rising[low].is_sorted() and rising[high].is_sorted()


def test_a_forecast_is_tried_on_windows_in_proportion_to_the_history():
    assert trial_windows(1096, 90) == (90, (90, 180, 365))
    assert trial_windows(730, 365) == (243, (243, 303))
    assert trial_windows(272, 273) == (136, (136, 153))


def test_windows_are_no_stretched_ones_where_the_history_is_too_short_for_any():
    with pytest.raises(ModelError, match="a trial of 365 days ahead leaves 18 to learn from and 72 to forecast"):
        trial_windows(90, 365)


def test_a_history_that_is_too_short_to_cut_says_so_and_publishes_nothing(cdnow_sample):
    report, forecast = chosen(cdnow_sample, date(1997, 2, 15))
    assert report.reason == (
        "it couldn't be tested: of 45 days of history, a trial of 90 days ahead leaves 15 to learn from and 30 to "
        "forecast; 28 of both are needed"
    )
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
    nothing = {"total_error": 0.0, "top_decile": 0.4, "auc": 0.8, "spend_total_error": 0.0}
    return tuple(Score(name=name, rmse_purchases=p, rmse_spend=s, **nothing) for name, p, s in figures)


def window(models: tuple[Score, ...], guesses: tuple[Score, ...]) -> Backtest:
    return Backtest(
        fitted_until=CUT, window_days=30, customers=5, purchases=5, spend=5.0, models=models, guesses=guesses
    )  # fmt: skip


GUESSES = scored(("mean", 1.9, 10.0), ("own", 2.0, 8.0))


def test_a_model_must_beat_every_guess_on_purchases_and_tie_with_it_on_spend():
    tests = [window(scored(("worse", 2.0, 9.0), ("tied", 1.8, 8.1), ("good", 1.8, 7.9)), GUESSES)]
    assert shortcomings(tests, "worse") == (
        "lost to mean, on purchases",
        "lost to own, on purchases",
        "lost to own, on spend",
    )
    assert shortcomings(tests, "tied") == shortcomings(tests, "good") == ()


def test_all_windows_count_and_none_alone():
    lucky, unlucky = window(scored(("model", 0.9, 7.0)), GUESSES), window(scored(("model", 2.2, 8.5)), GUESSES)
    assert shortcomings([lucky], "model") == ()
    assert shortcomings([unlucky], "model") != ()
    assert shortcomings([lucky, unlucky], "model") == ()
    assert shortcomings([lucky, *[unlucky] * 5], "model") != ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"auc": 0.493}, "doesn't tell who buys (AUC 0.493, 0.55 is needed)"),
        ({"auc": None}, "doesn't tell who buys (AUC unknown, 0.55 is needed)"),
        ({"top_decile": 0.05}, "of the purchases in its best tenth"),
        ({"total_error": -0.61}, "off the total"),
        ({"total_error": 0.61}, "off the total"),
    ],
)
def test_a_model_that_is_of_no_use_is_refused_though_it_beats_the_guesses(changed, reason):
    (model,) = scored(("model", 1.0, 5.0))
    (found,) = shortcomings([window((replace(model, **changed),), GUESSES)], "model")
    assert reason in found


def test_of_models_about_as_good_the_earlier_is_taken():
    tests = [window(scored(("one", 1.8, 7.0), ("as good", 1.795, 6.0), ("better", 1.7, 9.0)), GUESSES)]
    assert best(tests, ["one", "as good"]) == "one"
    assert best(tests, ["one", "as good", "better"]) == "better"


def test_a_model_that_loses_is_not_published_and_says_to_what(frames, night):
    """Everybody buys more from window to window, which no model of a steady rhythm can see coming."""
    ids = [f"c{i:03d}" for i in range(400)]
    days = [*range(0, 30, 2), *range(31, 60, 5), *range(62, 90, 13)]
    bought = [(who, ago, 5.0 + n % 50) for n, who in enumerate(ids) for ago in days if (n + ago) % 3]
    report, forecast = chosen(frames(ids=ids, bought=bought).transactions, night, 30)
    assert report.name is None and forecast is None
    assert report.backtest is not None
    assert (report.reason or "").startswith("in the backtest ")
    assert "recency_frequency_rank" in (report.instead or "") and "AUC" in (report.instead or "")


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
