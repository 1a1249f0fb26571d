"""Backtest: models of the future value, fitted without a past window, against what then happened, and guesses.

The guesses are those that anybody would make without a model: that everybody does what the mean customer did, that the
last window happens again, or the same days of last year, or that every customer goes on at their own average rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.customers.lifecycle import DECIMALS, UNITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optinb.customers.fitting import Floats

MEAN = "everybody like the mean"
LAST_WINDOW = "the last window again"
LAST_YEAR = "the same days of last year again"
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


class Ranking(Struct, frozen=True, kw_only=True):
    """How well the rank by recency and frequency sorted customers; the figures are those of a `Score`."""

    top_decile: float
    auc: float | None


class Backtest(Struct, frozen=True, kw_only=True):
    """The window that was held out, what happened in it, and the scores of the models and of the naive guesses.

    `ranking`: of the rank that needs no model, and is there for a marketer where none is published.
    """

    fitted_until: date
    window_days: int
    customers: int
    purchases: int
    spend: float
    models: tuple[Score, ...]
    guesses: tuple[Score, ...]
    ranking: Ranking | None = None


def split(bought: pl.LazyFrame, *, cut: date, window_days: int) -> pl.DataFrame:
    """The histories at the end of day `cut`, with what followed: a row for each buyer by then, sorted by customer_id.

    Beside the columns of a history: silent_days (since the last purchase) and spend; last_purchases and last_spend in
    the window before the cut, recent_purchases and recent_spend in its last quarter; next_purchases and next_spend in
    the window after it. Spend in the currency.
    """
    day, units = pl.col("day"), pl.col("spend_units")
    past = day <= cut
    last = past & (day > cut - timedelta(days=window_days))
    recent = past & (day > cut - timedelta(days=max(window_days // 4, 1)))
    later = ~past & (day <= cut + timedelta(days=window_days))
    of = {"": past, "last_": last, "recent_": recent, "next_": later}
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
            silent_days=(pl.lit(cut) - pl.col("latest")).dt.total_days(),
            average_order=pl.col("spend") / pl.col("purchases"),
        )
        .drop("first", "latest")
        .sort("customer_id")
        .collect()
    )


def judge(
    forecasts: Mapping[str, pl.DataFrame],
    customers: pl.DataFrame,
    *,
    cut: date,
    window_days: int,
    last_year: pl.DataFrame | None = None,
) -> Backtest:
    """Measures forecasts of the window after the cut of `split`, by name, beside the naive guesses.

    Each forecast has the rows of `customers`, in their order, and expected_purchases and future_value; so has
    `last_year`, what they did in the same days of the year before, where that is known and
    another window than the last.
    """
    own = window_days / pl.max_horizontal("known_days", pl.lit(window_days))
    guessed = {
        MEAN: customers.select(
            expected_purchases=pl.col("last_purchases").mean() + 0 * pl.col("last_purchases"),
            future_value=pl.col("last_spend").mean() + 0 * pl.col("last_spend"),
        ),
        LAST_WINDOW: customers.select(expected_purchases="last_purchases", future_value="last_spend"),
        **({LAST_YEAR: last_year} if last_year is not None else {}),
        OWN_RATE: customers.select(expected_purchases=pl.col("purchases") * own, future_value=pl.col("spend") * own),
    }
    purchases, spend = _floats(customers["next_purchases"]), _floats(customers["next_spend"])
    ranked = _floats(customers.select(recency_frequency("silent_days", "purchases")).to_series())

    def scores(made: Mapping[str, pl.DataFrame]) -> tuple[Score, ...]:
        return tuple(
            _score(name, _floats(frame["expected_purchases"]), purchases, _floats(frame["future_value"]), spend)
            for name, frame in made.items()
        )

    return Backtest(
        fitted_until=cut,
        window_days=window_days,
        customers=len(customers),
        purchases=int(purchases.sum()),
        spend=float(spend.sum()),
        models=scores(forecasts),
        guesses=scores(guessed),
        ranking=Ranking(top_decile=captured(ranked, purchases), auc=auc(ranked, purchases > 0)),
    )


def recency_frequency(silent_days: str, purchases: str) -> pl.Expr:
    """A percentile (1 to 100, 100 is best; Int64) of customers by how lately and how often they bought, alike.

    Reads the columns of these names; null of nulls.
    """
    lately = pl.col(silent_days).rank("average", descending=True) / pl.col(silent_days).count()
    often = pl.col(purchases).rank("average") / pl.col(purchases).count()
    both = lately + often
    return (100 * both.rank("average") / both.count()).ceil().cast(pl.Int64)


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
