from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from optinb.base.settings import ModelsSection
from optinb.customers import STAGES, Segmentation, segment
from optinb.customers.clusters import choose_count
from optinb.customers.segmentation import DRIFTED, stability_index

NIGHT = date(2026, 6, 30)
EMPTY = pl.LazyFrame({"customer_id": []}, schema={"customer_id": pl.String})


def people(count: int, *, seed: int, first: int = 0) -> pl.DataFrame:
    """Active customers who spend little, more or much, and buy rarely or often; smooth around the middle of each."""
    rng = np.random.default_rng(seed)
    spend = np.exp(np.array([3.0, 4.6, 6.4])[rng.integers(0, 3, count)] + rng.normal(0, 0.35, count))
    often = np.array([4, 40])[rng.integers(0, 2, count)]
    bought = rng.poisson(often) + 1
    return pl.DataFrame({
        "customer_id": [f"c{first + i:06d}" for i in range(count)],
        "stage": "active",
        "average_order": spend / bought,
        "spend_365d": spend,
        "spend_90d": spend * rng.uniform(0.1, 0.4, count),
        "recency_days": rng.exponential(300 / often).astype(int),
        "rhythm_days": 365.0 / bought,
        "purchases_365d": bought,
        "favourite_category": np.array(["tea", "coffee", "cake"])[rng.integers(0, 3, count)],
        "favourite_share": rng.uniform(0.3, 1, count),
        "categories": rng.integers(1, 6, count),
        "apps": rng.integers(0, 3, count),
        "last_app_use_on": pl.Series([None] * count, dtype=pl.Date),
    })  # fmt: skip


def segmented(table: pl.DataFrame, *, night: date = NIGHT, before: Segmentation | None = None, **settings):
    return segment(
        table.sort("customer_id"), EMPTY, run_date=night, settings=ModelsSection(**settings), leave=frozenset(),
        before=before,
    )  # fmt: skip


@pytest.fixture(scope="module")
def base() -> pl.DataFrame:
    return people(4000, seed=1)


@pytest.fixture(scope="module")
def first(base) -> tuple[Segmentation, pl.DataFrame]:
    fitted, labels, _ = segmented(base)
    return fitted, labels


def test_a_label_names_stage_and_the_cluster_of_each_layer(first):
    _, labels = first
    assert labels["micro_segment"].str.contains(r"^active:spend\d\.rhythm\d\.taste\d\.apps\d$").all()


def test_clusters_that_are_there_are_found_and_numbered_upwards(first):
    fitted, labels = first
    (rhythm,) = [c for c in fitted.of("active") if c.layer == "rhythm"]
    assert len(rhythm.centroids) >= 2
    assert rhythm.agreement is not None and rhythm.agreement >= 0.8
    means = labels.group_by(pl.col("micro_segment").str.extract(r"(rhythm\d)")).agg(pl.col("purchases_365d").mean())
    assert means.sort("micro_segment")["purchases_365d"].is_sorted()
    assert "purchases_365d" in rhythm.sentence(1)


def test_three_of_a_hundred_replaced_relabel_at_most_three_of_a_hundred_others(base, first):
    fitted, labels = first
    stays = base.filter(pl.col("customer_id").hash(3) % 100 >= 3)
    changed = pl.concat([stays, people(len(base) - len(stays), seed=2, first=100_000)])
    again, new, _ = segmented(changed, night=NIGHT + timedelta(days=90), before=fitted)
    assert again.version == 2 and again.reason == "it was 90 days old"
    both = labels.join(new, on="customer_id", how="inner", suffix="_new")
    assert len(both) == len(stays)
    relabelled = (both["micro_segment"] != both["micro_segment_new"]).mean()
    print(f"{relabelled:.2%} of the unchanged customers relabelled")
    assert relabelled <= 0.03


def test_the_frozen_labels_stay_until_they_drift_or_grow_old(base, first):
    fitted, labels = first
    same, again, drift = segmented(base, night=NIGHT + timedelta(days=89), before=fitted)
    assert same is fitted
    assert again["micro_segment"].to_list() == labels["micro_segment"].to_list()
    assert drift is not None and drift.index == pytest.approx(0, abs=1e-9)
    richer = base.with_columns(pl.col("spend_365d", "spend_90d", "average_order") * 6)
    moved, _, drift = segmented(richer, night=NIGHT + timedelta(days=1), before=fitted)
    assert drift is not None and drift.index > DRIFTED
    assert moved.version == 2 and moved.reason.startswith("the shares of spend among the active had drifted")


def test_any_order_of_rows_gives_the_same_clusters(base, first):
    fitted, labels = first
    again, shuffled, _ = segmented(base.sample(fraction=1, shuffle=True, seed=9))
    assert again == fitted
    assert shuffled.equals(labels)


def test_other_layers_in_the_settings_make_a_new_segmentation(base, first):
    fitted, _ = first
    changed, labels, _ = segmented(base, before=fitted, layers=("rhythm",))
    assert changed.reason == "the layers in the settings have changed"
    assert labels["micro_segment"].str.contains(r"^active:rhythm\d$").all()


def test_few_or_identical_customers_are_one_cluster():
    few, labels, _ = segmented(people(50, seed=3))
    assert labels["micro_segment"].unique().to_list() == ["active:spend1.rhythm1.taste1.apps1"]
    same = pl.concat([people(1, seed=3)] * 500).with_columns(
        customer_id=pl.format("c{}", pl.int_range(500).cast(pl.String).str.zfill(3))
    )
    one, labels, _ = segmented(same)
    assert labels["micro_segment"].n_unique() == 1
    assert {c.stage for c in few.clusterings} == {c.stage for c in one.clusterings} == set(STAGES)


def test_a_shapeless_cloud_has_no_clusters():
    rng = np.random.default_rng(4)
    count, agreement = choose_count(rng.normal(size=(800, 6)), rng.normal(size=(800, 6)), most=5)
    assert (count, agreement) == (1, None)


def test_the_stability_index_is_zero_for_the_same_shares_and_large_for_turned_ones():
    assert stability_index((0.5, 0.5), [70, 70]) == pytest.approx(0)
    assert stability_index((0.9, 0.1), [10, 90]) > DRIFTED
    assert stability_index((1.0, 0.0), [100, 0]) == pytest.approx(0, abs=1e-3)


def test_what_is_delivered_of_people_can_be_a_layer(base):
    delivered = base.select(
        "customer_id", country=pl.Series(["DE", "FR"] * 2000), shoe_size=pl.Series([38.0, 45.0] * 2000)
    )
    fitted, labels, _ = segment(
        base, delivered.lazy(), run_date=NIGHT, settings=ModelsSection(layers=("people",)),
        leave=frozenset({"customer_id"}),
    )  # fmt: skip
    assert labels["micro_segment"].n_unique() == 2
    assert "country" in fitted.of("active")[0].sentence(1) or "shoe_size" in fitted.of("active")[0].sentence(1)


def test_duckdb_gives_the_same_labels(base, first):
    fitted, labels = first
    with duckdb.connect() as connection:
        connection.register("customers", base.to_arrow())
        scored = fitted.score(connection.table("customers"), NIGHT).order("customer_id").pl()
    assert_frame_equal(scored, labels.select("customer_id", "micro_segment"))


@pytest.mark.spark
def test_spark_gives_the_same_labels(base, first, spark):
    fitted, labels = first
    scored = fitted.score(spark.createDataFrame(base.to_arrow()), NIGHT).orderBy("customer_id").toArrow()
    assert_frame_equal(pl.DataFrame(scored), labels.select("customer_id", "micro_segment"))
