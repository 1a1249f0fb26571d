"""Future value: expected purchases (BG/NBD or MBG/NBD) times expected spend for a purchase (Gamma-Gamma).

A buyer's history is a row of repeats (purchase days after the first), span_days (from the first to the last),
known_days (from the first to the night), purchases and average_order. Many buyers share the first three: the models are
fitted on the different ones with weights, and scored by a lookup table that is joined back.

One fit for all buyers, not one a lifecycle stage: stages are made of silence, which is what these models explain.
Fitted apart for the active and the churned buyers of the CDNOW sample, the error of the holdout grows from 1.608 to
1.841 purchases and the AUC falls from 0.773 to 0.739; a stage has its own ranks all the same.

Here too: where a customer stands by it (ranks, segments).
"""

from __future__ import annotations

import polars as pl
from msgspec import Struct

from optinb.customers.bgnbd import BgNbd, GammaGamma, fit_bgnbd, fit_gamma_gamma
from optinb.errors import ModelError

HISTORY = ("repeats", "span_days", "known_days")
ENOUGH_BUYERS = 100
ENOUGH_REPEATERS = 50
ENOUGH_DAYS = 28
"""With fewer buyers, buyers of a second time, or days since the first purchase of all, no model is fitted."""


class ValueModel(Struct, frozen=True, kw_only=True):
    """Both fitted models; times are in days, money in the workspace's currency."""

    purchases: BgNbd
    spend: GammaGamma

    @property
    def name(self) -> str:
        """What the card calls it."""
        return f"{self.purchases.name} with Gamma-Gamma"

    def lookup(self, histories: pl.LazyFrame, *, horizon_days: int, silence_days: int) -> pl.DataFrame:
        """A row for each different history: expected_purchases in the horizon and the chance of silence (Float64)."""
        different = histories.select(HISTORY).unique().sort(HISTORY).collect()
        figures = tuple(different[name].to_numpy() for name in HISTORY)
        return different.with_columns(
            expected_purchases=pl.Series(self.purchases.expected_purchases(*figures, horizon=horizon_days)),
            silence=pl.Series(self.purchases.p_silent(*figures, horizon=silence_days)),
        )

    def score(self, histories: pl.LazyFrame, *, horizon_days: int, silence_days: int) -> pl.LazyFrame:
        """The histories with expected_purchases, future_value and silence, in no particular order."""
        table = self.lookup(histories, horizon_days=horizon_days, silence_days=silence_days)
        spend = self.spend.expected_spend(pl.col("purchases"), pl.col("average_order"))
        return histories.join(table.lazy(), on=HISTORY).with_columns(future_value=pl.col("expected_purchases") * spend)

    def forecast(self, buyers: pl.DataFrame, *, days: int) -> pl.DataFrame:
        """expected_purchases and future_value of each row of `buyers` in the coming days, in the same order."""
        scored = self.score(buyers.lazy(), horizon_days=days, silence_days=days).select("customer_id", *FORECAST)
        return buyers.select("customer_id").join(scored.collect(), on="customer_id", maintain_order="left")


FORECAST = ("expected_purchases", "future_value")
"""What a model of the future value gives for each buyer."""


def fit_value_model(buyers: pl.LazyFrame, *, leaves_at_once: bool = False) -> ValueModel:
    """Fits both models to histories; the same rows in any order give the same model.

    `leaves_at_once` takes the MBG/NBD. Raises ModelError, in a sentence for people, if the data can't carry a model.
    """
    rhythm = rhythms(buyers)
    basket = ("purchases", "average_order")
    money = buyers.group_by(basket).agg(weight=pl.len()).sort(basket).collect()
    return ValueModel(
        purchases=fit_rhythm(rhythm, leaves_at_once=leaves_at_once),
        spend=fit_gamma_gamma(money["purchases"], money["average_order"], weights=money["weight"]),
    )


def rhythms(buyers: pl.LazyFrame) -> pl.DataFrame:
    """The different histories, sorted, with a weight: how many buyers share each. Raises ModelError for too few."""
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
    found = buyers.group_by(HISTORY).agg(weight=pl.len()).sort(HISTORY).collect()
    if len(found) == 1:
        raise ModelError("all customers have the same purchase history, so nothing tells one from another")
    return found


def fit_rhythm(rhythm: pl.DataFrame, *, leaves_at_once: bool) -> BgNbd:
    """The model of when customers buy, from `rhythms`."""
    figures = (rhythm[name] for name in HISTORY)
    return fit_bgnbd(*figures, weights=rhythm["weight"], leaves_at_once=leaves_at_once)


HIGH_ABOVE, MEDIUM_ABOVE = 80, 50
"""Value ranks above which a customer is of high and of medium value: the best fifth, and the three tenths below it."""

VALUE_SEGMENTS: tuple[str, ...] = ("high", "medium", "low", "none")
"""Bands of future value; "none" has no future value: never bought, or no model could be fitted."""


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
