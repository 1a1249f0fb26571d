"""What a campaign brought, and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from optinb.measure.assignment import TESTED, assign
from optinb.measure.outcomes import outcomes
from optinb.measure.result import CampaignResult, customers_for, result_of

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
DAYS = 14
OVER = SENT + timedelta(days=DAYS)


def result(
    *,
    customers: int = 4_000,
    control: float = 0.1,
    effect: float = 0.0,
    until: datetime = OVER,
    variants: bool = False,
    planned: float | None = None,
    seed: int = 1,
) -> CampaignResult:
    """Of customers of whom three in ten buy once anyway, and `effect` more of those who were to get it."""
    random = np.random.default_rng(seed)
    held_out = random.random(customers) < control
    names = [f"p{n}" for n in range(customers)]
    variant = np.where(random.random(customers) < 0.5, "A", "B") if variants else np.full(customers, None)
    tested = pl.DataFrame(
        {
            "person": names, "night": [SENT.date()] * customers, "send_at": [SENT] * customers,
            "role": np.where(held_out, "control", "recipient"), "variant": pl.Series(variant.tolist(), dtype=pl.String),
        },
        schema=TESTED,
    )  # fmt: skip
    buys = random.random(customers) < 0.3 + effect * ~held_out
    day = random.integers(0, DAYS, customers)
    bought = pl.DataFrame(
        {"person": pl.Series(names, dtype=pl.String), "day": day, "amount": random.lognormal(3, 1, customers)}
    ).filter(pl.Series(buys))
    occurred = pl.lit(SENT) + pl.duration(days="day", minutes=1)
    transactions = bought.with_columns(occurred_at=occurred, day=occurred.dt.date()).filter(
        pl.col("occurred_at") < until
    )
    assignment = assign(tested, days=DAYS)
    held = control if planned is None else planned
    shares = {"control": held, **({"A": (1 - held) / 2, "B": (1 - held) / 2} if variants else {"message": 1 - held})}
    return result_of(
        "Summer", assignment, outcomes(assignment.people, transactions.lazy()), measured_until=until, days=DAYS,
        currency="EUR", planned=shares, seed=seed,
    )  # fmt: skip


def test_a_campaign_that_helps_is_kept_with_what_it_added() -> None:
    found = result(effect=0.15)
    assert found.is_final and found.arms[0].advice == "keep"
    buyers, low, high = found.arms[0].added("response")
    assert low < 0.15 * found.customers["message"] < high and low < buyers < high
    assert found.sentence().startswith(f"keep it: {round(buyers):,} buyers ({round(low):,} to {round(high):,}) and ")
    assert found.sentence().endswith("EUR (" + found.sentence().split("EUR (")[1])


def test_one_that_harms_is_stopped() -> None:
    found = result(effect=-0.15)
    assert found.arms[0].advice == "stop" and found.sentence().startswith("stop it: -")


def test_one_of_which_nothing_can_be_told_says_what_it_would_take() -> None:
    found = result(customers=800)
    assert found.arms[0].advice == "wait"
    assert "not told yet" in found.sentence() and "to see a rise by a tenth takes about" in found.sentence()


def test_what_it_takes_is_what_is_found_with_as_many() -> None:
    effect = result(customers=1_000, control=0.3).arms[0].figures["response"]
    needed = customers_for(effect, 0.1) or 0
    told = sum(
        result(customers=needed, control=0.3, effect=0.1, seed=seed).arms[0].figures["response"].low > 0
        for seed in range(40)
    )
    assert 26 <= told <= 38  # four in five


def test_while_the_window_is_open_figures_are_so_far_and_less_is_told() -> None:
    found = result(effect=0.15, until=SENT + timedelta(days=7))
    assert not found.is_final and "more so far than without it" in found.sentence()
    open_one, final = found.arms[0].figures["response"], result(effect=0.15).arms[0].figures["response"]
    assert not open_one.is_final and final.is_final
    assert open_one.mean < final.mean


def test_variants_stand_beside_all_of_them_against_one_control_group() -> None:
    found = result(variants=True)
    assert [arm.arm for arm in found.arms] == ["all variants", "A", "B"]
    assert {arm.figures["spend"].control_customers for arm in found.arms} == {found.customers["control"]}
    assert found.arms[0].figures["spend"].customers == found.customers["A"] + found.customers["B"]


def test_a_control_group_of_another_share_than_planned_puts_the_result_in_doubt() -> None:
    found = result(effect=0.15, planned=0.15)
    assert found.is_doubtful and found.sentence().startswith("don't decide by this")
    assert not result(effect=0.15).is_doubtful


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"customers": 0}, "no result: nothing of it has gone out yet"),
        ({"control": 0.0}, "no result: nobody was held out"),
        ({"until": SENT}, "no result: no table that was delivered so far tells of purchases after it was sent"),
    ],
)
def test_why_there_is_no_result_is_said(given, said) -> None:
    found = result(**given)
    assert found.sentence().startswith(said) and found.arms == ()
