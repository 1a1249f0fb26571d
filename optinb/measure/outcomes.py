"""What customers did after a message and before it, by what is delivered today. Pure.

Nothing of it is stored: purchases that come late, refunds and merged people change it, whenever it is asked for.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

# A row for each person of a test, with the arm that they were drawn for on their first night of it: "control", or the
# message's variant. What they do counts from `since` until before `until`. Times are in UTC.
ASSIGNED = pl.Schema({"person": pl.String, "arm": pl.String, "since": pl.Datetime("us"), "until": pl.Datetime("us")})
AFTER = pl.Schema({"orders": pl.UInt32, "spend": pl.Float64, "refunds": pl.Float64})
BEFORE = pl.Schema({"orders_before": pl.UInt32, "spend_before": pl.Float64, "days_since": pl.Float64})
# `orders`: days with a purchase. `days_since`: since the last purchase before, at most HISTORY_DAYS.
OUTCOMES = pl.Schema({**ASSIGNED, **AFTER, **BEFORE})
HISTORY_DAYS = 365
KNOWN = ("spend_before", "orders_before", "days_since")
"""What was known of everybody before the message, by which results are adjusted."""


def outcomes(assigned: pl.DataFrame, transactions: pl.LazyFrame) -> pl.DataFrame:
    """What everybody of a test did: purchases and refunds in their window, and purchases in the year before it.

    Args:
        assigned: whom the test is of, with ASSIGNED; one row for each person.
        transactions: with person, occurred_at (UTC), day (in the workspace's zone) and amount; of other people and
            times, too.

    Returns:
        a frame with OUTCOMES, in the order of `assigned`; who did nothing has 0.
    """
    return outcomes_of_all([assigned], transactions)[0]


def outcomes_of_all(tests: Sequence[pl.DataFrame], transactions: pl.LazyFrame) -> list[pl.DataFrame]:
    """What everybody of several tests did, each with a window of its own; transactions are read once for all of them.

    Args:
        tests: each with ASSIGNED, one row for each person of it.
        transactions: as for `outcomes`.

    Returns:
        a frame with OUTCOMES for each test.
    """
    if not tests:
        return []
    assigned, before = pl.concat(tests).with_row_index("row"), pl.duration(days=HISTORY_DAYS)
    theirs = (
        transactions.select("person", "occurred_at", "day", "amount")
        .join(assigned.lazy().drop("arm"), on="person", how="inner")
        .filter(
            pl.col("amount").is_finite(),
            pl.col("occurred_at") < pl.col("until"),
            pl.col("occurred_at") >= pl.col("since") - before,
        )
    )
    is_after, bought = pl.col("occurred_at") >= pl.col("since"), pl.col("amount") > 0
    paid, bought_before = is_after & bought, ~is_after & bought
    last = pl.col("occurred_at").filter(bought_before).max()
    sums = theirs.group_by("row").agg(
        orders=pl.col("day").filter(paid).n_unique(),
        spend=pl.col("amount").filter(paid).sum(),
        refunds=-pl.col("amount").filter(is_after & (pl.col("amount") < 0)).sum(),
        orders_before=pl.col("day").filter(bought_before).n_unique(),
        spend_before=pl.col("amount").filter(bought_before).sum(),
        days_since=(pl.col("since").first() - last).dt.total_seconds() / 86_400,
    )
    found = assigned.lazy().join(sums, on="row", how="left", maintain_order="left")
    filled = [
        pl.col(name).fill_null(0).cast(dtype) for name, dtype in {**AFTER, **BEFORE}.items() if name != "days_since"
    ]
    rows = (
        found.with_columns(*filled, pl.col("days_since").fill_null(HISTORY_DAYS))
        .select(OUTCOMES.names())
        .collect(engine="streaming")
    )
    ends = list(accumulate(test.height for test in tests))
    return [rows.slice(end - test.height, test.height) for end, test in zip(ends, tests, strict=True)]
