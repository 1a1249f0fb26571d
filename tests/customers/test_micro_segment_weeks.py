"""Micro-segments night by night, on purchases that others published: who keeps a label, and who gets another."""

from __future__ import annotations

from datetime import date, timedelta

import narwhals as nw
import polars as pl
import pytest
from purchase_worlds import purchases_of

from optinb.base.settings import LifecycleSection, ModelsSection
from optinb.customers import Segmentation, build_features, choose_thresholds, purchase_days, segment, stage_expression
from optinb.customers.cells import FEWEST, MOST, SMALLEST
from optinb.customers.lifecycle import churn_after_expression
from optinb.customers.pauses import pause_histogram
from optinb.customers.segmentation import shares_of

NIGHTS, WEEK, SOON = 18, 7, 3
APPS = pl.LazyFrame(schema={"customer_id": pl.String, "app_id": pl.String, "last_used_at": pl.Datetime("us")})
BEGINS = {"cdnow_sample": date(1998, 1, 15), "cj_all": date(2017, 9, 30)}


def staged(bought: pl.LazyFrame, night: date) -> pl.DataFrame:
    """The features and stages of everybody who had bought by a night, sorted."""
    known = bought.filter(pl.col("day") <= night).collect().lazy()
    days = purchase_days(known, run_date=night).collect().lazy()
    customers = known.select("customer_id", registered_at=pl.lit(None, pl.Datetime("us"))).unique("customer_id")
    thresholds = choose_thresholds(pause_histogram(days, run_date=night), settings=LifecycleSection())
    features = nw.from_native(build_features(customers, known, APPS, run_date=night, bought=days))
    after = features.with_columns(churn_after_expression(thresholds).alias("churn_after_days"))
    return after.with_columns(stage_expression(thresholds).alias("stage")).to_native().sort("customer_id").collect()


@pytest.fixture(scope="module", params=BEGINS)
def nights(request: pytest.FixtureRequest) -> list[pl.DataFrame]:
    """customer_id, stage, purchases, band (of spend, Int64) and micro_segment of consecutive nights."""
    by_day = pl.col("amount").sum()
    bought = purchases_of(request.param).group_by("customer_id", "day", "category").agg(by_day).collect().lazy()
    before: Segmentation | None = None
    found = []
    for i in range(NIGHTS):
        night = BEGINS[request.param] + timedelta(days=i)
        table = staged(bought, night)
        before, labels, _ = segment(
            table, table.lazy(), run_date=night, settings=ModelsSection(), leave=frozenset(), before=before
        )
        spend = before.scales[0].band().alias("band")
        found.append(
            nw.from_native(labels).select("customer_id", "stage", "purchases", spend, "micro_segment").to_native()
        )
    return found


def test_there_are_12_to_30_every_night(nights: list[pl.DataFrame]) -> None:
    for night in nights:
        assert FEWEST <= night["micro_segment"].n_unique() <= MOST


def test_the_smallest_has_one_percent_unless_it_is_a_whole_stage(nights: list[pl.DataFrame]) -> None:
    for night in nights:
        small = [name for name, share in shares_of(night["micro_segment"]).items() if share < SMALLEST]
        assert all(name == "reactivated" for name in small)


def test_less_than_two_percent_of_those_who_did_nothing_are_relabelled_in_a_week(nights: list[pl.DataFrame]) -> None:
    for first, last in zip(nights, nights[WEEK:], strict=False):
        both = first.join(last, on="customer_id", suffix="_then")
        idle = both.filter(pl.col("purchases") == pl.col("purchases_then"), pl.col("stage") == pl.col("stage_then"))
        assert len(idle) > 100
        assert (idle["micro_segment"] != idle["micro_segment_then"]).mean() < 0.02


def test_95_percent_of_those_whose_stage_or_spend_changed_are_relabelled_in_three_nights(
    nights: list[pl.DataFrame],
) -> None:
    changed = [
        before.join(after, on="customer_id", suffix="_after")
        .filter((pl.col("stage") != pl.col("stage_after")) | (pl.col("band") != pl.col("band_after")))
        .select("customer_id", "stage", "band", "micro_segment")
        .join(later, on="customer_id", suffix="_then")
        # whoever went back since is where they were
        .filter((pl.col("stage") != pl.col("stage_then")) | (pl.col("band") != pl.col("band_then")))
        for before, after, later in zip(nights, nights[1:], nights[1 + SOON :], strict=False)
    ]
    found = pl.concat(changed)
    assert len(found) > 50
    assert (found["micro_segment"] != found["micro_segment_then"]).mean() >= 0.95
