from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import msgspec
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.base.settings import LifecycleSection
from optinb.customers import (
    STAGES,
    Thresholds,
    build_features,
    choose_thresholds,
    pause_histogram,
    purchase_days,
    stage_expression,
)
from optinb.customers.lifecycle import CHURN_BOUNDS, DEFAULT_CHURN_DAYS, churn_after_expression
from optinb.customers.pauses import MILLION, pause_percentile


def thresholds(churn=60, new=30, reactivated=30):
    settings = LifecycleSection(churn_days=churn, new_days=new, reactivated_days=reactivated)
    return choose_thresholds(pauses({}), settings=settings)


def pauses(counts: dict[int, int]) -> pl.DataFrame:
    """As if every customer had one pause, which ended."""
    often = list(counts.values())
    columns = {"pause_days": list(counts), "pauses": often, "open": [0] * len(often), "weight": often}
    columns["open_weight"] = columns["open"]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64))


def stages(table: pl.LazyFrame, limits: Thresholds) -> list[str]:
    after = nw.from_native(table).with_columns(churn_after_expression(limits).alias("churn_after_days"))
    staged = after.with_columns(stage_expression(limits).alias("stage")).to_native()
    return staged.sort("customer_id").collect()["stage"].to_list()


@pytest.mark.parametrize(
    ("ago", "stage"),
    [
        ([], "dormant"),
        ([0], "new"),
        ([30], "new"),
        ([31], "active"),
        ([60], "active"),
        ([61], "churned"),
        ([20, 5], "new"),
        ([90, 30], "active"),
        ([91, 30], "reactivated"),
        ([92, 31], "active"),
        ([200, 29, 3], "reactivated"),
        ([400, 200, 61], "churned"),
        ([300, 61, 1], "active"),
    ],
)
def test_each_stage_begins_and_ends_on_its_day(frames, night, ago, stage):
    table = build_features(*frames(ids="a", bought=[("a", days, 5.0) for days in ago]), run_date=night)
    assert stages(table, thresholds(churn=60)) == [stage]


def test_a_return_within_the_new_days_is_a_reactivation(frames, night):
    table = build_features(*frames(ids="a", bought=[("a", 28, 5.0), ("a", 3, 5.0)]), run_date=night)
    assert stages(table, thresholds(churn=20)) == ["reactivated"]


@given(
    ago=st.lists(st.integers(0, 300), max_size=6, unique=True),
    churn=st.integers(1, 200),
    new=st.integers(1, 200),
    reactivated=st.integers(1, 60),
)
def test_everybody_is_in_the_one_stage_that_the_rules_name(ago, churn, new, reactivated):
    ago = sorted(ago, reverse=True)
    back = [a - b for a, b in pairwise(ago) if b <= reactivated]
    columns = {
        "customer_id": "a",
        "recency_days": ago[-1] if ago else None,
        "days_since_first_purchase": ago[0] if ago else None,
        "comeback_pause_days": max(back, default=None),
        "purchases": len(ago),
    }
    schema = {name: pl.String if name == "customer_id" else pl.Int64 for name in columns}
    found = stages(pl.LazyFrame([columns], schema=schema), thresholds(churn, new, reactivated))
    if not ago:
        expected = "dormant"
    elif ago[-1] > churn:
        expected = "churned"
    elif any(pause > churn for pause in back):
        expected = "reactivated"
    else:
        expected = "new" if ago[0] <= new else "active"
    assert found == [expected]
    assert expected in STAGES


def test_a_set_churn_time_is_taken_as_it_is():
    chosen = choose_thresholds(pauses({5: 1000}), settings=LifecycleSection(churn_days=7))
    assert (chosen.churn_days, chosen.churn_source) == (7, "settings")
    assert "more than 7 days" in chosen.explanation


def test_the_churn_time_is_the_percentile_of_the_pauses():
    chosen = choose_thresholds(pauses({10: 900, 40: 50, 80: 50}), settings=LifecycleSection())
    assert (chosen.churn_days, chosen.churn_source) == (40, "data")
    assert chosen.explanation == (
        "A customer has churned after more than 40 days without a purchase: "
        "because 95 % of the pauses that end within 365 days last 40 days or less (1,000 pauses that ended and 0 that "
        "go on). Who buys more rarely may be silent for 4 of their own median pauses."
    )


def test_a_churn_time_too_short_to_make_sense_is_brought_to_the_bound_and_says_so():
    chosen = choose_thresholds(pauses({2: 500}), settings=LifecycleSection())
    assert chosen.churn_days == CHURN_BOUNDS[0]
    assert "last 2 days or less (500 pauses that ended and 0 that go on), and less than 14 days" in chosen.explanation


@pytest.mark.parametrize(
    "counts",
    [{370: 300, 390: 300}, {3: 1, 380: 500}, {5: 100, 12: 100, 600: 800}, {431: 300}],
    ids=["yearly", "one pair was quick", "a fifth is quick", "all after a year"],
)
def test_where_most_come_back_after_a_year_nobody_has_churned_before(counts):
    chosen = choose_thresholds(pauses(counts), settings=LifecycleSection())
    assert chosen.churn_days == CHURN_BOUNDS[1]


