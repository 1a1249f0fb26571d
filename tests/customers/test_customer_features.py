from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from optinb.customers import FEATURES, build_features, comeback_feature, purchase_days
from optinb.customers.lifecycle import day_number

at = datetime.fromisoformat


def row(frames, night, **options):
    table = build_features(*frames, run_date=night, **options).sort("customer_id").collect()
    return table.row(0, named=True)


def test_all_positive_amounts_of_a_day_are_one_purchase(frames, night):
    first = row(frames(ids="a", bought=[("a", 3, 10.0), ("a", 3, 2.5), ("a", 8, 5.0)]), night)
    assert (first["purchases"], first["spend"], first["average_order"]) == (2, 17.5, 8.75)


def test_refunds_and_zero_amounts_are_no_purchases(frames, night):
    first = row(frames(ids="a", bought=[("a", 9, 10.0), ("a", 5, -4.0), ("a", 4, 0.0)]), night)
    assert (first["purchases"], first["spend"], first["refunded"], first["recency_days"]) == (1, 10.0, 4.0, 9)


def test_a_customer_without_transactions_has_zeros_and_nulls(frames, night):
    first = row(frames(ids="a", bought=[]), night)
    zeros = {f.name for f in FEATURES if f.kind in ("count", "money") and f.name != "average_order"}
    assert {name for name in zeros if first[name] != 0} == set()
    rest = set(first) - zeros - {"customer_id", "tenure_days"}
    assert {name for name in rest if first[name] is not None} == set()


@pytest.mark.parametrize("days", [7, 30, 90, 365])
def test_a_window_holds_its_first_and_last_day(frames, night, days):
    bought = [("a", 0, 1.0), ("a", days, 2.0), ("a", days + 1, 4.0)]
    first = row(frames(ids="a", bought=bought), night)
    assert first[f"purchases_{days}d"] == 2
    if days != 7:
        assert first[f"spend_{days}d"] == 3.0


def test_rows_after_the_night_are_ignored(frames, night):
    before = [("a", 3, 10.0, "tea"), ("a", 40, 3.0, "tea")]
    after = [("a", -1, 99.0, "ale"), ("a", -2, -9.0, "ale")]
    assert row(frames(ids="a", bought=before + after), night) == row(frames(ids="a", bought=before), night)


def test_amounts_that_are_no_numbers_are_left_out_and_huge_ones_dont_break_sums(frames, night):
    bought = [("a", 3, float("nan")), ("a", 4, float("inf")), ("a", 5, 1e300), ("a", 5, None)]
    first = row(frames(ids="a", bought=bought), night)
    assert (first["purchases"], first["spend"]) == (1, 1e10)


def test_equal_favourites_are_decided_by_name(frames, night):
    bought = [("a", 3, 1.0, "tea"), ("a", 4, 99.0, "ale"), ("a", 5, 1.0, None), ("a", 6, -1.0, "gin")]
    first = row(frames(ids="a", bought=bought), night)
    assert (first["favourite_category"], first["favourite_share"], first["categories"]) == ("ale", 0.5, 2)


def test_rhythm_is_the_median_pause_between_purchase_days(frames, night):
    bought = [("a", ago, 1.0) for ago in (100, 90, 60, 57)]
    assert row(frames(ids="a", bought=bought), night)["rhythm_days"] == 10.0
    assert row(frames(ids="a", bought=bought[:1]), night)["rhythm_days"] is None


def test_comeback_is_the_longest_pause_that_ended_lately(frames, night):
    bought = [("a", ago, 1.0) for ago in (400, 31, 30, 10)]
    assert row(frames(ids="a", bought=bought), night)["comeback_pause_days"] == 20
    assert row(frames(ids="a", bought=bought), night, reactivated_days=31)["comeback_pause_days"] == 369


def test_apps_are_counted_once_and_local_days_follow_the_zone(frames, night):
    apps = (
        ("a", "ios", at("2026-06-01T22:30")),
        ("a", "ios", None),
        ("a", "web", at("2026-07-05T00:00")),
    )
    tables = frames(ids="a", bought=[], apps=apps)
    tables.customers = tables.customers.with_columns(registered_at=pl.lit(at("2026-06-19T23:00")))
    berlin, utc = row(tables, night, time_zone="Europe/Berlin"), row(tables, night)
    assert (berlin["apps"], berlin["last_app_use_on"], berlin["tenure_days"]) == (2, date(2026, 6, 2), 10)
    assert (utc["last_app_use_on"], utc["tenure_days"]) == (date(2026, 6, 1), 11)


