"""What customers did after a message and before it, by what is delivered today. Pure.

Nothing of it is stored: purchases that come late, refunds and merged people change it, whenever it is asked for.
"""

from __future__ import annotations

from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# A row for each person of a test, with the arm that they were drawn for on their first night of it: "control", or the
# message's variant. What they do counts from `since` until before `until`. Times are in UTC.
ASSIGNED = pl.Schema({"person": pl.String, "arm": pl.String, "since": pl.Datetime("us"), "until": pl.Datetime("us")})
AFTER = pl.Schema({"orders": pl.UInt32, "spend": pl.Float64, "refunds": pl.Float64})
BEFORE = pl.Schema({"orders_before": pl.UInt32, "spend_before": pl.Float64, "days_since": pl.Float64})
# `orders`: days with a purchase. `days_since`: since the last purchase before, at most HISTORY_DAYS.
OUTCOMES = pl.Schema({**ASSIGNED, **AFTER, **BEFORE})
HISTORY_DAYS = 365
PEOPLE_AT_ONCE = 3_000_000
"""Of how many people purchases are read together: each reading costs as much again, and each person memory."""
KNOWN = ("spend_before", "orders_before", "days_since")
"""What was known of everybody before the message, by which results are adjusted."""


def outcomes(assigned: pl.DataFrame, transactions: pl.LazyFrame, *, known: datetime | None = None) -> pl.DataFrame:
    """What everybody of a test did: purchases and refunds in their window, and purchases in the year before it.

    Args:
        assigned: whom the test is of, with ASSIGNED; one row for each person.
        known: when the first message of all went out (UTC, without a zone), where that was before their window: what
            they bought from then on is a part of what messages brought, and no history that could be allowed for.
        transactions: with person, occurred_at (UTC), day (in the workspace's zone) and amount; of other people and
            times, too.

    Returns:
        a frame with OUTCOMES, in the order of `assigned`; who did nothing has 0.
    """
    size = max(1, ceil(assigned.height / max(1, ceil(assigned.height / PEOPLE_AT_ONCE))))
    parts = [assigned.slice(at, size) for at in range(0, max(1, assigned.height), size)]
    return pl.concat([outcomes_of_all([part], transactions, known=[known])[0] for part in parts])


def outcomes_of_all(
    tests: Sequence[pl.DataFrame], transactions: pl.LazyFrame, *, known: Sequence[datetime | None] | None = None
) -> list[pl.DataFrame]:
    """What everybody of several tests did, each with a window of its own; transactions are read once for all of them.

    Args:
        tests: each with ASSIGNED, one row for each person of it.
        transactions: as for `outcomes`.
        known: of each test as for `outcomes`.

    Returns:
        a frame with OUTCOMES for each test.
    """
    if not tests:
        return []
    before = pl.duration(days=HISTORY_DAYS)
    firsts = [pl.lit(first, pl.Datetime("us")) for first in known or [None] * len(tests)]
    until = [pl.min_horizontal("since", first) for first in firsts]
    told = [test.with_columns(known=moment) for test, moment in zip(tests, until, strict=True)]
    assigned = pl.concat(told).with_row_index("row")
    theirs = (
        transactions.select("person", "occurred_at", "day", "amount")
        .join(assigned.lazy().drop("arm"), on="person", how="inner")
        .filter(
            pl.col("amount").is_finite(),
            pl.col("occurred_at") < pl.col("until"),
            pl.col("occurred_at") >= pl.col("known") - before,
        )
    )
    amount, is_after = pl.col("amount"), pl.col("occurred_at") >= pl.col("since")
    paid, bought_before = is_after & (amount > 0), (pl.col("occurred_at") < pl.col("known")) & (amount > 0)
    # columns first, since filters within a group cost more than reading all of them does
    columns = theirs.select(
        "row",
        day=pl.when(paid).then("day"),
        day_before=pl.when(bought_before).then("day"),
        spend=pl.when(paid).then(amount).otherwise(0.0),
        refunds=pl.when(is_after & (amount < 0)).then(-amount).otherwise(0.0),
        spend_before=pl.when(bought_before).then(amount).otherwise(0.0),
        last=pl.when(bought_before).then("occurred_at"),
    )
    sums = columns.group_by("row").agg(
        pl.col("spend", "refunds", "spend_before").sum(),
        pl.col("last").max(),
        orders=_days("day"),
        orders_before=_days("day_before"),
    )
    did = sums.collect(engine="streaming")
    since_last = (assigned["known"].gather(did["row"]) - did["last"]).dt.total_seconds() / 86_400
    did = did.with_columns(since_last.fill_null(HISTORY_DAYS).alias("days_since"))
    found = [
        _in_place(did[name].cast(dtype), did["row"], assigned.height, rest=HISTORY_DAYS if name == "days_since" else 0)
        for name, dtype in {**AFTER, **BEFORE}.items()
    ]
    rows = assigned.select(ASSIGNED.names()).with_columns(found)
    ends = list(accumulate(test.height for test in tests))
    return [rows.slice(end - test.height, test.height) for end, test in zip(ends, tests, strict=True)]


def _in_place(values: pl.Series, places: pl.Series, count: int, *, rest: float) -> pl.Series:
    """Values at their places among so many, and the rest elsewhere: it takes a fifth of what a join of them does."""
    found = np.full(count, rest, values.to_numpy().dtype)
    found[places.to_numpy()] = values.to_numpy()
    return pl.Series(values.name, found)


def _days(name: str) -> pl.Expr:
    """How many different days a group has in a column, where none doesn't count."""
    return pl.col(name).n_unique() - (pl.col(name).null_count() > 0).cast(pl.UInt32)
