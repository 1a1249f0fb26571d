"""Customers with seven planted groups of different kinds, by seed: what discovery is measured on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

BASE, RATE = 0.08, 0.24
KINDS = ("two values", "three conditions", "a band", "a rare value", "empty and old", "a town of 300", "the top 5 %")


class Planted(NamedTuple):
    """Customers with the target `y`; of each kind, who is in its group; and each customer's true chance of `y`."""

    customers: pl.DataFrame
    groups: dict[str, np.ndarray]
    chances: np.ndarray


def plant(customers: int, seed: int) -> Planted:
    """Seventeen attributes of so many customers; thresholds and values of the groups are drawn by the seed."""
    rng = np.random.default_rng(seed)

    def some(words: list[str], power: float) -> np.ndarray:
        weights = 1 / np.arange(1, len(words) + 1) ** power
        return rng.choice(words, customers, p=weights / weights.sum())

    wealth = rng.normal(0, 1, customers)
    income = pl.Series(rng.lognormal(10, 0.5, customers).round(-2))
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{i:07d}" for i in range(customers)],
            "region": some([f"region {i}" for i in range(10)], 0.9),
            "phone": some(["ios", "android", "web"], 0.4),
            "source": rng.choice(["search", "ads", "friends", "mail", "social"], customers),
            "tariff": rng.choice(["free", "plus", "vip"], customers, p=[0.7, 0.25, 0.05]),
            "shop": some([f"shop {i}" for i in range(60)], 1.1),
            "town": some([f"town {i}" for i in range(300)], 0.6),
            "age": rng.integers(18, 85, customers),
            "tenure": rng.exponential(400, customers).round(),
            "recency": rng.exponential(60, customers).round(),
            "opens": rng.poisson(4, customers),
            "returns": rng.binomial(6, 0.1, customers),
            "discount": rng.beta(2, 5, customers).round(3),
            "spend": np.exp(3.5 + 0.9 * wealth).round(2),
            "basket": np.exp(3 + 0.8 * wealth + rng.normal(0, 0.3, customers)).round(2),
            "orders": rng.poisson(np.exp(0.6 + 0.5 * wealth)),
            "income": income.set(pl.Series(rng.random(customers) < 0.25), None),
            "newsletter": rng.random(customers) < 0.5,
        }
    )
    young, town, shop = int(rng.integers(22, 50)), f"town {rng.integers(30, 60)}", f"shop {rng.integers(6, 14)}"
    region, phone, source = f"region {rng.integers(3, 6)}", rng.choice(["ios", "android"]), rng.choice(["ads", "mail"])
    of = pl.col
    rules = (
        (of("region") == region) & (of("phone") == phone),
        (of("source") == source) & (of("tariff") == "plus") & (of("tenure") > 500),
        of("age").is_between(young, young + 7) & (of("recency") < 20),
        (of("shop") == shop) & of("newsletter"),
        of("income").is_null() & (of("age") > 65),
        of("town") == town,
        of("spend") > of("spend").quantile(0.95),
    )
    groups = {name: frame.select(rule).to_series().to_numpy() for name, rule in zip(KINDS, rules, strict=True)}
    chances = np.where(np.logical_or.reduce(list(groups.values())), RATE, BASE)
    return Planted(frame.with_columns(y=pl.Series(rng.random(customers) < chances)), groups, chances)
