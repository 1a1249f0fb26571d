"""What changes with the calendar: the season, from the same days a year before, and the trend of prices.

A model of a steady rhythm expects of every quarter the same, and a shop sells half its year before Christmas. By how
much the same model was wrong about the same days of the year before is the best that is known of the season; how far to
believe it is a matter of how many purchases it was seen in, and whether it would have helped in the past windows.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from optinb.customers.boosting import Rhythm, expected
from optinb.customers.value import HISTORY

YEAR_DAYS = 365
MOST_DAYS = 300
"""A longer window holds nearly a whole year, of which the season is no part."""

LEAST_KNOWN_DAYS = 90
"""What was bought in so many days before the window of last year must be known."""

USUAL_ERROR = 0.05
"""How far the total of a model is off without any season, as a share."""

MOST_TREND = 1.0
"""Prices that more than double in a year, or fall as fast, are believed no further."""


def index_of(bought: pl.LazyFrame, rhythm: Rhythm, cut: date, days: int) -> tuple[float, int]:
    """What was bought in so many days after a cut as a multiple of what `rhythm` expects, and how many purchases.

    Takes purchase days of which those who hadn't bought by the cut don't count. 1 where nothing is expected.
    """
    day = pl.col("day")
    past = bought.filter(day <= cut).group_by("customer_id")
    histories = past.agg(
        repeats=pl.len().cast(pl.Int64) - 1,
        span_days=(day.max() - day.min()).dt.total_days(),
        known_days=(pl.lit(cut) - day.min()).dt.total_days(),
    )
    later = bought.filter(day > cut, day <= cut + timedelta(days=days)).join(histories, on="customer_id", how="semi")
    known, count = histories.sort(*HISTORY).collect(), later.select(pl.len()).collect().item()
    meant = float(expected(rhythm, known, days=days).sum()) if len(known) else 0.0
    return (count / meant if meant and count else 1.0), count


def season_ahead(bought: pl.LazyFrame, rhythm: Rhythm, cut: date, days: int, *, first: date) -> float | None:
    """The factor for the days after a cut, from the year before; None where that isn't known.

    A factor is believed in proportion to its square over that of its likely error: near 1 it is taken for chance.
    """
    then = cut - timedelta(days=YEAR_DAYS)
    if days > MOST_DAYS or (then - first).days < LEAST_KNOWN_DAYS:
        return None
    index, count = index_of(bought, rhythm, then, days)
    size, error = float(np.log(index)), 2 / max(count, 1) ** 0.5 + USUAL_ERROR
    return float(np.exp(size * size**2 / (size**2 + error**2)))


def price_trend(bought: pl.LazyFrame) -> float:
    """By what share a purchase becomes dearer in a year, in logs (0.1: by 10.5 %); customers compared with themselves.

    Takes purchase days. Least squares of the log of spend on time, within customers, drawn towards 0 by its own error.
    """
    rows = bought.filter(pl.len().over("customer_id") > 1).sort("customer_id", "day").collect()
    if rows["customer_id"].n_unique() < 2:
        return 0.0
    mine = rows["customer_id"].rle_id().to_numpy()
    counts = np.bincount(mine)
    at = rows["day"].to_physical().cast(pl.Float64).to_numpy() / YEAR_DAYS
    spend = np.log(rows["spend_units"].to_numpy().astype(np.float64))
    at, spend = (v - (np.bincount(mine, weights=v) / counts)[mine] for v in (at, spend))
    spread = float(at @ at)
    if not spread:
        return 0.0
    slope = float(at @ spend) / spread
    left = spend - slope * at
    error = float(left @ left) / max(len(at) - len(counts) - 1, 1) / spread
    shrunk = slope * slope**2 / (slope**2 + 4 * error) if slope else 0.0
    return float(np.clip(shrunk, -MOST_TREND, MOST_TREND))
