"""Features: what is known of every customer on a night, declared as data.

A feature is a small value: its name, its kind, a sentence for people, and how it is made. `build_features` reads the
declarations and makes one lazy plan of them: each source is grouped once, whatever the number of features.

Conventions. `run_date` is the local date of the night. "The last N days" are the days from run_date - N up to and with
run_date, in the workspace's time zone. Rows after run_date don't exist. Purchases are purchase days (see purchases.py).
A count or a sum of nothing is 0; a date, a pause, an average or a favourite of nothing is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
from msgspec import Struct

from optinb.customers.lifecycle import day_number, known_amounts, money, purchase_days, units_of

if TYPE_CHECKING:
    import polars as pl
    from narwhals.typing import IntoDType

Source = Literal["purchases", "refunds", "categories", "apps", "rows", "events"]
How = Literal["count", "n_unique", "sum", "min", "max", "mean", "median"]
Kind = Literal["count", "days", "number", "money", "share", "date", "text"]

DTYPES: dict[Kind, IntoDType] = {
    "count": nw.Int64,
    "days": nw.Int64,
    "number": nw.Float64,
    "money": nw.Float64,
    "share": nw.Float64,
    "date": nw.Date,
    "text": nw.String,
}
"""The column type of each kind of feature."""

LATEST_DAYS = 90
"""Of purchases up to a customer's last one: a longer time would grow with every young history."""

IN_UNITS = ("spend_units", "latest_units", "refund_units", "amount", "quantity", "value")
"""Columns of the sources that hold whole ten-thousandths, whose sums are the same in any order of rows."""


class Aggregate(Struct, frozen=True):
    """A column of a source, gathered for each customer; with `days`, over the last so many days only.

    `where`: columns and the values that a row must have to count.
    """

    source: Source
    column: str
    how: How
    days: int | None = None
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def in_units(self) -> bool:
        """Whether what is gathered counts ten-thousandths."""
        return self.column in IN_UNITS and self.how not in ("count", "n_unique")

    def expression(self, run_date: date) -> nw.Expr:
        """The aggregate on that night."""
        column = nw.col(self.column)
        counts = [nw.col(name).is_in(list(values)) for name, values in self.where]
        if self.days is not None:
            counts.append(nw.col("day") >= run_date - timedelta(days=self.days))
        if counts:
            column = nw.when(nw.all_horizontal(*counts, ignore_nulls=False)).then(column)
        if self.how == "n_unique" and self.source in ("rows", "events"):
            return column.n_unique() - column.is_null().cast(nw.Int64).max()  # null is no value
        return getattr(column, self.how)()


class Derived(Struct, frozen=True):
    """A figure made from aggregates and the customer's own row; `make` takes the night's date."""

    make: Callable[[date], nw.Expr]


class Feature(Struct, frozen=True, kw_only=True):
    """One column of the feature table: a name, a label and a sentence for people, a kind, and how it is made."""

    name: str
    label: str
    kind: Kind
    sentence: str
    made: Aggregate | Derived


def _since(column: str) -> Derived:
    return Derived(lambda run_date: run_date.toordinal() - day_number(nw.col(column)))


