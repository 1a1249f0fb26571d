"""Micro-segments: as many as people can use, named in words, the same tomorrow for whoever did nothing."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from msgspec import json
from polars.testing import assert_frame_equal

from optinb.base.settings import ModelsSection
from optinb.customers import STAGES, Segmentation, segment
from optinb.customers.cells import FEWEST, MOST, SMALLEST
from optinb.customers.layers import LAYERS, learn_scales
from optinb.customers.segmentation import shares_of, stability_terms

NIGHT = date(2026, 6, 30)
EMPTY = pl.LazyFrame({"customer_id": []}, schema={"customer_id": pl.String})
SHARES = {"new": 0.06, "active": 0.5, "churned": 0.3, "reactivated": 0.04, "dormant": 0.1}


def people(count: int, *, seed: int, shares: dict[str, float] = SHARES) -> pl.DataFrame:
    """Customers who spend little, more or much, and buy rarely or often; those who are dormant have no figures."""
    rng = np.random.default_rng(seed)
    stage = rng.choice(list(shares), count, p=list(shares.values()))
    spend = np.round(np.exp(np.array([3.0, 4.6, 6.4])[rng.integers(0, 3, count)] + rng.normal(0, 0.35, count)), 2)
    bought = np.where(stage == "new", 1, rng.poisson(np.array([1, 4, 20])[rng.integers(0, 3, count)]) + 1)
    table = pl.DataFrame({
        "customer_id": [f"c{i:06d}" for i in range(count)],
        "stage": stage,
        "purchases": bought,
        "latest_spend": spend,
        "rhythm_days": np.round(365.0 / bought),
        "favourite_category": np.array(["tea", "coffee", "cake"])[rng.integers(0, 3, count)],
        "apps": rng.integers(0, 3, count),
    })  # fmt: skip
    buyer = pl.col("stage") != "dormant"
    return table.with_columns(
        purchases=pl.when(buyer).then("purchases").otherwise(0),
        latest_spend=pl.when(buyer).then("latest_spend").otherwise(0.0),
        rhythm_days=pl.when(buyer & (pl.col("purchases") > 1)).then("rhythm_days"),
        favourite_category=pl.when(buyer).then("favourite_category"),
    )


def segmented(table: pl.DataFrame, *, night: date = NIGHT, before: Segmentation | None = None, **settings):
    return segment(
        table.sort("customer_id"), EMPTY, run_date=night, settings=ModelsSection(**settings), leave=frozenset(),
        before=before,
    )  # fmt: skip


def sizes(labels: pl.DataFrame) -> dict[str, float]:
    return shares_of(labels["micro_segment"])


@pytest.fixture(scope="module")
def base() -> pl.DataFrame:
    return people(4000, seed=1)


@pytest.fixture(scope="module")
def first(base) -> tuple[Segmentation, pl.DataFrame]:
    fitted, labels, _ = segmented(base)
    return fitted, labels


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("count", [300, 600, 2000, 20_000])
def test_there_are_12_to_30_and_none_is_under_one_percent(count, seed):
    _, labels, _ = segmented(people(count, seed=seed))
    found = sizes(labels)
    assert FEWEST <= len(found) <= MOST
    assert min(found.values()) >= SMALLEST


def test_a_label_says_stage_and_bands_in_words_that_rules_charts_and_files_can_hold(first):
    fitted, labels = first
    names = labels["micro_segment"].unique()
    assert names.str.contains(r"^[a-z ]+(, [a-zA-Z ]+)*$").all()
    assert names.str.contains("^active, high spend").any()
    told = labels.select(
        stage=pl.struct("stage", "micro_segment").map_elements(
            lambda row: row["stage"] in row["micro_segment"].split(", ")[0].split(" or "), return_dtype=pl.Boolean
        )
    )
    assert told["stage"].all()
    assert len({fitted.label(cell) for cell in fitted.cells}) == len(fitted.cells)


def test_a_word_means_the_same_figures_in_every_stage_and_they_are_round(first):
    fitted, labels = first
    (spend,) = [scale for scale in fitted.scales if scale.layer == "spend"]
    for word, least, below in zip(spend.words, (0.0, *spend.cuts), (*spend.cuts, np.inf), strict=True):
        named = labels.filter(pl.col("micro_segment").str.contains(f", {word} spend"), pl.col("stage") != "dormant")
        assert named["latest_spend"].is_between(least, below, closed="left").all()
    assert all(f"{cut:.1e}"[2] in "0258" for cut in spend.cuts)


def test_what_a_label_means_is_said_with_its_figures(first):
    fitted, labels = first
    for name in labels["micro_segment"].unique():
        assert len(fitted.describe(name)) == max(1, name.count(", "))
    (spend,) = [scale for scale in fitted.scales if scale.layer == "spend"]
    least = f"{spend.cuts[-1]:,.0f}"
    name = next(n for n in labels["micro_segment"].unique().sort() if f", {spend.words[-1]} spend" in n)
    assert f"spent {least} or more in the 90 days up to their last purchase" in fitted.describe(name)
    assert fitted.describe("active:spend3.rhythm1") == ()


def test_a_small_stage_is_joined_with_its_kind_and_never_lost():
    shares = {"new": 0.08, "active": 0.6, "churned": 0.2, "reactivated": 0.006, "dormant": 0.114}
    _, labels, _ = segmented(people(4000, seed=5, shares=shares))
    back = labels.filter(stage="reactivated")["micro_segment"]
    assert len(back) and back.str.starts_with("new or reactivated").all()
    assert min(sizes(labels).values()) >= SMALLEST
    alone, labels, _ = segmented(labels.drop("micro_segment").filter(pl.col("stage") != "new"))
    assert labels.filter(stage="reactivated")["micro_segment"].unique().to_list() == ["reactivated"]
    assert {stage for cell in alone.cells for stage in cell.stages} == set(STAGES)


def test_time_alone_relabels_nobody_and_a_purchase_relabels_at_once(base, first):
    fitted, labels = first
    same, again, drift = segmented(base, night=NIGHT + timedelta(days=89), before=fitted)
    assert same is fitted and drift is not None and drift.index == pytest.approx(0, abs=1e-9)
    assert again["micro_segment"].to_list() == labels["micro_segment"].to_list()
    low = labels.filter(pl.col("micro_segment").str.contains("active, low spend"))["customer_id"].head(20)
    assert len(low) == 20
    spent = pl.when(pl.col("customer_id").is_in(low.implode())).then(5000.0).otherwise("latest_spend")
    kept, moved, _ = segmented(base.with_columns(latest_spend=spent), night=NIGHT + timedelta(days=1), before=fitted)
    changed = moved.filter(moved["micro_segment"] != labels["micro_segment"])
    assert kept is fitted
    assert sorted(changed["customer_id"]) == sorted(low)
    assert changed["micro_segment"].str.contains("high spend").all()


def test_one_that_falls_under_one_percent_is_joined_to_its_neighbour_and_the_others_stay(base, first):
    fitted, labels = first
    small = next(name for name in sizes(labels) if name.startswith("active"))
    hold = set(labels.filter(micro_segment=small)["customer_id"].head(10))
    leave = labels.filter(pl.col("micro_segment") == small, ~pl.col("customer_id").is_in(hold))["customer_id"]
    fewer = base.filter(~pl.col("customer_id").is_in(leave.implode()))
    mended, new, _ = segmented(fewer, night=NIGHT + timedelta(days=1), before=fitted)
    assert mended.version == 2 and mended.reason == f"too few customers were left in {small}"
    assert min(sizes(new).values()) >= SMALLEST
    both = labels.join(new, on="customer_id", suffix="_new")
    changed = both.filter(pl.col("micro_segment") != pl.col("micro_segment_new"))
    assert hold <= set(changed["customer_id"])
    assert changed["micro_segment"].n_unique() == 2 and changed["micro_segment_new"].n_unique() == 1
    assert mended.scales == fitted.scales


def test_an_old_one_keeps_its_cells_and_splits_a_stage_that_has_grown():
    begin = people(4000, seed=6, shares=SHARES | {"churned": 0.0, "active": 0.8})
    fitted, _, _ = segmented(begin)
    grown = begin.with_columns(
        stage=pl.when(pl.col("stage") == "active", pl.col("customer_id").hash(1) % 3 == 0)
        .then(pl.lit("churned")).otherwise("stage")
    )  # fmt: skip
    young, labels, _ = segmented(grown, night=NIGHT + timedelta(days=89), before=fitted)
    assert labels.filter(stage="churned")["micro_segment"].unique().to_list() == ["churned"]
    assert young.describe("churned") == ("everybody who is churned",)
    old, labels, _ = segmented(grown, night=NIGHT + timedelta(days=90), before=young)
    assert old.reason == "it was 90 days old" and old.version == young.version + 1
    assert labels.filter(stage="churned")["micro_segment"].n_unique() > 1
    others = {(cell.stages, cell.ranges) for cell in young.cells if "churned" not in cell.stages}
    assert others < {(cell.stages, cell.ranges) for cell in old.cells}
    assert len(sizes(labels)) <= MOST and min(sizes(labels).values()) >= SMALLEST


def test_prices_that_rise_sixfold_still_leave_12_that_are_large_enough(base, first):
    fitted, _ = first
    richer = base.with_columns(pl.col("latest_spend") * 6)
    moved, labels, drift = segmented(richer, night=NIGHT + timedelta(days=1), before=fitted)
    assert drift is not None and drift.index > 0.25
    assert moved.version == 2
    assert FEWEST <= len(sizes(labels)) <= MOST and min(sizes(labels).values()) >= SMALLEST


def test_any_order_of_rows_gives_the_same_ones(base, first):
    fitted, labels = first
    again, shuffled, _ = segmented(base.sample(fraction=1, shuffle=True, seed=9))
    assert again == fitted
    assert shuffled.equals(labels)


def test_what_is_kept_is_read_again(first):
    fitted, _ = first
    assert json.decode(json.encode(fitted), type=Segmentation) == fitted


def test_what_an_earlier_release_kept_is_replaced_and_the_reason_said(base):
    kept = b'{"version":7,"fitted_on":"2026-06-01","reason":"there was none","clusterings":[{"stage":"new"}]}'
    numbered = json.decode(kept, type=Segmentation)
    assert numbered.describe("new:spend1") == ()
    found, labels, _ = segmented(base, before=numbered)
    assert found.version == 8 and "numbered labels" in found.reason
    assert len(sizes(labels)) >= FEWEST


def test_other_layers_in_the_settings_or_a_later_night_make_new_ones(base, first):
    fitted, _ = first
    changed, labels, _ = segmented(base, before=fitted, layers=("rhythm",))
    assert changed.reason == "the layers in the settings have changed"
    assert not labels["micro_segment"].str.contains("spend").any()
    earlier, _, _ = segmented(base, night=NIGHT - timedelta(days=1), before=fitted)
    assert earlier.reason == f"the one of {NIGHT} is of a later night"


def test_the_first_layer_splits_first(base):
    _, labels, _ = segmented(base, layers=("taste", "spend"))
    active = labels.filter(stage="active")["micro_segment"]
    assert active.str.contains("^active, mostly (tea|coffee|cake)").all()


def test_few_or_identical_customers_are_kept_together():
    _, labels, _ = segmented(people(60, seed=3))
    assert labels["micro_segment"].n_unique() < FEWEST
    same = pl.concat([people(1, seed=3)] * 500).with_columns(
        customer_id=pl.format("c{}", pl.int_range(500).cast(pl.String).str.zfill(3))
    )
    _, labels, _ = segmented(same)
    assert labels["micro_segment"].n_unique() == 1
    nobody, labels, drift = segmented(people(0, seed=3))
    assert labels.is_empty() and drift is None and segmented(people(0, seed=3), before=nobody)[0] is nobody


def test_what_is_delivered_of_people_can_be_a_layer_and_odd_texts_stay_plain(base):
    country = pl.Series(['DE, "north": a.', "FR"] * 2000)
    delivered = base.select("customer_id", country=country, plan=pl.Series(["x"] * 3900 + ["y"] * 100))
    fitted, labels, _ = segment(
        base, delivered.lazy(), run_date=NIGHT, settings=ModelsSection(layers=("people",)),
        leave=frozenset({"customer_id"}),
    )  # fmt: skip
    assert {"active, country DE north a", "active, country FR or other"} <= set(labels["micro_segment"])
    assert fitted.describe("active, country DE north a") == ("country is DE north a",)
    gone, _, _ = segment(
        base, delivered.drop("country").lazy(), run_date=NIGHT, settings=ModelsSection(layers=("people",)),
        leave=frozenset({"customer_id"}), before=fitted,
    )  # fmt: skip
    assert gone.reason == "country is no longer delivered"


def test_neighbouring_bands_are_called_by_what_they_share(base):
    spend, rhythm, taste, apps = learn_scales(base, [*LAYERS], spend_bands=4)
    assert [spend.word(0, 1), spend.word(1, 3), spend.word(0, 2)] == [
        "low or medium spend", "medium or higher spend", "high or lower spend",
    ]  # fmt: skip
    assert [rhythm.word(3, 3), rhythm.word(0, 2), rhythm.word(1, 3)] == [
        "bought once", "bought rarely or more", "bought sometimes or less",
    ]  # fmt: skip
    assert rhythm.sentence(0, 2) == "bought on more than one day"
    assert rhythm.sentence(*rhythm.whole) == "bought on more than one day, or bought on one day alone"
    assert taste.word(1, 3) == f"not mostly {taste.words[0]}"
    assert taste.sentence(1, 3) == f"favourite category isn't {taste.words[0]}, or isn't known"
    assert [apps.word(0, 0), apps.word(1, 1)] == ["without an app", "with an app"]


def test_the_stability_index_is_zero_for_the_same_shares_and_large_for_turned_ones():
    assert sum(stability_terms((0.5, 0.5), [70, 70])) == pytest.approx(0)
    assert sum(stability_terms((0.9, 0.1), [10, 90])) > 1
    assert sum(stability_terms((1.0, 0.0), [100, 0])) == pytest.approx(0, abs=1e-3)


def test_duckdb_gives_the_same_labels(base, first):
    fitted, labels = first
    with duckdb.connect() as connection:
        connection.register("customers", base.to_arrow())
        scored = fitted.score(connection.table("customers")).order("customer_id").pl()
    assert_frame_equal(scored, labels.select("customer_id", "micro_segment"))


@pytest.mark.spark
def test_spark_gives_the_same_labels(base, first, spark):
    fitted, labels = first
    scored = fitted.score(spark.createDataFrame(base.to_arrow())).orderBy("customer_id").toArrow()
    assert_frame_equal(pl.DataFrame(scored), labels.select("customer_id", "micro_segment"))
