"""Gradient boosting: the future value learnt from what customers with such figures did in the window before.

For workspaces whose customers are told apart by more than when and for how much they bought: it also reads what IT
delivers about them. Whether it is used is decided by the backtest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from optinb.customers.sampling import sample
from optinb.customers.threads import one_thread
from optinb.customers.value import FORECAST, ValueModel, fit_value_model
from optinb.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "gradient boosting"
FIGURES = ("silent_days", "average_order", "last_purchases", "last_spend", "recent_purchases", "recent_spend")
"""Columns of `split` that it learns from, beside the forecast of the BG/NBD: none that only grows with the history.

What a tree has learnt of customers known for 200 days at most says nothing of the same customers a window later. With
such columns the total of a grocer was forecast 25 % too high, and that of CDNOW 44 %.
"""

ENOUGH_CUSTOMERS = 1_000
LEARNS_FROM = 100_000
"""Fewer customers teach it nothing that lasts; more, drawn by a hash of the id, hardly anything that fewer don't."""

MOST_VALUES = 20
"""A text with more different values than this is a name, not a kind of customer."""


class Boosted:
    """A fitted model of the purchases and the spend of a window."""

    name = NAME

    def __init__(self, purchases: Any, spend: Any, inputs: _Inputs) -> None:
        self._purchases, self._spend, self._inputs = purchases, spend, inputs

    def forecast(self, buyers: pl.DataFrame, *, days: int) -> pl.DataFrame:
        """expected_purchases and future_value of each row of `buyers` in the coming days, in the same order.

        Other days than the window's are reckoned in proportion, since nothing was learnt of them.
        """
        figures, part = self._inputs.matrix(buyers), days / self._inputs.window_days
        models = (self._purchases, self._spend)
        made = (np.maximum(one_thread(model.predict)(figures), 0) * part for model in models)
        return buyers.select("customer_id", **dict(zip(FORECAST, map(pl.Series, made), strict=True)))


def fit_boosting(split: pl.DataFrame, *, window_days: int, attributes: pl.DataFrame) -> Boosted:
    """Learns next_purchases and next_spend of a `split`; `attributes` are those of `coded`.

    Deterministic for the same rows in any order. Raises ModelError if there are too few customers.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting: Any = HistGradientBoostingRegressor  # sklearn's defaults mislead the type checker

    if len(split) < ENOUGH_CUSTOMERS:
        raise ModelError(f"{len(split)} customers had bought two windows ago; {ENOUGH_CUSTOMERS:,} are needed")
    if not split["next_purchases"].sum():
        raise ModelError("nobody bought in the window that it would learn from")
    drawn = sample(split, LEARNS_FROM)
    inputs = _Inputs(fit_value_model(split.lazy()), window_days, attributes)
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


def coded(customers: pl.LazyFrame, *, leave: frozenset[str]) -> pl.DataFrame:
    """customer_id and a Float64 column for each attribute that tells kinds of customers apart, but those in `leave`.

    Numbers stay, yes and no are 1 and 0, a text is the place of its value in the alphabet; null stays null.
    """
    schema = customers.collect_schema()
    texts = [name for name, kind in schema.items() if kind == pl.String and name not in leave]
    counts = customers.select(pl.col(texts).n_unique()).collect().row(0) if texts else ()
    few = [name for name, count in zip(texts, counts, strict=True) if count <= MOST_VALUES]
    plain = [name for name, kind in schema.items() if (kind.is_numeric() or kind == pl.Boolean) and name not in leave]
    return customers.select(
        "customer_id",
        *(pl.col(name).rank("dense").cast(pl.Float64) for name in few),
        *(pl.col(name).cast(pl.Float64) for name in plain),
    ).collect()


@dataclass(frozen=True)
class _Inputs:
    """What the trees are shown of a buyer: the forecast of a simpler model, figures, and what is delivered."""

    simpler: ValueModel
    window_days: int
    attributes: pl.DataFrame
    telling: tuple[int, ...] | None = None

    def matrix(self, buyers: pl.DataFrame) -> NDArray[np.float64]:
        told = buyers.select("customer_id").join(self.attributes, on="customer_id", how="left", maintain_order="left")
        forecast = self.simpler.forecast(buyers, days=self.window_days)
        columns = [*(forecast[name] for name in FORECAST), *(buyers[name].cast(pl.Float64) for name in FIGURES)]
        columns += [column.fill_null(float("nan")) for column in told.drop("customer_id")]
        chosen = columns if self.telling is None else [columns[i] for i in self.telling]
        return np.column_stack([column.to_numpy() for column in chosen])


def _telling(figures: NDArray[np.float64]) -> tuple[int, ...]:
    """The columns with more than one known value; the trees fail on others."""
    known = (column[np.isfinite(column)] for column in figures.T)
    return tuple(i for i, column in enumerate(known) if len(column) and np.ptp(column) > 0)
