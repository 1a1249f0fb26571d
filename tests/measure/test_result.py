"""What a campaign brought, and what to do about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from optinb.delivery.sampling import share_told
from optinb.errors import UsageError
from optinb.measure.assignment import TESTED, assign
from optinb.measure.outcomes import outcomes
from optinb.measure.result import CampaignResult, result_of
from optinb.measure.result_words import customers_for, more_or_fewer
from optinb.show import text

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
    crossed: int = 0,
    rare: bool = False,
    with_event: bool = False,
    **more: Any,
) -> CampaignResult:
    """Of customers of whom three in ten buy once anyway, and `effect` more of those who were to get it."""
    random = np.random.default_rng(seed)
    held_out = random.random(customers) < control
    names = [f"p{n}" for n in range(customers)]
    variant = np.where(random.random(customers) < 0.5, "A", "B") if variants else np.full(customers, None)
    if rare:  # a third variant that a single customer got
        variant[int(np.argmin(held_out))] = "C"
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
    after = outcomes(assign(tested, days=DAYS).people, transactions.lazy())
    if with_event:
        after = after.with_columns(event=pl.Series(random.random(customers) < 0.5))
    assignment = replace(assign(tested, days=DAYS), crossed=crossed)
    held = control if planned is None else planned
    shares = {"control": held, **({"A": (1 - held) / 2, "B": (1 - held) / 2} if variants else {"message": 1 - held})}
    return result_of(
        "Summer", assignment, after, measured_until=until, days=DAYS,
        currency="EUR", planned=shares, seed=seed, **more,
    )  # fmt: skip


def test_a_variant_that_hardly_anybody_got_keeps_nothing_from_being_told_of_the_others() -> None:
    found = result(variants=True, rare=True)
    assert found.customers["C"] == 1 and found.problem == ""
    assert [arm.arm for arm in found.arms] == ["all variants", "A", "B"]
    assert found.arms[0].figures["response"].customers == found.assigned


def test_a_campaign_that_helps_is_kept_with_what_it_added() -> None:
    found = result(effect=0.15)
    assert found.is_final and found.arms[0].advice == "keep"
    buyers, low, high = found.arms[0].added("response")
    assert low < 0.15 * found.customers["message"] < high and low < buyers < high
    told = f"keep it: {round(buyers):,} buyers more ({round(low):,} to {round(high):,}) and "
    assert found.sentence().startswith(told)
    revenue, least, most = found.arms[0].added("spend")
    assert found.sentence().endswith(f" and {revenue:,.0f} EUR more ({least:,.0f} to {most:,.0f}) than without it")


def test_one_that_harms_is_stopped() -> None:
    found = result(effect=-0.15)
    between = r"\([\d,]+ to [\d,]+\)"
    told = rf"stop it: [\d,]+ buyers fewer {between} and [\d,]+ EUR less {between} than without it"
    assert found.arms[0].advice == "stop" and re.fullmatch(told, found.sentence())


def test_one_of_which_nothing_can_be_told_says_what_it_would_take() -> None:
    found = result(customers=800)
    assert found.arms[0].advice == "wait"
    assert re.match(
        r"not told yet: .*; the chance that it helps is about \d+ in 100; to see a rise by a tenth takes about [\d,]+ "
        "customers more, or a larger control group$",
        found.sentence(),
    )


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
    assert not found.is_final and "than without it, so far; more is told once" in found.sentence()
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
    held_out = f"{found.customers['control']} customers held out of 4,000 ("
    assert held_out in found.sentence() and "than was planned of 15.0%" in found.sentence()
    assert "customers were left out after they had been drawn, ids were merged since" in found.sentence()
    assert not result(effect=0.15).is_doubtful


def test_what_is_told_of_buyers_stands_beside_what_is_told_of_customers() -> None:
    figures = result(effect=0.15).arms[0].figures
    assert list(figures) == ["response", "spend", "orders", "net_spend", "order_value", "orders_per_buyer"]
    spend, orders, value = figures["spend"], figures["orders"], figures["order_value"]
    assert value.mean == pytest.approx(spend.mean / orders.mean)
    assert value.low < 0 < value.high  # the message brought buyers, and no dearer purchases
    assert figures["orders_per_buyer"].mean == pytest.approx(1)
    assert all(effect.rise is not None for effect in figures.values())
    shown = text(result(with_event=True, event="app_open"))
    assert re.search(r"message +did app_open +[\d,]+ +\d+ +[\d.]+%", shown)
    assert list(result(customers=60, control=0.3).arms[0].figures)[-1] == "net_spend"  # too few buyers


def test_a_ratio_adds_up_to_nothing() -> None:
    with pytest.raises(UsageError, match=r"'order_value' is told of purchases or buyers, .* name one of response, "):
        result(effect=0.15).arms[0].added("order_value")


def test_of_those_reached_it_brought_as_much_more_as_fewer_were_reached() -> None:
    half = share_told(100, 50, 3_600)
    (arm,) = result(effect=0.15, reached={"all variants": half}).arms
    effect, more = arm.figures["response"], arm.on_reached("response")
    assert more is not None and more[0] == pytest.approx(2 * effect.estimate)
    assert more[1] == pytest.approx(effect.low / half.high) and more[2] == pytest.approx(effect.high / half.low)
    assert arm.on_reached("order_value") is None and result().arms[0].on_reached("response") is None


def test_what_is_to_be_known_of_a_result_stands_beside_it() -> None:
    found = result(effect=0.15, crossed=3, gone=2, alarm="Shoes went to 500 of 900: why; remedy")
    held_out = found.customers["control"]
    crossed = f"3 customers of {held_out} held out ({3 / held_out:.1%}) got it all the same, as another id of the same"
    assert found.sentence().startswith("keep it") and [note.split(";")[0] for note in found.notes] == [
        f"{crossed} person or in another night",
        "2 customers have left the tables since, or asked to be forgotten",
        "not everybody got it: Shoes went to 500 of 900: why",
    ]
    assert result().notes == () and result(customers=0, gone=2).notes == ()
    assert "the last window ends on Sun 15 Nov 2026" in result(until=SENT + timedelta(days=3)).notes[0]


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ((60.2, 20.0, 99.6), "60 buyers more (20 to 100)"),
        ((-60.2, -99.6, -20.0), "60 buyers fewer (20 to 100)"),
        ((1.0, -20.0, 30.0), "1 buyer more (20 fewer to 30 more)"),
        ((60.0, 20.0, inf), "60 buyers more (at least 20 more)"),
        ((60.0, -inf, 100.0), "60 buyers more (at most 100 more)"),
        ((60.0, -inf, inf), "60 buyers more (it can't be said within which bounds)"),
    ],
)
def test_differences_are_more_or_fewer(of, said) -> None:
    assert more_or_fewer(of, "buyer") == said


def test_money_is_more_or_less_with_cents_where_they_matter() -> None:
    assert more_or_fewer((-12.5, -20.0, 3.0), "EUR", money=True) == "12.50 EUR less (20.00 less to 3.00 more)"
    assert more_or_fewer((2_012.5, 20.0, 3_000.0), "EUR", money=True) == "2,012 EUR more (20 to 3,000)"


def test_a_campaign_that_recurs_says_how_many_nights_more_it_takes() -> None:
    found = result(customers=800, recurs=True)
    once = result(customers=800)
    # it is looked at after each night, and would be kept or stopped by luck sooner or later
    assert (found.is_over, found.is_final, once.is_final) == (True, False, True)
    wide, plain = (one.arms[0].figures["response"] for one in (found, once))
    assert wide.low < plain.low < plain.high < wide.high and "so far: it goes out again" in text(found)
    assert re.search(r"takes about [\d,]+ customers more, or [\d,]+ nights like these$", found.sentence())
    so_far = result(customers=800, recurs=True, until=SENT + timedelta(days=5))
    ends = "more is told once its last window ends, on Sun 15 Nov 2026; to see a rise by a tenth takes about"
    assert ends in so_far.sentence()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"customers": 0}, "no result: nothing of it has gone out yet"),
        ({"control": 0.0}, "no result: nobody was held out"),
        ({"until": SENT}, "no result: no table that was delivered so far tells of purchases after it was sent"),
        (
            {"stale": "transactions was delivered last on 2026-11-02: have it delivered again"},
            "no result: the tables don't tell of all purchases of its window: transactions was delivered last on",
        ),
        (
            {"alarm": "Shoes went to 4 of 900: why; remedy", "reached": {"all variants": share_told(900, 4, 900)}},
            "no result: its template is likely wrongly set, and it reached 0.4% of its customers: Shoes went to 4 of",
        ),
        ({"crossed": 60}, "no result: 60 customers of "),
    ],
)
def test_why_there_is_no_result_is_said(given, said) -> None:
    found = result(**given)
    assert found.sentence().startswith(said) and found.arms == ()
