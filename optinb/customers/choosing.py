"""Which model tells the future value: every candidate is tried on the last window, and only a winner is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Protocol

import polars as pl
from msgspec import Struct

from optinb.base.progress import OnProgress, quiet
from optinb.customers.backtest import Backtest, judge, split
from optinb.customers.boosting import fit_boosting
from optinb.customers.ranks import Ranges, learn_ranges
from optinb.customers.value import ENOUGH_DAYS, ValueModel, fit_value_model
from optinb.errors import ModelError

_TRIED, _CHOSEN = 7, 14  # hundredths of a night's models, for whoever waits: each candidate, and the winner


class ValueReport(Struct, frozen=True, kw_only=True):
    """What a night knows about the future value.

    `name` is the model that tells it; without one, `reason` says why none does. `parameters` are those of the
    probability model, where one was fitted, `left_out` the candidates that could not be and why.
    """

    name: str | None
    reason: str | None = None
    parameters: ValueModel | None = None
    backtest: Backtest | None = None
    ranges: Ranges | None = None
    left_out: dict[str, str] = {}


class Forecaster(Protocol):
    """A fitted model of what customers will buy."""

    @property
    def name(self) -> str:
        """What the card calls it."""
        ...

    def forecast(self, buyers: pl.DataFrame, *, days: int) -> pl.DataFrame:
        """expected_purchases and future_value of each row of a `split` in the coming days, in the same order."""
        ...


def choose_value_model(
    bought: pl.LazyFrame, attributes: pl.DataFrame, *, run_date: date, value_days: int, on_progress: OnProgress = quiet
) -> tuple[ValueReport, pl.DataFrame | None]:
    """Tries the candidates on the last window, at most `value_days` days and a third of the history, and scores all.

    Takes purchase days up to `run_date` and what `coded` gives. The second value has customer_id (sorted),
    expected_purchases, future_value, future_value_low and future_value_high of every buyer; None if no model wins.
    """
    try:
        window_days = window_of(bought, run_date, value_days)
        now = split(bought, cut=run_date, window_days=window_days)
        today = fit_value_model(now.lazy())
    except ModelError as error:
        return ValueReport(name=None, reason=str(error)), None
    if window_days < ENOUGH_DAYS:
        untested = f"a third of the history, to be held out, is {window_days} days; {ENOUGH_DAYS} are needed"
        return ValueReport(name=None, reason=f"it couldn't be tested: {untested}", parameters=today), None
    held = split(bought, cut=run_date - timedelta(days=window_days), window_days=window_days)
    before = split(bought, cut=run_date - timedelta(days=2 * window_days), window_days=window_days)
    fitted, left_out = _fitted(held, before, attributes, window_days, on_progress=on_progress)
    on_progress(0, "the future value by the best of them")
    if not fitted:
        reason = (
            f"it couldn't be tested: before {run_date - timedelta(days=window_days)}, {next(iter(left_out.values()))}"
        )
        return ValueReport(name=None, reason=reason, parameters=today, left_out=left_out), None
    forecasts = {model.name: model.forecast(held, days=window_days) for model in fitted}
    test = judge(forecasts, held, cut=run_date - timedelta(days=window_days), window_days=window_days)
    if test.winner is None:
        best = min(test.models, key=lambda score: score.rmse_spend)
        reason = f"in the backtest {best.name} lost to a naive guess ({'; '.join(test.loses_to(best))})"
        return (
            ValueReport(name=None, reason=reason, parameters=today, backtest=test, left_out=left_out),
            None,
        )
    ranges = learn_ranges(forecasts[test.winner].with_columns(spent=held["next_spend"]))
    final = _final(test.winner, today, now, held, attributes, window_days)
    report = ValueReport(
        name=test.winner,
        parameters=final if isinstance(final, ValueModel) else today,
        backtest=test,
        ranges=ranges,
        left_out=left_out,
    )
    told = final.forecast(now, days=value_days).with_columns(*ranges.columns())
    on_progress(_CHOSEN, "")
    return report, told


def window_of(bought: pl.LazyFrame, run_date: date, value_days: int) -> int:
    """Days that the backtest holds out. Raises ModelError without any purchase."""
    first = bought.select(pl.col("day").min()).collect().item()
    if first is None:
        raise ModelError("there is no purchase to learn from")
    return min(value_days, (run_date - first).days // 3)


def _fitted(
    held: pl.DataFrame, before: pl.DataFrame, attributes: pl.DataFrame, window_days: int, *, on_progress: OnProgress
) -> tuple[list[Forecaster], dict[str, str]]:
    """The candidates, fitted on what was known before the window that is held out; and why others were not."""
    candidates: dict[str, Callable[[], Forecaster]] = {
        "BG/NBD": partial(fit_value_model, held.lazy()),
        "MBG/NBD": partial(fit_value_model, held.lazy(), leaves_at_once=True),
        "gradient boosting": partial(fit_boosting, before, window_days=window_days, attributes=attributes),
    }
    fitted: list[Forecaster] = []
    left_out: dict[str, str] = {}
    for name, fit in candidates.items():
        on_progress(0, f"trying {name}")
        try:
            fitted.append(fit())
        except ModelError as error:
            left_out[name] = str(error)
        on_progress(_TRIED, "")
    return fitted, left_out


def _final(
    winner: str, today: ValueModel, now: pl.DataFrame, held: pl.DataFrame, attributes: pl.DataFrame, window_days: int
) -> Forecaster:
    """The winner, fitted on everything that is known."""
    if winner == today.name:
        return today
    if winner.startswith("MBG/NBD"):
        return fit_value_model(now.lazy(), leaves_at_once=True)
    return fit_boosting(held, window_days=window_days, attributes=attributes)
