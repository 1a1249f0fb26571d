"""The transactions: a thinned Poisson process for every customer, over any window of time.

Candidates are drawn at the rate of the busiest moment and kept with the chance that the moment deserves (Lewis and
Shedler 1979, "Simulation of nonhomogeneous Poisson processes by thinning"), so a window of one night and one of years
are drawn by the same exact code.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.sandbox.sample.people import People, customer_ids, instants_column
from optinb.sandbox.sample.world import CATEGORIES, DAY_S, MEAN_APPETITE, appetite, pick

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFUNDS = 0.015
FAVOURITE = 0.6  # chance that a purchase is of the customer's favourite category
CHECKOUT_S = 150  # from the registration to the first purchase
CURRENCY = "EUR"


def draw_instants(
    rng: np.random.Generator, people: People, *, window: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Purchases within a window (seconds UTC, end excluded), in order of time: int64 rows of `people` and times."""
    begin, end = window
    from_1, from_2 = np.maximum(people.registered, begin), np.maximum(people.back, begin)
    length_1 = np.maximum(np.minimum(people.stop, end) - from_1, 0)
    length_2 = np.maximum(np.minimum(people.again_stop, end) - from_2, 0)
    length = length_1 + length_2
    who = np.repeat(np.arange(len(length)), rng.poisson(people.rate / DAY_S / MEAN_APPETITE * length))
    at = (rng.random(len(who)) * length[who]).astype(np.int64)
    when = np.where(at < length_1[who], from_1[who] + at, from_2[who] + at - length_1[who])
    kept = rng.random(len(who)) < appetite(when + people.utc_offset_s[who])
    # Buyers register at the checkout of their first purchase.
    checkout = people.registered + CHECKOUT_S
    new = np.flatnonzero((people.rate > 0) & (checkout >= begin) & (checkout < end))
    who, when = np.concatenate([new, who[kept]]), np.concatenate([checkout[new], when[kept]])
    order = np.argsort(when, kind="stable")
    return who[order], when[order]


class Tastes:
    """What each customer likes and spends; drawn once a customer, so that it is the same on every night."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self.favourite: NDArray[np.int64] = pick(rng, tuple(c.share for c in CATEGORIES), n)
        self.price: NDArray[np.float64] = np.exp(rng.normal(3.3, 0.45, n))  # median price in EUR


def transactions_frame(
    rng: np.random.Generator,
    people: People,
    tastes: Tastes,
    *,
    window: tuple[int, int],
    width: int,
    delivered: date,
    first_number: int,
) -> pl.DataFrame:
    """The rows of `transactions` within a window. Ids are the day of delivery and a running number."""
    who, when = draw_instants(rng, people, window=window)
    n = len(who)
    by_taste = rng.random(n) < FAVOURITE
    category = np.where(by_taste, tastes.favourite[who], pick(rng, tuple(c.share for c in CATEGORIES), n))
    factor = np.array([c.price for c in CATEGORIES])[category]
    quantity = 1 + rng.poisson(0.25, n)
    amount = np.maximum(np.round(tastes.price[who] * factor * rng.lognormal(0.0, 0.35, n) * quantity, 2), 0.5)
    return pl.DataFrame(
        [
            transaction_ids(delivered, first_number, n),
            customer_ids(people.number[who], width=width),
            instants_column("occurred_at", when),
            pl.Series("amount", np.where(rng.random(n) < REFUNDS, -amount, amount)),
            pl.Series("currency", [CURRENCY], dtype=pl.String).gather(np.zeros(n, dtype=np.int64)),
            pl.Series("quantity", quantity),
            product_names(rng, category),
            pl.Series("category", [c.name for c in CATEGORIES]).gather(category),
        ]
    )


def transaction_ids(delivered: date, first_number: int, n: int) -> pl.Series:
    """Ids such as `261123-00000042`."""
    numbers = pl.Series(np.arange(first_number, first_number + n)).cast(pl.String).str.zfill(8)
    return (f"{delivered:%y%m%d}-" + numbers).alias("transaction_id")


def product_names(rng: np.random.Generator, category: np.ndarray) -> pl.Series:
    """A product of each category given by its index, such as `shoes-07`; low numbers sell best."""
    sizes = np.array([c.products for c in CATEGORIES])
    starts = np.cumsum(sizes) - sizes
    at = starts[category] + (rng.random(len(category)) ** 2 * sizes[category]).astype(np.int64)
    return pl.Series("product", [f"{c.name}-{k:02}" for c in CATEGORIES for k in range(c.products)]).gather(at)


def corrections(recent: pl.DataFrame, *, delivered: date, first_number: int) -> pl.DataFrame:
    """What a later delivery also brings of purchases that are known already.

    The first half of `recent` with another amount, by the same ids, and a late purchase for each of the other half,
    five minutes before the one that is known.
    """
    half = len(recent) // 2
    changed = recent.head(half).with_columns((pl.col("amount") * 0.9).round(2))
    late = recent.slice(half).with_columns(
        transaction_ids(delivered, first_number, len(recent) - half),
        pl.col("occurred_at") - pl.duration(minutes=5),
    )
    return pl.concat([changed, late])
