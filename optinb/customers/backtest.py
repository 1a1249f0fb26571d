"""Backtest: the value model, fitted without the last window, against what then happened and two naive guesses.

The guesses are those that anybody would make without a model: that the last window happens again, and that every
customer goes on at their own average rate since the first purchase.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.customers.purchases import DECIMALS, UNITS
from optinb.customers.value import ENOUGH_DAYS, ValueModel, fit_value_model
from optinb.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MODEL = "BG/NBD with Gamma-Gamma"
LAST_WINDOW = "the last window again"
OWN_RATE = "each customer's own average rate"


class Score(Struct, frozen=True, kw_only=True):
    """How a forecast of a window met what happened, over all customers who had bought before it.

    Root mean square errors are in purchases and in the currency for a customer; errors of the total are shares of what
    happened (-0.1: a tenth too low); `top_decile` is the share of all purchases made by the tenth that was forecast
    highest; `auc` is how well the forecast sorts those who bought at all from those who didn't (0.5: by chance).
    """

    name: str
    rmse_purchases: float
    total_error: float
    top_decile: float
    auc: float | None
    rmse_spend: float
    spend_total_error: float


class Backtest(Struct, frozen=True, kw_only=True):
    """The window that was held out, what happened in it, and the scores: the model first, then the naive guesses.

    `brier` is the mean squared error of the forecast chance of no purchase in the window, `brier_base` that of the same
    chance for everybody, which is the best guess without a model.
    """

    fitted_until: date
    window_days: int
    customers: int
    purchases: int
    spend: float
    scores: tuple[Score, ...]
    brier: float
    brier_base: float

    @property
    def loses_to(self) -> tuple[str, ...]:
        """What does better than the model, each as "a guess, on a figure"; empty if nothing does."""
        model, *guesses = self.scores
        lost = [f"{g.name}, on purchases" for g in guesses if g.rmse_purchases < model.rmse_purchases]
        lost += [f"{g.name}, on spend" for g in guesses if g.rmse_spend < model.rmse_spend]
        if self.brier_base < self.brier:
            lost.append("the same chance for everybody, on silence")
        return tuple(lost)


def backtest(bought: pl.LazyFrame, *, run_date: date, value_days: int) -> Backtest:
    """Holds out the last window, at most `value_days` days and a third of the history, and measures the forecast of it.

    Takes purchase days up to `run_date`. Raises ModelError, in a sentence, where the history can't be cut in two.
    """
    first = bought.select(pl.col("day").min()).collect().item()
    window_days = min(value_days, (run_date - first).days // 3) if first else 0
    if window_days < ENOUGH_DAYS:
        raise ModelError(f"a third of the history, to be held out, is {window_days} days; {ENOUGH_DAYS} are needed")
    cut = run_date - timedelta(days=window_days)
    customers = split(bought, cut=cut, window_days=window_days)
    try:
        model = fit_value_model(customers.lazy())
    except ModelError as error:
        raise ModelError(f"before {cut:%Y-%m-%d}, {error}") from error
    return judge(model, customers, cut=cut, window_days=window_days)


def split(bought: pl.LazyFrame, *, cut: date, window_days: int) -> pl.DataFrame:
    """The histories at the end of day `cut`, with what followed: a row for each buyer by then, sorted by customer_id.

    Beside the columns of a history: spend; last_purchases and last_spend in the window before the cut; next_purchases
    and next_spend in the window after it. Spend in the currency.
    """
    day, units = pl.col("day"), pl.col("spend_units")
    past = day <= cut
    last = past & (day > cut - timedelta(days=window_days))
    later = ~past & (day <= cut + timedelta(days=window_days))
    of = {"": past, "last_": last, "next_": later}
    sums = bought.group_by("customer_id").agg(
        pl.when(past).then(day).min().alias("first"),
        pl.when(past).then(day).max().alias("latest"),
        *(when.sum().cast(pl.Int64).alias(f"{name}purchases") for name, when in of.items()),
        *((pl.when(when).then(units).sum() / UNITS).round(DECIMALS).alias(f"{name}spend") for name, when in of.items()),
    )
    return (
        sums.filter(pl.col("purchases") > 0)
        .with_columns(
            repeats=pl.col("purchases") - 1,
            span_days=(pl.col("latest") - pl.col("first")).dt.total_days(),
            known_days=(pl.lit(cut) - pl.col("first")).dt.total_days(),
            average_order=pl.col("spend") / pl.col("purchases"),
        )
        .drop("first", "latest")
        .sort("customer_id")
        .collect()
    )


def judge(model: ValueModel, customers: pl.DataFrame, *, cut: date, window_days: int) -> Backtest:
    """Measures a model that was fitted on the past of `split` against what followed, beside the naive guesses."""
    scored = model.score(customers.lazy(), horizon_days=window_days, silence_days=window_days).sort("customer_id")
    own = window_days / pl.max_horizontal("known_days", pl.lit(window_days))
    table = scored.with_columns(
        own_purchases=pl.col("purchases") * own,
        own_spend=pl.col("spend") * own,
    ).collect()
    forecasts = {
        MODEL: ("expected_purchases", "future_value"),
        LAST_WINDOW: ("last_purchases", "last_spend"),
        OWN_RATE: ("own_purchases", "own_spend"),
    }
    purchases, spend = _floats(table["next_purchases"]), _floats(table["next_spend"])
    silent = (purchases == 0).astype(np.float64)
    return Backtest(
        fitted_until=cut,
        window_days=window_days,
        customers=len(table),
        purchases=int(purchases.sum()),
        spend=float(spend.sum()),
        scores=tuple(
            _score(name, _floats(table[of_purchases]), purchases, _floats(table[of_spend]), spend)
            for name, (of_purchases, of_spend) in forecasts.items()
        ),
        brier=float(np.mean((_floats(table["churn_risk"]) - silent) ** 2)),
        brier_base=float(silent.mean() * (1 - silent.mean())),
    )


def _score(name: str, purchases: Floats, true_purchases: Floats, spend: Floats, true_spend: Floats) -> Score:
    return Score(
        name=name,
        rmse_purchases=_rmse(purchases, true_purchases),
        total_error=_total_error(purchases, true_purchases),
        top_decile=captured(purchases, true_purchases),
        auc=auc(purchases, true_purchases > 0),
        rmse_spend=_rmse(spend, true_spend),
        spend_total_error=_total_error(spend, true_spend),
    )


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).to_numpy()


def _rmse(forecast: Floats, truth: Floats) -> float:
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def _total_error(forecast: Floats, truth: Floats) -> float:
    """The error of the sum as a share of the true sum; of nothing at all, 0."""
    return float(forecast.sum() / truth.sum() - 1) if truth.sum() else 0.0


def captured(forecast: Floats, truth: Floats, *, share: float = 0.1) -> float:
    """The share of all of `truth` that belongs to those forecast highest; 0 if there is nothing to capture.

    Customers of equal forecast at the edge are taken in part, at their mean, so that no order of rows decides.
    """
    room = share * len(forecast)
    edge = np.sort(forecast)[::-1][max(int(np.ceil(room)) - 1, 0)]
    above, at_edge = forecast > edge, forecast == edge
    got = truth[above].sum() + (room - above.sum()) * truth[at_edge].mean()
    return float(got / truth.sum()) if truth.sum() else 0.0


def auc(forecast: Floats, happened: NDArray[np.bool_]) -> float | None:
    """The chance that one of those it happened to was forecast higher than one of the others; None if all are alike."""
    from scipy.stats import rankdata

    yes, no = int(happened.sum()), int((~happened).sum())
    if not yes or not no:
        return None
    return float((rankdata(forecast)[happened].sum() - yes * (yes + 1) / 2) / (yes * no))
