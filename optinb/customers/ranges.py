"""What customers with such a forecast did: the chance of any purchase, and the ranges in which their spend lay.

A forecast of 12 is the mean of many who spend nothing and a few who spend 80: no range around 12 says anything of
those few. So two things are told apart: whether somebody buys, and how much those spend who do. The range of all has
the forecast inside, and an upper end that nine in ten stay at or below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.customers.fitting import Floats

BANDS = 20
ENOUGH_IN_BAND = 30
INSIDE = 0.8
"""A range holds so many of those it is told of, as many below as above."""

TAIL = (1 - INSIDE) / 2
BUYERS_TAIL = 0.9 * TAIL
"""Percentiles that held in past windows hold a little less in the next; measured on nine sets of data, by so much."""


class Curve(Struct, frozen=True, kw_only=True):
    """A rising figure by a forecast, as points between which it is straight; beyond them it is in proportion."""

    forecast: tuple[float, ...]
    figure: tuple[float, ...]

    def __call__(self, forecast: Floats) -> Floats:
        """The figure (Float64) at each forecast."""
        first, last = self.forecast[0], self.forecast[-1]
        inside = np.interp(forecast, self.forecast, self.figure)
        below = self.figure[0] * forecast / max(first, 1e-12)
        above = self.figure[-1] * forecast / max(last, 1e-12)
        return np.where(forecast < first, below, np.where(forecast > last, above, inside))


class Ranges(Struct, frozen=True, kw_only=True):
    """Curves of what followed forecasts in the held-out windows.

    Attributes:
        chance: of any purchase, by expected purchases.
        low: 10th percentile of the spend of all, by future value.
        high: its 90th percentile.
        buyers_low: 10th percentile of the spend of those who bought, by their value if they buy.
        buyers_high: its 90th percentile.
        buyers_inside: share of buyers inside their range, in windows that it wasn't learnt on.
        below_high: share of all at or below the upper end there. Where more than nine in ten of those with such a
            forecast spend nothing, the end is the forecast itself, and more than nine in ten are below.
        high_at_forecast: share of those.
    """

    chance: Curve
    low: Curve
    high: Curve
    buyers_low: Curve
    buyers_high: Curve
    buyers_inside: float
    below_high: float
    high_at_forecast: float = 0.0

    def of(self, forecast: pl.DataFrame) -> pl.DataFrame:
        """`forecast` (expected_purchases, future_value) with `RANGED`."""
        expected, value = (_floats(forecast, name) for name in ("expected_purchases", "future_value"))
        chance = np.minimum(np.clip(self.chance(expected), 0, MOST_CHANCE), np.where(expected > 0, 1.0, 0.0))
        buying = value / np.maximum(chance, LEAST_CHANCE)
        figures = (
            chance,
            np.minimum(self.low(value), value),
            np.maximum(self.high(value), value),
            buying,
            np.minimum(self.buyers_low(buying), buying),
            np.maximum(self.buyers_high(buying), buying),
        )
        return forecast.with_columns(pl.Series(name, made) for name, made in zip(RANGED, figures, strict=True))


RANGED = (
    "purchase_chance", "future_value_low", "future_value_high", "value_if_buying", "value_if_buying_low",
    "value_if_buying_high",
)  # fmt: skip
"""What `Ranges.of` adds: Float64; a share, and the currency."""

LEAST_CHANCE, MOST_CHANCE = 1e-3, 0.995
"""No past window can show that something is certain."""


def learn_ranges(windows: Sequence[pl.DataFrame]) -> Ranges:
    """The ranges from what was forecast of the held-out windows, the newest first, and what followed.

    Each has customer_id, expected_purchases and future_value (the forecast), purchases and spent (what followed). How
    well they hold is told of each window by what the others say, so that what changes between windows counts; of a
    single window, of each half of its customers by the other.
    """
    first = windows[0]
    half = pl.col("customer_id").hash(7) % 2
    parts = windows if len(windows) > 1 else [first.filter(half == side) for side in (0, 1)]
    tests = []
    for i, part in enumerate(parts):
        others = [*parts[:i], *parts[i + 1 :]]
        if any(other["purchases"].gt(0).any() for other in others):
            tests.append(_learn(others).of(part))
    checked = pl.concat(tests)
    spent, high, buys = pl.col("spent"), pl.col("future_value_high"), pl.col("purchases") > 0
    inside = spent.is_between("value_if_buying_low", "value_if_buying_high").filter(buys)
    figures = checked.select(
        buyers_inside=inside.mean().fill_null(0.0),
        below_high=(spent <= high).mean().fill_null(0.0),
        high_at_forecast=(high <= pl.col("future_value")).mean().fill_null(0.0),
    )
    return replace(_learn(windows), **figures.row(0, named=True))


def _learn(windows: Sequence[pl.DataFrame]) -> Ranges:
    """The curves; of all, who are many, from the newest window, which knew most; of the few who buy from all windows.

    By how much a total was off is a window's own (a good autumn), and hardly that of the next: it is taken out first.
    """
    level = [_with_right_totals(window) for window in windows]
    newest, customers = level[0], pl.concat(level)
    expected, value, spent = _figures(customers)
    bought = customers["purchases"].to_numpy() > 0
    bands = _bands(expected)
    happened = [(bought[band].sum() + 0.5) / (len(band) + 1) for band in bands]
    chance = _curve([expected[band].mean() for band in bands], happened)
    told = np.clip(chance(expected), LEAST_CHANCE, MOST_CHANCE)
    buying, paid = (value / told)[bought], spent[bought]
    _, of_all, spent_by_all = _figures(newest)

    def percentile(forecast: Floats, truth: Floats, share: float) -> Curve:
        bands = _bands(forecast)
        return _curve(
            [forecast[band].mean() for band in bands], [float(np.quantile(truth[band], share)) for band in bands]
        )

    return Ranges(
        chance=chance,
        low=percentile(of_all, spent_by_all, TAIL),
        high=percentile(of_all, spent_by_all, 1 - TAIL),
        buyers_low=percentile(buying, paid, BUYERS_TAIL),
        buyers_high=percentile(buying, paid, 1 - BUYERS_TAIL),
        buyers_inside=0.0,
        below_high=0.0,
    )


def _with_right_totals(window: pl.DataFrame) -> pl.DataFrame:
    """The window with forecasts whose sums are what followed; as it is, where nothing was forecast or followed."""

    def scaled(forecast: str, truth: str) -> pl.Expr:
        meant, happened = (float(_floats(window, name).sum()) for name in (forecast, truth))
        return pl.col(forecast) * (happened / meant if meant and happened else 1.0)

    return window.with_columns(scaled("expected_purchases", "purchases"), scaled("future_value", "spent"))


def _figures(table: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
    expected, value, spent = (_floats(table, name) for name in ("expected_purchases", "future_value", "spent"))
    return expected, value, spent


def _bands(forecast: Floats) -> list[np.ndarray]:
    """The places of customers of like forecasts, the lowest first; equal forecasts share a band."""
    count = int(np.clip(len(forecast) // ENOUGH_IN_BAND, 1, BANDS))
    edges = np.unique(np.quantile(forecast, np.linspace(0, 1, count + 1)[1:-1]))
    which = np.searchsorted(edges, forecast, side="left")
    return [np.flatnonzero(which == band) for band in np.unique(which)]


def _curve(forecast: list[float], figure: list[float]) -> Curve:
    return Curve(forecast=tuple(map(float, forecast)), figure=tuple(np.maximum.accumulate(np.array(figure)).tolist()))


def _floats(table: pl.DataFrame, name: str) -> Floats:
    return table[name].cast(pl.Float64).to_numpy()
