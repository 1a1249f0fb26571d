"""Small frames in the shape that the warehouse publishes, and data that other people published."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from purchase_worlds import cdnow, groceries, published

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


@pytest.fixture(scope="session")
def cdnow_summary() -> pl.DataFrame:
    """x, t_x, T (weeks) and zbar (dollars, of repeat purchases) of the 2,357 customers of the sample."""
    return pl.read_csv(published("lifetimes", "datasets", "cdnow_customers_summary_with_transactions.csv"))


@pytest.fixture(scope="session")
def cdnow_sample() -> pl.LazyFrame:
    return cdnow("sample")


@pytest.fixture(scope="session")
def cdnow_master() -> pl.LazyFrame:
    return cdnow("master")


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
    transactions = groceries().select("customer_id", "day", "amount", "category")
    ids = transactions.select("customer_id").unique().collect()["customer_id"]
    empty = Frames(ids=ids.to_list(), bought=[])
    return empty.customers, transactions, empty.app_users
