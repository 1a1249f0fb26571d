"""Lifecycle stages: every customer is in exactly one, by rules that anyone can check by hand.

In this order, the first that fits:

- **dormant**: no purchase yet.
- **churned**: the latest purchase is more than `churn_days` ago.
- **reactivated**: in the last `reactivated_days` days they bought again after a pause of more than `churn_days`.
- **new**: the first purchase is at most `new_days` ago.
- **active**: all others, who bought in the last `churn_days` days.

A pause is the number of days between two neighbouring purchase days. A customer who churns again after coming back is
churned, whatever the comeback. The three thresholds are settings; `churn_days` is taken from the data if it isn't set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import narwhals as nw
import polars as pl
from msgspec import Struct

if TYPE_CHECKING:
    from optinb.settings import LifecycleSection

STAGES: tuple[str, ...] = ("new", "active", "churned", "reactivated", "dormant")
"""The stages, in the order in which they are shown."""

CHURN_BOUNDS = (14, 365)
"""The shortest and the longest time in days that the data may choose for a churn."""

DEFAULT_CHURN_DAYS = 90
ENOUGH_PAUSES = 100
"""With fewer pauses than this a percentile near the end is chance, and the default is taken."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """Days that separate the stages, where `churn_days` comes from, and a sentence with the figures behind it."""

    new_days: int
    churn_days: int
    reactivated_days: int
    churn_source: Literal["settings", "data", "default"]
    explanation: str


def pause_histogram(bought: pl.LazyFrame) -> pl.DataFrame:
    """How often each pause occurs: pause_days (Int64, ascending) and pauses (Int64), from purchase days."""
    return (
        bought.filter(pl.col("pause_days").is_not_null())
        .group_by(pl.col("pause_days").cast(pl.Int64))
        .agg(pauses=pl.len().cast(pl.Int64))
        .sort("pause_days")
        .collect()
    )


def choose_thresholds(pauses: pl.DataFrame, *, settings: LifecycleSection) -> Thresholds:
    """The thresholds of a night from the settings and a histogram of pauses (see `pause_histogram`).

    Without a set `churn_days` it is the shortest time that `churn_percentile` of all pauses don't exceed, kept within
    `CHURN_BOUNDS`; with fewer than `ENOUGH_PAUSES` pauses it is `DEFAULT_CHURN_DAYS`.
    """
    total = int(pauses["pauses"].sum())
    if settings.churn_days is not None:
        days, source = settings.churn_days, "settings"
        why = "as set in the settings"
    elif total < ENOUGH_PAUSES:
        days, source = DEFAULT_CHURN_DAYS, "default"
        why = f"the default, because only {total} pauses between purchases are known and {ENOUGH_PAUSES} are needed"
    else:
        found = _percentile(pauses, settings.churn_percentile)
        days, source = min(max(found, CHURN_BOUNDS[0]), CHURN_BOUNDS[1]), "data"
        share = f"{100 * settings.churn_percentile:.4g} %"
        why = f"because {share} of all {total:,} pauses between purchases last {found} days or less"
        if days > found:
            why += f", and less than {days} days is too short for a churn"
        if days < found:
            why += f", and more than {days} days is too long to wait for a churn"
    return Thresholds(
        new_days=settings.new_days,
        churn_days=days,
        reactivated_days=settings.reactivated_days,
        churn_source=source,
        explanation=f"A customer has churned after more than {days} days without a purchase: {why}.",
    )


def stage_expression(thresholds: Thresholds) -> nw.Expr:
    """The stage (String, one of `STAGES`) of each row of a feature table.

    Reads recency_days, days_since_first_purchase and comeback_pause_days, which must have been made for the same
    `reactivated_days`. Null recency means no purchase; null comeback pause means no second purchase in those days.
    """
    comeback = nw.col("comeback_pause_days") > thresholds.churn_days
    rules = (
        (nw.col("recency_days").is_null(), "dormant"),
        (nw.col("recency_days") > thresholds.churn_days, "churned"),
        (comeback.fill_null(False), "reactivated"),
        (nw.col("days_since_first_purchase") <= thresholds.new_days, "new"),
    )
    stage: nw.Expr = nw.lit("active")
    for condition, name in reversed(rules):
        stage = nw.when(condition).then(nw.lit(name)).otherwise(stage)
    return stage


def _percentile(pauses: pl.DataFrame, share: float) -> int:
    """The shortest pause that at least this share of all pauses don't exceed."""
    reached = pauses.filter(pl.col("pauses").cum_sum() >= share * pl.col("pauses").sum())
    return int(reached["pause_days"][0])