FEATURES: tuple[Feature, ...] = (
    Feature(
        name="first_purchase_on",
        label="first purchase",
        kind="date",
        sentence="Day of the first purchase; empty without one.",
        made=Aggregate("purchases", "day", "min"),
    ),
    Feature(
        name="last_purchase_on",
        label="last purchase",
        kind="date",
        sentence="Day of the latest purchase; empty without one.",
        made=Aggregate("purchases", "day", "max"),
    ),
    Feature(
        name="days_since_first_purchase",
        label="days since the first purchase",
        kind="days",
        sentence="Days since the first purchase; empty without one.",
        made=_since("first_purchase_on"),
    ),
    Feature(
        name="recency_days",
        label="days since the last purchase",
        kind="days",
        sentence="Days since the latest purchase; empty without one.",
        made=_since("last_purchase_on"),
    ),
    Feature(
        name="purchases",
        label="purchases so far",
        kind="count",
        sentence="Days with a purchase: all positive amounts of one day are one purchase.",
        made=Aggregate("purchases", "day", "count"),
    ),
    *(
        Feature(
            name=f"purchases_{days}d",
            label=f"purchases in the last {days} days",
            kind="count",
            sentence=f"Days with a purchase in the last {days} days.",
            made=Aggregate("purchases", "day", "count", days),
        )
        for days in (7, 30, 90, 365)
    ),
    Feature(
        name="spend",
        label="spend so far",
        kind="money",
        sentence="Sum of all purchases, refunds not taken off.",
        made=Aggregate("purchases", "spend_units", "sum"),
    ),
    *(
        Feature(
            name=f"spend_{days}d",
            label=f"spend in the last {days} days",
            kind="money",
            sentence=f"Sum of purchases in the last {days} days, refunds not taken off.",
            made=Aggregate("purchases", "spend_units", "sum", days),
        )
        for days in (30, 90, 365)
    ),
    Feature(
        name="latest_spend",
        label=f"spend in the {LATEST_DAYS} days up to the last purchase",
        kind="money",
        sentence=f"Sum of purchases in the {LATEST_DAYS} days up to the latest one, refunds not taken off.",
        made=Aggregate("purchases", "latest_units", "sum"),
    ),
    Feature(
        name="refunded",
        label="refunds so far",
        kind="money",
        sentence="Sum of all refunds, as a positive figure.",
        made=Aggregate("refunds", "refund_units", "sum"),
    ),
    Feature(
        name="average_order",
        label="average purchase",
        kind="money",
        sentence="Spend for each day with a purchase; empty without one.",
        made=Derived(lambda _: nw.when(nw.col("purchases") > 0).then(nw.col("spend") / nw.col("purchases"))),
    ),
    Feature(
        name="tenure_days",
        label="days since registration",
        kind="days",
        sentence="Days since the customer registered; 0 where that is still to come.",
        made=Derived(lambda run_date: (run_date.toordinal() - day_number(nw.col("registered_on"))).clip(0)),
    ),
    Feature(
        name="rhythm_days",
        label="usual days between purchases",
        kind="number",
        sentence="Median pause in days between two days with a purchase; empty with fewer than two.",
        made=Aggregate("purchases", "pause_days", "median"),
    ),
    Feature(
        name="favourite_category",
        label="favourite category",
        kind="text",
        sentence="Category of most purchase rows, the first by name where several are equal; empty without any.",
        made=Aggregate("categories", "favourite", "min"),
    ),
    Feature(
        name="favourite_share",
        label="share of the favourite category",
        kind="share",
        sentence="Share (0 to 1) of the favourite among the purchase rows with a category.",
        made=Aggregate("categories", "share", "max"),
    ),
    Feature(
        name="categories",
        label="different categories bought",
        kind="count",
        sentence="Number of different categories bought.",
        made=Aggregate("categories", "category", "count"),
    ),
    Feature(
        name="apps",
        label="apps in use",
        kind="count",
        sentence="Number of apps the customer uses.",
        made=Aggregate("apps", "app_id", "n_unique"),
    ),
    Feature(
        name="last_app_use_on",
        label="last use of an app",
        kind="date",
        sentence="Day of the latest use of any app, as far as delivered; empty if none is known.",
        made=Aggregate("apps", "used_on", "max"),
    ),
)
"""The features of every customer, in the order of the columns. One more is made by `comeback_feature`."""


def comeback_feature(reactivated_days: int) -> Feature:
    """The feature that tells a reactivated customer: the longest pause that ended not longer ago than so many days.

    It doesn't depend on how long a pause makes a churn, so that this threshold can be tried out without new figures.
    """
    return Feature(
        name="comeback_pause_days",
        label="days away before coming back",
        kind="days",
        sentence="Longest pause that ended with a purchase in the days that count as reactivated; empty without one.",
        made=Aggregate("purchases", "pause_days", "max", reactivated_days),
    )


def build_features(
    customers: pl.LazyFrame,
    transactions: pl.LazyFrame,
    app_users: pl.LazyFrame,
    *,
    run_date: date,
    time_zone: str = "UTC",
    reactivated_days: int = 30,
    bought: pl.LazyFrame | None = None,
    events: pl.LazyFrame | None = None,
    declared: tuple[Feature, ...] = (),
) -> pl.LazyFrame:
    """The features of every customer on a night, one row each, in no particular order.

    Takes customers (customer_id, registered_at: Datetime, UTC), transactions (customer_id, day: Date in the workspace's
    zone, amount: Float64, category: String or null) and app_users (customer_id, app_id, last_used_at: Datetime, UTC),
    each as a Polars frame or another that Narwhals knows. `time_zone` turns the two times into local days. `bought` are
    the purchase days of the same night, where they are at hand. `declared` are further features, for those of which
    that read events `events` is needed (customer_id, day, name, value). Gives customer_id and a column for each of
    `FEATURES`, of `comeback_feature(reactivated_days)` and of `declared`; a customer without a transaction has a row
    too. Stays lazy.
    """
    features = (*FEATURES, comeback_feature(reactivated_days), *declared)
    if bought is None:
        bought = purchase_days(transactions, run_date=run_date)
    sources: dict[Source, nw.LazyFrame[Any]] = {
        "purchases": _purchases(bought),
        "refunds": _refunds(transactions, run_date),
        "categories": _categories(transactions, run_date),
        "apps": _apps(app_users, run_date, time_zone),
        "rows": _rows(transactions, run_date),
    }
    if events is not None:
        sources["events"] = _in_units(nw.from_native(events).lazy().filter(nw.col("day") <= run_date), "value")
    registered_on = _local_day(nw.col("registered_at"), time_zone).alias("registered_on")
    table = nw.from_native(customers).lazy().select("customer_id", registered_on)
    for name, source in sources.items():
        gathered = [
            feature.made.expression(run_date).alias(feature.name)
            for feature in features
            if isinstance(feature.made, Aggregate) and feature.made.source == name
        ]
        if not gathered:
            continue
        table = table.join(source.group_by("customer_id").agg(*gathered), on="customer_id", how="left")
    table = table.with_columns(*_typed(features, Aggregate))
    table = table.with_columns(*(f.made.make(run_date).alias(f.name) for f in features if isinstance(f.made, Derived)))
    table = table.with_columns(*_typed(features, Derived))
    return table.select("customer_id", *(feature.name for feature in features)).to_native()


