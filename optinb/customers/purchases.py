"""Purchase days: the one table that every figure on buying is made from.

A purchase is a day: all positive amounts of a customer on one local day are one purchase. So a basket that IT delivers
as twenty lines counts once, and the figures don't change when the same basket is delivered in another cut.

Money is summed in whole ten-thousandths: sums of integers are the same in any row order and on every engine, sums of
floats are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

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
