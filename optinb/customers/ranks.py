"""Where a customer stands by future value: ranks, segments, and the range in which most of those like them end up."""

from __future__ import annotations

import polars as pl
from msgspec import Struct

HIGH_ABOVE, MEDIUM_ABOVE = 80, 50
"""Value ranks above which a customer is of high and of medium value: the best fifth, and the three tenths below it."""

VALUE_SEGMENTS: tuple[str, ...] = ("high", "medium", "low", "none")
"""Bands of future value; "none" has no future value: never bought, or no model could be fitted."""

BANDS = 20
INSIDE = 0.8
"""A range is learnt for each twentieth of the customers by forecast, and is to hold so many of them."""


class Ranges(Struct, frozen=True, kw_only=True):
    """What customers spent in the held-out window, as multiples of their forecast, by band of the forecast.

    `low` and `high` hold the 10th and 90th percentile for each band, the lowest forecasts first; `covered` is the share
    of the customers inside when the ranges are learnt on one half of them and looked at on the other.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    covered: float

    def columns(self) -> tuple[pl.Expr, pl.Expr]:
        """future_value_low and future_value_high (the currency) of a table with future_value."""
        value = pl.col("future_value")
        edges = {"future_value_low": self.low, "future_value_high": self.high}
        low, high = (
            (value * band_of(value).replace_strict(range(BANDS), list(by), return_dtype=pl.Float64)).alias(name)
            for name, by in edges.items()
        )
        return low, high


def learn_ranges(customers: pl.DataFrame) -> Ranges:
    """The ranges from customer_id (sorted), future_value (the forecast of a window) and spent (what then happened)."""
    banded = customers.select(
        "spent", "future_value", band=band_of(pl.col("future_value")), half=pl.col("customer_id").hash(7) % 2
    )
    one, other = (_percentiles(banded.filter(pl.col("half") == half)) for half in (0, 1))
    inside = [
        part.join(learnt, on="band").select(
            pl.col("spent").is_between(pl.col("low") * pl.col("future_value"), pl.col("high") * pl.col("future_value"))
        )
        for part, learnt in ((banded.filter(half=1), one), (banded.filter(half=0), other))
    ]
    whole = pl.DataFrame({"band": range(BANDS)}).cast(pl.Int32).join(_percentiles(banded), on="band", how="left")
    whole = whole.sort("band").with_columns(pl.col("low", "high").forward_fill().backward_fill())
    return Ranges(
        low=tuple(whole["low"]),
        high=tuple(whole["high"]),
        covered=float(pl.concat(inside).to_series().mean() or 0.0),  # type: ignore[arg-type]
    )


def band_of(value: pl.Expr) -> pl.Expr:
    """The band (0 to BANDS - 1, Int32; null of null) of each value among all; equal values share a band."""
    return (BANDS * (value.rank("average") - 0.5) / value.count()).floor().clip(0, BANDS - 1).cast(pl.Int32)


def _percentiles(banded: pl.DataFrame) -> pl.DataFrame:
    share = pl.col("spent") / pl.col("future_value").clip(1e-9)
    return banded.group_by("band").agg(
        low=share.quantile((1 - INSIDE) / 2, "linear"), high=share.quantile((1 + INSIDE) / 2, "linear")
    )


def value_rank(*, within: str | None = None) -> pl.Expr:
    """The percentile (1 to 100, 100 is highest; Int64) of future_value among all who have one, or of a stage."""
    value = pl.col("future_value")
    share = value.rank("average") / value.count()
    return (100 * (share.over(within) if within else share)).ceil().cast(pl.Int64)


def value_segment() -> pl.Expr:
    """The band of `VALUE_SEGMENTS` (String) that a value_rank falls in."""
    rank = pl.col("value_rank")
    return (
        pl.when(rank.is_null())
        .then(pl.lit("none"))
        .when(rank > HIGH_ABOVE)
        .then(pl.lit("high"))
        .when(rank > MEDIUM_ABOVE)
        .then(pl.lit("medium"))
        .otherwise(pl.lit("low"))
    )
