"""Which of many groups a night says have changed: on quiet nights none, and the one that did, whatever the season."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from optinb.segments.news.changes import Changes, changes_of, nights_wanted
from optinb.segments.news.sizes import LEAST, SIZES, looked_at, sizes_of
from optinb.segments.news.unusual import prior_of

if TYPE_CHECKING:
    from collections.abc import Callable

NIGHT = date(2026, 11, 20)
TOWNS = 40
STAGES = ("active", "churned", "new")
Sizes = dict[date, pl.DataFrame]


def shop(
    seed: int,
    nights: int = 75,
    *,
    season: Callable[[int], float] = lambda at: 0.0,
    event: Callable[[int, int], float] = lambda at, town: 0.0,
    value: Callable[[int, int], float] = lambda at, town: 1.0,
    last: date = NIGHT,
) -> Sizes:
    """Sizes of towns by stage, night by night: customers leave and come back by chance, more so in some towns.

    `season` adds to everybody's chance to leave on a night, `event` to that of a town; `value` is a town's mean value.
    """
    chance = np.random.default_rng(seed)
    people = chance.integers(150, 3_000, (TOWNS, 2))
    restless = chance.uniform(0.5, 2.0, (TOWNS, 1))
    active = chance.binomial(people, 0.5)
    new = np.full((TOWNS, 2), 60)
    found: Sizes = {}
    for at in range(nights):
        day = last - timedelta(days=nights - 1 - at)
        weekday = 1 + 0.4 * (day.weekday() in (5, 6))
        hit = np.array([[event(at, town)] for town in range(TOWNS)])
        leave = np.clip(0.012 * restless * weekday + season(at) + hit, 0, 1)
        left = chance.binomial(active, np.broadcast_to(leave, active.shape))
        back = chance.binomial(people - active, np.broadcast_to(0.012 * restless, active.shape))
        active = active - left + back
        new = chance.poisson(60, (TOWNS, 2))
        worth = np.array([[value(at, town)] for town in range(TOWNS)]) * chance.normal(100, 1, (TOWNS, 2))
        counts = {"active": active, "churned": people - active, "new": new}
        rows = [
            (
                "town",
                f"T{town}",
                stage,
                half,
                int(counts[stage][town, half]),
                counts[stage][town, half] * worth[town, half],
            )
            for town in range(TOWNS)
            for stage in STAGES
            for half in (0, 1)
        ]
        rows += [
            (
                "",
                "",
                stage,
                half,
                int(counts[stage][:, half].sum()),
                float((counts[stage][:, half] * worth[:, half]).sum()),
            )
            for stage in STAGES
            for half in (0, 1)
        ]
        found[day] = pl.DataFrame(rows, schema=SIZES, orient="row")
    return found


def changes(sizes: Sizes, night: date = NIGHT) -> Changes:
    return changes_of(sizes, night, is_flag=lambda _: False)


def named(found: Changes) -> list[str]:
    return [f"{one.kind} {one.rule}" for one in found.found]


def test_on_a_hundred_quiet_nights_nothing_is_told_on_more_than_five() -> None:
    told = 0
    for seed in range(5):
        sizes = shop(seed, nights=95)
        told += sum(bool(changes(sizes, NIGHT - timedelta(days=back)).found) for back in range(20))
    assert told <= 5


def test_a_town_whose_customers_leave_is_told_and_no_other() -> None:
    sizes = shop(1, event=lambda at, town: 0.04 if town == 7 and at >= 70 else 0.0)
    found = changes(sizes)
    assert found.looked_at == 3 + 4 * TOWNS and not found.silent
    assert found.found and all("T7" in one for one in named(found))
    first = found.found[0]
    low, high = first.expected
    assert first.by < low < high if first.kind == "shrank" else low < high < first.by
    assert min(map(abs, first.change.seen)) > 0.05 and first.change.p_again < 0.05


def test_what_a_season_does_to_everybody_is_no_news_of_a_town() -> None:
    sizes = shop(2, season=lambda at: 0.05 if at >= 70 else 0.0)
    assert {one.about for one in changes(sizes).found} == {""}  # the stages as a whole changed


def test_what_happened_in_the_same_week_of_the_year_before_is_no_news() -> None:
    autumn = shop(3, event=lambda at, town: 0.04 if town == 7 and at >= 70 else 0.0)
    before = shop(4, event=lambda at, town: 0.04 if town == 7 and at >= 70 else 0.0, last=NIGHT - timedelta(days=364))
    quiet = shop(4, last=NIGHT - timedelta(days=364))
    assert any("T7" in one for one in named(changes({**quiet, **autumn})))
    assert not any("T7" in one for one in named(changes({**before, **autumn})))


def test_a_value_that_rises_in_one_town_is_told() -> None:
    sizes = shop(5, value=lambda at, town: 1.3 if town == 3 and at >= 72 else 1.0)
    (found,) = changes(sizes).found
    assert found.kind == "value rose" and "T3" in str(found.rule) and 0.25 < found.by < 0.35
    assert not changes_of(sizes, NIGHT, is_flag=lambda _: False, with_value=False).found


def test_a_change_in_one_half_of_the_customers_alone_is_chance() -> None:
    sizes = shop(6)
    half = pl.col("half") == 0
    hit = (pl.col("value") == "T7") & (pl.col("stage") == "active") & half
    fewer = sizes[NIGHT].with_columns(
        customers=pl.when(hit).then(pl.col("customers") // 2).otherwise("customers").cast(pl.Int64)
    )
    assert not changes({**sizes, NIGHT: fewer}).found


@pytest.mark.parametrize(("nights", "told"), [(7, "weren't modelled"), (20, "from four weeks of nights on")])
def test_too_short_a_history_tells_nothing_and_says_so(nights: int, told: str) -> None:
    found = changes(shop(7, nights=nights))
    assert (found.found, found.looked_at) == ((), 0) and told in found.silent


def test_the_nights_asked_for_are_ten_weeks_and_a_week_of_the_year_before() -> None:
    wanted = nights_wanted(NIGHT)
    assert wanted[:2] == (date(2025, 11, 14), date(2025, 11, 21)) and wanted[0].weekday() == NIGHT.weekday()
    assert wanted[2] == NIGHT - timedelta(days=70) and wanted[-1] == NIGHT


def test_customers_are_counted_by_value_stage_and_half_and_rare_values_are_left_out() -> None:
    ids = [f"{at:04d}" for at in range(1_000)]
    frame = pl.DataFrame(
        {
            "customer_id": ids,
            "stage": ["active", "new"] * 500,
            "future_value": [2.0, None] * 500,
            "town": ["Jena"] * (1_000 - LEAST - LEAST + 1) + ["Gera"] * LEAST + ["Ulm"] * (LEAST - 1),
            "is_member": [True] * 600 + [None] * 400,
        }
    )
    assert looked_at(frame.lazy()) == ("town", "is_member")
    sizes = sizes_of(frame, ["town", "is_member"])
    assert dict(sizes.schema) == dict(SIZES)
    sums = sizes.group_by("attribute", "value").agg(pl.col("customers").sum(), pl.col("worth").sum())
    assert {row[:3] for row in sums.iter_rows()} == {
        ("", "", 1_000), ("town", "Jena", 801), ("town", "Gera", 100), ("is_member", "true", 600),
    }  # fmt: skip
    halves = sizes.filter(pl.col("attribute") == "").group_by("half").agg(pl.col("customers").sum())
    assert set(halves["half"]) == {0, 1} and min(halves["customers"]) > 400
    assert sizes_of(frame.reverse(), ["town", "is_member"]).equals(sizes)


def test_what_scatters_have_in_common_is_found_again() -> None:
    chance = np.random.default_rng(8)
    df = np.full(3_000, 6.0)
    true = 4.0 * 10.0 / chance.chisquare(10.0, 3_000)  # a prior of 4 that is worth 10 degrees of freedom
    middle, worth = prior_of(true * chance.chisquare(df) / df, df)
    assert middle == pytest.approx(4.0, rel=0.1) and worth == pytest.approx(10.0, rel=0.3)
    middle, worth = prior_of(4.0 * chance.chisquare(df) / df, df)
    assert middle == pytest.approx(4.0, rel=0.1) and worth > 100
