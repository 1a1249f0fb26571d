"""Future value: expected purchases (BG/NBD) times expected spend for a purchase (Gamma-Gamma), and churn risk.

A buyer's history is a row of repeats (purchase days after the first), span_days (from the first to the last),
known_days (from the first to the night), purchases and average_order. Many buyers share the first three: the models are
fitted on the different ones with weights, and scored by a lookup table that is joined back.
"""

from __future__ import annotations

import polars as pl
from msgspec import Struct

from optinb.customers.bgnbd import BgNbd, fit_bgnbd
from optinb.customers.gamma_gamma import GammaGamma, fit_gamma_gamma
from optinb.errors import ModelError

HISTORY = ("repeats", "span_days", "known_days")
ENOUGH_BUYERS = 100
ENOUGH_REPEATERS = 50
ENOUGH_DAYS = 28
"""With fewer buyers, buyers of a second time, or days since the first purchase of all, no model is fitted."""

HIGH_ABOVE, MEDIUM_ABOVE = 80, 50
"""Value ranks above which a customer is of high and of medium value: the best fifth, and the three tenths below it."""

VALUE_SEGMENTS: tuple[str, ...] = ("high", "medium", "low", "none")
"""Bands of future value; "none" has no future value: never bought, or no model could be fitted."""


class ValueModel(Struct, frozen=True, kw_only=True):
    """Both fitted models; times are in days, money in the workspace's currency."""

    purchases: BgNbd
    spend: GammaGamma

    def lookup(self, histories: pl.LazyFrame, *, horizon_days: int, silence_days: int) -> pl.DataFrame:
        """A row for each different history: expected_purchases in the horizon and churn_risk (both Float64)."""
        different = histories.select(HISTORY).unique().sort(HISTORY).collect()
        figures = tuple(different[name].to_numpy() for name in HISTORY)
        return different.with_columns(
            expected_purchases=pl.Series(self.purchases.expected_purchases(*figures, horizon=horizon_days)),
            churn_risk=pl.Series(self.purchases.p_silent(*figures, horizon=silence_days)),
        )

    def score(self, histories: pl.LazyFrame, *, horizon_days: int, silence_days: int) -> pl.LazyFrame:
        """The histories with expected_purchases, future_value and churn_risk, in no particular order."""
        table = self.lookup(histories, horizon_days=horizon_days, silence_days=silence_days)
        spend = self.spend.expected_spend(pl.col("purchases"), pl.col("average_order"))
        return histories.join(table.lazy(), on=HISTORY).with_columns(future_value=pl.col("expected_purchases") * spend)


def histories(features: pl.LazyFrame) -> pl.LazyFrame:
    """The histories of all buyers in a feature table: customer_id, `HISTORY`, purchases and average_order."""
    return features.filter(pl.col("purchases") > 0).select(
        "customer_id",
        repeats=pl.col("purchases") - 1,
        span_days=pl.col("days_since_first_purchase") - pl.col("recency_days"),
        known_days=pl.col("days_since_first_purchase"),
        purchases=pl.col("purchases"),
        average_order=pl.col("average_order"),
    )


def fit_value_model(buyers: pl.LazyFrame) -> ValueModel:
    """Fits both models to histories; the same rows in any order give the same model.

    Raises ModelError, in a sentence for people, if the data can't carry a model.
    """
    facts = buyers.select(
        buyers=pl.len(), repeaters=(pl.col("repeats") > 0).sum(), days=pl.col("known_days").max().fill_null(0)
    )
    count, repeaters, days = facts.collect().row(0)
    if count == 0:
        raise ModelError("there is no purchase to learn from")
    if days < ENOUGH_DAYS:
        raise ModelError(f"the history is {days} days long; {ENOUGH_DAYS} are needed")
    if count < ENOUGH_BUYERS:
        raise ModelError(f"the number of customers with a purchase is {count}; {ENOUGH_BUYERS} are needed")
    if repeaters < ENOUGH_REPEATERS:
        raise ModelError(f"the number of customers who bought twice is {repeaters}; {ENOUGH_REPEATERS} are needed")
    rhythm = buyers.group_by(HISTORY).agg(weight=pl.len()).sort(HISTORY).collect()
    if len(rhythm) == 1:
        raise ModelError("all customers have the same purchase history, so nothing tells one from another")
    basket = ("purchases", "average_order")
    money = buyers.group_by(basket).agg(weight=pl.len()).sort(basket).collect()
    return ValueModel(
        purchases=fit_bgnbd(*(rhythm[name] for name in HISTORY), weights=rhythm["weight"]),
        spend=fit_gamma_gamma(money["purchases"], money["average_order"], weights=money["weight"]),
    )


def value_rank() -> pl.Expr:
    """The percentile (1 to 100, 100 is highest; Int64) of future_value among all customers who have one."""
    value = pl.col("future_value")
    return (100 * value.rank("average") / value.count()).ceil().cast(pl.Int64)


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
