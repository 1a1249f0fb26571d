"""Results on a year of groceries that real households bought, with the campaigns and coupons that they really got.

No household was held out of these campaigns, so that their data can't tell of an effect, only of the way to one. Where
nobody was treated differently, though, any two groups of them must show none.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from complete_journey import data_file
from scipy.stats import binom

from optinb.measure import compare
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.outcomes import outcomes
from optinb.measure.redeemed import GIVEN, TOLD, by_night, redeemed
from optinb.measure.result import result_of

CAMPAIGN = 18  # the largest: 1,133 households
SPLITS = 500


@pytest.fixture(scope="module")
def purchases() -> pl.DataFrame:
    rows = pl.scan_parquet(data_file("transactions")).select(
        person=pl.col("household_id").cast(pl.String),
        occurred_at=pl.col("transaction_timestamp").dt.cast_time_unit("us"),
        day=pl.col("transaction_timestamp").dt.date(),
        amount=pl.col("sales_value"),
    )
    return rows.collect()


@pytest.fixture(scope="module")
def campaign() -> tuple[pl.DataFrame, datetime, datetime]:
    """Who got it, and its first and last day."""
    of = pl.col("campaign_id") == CAMPAIGN
    when = pl.read_parquet(data_file("campaign_descriptions")).filter(of).row(0, named=True)
    got = pl.read_parquet(data_file("campaigns")).filter(of).select(person=pl.col("household_id").cast(pl.String))
    return got, when["start_date"], when["end_date"]


def test_groups_of_households_that_were_treated_alike_differ_as_rarely_as_said(purchases: pl.DataFrame) -> None:
    begins = datetime.fromisoformat("2017-09-01")
    windows = pl.DataFrame(
        {
            "person": purchases["person"].unique().sort(),
            "arm": MESSAGE,
            "since": begins,
            "until": begins + timedelta(days=14),
        }
    )
    did = outcomes(windows.cast({"since": pl.Datetime("us"), "until": pl.Datetime("us")}), purchases.lazy())
    spend, before = did["spend"].to_numpy(), did["spend_before"].to_numpy()
    low = high = 0
    for seed in range(SPLITS):
        assigned = np.random.default_rng(seed).random(did.height) >= 0.1
        found = compare(assigned, spend, before, seed=seed, draws=400)
        low, high = low + (found.low > 0), high + (found.high < 0)
    least, most = binom.ppf([0.025, 0.975], SPLITS, 0.05)
    assert least <= low + high <= most
    assert max(low, high) <= binom.ppf(0.999, SPLITS, 0.025)


def test_what_households_bought_after_a_campaign_is_what_a_query_by_hand_finds_and_none_was_held_out(
    purchases: pl.DataFrame, campaign: tuple[pl.DataFrame, datetime, datetime]
) -> None:
    got, begins, ends = campaign
    days = (ends - begins).days
    tested = got.with_columns(
        night=pl.lit(begins.date()), send_at=pl.lit(begins), role=pl.lit("recipient"), variant=pl.lit(None)
    )
    assignment = assign(tested.cast(dict(TESTED)).select(TESTED.names()), days=days)
    did = outcomes(assignment.people, purchases.lazy())
    by_hand = duckdb.sql(
        f"""SELECT count(DISTINCT day) AS orders, sum(amount) AS spend, person FROM purchases
        WHERE amount > 0 AND occurred_at >= '{begins}' AND occurred_at < '{begins + timedelta(days=days)}'
        AND person IN (SELECT person FROM got) GROUP BY person ORDER BY person"""
    ).pl()
    bought = did.filter(pl.col("orders") > 0).sort("person")
    assert did.height == got.height and 0 < bought.height < got.height
    assert bought["person"].to_list() == by_hand["person"].to_list()
    assert bought["orders"].to_list() == by_hand["orders"].to_list()
    assert bought["spend"].to_numpy() == pytest.approx(by_hand["spend"].to_numpy())
    result = result_of(
        "Groceries",
        assignment,
        did,
        measured_until=ends + timedelta(days=1),
        days=days,
        currency="USD",
        planned={"control": 0.0, MESSAGE: 1.0},
        seed=1,
    )
    assert "nobody was held out" in result.sentence() and result.is_final and not result.arms


def test_coupons_that_households_redeemed_are_told_of_the_campaign_that_gave_them(
    campaign: tuple[pl.DataFrame, datetime, datetime],
) -> None:
    got, begins, _ = campaign
    cashed = pl.read_parquet(data_file("coupon_redemptions"))
    rows = cashed.select(
        redeemed_at=pl.col("redemption_date").dt.cast_time_unit("us"),
        code=pl.lit(None, pl.String),
        offer=pl.format("Coupons {}", "campaign_id"),
        customer_id=pl.col("household_id").cast(pl.String),
        cost=pl.lit(1.0),
        id=pl.int_range(pl.len()).cast(pl.String),
        bought=pl.lit(False),
    )
    given = got.select(
        campaign_id=pl.lit(str(CAMPAIGN)),
        night=pl.lit(begins.date()),
        since=pl.lit(begins),
        customer_id="person",
        code=pl.lit(None),
        shared=pl.lit(None),
        cost_of_one=pl.lit(None),
    ).cast(dict(GIVEN))
    (night,) = by_night(redeemed(rows.cast(dict(TOLD)), given, offer=f"Coupons {CAMPAIGN}"), given)
    theirs = cashed.filter(
        pl.col("campaign_id") == CAMPAIGN,
        pl.col("household_id").cast(pl.String).is_in(got["person"].implode()),
        pl.col("redemption_date") >= begins,
    )
    assert (night.given, night.redeemed) == (got.height, theirs.height)
    assert theirs.height > 100 and night.cost == theirs.height