def _typed(features: Iterable[Feature], made: type[Aggregate | Derived]) -> list[nw.Expr]:
    """Each column in its type; nothing counts as 0, and money leaves its whole units."""
    typed = []
    for feature in features:
        if not isinstance(feature.made, made):
            continue
        column = nw.col(feature.name)
        if isinstance(feature.made, Aggregate):
            if feature.made.how in ("count", "n_unique", "sum"):
                column = column.fill_null(0)
            if feature.made.in_units:
                column = money(column)
        typed.append(column.cast(DTYPES[feature.kind]))
    return typed


def _purchases(bought: pl.LazyFrame) -> nw.LazyFrame[Any]:
    """The purchase days; `latest_units` are null but in the days up to the customer's last one."""
    rows = nw.from_native(bought).lazy().with_columns(day_number(nw.col("day")).alias("number"))
    rows = rows.with_columns((nw.col("number").max().over("customer_id") - nw.col("number")).alias("before_last"))
    return rows.with_columns(
        nw.when(nw.col("before_last") <= LATEST_DAYS).then(nw.col("spend_units")).alias("latest_units")
    )


def _rows(transactions: pl.LazyFrame, run_date: date) -> nw.LazyFrame[Any]:
    """Every row of a purchase, with what it was for."""
    rows = nw.from_native(transactions).lazy().filter(nw.col("day") <= run_date, nw.col("amount") > 0)
    return _in_units(rows, "amount", "quantity")


def _in_units(rows: nw.LazyFrame[Any], *names: str) -> nw.LazyFrame[Any]:
    known = [name for name in names if name in rows.collect_schema()]
    return rows.with_columns(units_of(nw.col(name)).alias(name) for name in known)


def _refunds(transactions: pl.LazyFrame, run_date: date) -> nw.LazyFrame[Any]:
    refunds = known_amounts(transactions, run_date=run_date).filter(nw.col("units") < 0)
    return refunds.select("customer_id", "day", (0 - nw.col("units")).alias("refund_units"))


def _categories(transactions: pl.LazyFrame, run_date: date) -> nw.LazyFrame[Any]:
    """One row for each customer and category bought; `favourite` is null but for the most bought (or several equal)."""
    rows = known_amounts(transactions, run_date=run_date, also=("category",))
    rows = rows.filter(nw.col("units") > 0, ~nw.col("category").is_null())
    counts = rows.group_by("customer_id", "category").agg(nw.len().cast(nw.Int64).alias("rows"))
    of_customer = counts.with_columns(
        nw.col("rows").max().over("customer_id").alias("most"),
        nw.col("rows").sum().over("customer_id").alias("all"),
    )
    return of_customer.select(
        "customer_id",
        "category",
        nw.when(nw.col("rows") == nw.col("most")).then(nw.col("category")).alias("favourite"),
        (nw.col("rows") / nw.col("all")).alias("share"),
    )


def _apps(app_users: pl.LazyFrame, run_date: date, time_zone: str) -> nw.LazyFrame[Any]:
    used_on = _local_day(nw.col("last_used_at"), time_zone)
    rows = nw.from_native(app_users).lazy().select("customer_id", "app_id", used_on.alias("used_on"))
    known = nw.when(nw.col("used_on") <= run_date).then(nw.col("used_on"))
    return rows.with_columns(known.alias("used_on"))


def _local_day(time: nw.Expr, time_zone: str) -> nw.Expr:
    """The local date of a UTC time. In UTC no zone is named, because DuckDB can't convert between zones."""
    if time_zone != "UTC":
        time = time.dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return time.dt.date()
