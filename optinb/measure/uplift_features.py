"""What was known of customers on a night, as figures that a learner takes, and the same of another night."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.customers.model import NO_ATTRIBUTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 60
"""A text with more tells places or names, not kinds of people."""
FEWEST = 30
"""A value that fewer customers have may name one of them, and nothing is learned of it."""
Codes = Mapping[str, tuple[str, ...] | None]
"""The columns that are learned from, in order: of a text the values that it had, in the order of their codes."""


def known_on(customers: pl.LazyFrame, night: date) -> pl.LazyFrame:
    """The attributes of customers of a night: days as days before it, numbers and yes or no as figures, texts as texts.

    Args:
        customers: a row for each, with customer_id and whatever is known of them.
        night: which one.
    """
    made: list[pl.Expr] = []
    for name, kind in customers.collect_schema().items():
        if name in NO_ATTRIBUTES:
            continue
        if kind == pl.Date or kind.base_type() == pl.Datetime:
            before = pl.lit(night).cast(pl.Date) - pl.col(name).cast(pl.Date)
            made.append(before.dt.total_days().cast(pl.Float64).alias(name))
        elif kind.is_numeric() or kind == pl.Boolean:
            made.append(pl.col(name).cast(pl.Float64))
        elif kind == pl.String:
            made.append(pl.col(name))
    return customers.select("customer_id", *made)


def codes_of(known: pl.DataFrame) -> Codes:
    """What is learned from: attributes that aren't the same for everybody, of texts those of few values.

    Of a text, values that few customers have are left out: what is learned is kept, and names nobody.

    Args:
        known: as of `known_on`.
    """
    codes: dict[str, tuple[str, ...] | None] = {}
    for name, kind in known.drop("customer_id").schema.items():
        counted = known[name].drop_nulls().value_counts()
        if counted.height < 2:
            continue
        if kind != pl.String:
            codes[name] = None
        elif counted.height <= MOST_VALUES:
            often = counted.filter(pl.col("count") >= FEWEST)[name]
            codes |= {name: tuple(often.sort())} if len(often) else {}
    return codes


def figures_of(known: pl.DataFrame, codes: Codes) -> NDArray[np.float64]:
    """The figures (customers x columns) that are learned from; what isn't known, or is a new value, is NaN.

    Args:
        known: as of `known_on`; columns that it lacks aren't known.
        codes: as of `codes_of`.
    """
    if not codes:
        return np.empty((known.height, 0))
    made = [_figure(known, name, values).alias(name) for name, values in codes.items()]
    return known.select(made).cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _figure(known: pl.DataFrame, name: str, values: tuple[str, ...] | None) -> pl.Expr:
    if name not in known.columns:
        return pl.lit(None, pl.Float64)
    if values is None:
        return pl.col(name).cast(pl.Float64)
    places = [float(place) for place in range(len(values))]
    return pl.col(name).replace_strict(list(values), places, default=None, return_dtype=pl.Float64)
