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
        buyers_inside: share of buyers inside their range, of those it wasn't learnt on.
        below_high: share of all at or below the upper end, of those it wasn't learnt on.
    """

    chance: Curve
    low: Curve
    high: Curve
    buyers_low: Curve
    buyers_high: Curve
    buyers_inside: float
    below_high: float

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


def learn_ranges(customers: pl.DataFrame) -> Ranges:
    """The ranges from what was forecast of the held-out windows, and what followed.

    Takes customer_id, expected_purchases and future_value (the forecast), purchases and spent (what followed).
    """
    whole = _learn(customers)
    half = pl.col("customer_id").hash(7) % 2
    checked = pl.concat(
        _learn(customers.filter(half == side)).of(customers.filter(half != side))
        for side in (0, 1)
        if customers.filter(half == side)["purchases"].gt(0).sum() > 0
    )
    spent, buys = pl.col("spent"), pl.col("purchases") > 0
    inside = spent.is_between("value_if_buying_low", "value_if_buying_high").filter(buys)
    below = (spent <= pl.col("future_value_high")).mean()
    held, under = checked.select(held=inside.mean().fill_null(0.0), under=below.fill_null(0.0)).row(0)
    return replace(whole, buyers_inside=held, below_high=under)


def _learn(customers: pl.DataFrame) -> Ranges:
    expected, value, spent = (_floats(customers, name) for name in ("expected_purchases", "future_value", "spent"))
    bought = customers["purchases"].to_numpy() > 0
    bands = _bands(expected)
    happened = [(bought[band].sum() + 0.5) / (len(band) + 1) for band in bands]
    chance = _curve([expected[band].mean() for band in bands], happened)
    told = np.clip(chance(expected), LEAST_CHANCE, MOST_CHANCE)
    buying, paid = (value / told)[bought], spent[bought]
    all_bands, buyer_bands = _bands(value), _bands(buying)

    def percentile(forecast: Floats, truth: Floats, bands: list[np.ndarray], share: float) -> Curve:
        return _curve(
            [forecast[band].mean() for band in bands], [float(np.quantile(truth[band], share)) for band in bands]
        )

    return Ranges(
        chance=chance,
        low=percentile(value, spent, all_bands, TAIL),
        high=percentile(value, spent, all_bands, 1 - TAIL),
        buyers_low=percentile(buying, paid, buyer_bands, BUYERS_TAIL),
        buyers_high=percentile(buying, paid, buyer_bands, 1 - BUYERS_TAIL),
        buyers_inside=0.0,
        below_high=0.0,
    )


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
