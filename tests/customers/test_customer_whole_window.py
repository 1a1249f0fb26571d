"""A forecast is judged over as many days as it looks ahead, where history has room for them."""

from __future__ import annotations

import pytest
from purchase_worlds import NIGHTS, purchases_of

from optinb.customers import purchase_days
from optinb.customers.choosing import choose_value_model
from optinb.customers.trials import TrialWindows, is_stretched, trial_windows


@pytest.mark.parametrize("seed", [3, 5])
def test_who_buys_once_a_year_gets_no_forecast_although_half_a_year_can_be_told(seed: int) -> None:
    ((run_date, days),) = NIGHTS["yearly"]
    bought = purchase_days(purchases_of("yearly", seed=seed), run_date=run_date).collect().lazy()
    report, forecast = choose_value_model(bought, run_date=run_date, value_days=days)
    assert report.name is None and forecast is None and report.reason
    assert report.backtest is not None and report.backtest.window_days < days
    assert (
        "in a window as long as its forecast, after 2024-01-01" in report.reason or "in the backtest" in report.reason
    )


def test_who_buys_at_random_still_gets_one() -> None:
    ((run_date, days),) = NIGHTS["bgnbd"]
    bought = purchase_days(purchases_of("bgnbd", seed=3), run_date=run_date).collect().lazy()
    report, forecast = choose_value_model(bought, run_date=run_date, value_days=days)
    assert report.name is not None and report.reason is None and forecast is not None
    assert report.backtest is not None and report.backtest.window_days < days


@pytest.mark.parametrize(
    ("history", "days", "asked"), [(730, 365, True), (729, 365, False), (1_095, 365, False), (272, 273, False)]
)
def test_the_whole_is_tried_where_windows_are_shorter_and_history_is_twice_as_long(
    history: int, days: int, asked: bool
) -> None:
    windows = trial_windows(history, days)
    assert isinstance(windows, TrialWindows) and is_stretched(windows, history, days) == asked