def test_columns_are_those_that_are_declared(frames, night):
    plan = build_features(*frames(ids="a", bought=[("a", 1, 2.0)]), run_date=night)
    assert isinstance(plan, pl.LazyFrame)
    declared = (*FEATURES, comeback_feature(30))
    types = {"date": pl.Date, "text": pl.String, "count": pl.Int64, "days": pl.Int64}
    expected = {"customer_id": pl.String} | {f.name: types.get(f.kind, pl.Float64) for f in declared}
    assert dict(plan.collect().schema) == expected
    assert list(plan.collect_schema()) == list(expected)
    assert all(f.sentence.endswith(".") for f in declared)


def some_purchases():
    one = st.tuples(
        st.sampled_from("abc"),
        st.integers(-5, 500),
        st.sampled_from([19.99, 0.1, 0.2, 5.0, -3.3, 0.0]),
        st.sampled_from(["tea", "ale", None]),
    )
    return st.lists(one, max_size=40)


@settings(max_examples=40, deadline=None)
@given(bought=some_purchases())
def test_figures_are_those_counted_by_hand(frames, night, bought):
    table = build_features(*frames(ids="abcd", bought=bought), run_date=night).collect()
    assert sorted(table["customer_id"]) == ["a", "b", "c", "d"]
    for found in table.iter_rows(named=True):
        rows = [r for r in bought if r[0] == found["customer_id"] and r[1] >= 0 and r[2] > 0]
        ago = sorted({r[1] for r in rows}, reverse=True)
        pauses = [a - b for a, b in pairwise(ago)]
        assert found["purchases"] == len(ago)
        assert found["purchases_90d"] == sum(a <= 90 for a in ago)
        assert found["recency_days"] == (ago[-1] if ago else None)
        assert found["days_since_first_purchase"] == (ago[0] if ago else None)
        assert found["first_purchase_on"] == (night - timedelta(days=ago[0]) if ago else None)
        assert found["rhythm_days"] == (median(pauses) if pauses else None)
        assert found["spend"] == round(sum(r[2] for r in rows), 4)
        assert found["spend_365d"] == round(sum(r[2] for r in rows if r[1] <= 365), 4)
        counts = {c: sum(r[3] == c for r in rows) for c in ("ale", "tea") if any(r[3] == c for r in rows)}
        favourite = max(counts, key=lambda c: counts[c]) if counts else None
        assert (found["favourite_category"], found["categories"]) == (favourite, len(counts))
        lately = [p for p, a in zip(pauses, ago[1:], strict=True) if a <= 30]
        assert found["comeback_pause_days"] == max(lately, default=None)


def many(rng, count):
    pick = rng.choice
    return [
        (pick("abcdefgh"), rng.randrange(400), round(rng.uniform(-5, 60), 2), pick(["x", "y", "z", None]))
        for _ in range(count)
    ]


def test_any_order_of_rows_gives_the_same_figures_to_the_bit(frames, night):
    rng = random.Random(3)
    bought = many(rng, 2000)
    tables = frames(ids="abcdefghi", bought=bought)
    once = build_features(*tables, run_date=night).sort("customer_id").collect()
    rng.shuffle(bought)
    again = build_features(*frames(ids="ihgfedcba", bought=bought), run_date=night).sort("customer_id").collect()
    assert_frame_equal(once, again, check_exact=True)


def test_duckdb_computes_the_same_features(frames, night):
    tables = frames(
        ids="abcdefghi",
        bought=many(random.Random(5), 1000),
        apps=(("a", "ios", at("2026-06-01T22:30")), ("b", "ios", None)),
    )
    here = build_features(*tables, run_date=night).sort("customer_id").collect()
    with duckdb.connect() as connection:
        relations = []
        for number, frame in enumerate(tables):
            connection.register(f"t{number}", frame.collect().to_arrow())
            relations.append(connection.table(f"t{number}"))
        there = build_features(*relations, run_date=night).order("customer_id").pl()
    assert_frame_equal(here, there.cast(dict(here.schema)), check_exact=False, abs_tol=1e-9)


def test_purchase_days_tell_the_pause_before_each(frames, night):
    days = purchase_days(
        frames(ids="a", bought=[("a", 5, 1.0), ("a", 5, 0.25), ("a", 12, 2.0)]).transactions, run_date=night
    )
    found = days.sort("day").collect()
    assert found["pause_days"].to_list() == [None, 7]
    assert found["spend_units"].to_list() == [20_000, 12_500]


def test_day_numbers_are_ordinals_through_every_leap_rule():
    days = pl.LazyFrame({"day": pl.date_range(date(1895, 1, 1), date(2105, 1, 1), eager=True)})
    numbered = nw.from_native(days).with_columns(day_number(nw.col("day")).alias("number")).to_native().collect()
    assert numbered["number"].to_list() == [day.toordinal() for day in numbered["day"]]
