"""Lifecycle stages: every customer is in exactly one, by rules that anyone can check by hand.

In this order, the first that fits:

- **dormant**: no purchase yet.
- **churned**: the latest purchase is more than `churn_after_days` ago.
- **reactivated**: in the last `reactivated_days` days they bought again after a pause of more than `churn_after_days`.
- **new**: the first purchase is at most `new_days` ago.
- **active**: all others, who bought in the last `churn_after_days` days.

A pause is the number of days between two neighbouring purchase days. A customer who churns again after coming back is
churned, whatever the comeback. All thresholds are settings; those that aren't set are taken from the data.

`churn_after_days` is `churn_days` for most, and longer for those who have always bought more rarely: `churn_rhythm`
times their own median pause, known from `OWN_PAUSES` pauses on. It is never shorter, because frequent buyers go on
holiday too. Both were tried on a year of groceries of 2,469 households. With the 95th percentile of all pauses, which
the most frequent buyers make up, it was 21 days for everybody, and a household churned and came back 2.4 times a year;
with a customer's later pauses counting less (`pauses`) it is 57 days, and 0.40 times.

All this, like every figure on buying, is made from purchase days. A purchase is a day: all positive amounts of a
customer on one local day are one purchase. So a basket that IT delivers as twenty lines counts once, and the figures
don't change when the same basket is delivered in another cut. Money is summed in whole ten-thousandths: sums of
integers are the same in any row order and on every engine, sums of floats are not.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import polars as pl
from msgspec import Struct

from optinb.base.figures import figure
from optinb.customers.pauses import pause_histogram, pause_percentile

if TYPE_CHECKING:
    from optinb.base.settings import LifecycleSection

DECIMALS = 4
UNITS = 10**DECIMALS
"""Parts of the currency that amounts are counted in, and the decimal places that they make."""

LARGEST_AMOUNT = 1e10
"""A single amount beyond this counts as this: it keeps every sum inside 64 bits."""


def purchase_days(transactions: pl.LazyFrame, *, run_date: date) -> pl.LazyFrame:
    """One row for each customer and local day with a purchase, up to and with `run_date`.

    Takes customer_id (String), day (Date, local) and amount (Float64); refunds and zero amounts are no purchases. Gives
    customer_id, day, spend_units (Int64, ten-thousandths of the currency) and pause_days (Int64, days since the
    customer's purchase day before; null for the first), in no particular order.
    """
    bought = known_amounts(transactions, run_date=run_date).filter(nw.col("units") > 0)
    days = bought.group_by("customer_id", "day").agg(nw.col("units").sum().cast(nw.Int64).alias("spend_units"))
    number = day_number(nw.col("day"))
    return (
        days.with_columns(number.alias("number"))
        .with_columns(nw.col("number").shift(1).over("customer_id", order_by="number").alias("before"))
        .select("customer_id", "day", "spend_units", (nw.col("number") - nw.col("before")).alias("pause_days"))
        .to_native()
    )


def money(units: nw.Expr) -> nw.Expr:
    """The currency (Float64) of a column of units. Rounded, because Polars divides by a constant in two ways."""
    return (units.cast(nw.Float64) / UNITS).round(DECIMALS)


def units_of(figure: nw.Expr) -> nw.Expr:
    """Ten-thousandths (Int64) of a figure; null of one that isn't finite."""
    inside = nw.when(figure.is_finite()).then(figure).clip(-LARGEST_AMOUNT, LARGEST_AMOUNT)
    return (inside * UNITS).round().cast(nw.Int64)


def known_amounts(transactions: pl.LazyFrame, *, run_date: date, also: tuple[str, ...] = ()) -> nw.LazyFrame[Any]:
    """customer_id, day, units (Int64) and the columns of `also` of every transaction up to `run_date`.

    Later rows are left out, so that an old night that is run again gives what it gave.
    """
    return (
        nw.from_native(transactions)
        .lazy()
        .filter(nw.col("day") <= run_date, nw.col("amount").is_finite())
        .select("customer_id", "day", units_of(nw.col("amount")).alias("units"), *also)
    )


def day_number(day: nw.Expr) -> nw.Expr:
    """The ordinal of a Date column (Int64), as `date.toordinal` gives for one date: 1 is the first day of year 1.

    The difference of two dates is a duration, an interval or an integer, each engine its own; this is the same on all.
    """
    years = day.dt.year().cast(nw.Int64) - 1
    return years * 365 + years // 4 - years // 100 + years // 400 + day.dt.ordinal_day().cast(nw.Int64)


STAGES: tuple[str, ...] = ("new", "active", "churned", "reactivated", "dormant")
"""The stages, in the order in which they are shown."""

CHURN_BOUNDS = (14, 365)
"""The shortest and the longest time in days that the data may choose for a churn."""

DEFAULT_CHURN_DAYS = 90
DEFAULT_CHURN_RHYTHM = 4.0
OWN_PAUSES = 3
"""Pauses from which on a customer's own median says something."""

ENOUGH_PAUSES = 100
"""With fewer pauses than this a percentile near the end is chance, and the default is taken."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """Days that separate the stages, where `churn_days` comes from, and a sentence with the figures behind it.

    `churn_rhythm`: of how many of their own median pauses a customer may be silent, where that is longer; None: it
    doesn't matter.
    """

    new_days: int
    churn_days: int
    churn_rhythm: float | None
    reactivated_days: int
    churn_source: Literal["settings", "data", "default"]
    explanation: str


def choose_thresholds(pauses: pl.DataFrame, *, settings: LifecycleSection) -> Thresholds:
    """The thresholds of a night from the settings and a histogram of pauses (see `pause_histogram`).

    Without a set `churn_days` it is the shortest time that `churn_percentile` of the pauses which end within the longer
    of `CHURN_BOUNDS` don't exceed (see `pause_percentile`), and no shorter than the other one; with fewer than
    `ENOUGH_PAUSES` pauses that ended it is `DEFAULT_CHURN_DAYS`.
    """
    total = int(pauses["pauses"].sum())
    rhythm = settings.churn_rhythm
    if settings.churn_days is not None:
        days, source = settings.churn_days, "settings"
        why = "as set in the settings"
    elif total < ENOUGH_PAUSES:
        days, source = DEFAULT_CHURN_DAYS, "default"
        why = f"the default, because only {total} pauses between purchases are known and {ENOUGH_PAUSES} are needed"
    else:
        shortest, longest = CHURN_BOUNDS
        found = pause_percentile(pauses, settings.churn_percentile, within=longest)
        days, source = max(found, shortest), "data"
        rhythm = rhythm or DEFAULT_CHURN_RHYTHM
        share = f"{figure(100 * settings.churn_percentile)} %"
        why = f"because {share} of the pauses that end within {longest} days last {found} days or less"
        why += f" ({total:,} pauses that ended and {int(pauses['open'].sum()):,} that go on)"
        if days > found:
            why += f", and less than {days} days is too short for a churn"
    own = f" Who buys more rarely may be silent for {figure(rhythm)} of their own median pauses." if rhythm else ""
    return Thresholds(
        new_days=settings.new_days,
        churn_days=days,
        churn_rhythm=rhythm,
        reactivated_days=settings.reactivated_days,
        churn_source=source,
        explanation=f"A customer has churned after more than {days} days without a purchase: {why}.{own}",
    )


def churn_after_on(bought: pl.LazyFrame, day: date, *, settings: LifecycleSection) -> tuple[Thresholds, pl.LazyFrame]:
    """The thresholds of a night; customer_id and churn_after_days (Int64) of everybody who had bought by then.

    Takes purchase days. A pause that ended later, and with it the thresholds of later nights, isn't known yet: judged
    by those of tonight, a past forecast would know something of what it is to forecast.
    """
    known = bought.filter(pl.col("day") <= day)
    thresholds = choose_thresholds(pause_histogram(known, run_date=day), settings=settings)
    figures = known.group_by("customer_id").agg(purchases=pl.len(), rhythm_days=pl.col("pause_days").median())
    after = nw.from_native(figures).with_columns(churn_after_expression(thresholds).alias("churn_after_days"))
    return thresholds, after.select("customer_id", "churn_after_days").to_native()


def churn_after_expression(thresholds: Thresholds) -> nw.Expr:
    """Days without a purchase (Int64) after which the customer of a row has churned; null without a purchase.

    Reads purchases and rhythm_days.
    """
    days = nw.when(nw.col("purchases") > 0).then(nw.lit(thresholds.churn_days))
    if thresholds.churn_rhythm is None:
        return days.cast(nw.Int64)
    most = max(thresholds.churn_days, CHURN_BOUNDS[1])
    own = (nw.col("rhythm_days") * thresholds.churn_rhythm).clip(thresholds.churn_days, most).round()
    return nw.when(nw.col("purchases") > OWN_PAUSES).then(own).otherwise(days).cast(nw.Int64)


def stage_expression(thresholds: Thresholds) -> nw.Expr:
    """The stage (String, one of `STAGES`) of each row of a feature table.

    Reads churn_after_days, recency_days, days_since_first_purchase and comeback_pause_days, which must have been made
    for the same `reactivated_days`. Null recency means no purchase; null comeback pause means no second purchase in
    those days.
    """
    comeback = nw.col("comeback_pause_days") > nw.col("churn_after_days")
    rules = (
        (nw.col("recency_days").is_null(), "dormant"),
        (nw.col("recency_days") > nw.col("churn_after_days"), "churned"),
        (comeback.fill_null(False), "reactivated"),
        (nw.col("days_since_first_purchase") <= thresholds.new_days, "new"),
    )
    stage: nw.Expr = nw.lit("active")
    for condition, name in reversed(rules):
        stage = nw.when(condition).then(nw.lit(name)).otherwise(stage)
    return stage
