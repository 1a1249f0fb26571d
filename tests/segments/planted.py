"""Customers with four planted groups, for discovery: over numbers, texts, days and empty values."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import polars as pl

from optinb.engine import Tables
from optinb.rules import Rule, attr, days_ago
from optinb.segments import members

RUN = date(2026, 11, 23)
ZONE = ZoneInfo("Europe/Berlin")
PLANTED: tuple[Rule, ...] = (
    attr("country").one_of(["AT", "CH"]) & (attr("age") >= 52),
    (attr("visits") >= 9) & (attr("plan") == "family") & (attr("newsletter") == True),  # noqa: E712
    (attr("registered_at") >= days_ago(200)) & attr("birth_date").is_missing(),
    (attr("basket") < 18.5) & (attr("last_seen") < days_ago(300)) & ~attr("city").is_missing(),
)
RATE, BASE = 0.55, 0.06
COUNTRIES = ("DE", "FR", "AT", "CH", "IT", "ES", "PL", "NL", "SE", "DK")


def attributes(customers: int, *, seed: int) -> pl.DataFrame:
    """Fifteen attributes of so many customers, several with empty values."""
    rng = np.random.default_rng(seed)

    def some(series: pl.Series, share: float) -> pl.Series:
        return series.set(pl.Series(rng.random(customers) < share), None)

    def days(most: int) -> pl.Series:
        return pl.Series([RUN - timedelta(days=int(d)) for d in rng.integers(0, most, customers)], dtype=pl.Date)

    hours = rng.integers(0, 900 * 24, customers)
    registered = pl.Series([datetime.combine(RUN, time()) - timedelta(hours=int(h)) for h in hours])
    return pl.DataFrame(
        {
            "customer_id": [f"c{i:07d}" for i in range(customers)],
            "country": some(pl.Series(rng.choice(COUNTRIES, customers, p=[0.3, 0.2, 0.1, 0.1] + [0.05] * 6)), 0.02),
            "age": some(pl.Series(rng.integers(18, 80, customers)), 0.1),
            "visits": rng.poisson(6, customers),
            "plan": rng.choice(["free", "single", "family"], customers, p=[0.5, 0.3, 0.2]),
            "newsletter": some(pl.Series(rng.random(customers) < 0.6), 0.1),
            "registered_at": registered,
            "birth_date": some(days(22_000), 0.3),
            "basket": some(pl.Series(rng.lognormal(3.3, 0.7, customers).round(2)), 0.05),
            "last_seen": some(days(700), 0.15),
            "city": some(pl.Series(rng.choice([f"town {i}" for i in range(400)], customers)), 0.25),
            "score": rng.normal(0, 1, customers),
            "ratio": rng.random(customers),
            "device": rng.choice(["ios", "android", "web"], customers),
            "returns": rng.poisson(0.4, customers),
            "opted_in": rng.random(customers) < 0.8,
        }
    )


def with_targets(customers: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """The customers with two targets.

    `response`, which the planted groups say yes to more often, and `spent`, which they have more of, and some have not.
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros(customers.height, bool)
    for rule in PLANTED:
        found = members(rule, tables(customers)).collect().to_native()["customer_id"]
        chosen |= customers["customer_id"].is_in(found.implode()).to_numpy()
    spent = rng.lognormal(2, 0.8, customers.height) * np.where(chosen, 3, 1)
    return customers.with_columns(
        response=pl.Series(rng.random(customers.height) < np.where(chosen, RATE, BASE)),
        spent=pl.Series(spent).set(pl.Series(rng.random(customers.height) < 0.1), None),
    )


def tables(customers: pl.DataFrame) -> Tables:
    """Tables of customers who never did anything."""
    rows = {"customer_id": pl.String, "occurred_at": pl.Datetime("us"), "day": pl.Date}
    return Tables(
        customers=nw.from_native(customers.lazy()),
        purchases=nw.from_native(pl.LazyFrame(schema={**rows, "amount": pl.Float64, "category": pl.String})),
        events=nw.from_native(pl.LazyFrame(schema={**rows, "name": pl.String, "value": pl.Float64})),
        app_users=nw.from_native(pl.LazyFrame(schema={"customer_id": pl.String})),
        event_names=frozenset,
        run_date=RUN,
        zone=ZONE,
    )
