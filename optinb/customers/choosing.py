"""Which model tells the future value: every candidate is tried on the last window, and only a winner is published.

One candidate is learnt here, by gradient boosting, from what customers with such figures did in the window before. None
reads what is delivered about customers: those columns are of tonight, and some of them (points to date, orders so far,
whether somebody is active) have seen the window that a backtest holds out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.base.progress import OnProgress, quiet
from optinb.customers.backtest import Backtest, judge, split
from optinb.customers.fitting import Floats, one_thread, sample
from optinb.customers.value import ENOUGH_DAYS, FORECAST, Ranges, ValueModel, fit_value_model, learn_ranges
from optinb.errors import ModelError

FIGURES = ("silent_days", "average_order", "last_purchases", "last_spend", "recent_purchases", "recent_spend")
"""Columns of `split` that it learns from, beside the forecast of the BG/NBD: none that only grows with the history.

What a tree has learnt of customers known for 200 days at most says nothing of the same customers a window later. With
such columns the total of a grocer was forecast 25 % too high, and that of CDNOW 44 %.
"""

ENOUGH_CUSTOMERS = 1_000
LEARNS_FROM = 100_000
"""Fewer customers teach it nothing that lasts; more, drawn by a hash of the id, hardly anything that fewer don't."""


class Boosted:
    """A fitted model of the purchases and the spend of a window."""

    name = "gradient boosting"

    def __init__(self, purchases: Any, spend: Any, inputs: _Inputs) -> None:
        self._purchases, self._spend, self._inputs = purchases, spend, inputs

    def forecast(self, buyers: pl.DataFrame, *, days: int) -> pl.DataFrame:
        """expected_purchases and future_value of each row of `buyers` in the coming days, in the same order.

        Other days than the window's are reckoned in proportion, since nothing was learnt of them.
        """
        figures, part = self._inputs.matrix(buyers), days / self._inputs.window_days
        made = (np.maximum(one_thread(m.predict)(figures), 0) * part for m in (self._purchases, self._spend))
        return buyers.select("customer_id", **dict(zip(FORECAST, map(pl.Series, made), strict=True)))


def fit_boosting(split: pl.DataFrame, *, window_days: int) -> Boosted:
    """Learns next_purchases and next_spend of a `split`.

    Deterministic for the same rows in any order. Raises ModelError if there are too few customers.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting: Any = HistGradientBoostingRegressor  # sklearn's defaults mislead the type checker

    if len(split) < ENOUGH_CUSTOMERS:
        raise ModelError(f"{len(split)} customers had bought two windows ago; {ENOUGH_CUSTOMERS:,} are needed")
    if not split["next_purchases"].sum():
        raise ModelError("nobody bought in the window that it would learn from")
    drawn = sample(split, LEARNS_FROM)
    inputs = _Inputs(fit_value_model(split.lazy()), window_days)
    inputs = replace(inputs, telling=_telling(inputs.matrix(drawn)))
    if not inputs.telling:
        raise ModelError("all customers have the same figures, so nothing tells one from another")
    figures = inputs.matrix(drawn)

    @one_thread
    def learn(target: str) -> Any:
        model = boosting(
            loss="poisson", max_iter=60, max_leaf_nodes=15, min_samples_leaf=40, l2_regularization=1.0,
            early_stopping=False, random_state=0,
        )  # fmt: skip
        return model.fit(figures, drawn[target].to_numpy())

    return Boosted(learn("next_purchases"), learn("next_spend"), inputs)


@dataclass(frozen=True)
class _Inputs:
    """What the trees are shown of a buyer: the forecast of a simpler model, and figures."""

    simpler: ValueModel
    window_days: int
    telling: tuple[int, ...] | None = None

    def matrix(self, buyers: pl.DataFrame) -> Floats:
        """A row for each buyer, in their order, and a column for each figure."""
        forecast = self.simpler.forecast(buyers, days=self.window_days)
        columns = [*(forecast[name] for name in FORECAST), *(buyers[name].cast(pl.Float64) for name in FIGURES)]
        chosen = columns if self.telling is None else [columns[i] for i in self.telling]
        return np.column_stack([column.to_numpy() for column in chosen])


def _telling(figures: Floats) -> tuple[int, ...]:
    """The columns with more than one known value; the trees fail on others."""
    known = (column[np.isfinite(column)] for column in figures.T)
    return tuple(i for i, column in enumerate(known) if len(column) and np.ptp(column) > 0)


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


Forecaster = ValueModel | Boosted
"""A fitted model of what customers will buy."""


def choose_value_model(
    bought: pl.LazyFrame, *, run_date: date, value_days: int, on_progress: OnProgress = quiet
) -> tuple[ValueReport, pl.DataFrame | None]:
    """Tries the candidates on the last window, at most `value_days` days and a third of the history, and scores all.

    Takes purchase days up to `run_date`. The second value has customer_id (sorted),
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
    fitted, left_out = _fitted(held, before, window_days, on_progress=on_progress)
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
    final = _final(test.winner, today, now, held, window_days)
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
    held: pl.DataFrame, before: pl.DataFrame, window_days: int, *, on_progress: OnProgress
) -> tuple[list[Forecaster], dict[str, str]]:
    """The candidates, fitted on what was known before the window that is held out; and why others were not."""
    candidates: dict[str, Callable[[], Forecaster]] = {
        "BG/NBD": partial(fit_value_model, held.lazy()),
        "MBG/NBD": partial(fit_value_model, held.lazy(), leaves_at_once=True),
        Boosted.name: partial(fit_boosting, before, window_days=window_days),
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


def _final(winner: str, today: ValueModel, now: pl.DataFrame, held: pl.DataFrame, window_days: int) -> Forecaster:
    """The winner, fitted on everything that is known."""
    if winner == today.name:
        return today
    if winner.startswith("MBG/NBD"):
        return fit_value_model(now.lazy(), leaves_at_once=True)
    return fit_boosting(held, window_days=window_days)