@pytest.mark.parametrize("ago", [0, 368])
def test_a_night_without_a_pause_within_a_year_has_thresholds(frames, night, ago):
    """Everybody bought twice, 431 days apart, and last today or more than a year ago."""
    bought = [(f"c{one}", then, 5.0) for one in range(300) for then in (ago + 431, ago)]
    days = purchase_days(frames(ids=["c0"], bought=bought).transactions, run_date=night)
    chosen = choose_thresholds(pause_histogram(days, run_date=night), settings=LifecycleSection())
    assert chosen.churn_days == CHURN_BOUNDS[1]


def test_pauses_longer_than_anybody_waits_for_do_not_count():
    chosen = choose_thresholds(pauses({30: 475, 60: 25, 900: 400}), settings=LifecycleSection())
    assert chosen.churn_days == 30


@pytest.mark.parametrize("counts", [{}, {12: 99}])
def test_too_few_pauses_give_the_default_and_say_so(counts):
    chosen = choose_thresholds(pauses(counts), settings=LifecycleSection())
    assert (chosen.churn_days, chosen.churn_source) == (DEFAULT_CHURN_DAYS, "default")
    assert f"only {sum(counts.values())} pauses" in chosen.explanation


def test_pauses_are_counted_by_their_length_and_a_customer_s_later_ones_less(frames, night):
    bought = [("a", ago, 5.0) for ago in (16, 13, 10, 0)] + [("b", 10, 5.0)]
    days = purchase_days(frames(ids="ab", bought=bought).transactions, run_date=night)
    found = pause_histogram(days, run_date=night)
    second, third, fourth = (round(MILLION * k**-1.5) for k in (2, 3, 4))
    assert found.columns == ["pause_days", "pauses", "open", "weight", "open_weight"]
    assert found.rows() == [(0, 0, 1, 0, fourth), (3, 2, 0, MILLION + second, 0), (10, 1, 1, third, MILLION)]


def test_pauses_that_go_on_count_for_what_they_have_lasted():
    """Half came back after 10 days and a tenth after 50; of three tenths nobody knows more than 20 days."""
    counts = {10: (5_000, 0), 20: (0, 3_000), 50: (1_000, 0), 400: (0, 1_000)}
    rows = [(days, e, o, e * MILLION, o * MILLION) for days, (e, o) in counts.items()]
    histogram = pl.DataFrame(rows, schema=["pause_days", "pauses", "open", "weight", "open_weight"], orient="row")
    # 50 % end by the 10th day and, of 20 who can be told of, half on the 50th: 75 % in all within a year
    assert pause_percentile(histogram, 0.66, within=365) == 10
    assert pause_percentile(histogram, 0.67, within=365) == 50


@pytest.mark.parametrize("world", ["cdnow", "groceries", "made up"])
def test_the_same_customers_half_a_year_on_churn_after_about_as_long(
    world, cdnow_master, complete_journey, shop, night
):
    """Ended pauses alone grow with the history: on CDNOW from 189 to 336 days."""
    transactions, first, then = {
        "cdnow": lambda: (cdnow_master, date(1997, 9, 30), date(1998, 3, 31)),
        "groceries": lambda: (complete_journey[1], date(2017, 6, 30), date(2017, 12, 30)),
        "made up": lambda: (shop.transactions, night - timedelta(days=182), night),
    }[world]()
    same = transactions.filter(pl.col("day") <= first).select("customer_id").unique()
    days = []
    for cut in (first, then):
        bought = purchase_days(transactions.join(same, on="customer_id", how="semi"), run_date=cut)
        days.append(choose_thresholds(pause_histogram(bought, run_date=cut), settings=LifecycleSection()).churn_days)
    assert days[1] == pytest.approx(days[0], rel=0.15)
    assert CHURN_BOUNDS[0] < days[0] < CHURN_BOUNDS[1]


def test_a_frequent_buyer_doesnt_shorten_the_churn_time_of_others(frames, night):
    """One of four customers buys daily; nine in ten of all pauses are theirs."""
    daily = [(f"a{one}", ago, 5.0) for one in range(10) for ago in range(300)]
    monthly = [(f"b{one}", ago, 5.0) for one in range(30) for ago in range(0, 300, 30)]
    bought = purchase_days(frames(ids=["a0"], bought=daily + monthly).transactions, run_date=night)
    chosen = choose_thresholds(pause_histogram(bought, run_date=night), settings=LifecycleSection(churn_percentile=0.9))
    assert chosen.churn_days == 30


def test_who_always_bought_rarely_may_be_silent_for_longer(frames, night):
    rare = [("rare", ago, 5.0) for ago in (500, 400, 300, 200)]
    often = [("often", ago, 5.0) for ago in (230, 220, 210, 200)]
    known_little = [("young", ago, 5.0) for ago in (300, 200)]
    table = build_features(*frames(ids=["often", "rare", "young"], bought=rare + often + known_little), run_date=night)
    limits = thresholds(churn=60)
    assert stages(table, limits) == ["churned", "churned", "churned"]
    assert stages(table, msgspec.structs.replace(limits, churn_rhythm=4.0)) == ["churned", "active", "churned"]
    assert stages(table, msgspec.structs.replace(limits, churn_rhythm=1.9)) == ["churned", "churned", "churned"]
