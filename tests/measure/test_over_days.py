"""What a campaign brought by each day since its message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from msgspec import Struct

from optinb.measure.arms import figures_of, sides_of
from optinb.measure.assignment import Assignment
from optinb.measure.effect import CONTROL, FINAL, Look
from optinb.measure.outcomes import ASSIGNED, outcomes
from optinb.measure.over_days import BOUGHT, MOST_DAYS, DayEffect, OverDays, bought_by_day, over_days
from optinb.measure.result import result_of

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
DAYS = 5
DAY = timedelta(days=1)
PLANNED = {CONTROL: 0.2, "A": 0.4, "B": 0.4}


class Shop(Struct):
    """Whom a campaign was to go to, what they bought, and how far tables tell of it."""

    people: pl.DataFrame
    transactions: pl.LazyFrame
    told: datetime

    @property
    def did(self) -> pl.DataFrame:
        return outcomes(self.people, self.transactions)

    def over_days(self, *, look: Look = FINAL, days: int = DAYS) -> OverDays:
        did = self.did
        sizes = {str(arm): int(size) for arm, size in did["arm"].value_counts().iter_rows()}
        return over_days(
            did, bought_by_day(self.people, self.transactions, days=days), sides_of(sizes),
            days=days, measured_until=self.told, planned=PLANNED, seed=7, look=look,
        )  # fmt: skip


def shop(*, customers: int = 900, nights: int = 1, told: datetime | None = None, days: int = DAYS) -> Shop:
    """Customers who are drawn for a night each, and of whom a third buy on some day of their window."""
    random = np.random.default_rng(3)
    sent = [SENT + int(night) * DAY for night in random.integers(0, nights, customers)]
    people = pl.DataFrame(
        {
            "person": [f"p{n}" for n in range(customers)],
            "arm": random.choice(list(PLANNED), customers, p=[0.2, 0.4, 0.4]),
            "since": sent, "until": [one + days * DAY for one in sent],
        },
        schema=ASSIGNED,
    )  # fmt: skip
    told = told or SENT + (days + nights - 1) * DAY
    rows = people.with_columns(
        after=pl.Series(random.random(customers) * days * 86_400), amount=pl.Series(random.lognormal(3, 1, customers))
    ).filter(pl.Series(random.random(customers) < 0.35))
    occurred = pl.col("since") + pl.duration(microseconds=(pl.col("after") * 1e6).cast(pl.Int64))
    found = rows.select("person", "amount", occurred_at=occurred).with_columns(day=pl.col("occurred_at").dt.date())
    return Shop(people, found.filter(pl.col("occurred_at") < told).lazy(), told)


def of_day(found: OverDays, day: int, arm: str = "all variants") -> dict[str, DayEffect]:
    return {one.figure: one for one in found.rows if (one.day, one.arm) == (day, arm)}


def test_the_last_day_says_of_each_arm_what_the_final_result_says() -> None:
    one = shop()
    told = result_of(
        "Summer", Assignment(people=one.people, nights=(SENT.date(),), contaminated=0), one.did,
        measured_until=one.told, days=DAYS, currency="EUR", planned=PLANNED, seed=7,
    )  # fmt: skip
    found = one.over_days(look=told.look)
    assert told.is_final and found.is_final
    assert [arm.arm for arm in told.arms] == ["all variants", "A", "B"]
    for arm in told.arms:
        last = of_day(found, DAYS, arm.arm)
        for figure in ("response", "spend"):
            effect = arm.figures[figure]
            said = (last[figure].estimate, last[figure].low, last[figure].high)
            assert said == pytest.approx((effect.estimate, effect.low, effect.high))
            assert (last[figure].customers, last[figure].control_customers) == (
                effect.customers, effect.control_customers,
            )  # fmt: skip


def test_each_day_before_says_what_was_bought_by_its_end_as_a_look_of_its_own() -> None:
    one = shop()
    found = one.over_days()
    by_then = one.people.with_columns(until=pl.col("since") + 2 * DAY)
    did = outcomes(by_then, one.transactions)
    wide = figures_of(did, ["A", "B"], planned=PLANNED, seed=7, look=Look(2, DAYS))
    plain = figures_of(did, ["A", "B"], planned=PLANNED, seed=7)
    for figure, day in of_day(found, 2).items():
        assert (day.estimate, day.low, day.high) == pytest.approx(
            (wide[figure].estimate, wide[figure].low, wide[figure].high)
        )
        assert day.low < plain[figure].low < plain[figure].high < day.high
    # what is bought later is none of it, and all of it is once the window is over
    assert of_day(found, 2)["spend"].estimate != pytest.approx(of_day(found, DAYS)["spend"].estimate)


def test_while_windows_are_open_days_that_nobody_has_come_to_are_left_out() -> None:
    one = shop(told=SENT + 3 * DAY + timedelta(hours=6))
    found = one.over_days(look=Look(3, DAYS))
    assert sorted({row.day for row in found.rows}) == [1, 2, 3] and not found.is_final
    whole = shop().over_days()
    # what is said of a day stays when later ones join it
    assert of_day(found, 3)["response"].estimate == pytest.approx(of_day(whole, 3)["response"].estimate)
    assert shop(told=SENT + timedelta(hours=6)).over_days(look=Look(1, DAYS)).rows == ()


def test_of_several_nights_each_customer_counts_on_the_days_that_their_window_has_run() -> None:
    one = shop(customers=1_500, nights=3, told=SENT + 3 * DAY)
    found = one.over_days(look=Look(3, 7))
    begun = {day: int((one.people["since"] + day * DAY <= one.told).sum()) for day in (1, 2, 3)}
    counted = {day: of_day(found, day)["spend"] for day in (1, 2, 3)}
    assert {day: row.customers + row.control_customers for day, row in counted.items()} == begun
    assert begun[1] == 1_500 > begun[2] > begun[3] > 0 and of_day(found, 4) == {}
    early = one.people.filter(pl.col("since") + 3 * DAY <= one.told)
    alone = outcomes(early, one.transactions)
    told = figures_of(alone, ["A", "B"], planned=PLANNED, seed=7, look=Look(3, 7))
    assert counted[3].estimate == pytest.approx(told["spend"].estimate)
    assert counted[3].low == pytest.approx(told["spend"].low)


def test_a_campaign_that_goes_on_keeps_the_wide_intervals_to_the_last_day() -> None:
    one = shop()
    wide, plain = of_day(one.over_days(look=Look(4, 5)), DAYS)["spend"], of_day(one.over_days(), DAYS)["spend"]
    assert wide.low < plain.low < plain.high < wide.high and wide.estimate == pytest.approx(plain.estimate)


def test_while_others_are_to_come_a_day_with_hardly_anybody_is_left_out() -> None:
    few = shop(customers=1_000, nights=60, told=SENT + DAY)  # a night has some three held out
    assert few.over_days(look=Look(1, 64)).rows == ()
    assert shop(customers=20).over_days().rows  # of whom all have come, as few are told of as in the result


def test_purchases_are_of_the_day_since_the_message_and_the_last_takes_what_is_left_of_the_window() -> None:
    second = timedelta(seconds=1)
    people = pl.DataFrame(
        [("a", "A", SENT, SENT + 2 * DAY + timedelta(hours=26)), ("b", CONTROL, SENT, SENT + 2 * DAY)],
        schema=ASSIGNED, orient="row",
    )  # fmt: skip
    rows = [
        ("a", SENT - second, 1.0), ("a", SENT, 2.0), ("a", SENT + DAY - second, 4.0), ("a", SENT + DAY, 8.0),
        ("a", SENT + 3 * DAY, 16.0), ("a", SENT, -3.0), ("a", SENT, float("nan")), ("b", SENT + 2 * DAY, 32.0),
        ("c", SENT, 64.0),
    ]  # fmt: skip
    schema = {"person": pl.String, "occurred_at": pl.Datetime("us"), "amount": pl.Float64}
    found = bought_by_day(people, pl.LazyFrame(rows, schema=schema, orient="row"), days=2)
    assert found.schema == BOUGHT
    assert found.sort("day").rows() == [(0, 1, 6.0), (0, 2, 24.0)]
    nothing = bought_by_day(people, pl.LazyFrame(schema=schema), days=2)
    assert nothing.schema == BOUGHT and nothing.is_empty()


def test_of_a_long_window_some_days_are_told_and_the_last_one() -> None:
    found = shop(days=90).over_days(days=90)
    days = sorted({row.day for row in found.rows})
    assert len(days) <= MOST_DAYS and days[-1] == 90 and {b - a for a, b in pairwise(days)} == {3}


def test_a_window_of_a_day_has_the_result_alone() -> None:
    one = shop(days=1)
    found = one.over_days(days=1)
    plain = figures_of(one.did, ["A", "B"], planned=PLANNED, seed=7)
    assert {row.day for row in found.rows} == {1}
    assert of_day(found, 1)["response"].low == pytest.approx(plain["response"].low)


def test_the_frame_has_a_row_for_each_day_arm_and_figure_and_no_end_where_there_is_none() -> None:
    row = DayEffect(
        day=1, arm="A", figure="spend", estimate=1.0, low=-float("inf"), high=2.0, customers=9, control_customers=2
    )
    frame = OverDays(days=5, rows=(row,)).frame()
    assert frame.rows() == [(1, "A", "spend", 1.0, None, 2.0, 9, 2)]
    assert OverDays(days=5).frame().schema == frame.schema
