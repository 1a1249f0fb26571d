"""What a campaign brought by day, and from the target group to the purchases, as it is drawn and told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from math import inf

import pytest
from msgspec.structs import replace
from page_text import text_of

from optinb.measure import (
    ArmFunnel,
    ArmResult,
    CampaignResult,
    DayEffect,
    Effect,
    Funnel,
    FunnelStep,
    OverDays,
)
from optinb.measure.arms import MEANS
from optinb.measure.drawn_result import DRAWN
from optinb.show import html, text
from optinb.show.result_charts import effects_by_day, funnel_chart
from optinb.show.result_tables import days_table, days_words

OVER = datetime(2026, 11, 15, tzinfo=UTC).replace(tzinfo=None)
EFFECT = Effect(
    estimate=0.04, low=0.01, high=0.07, p=0.01, sample_ratio_p=0.5, mean=0.3, control_mean=0.26, customers=900,
    control_customers=100,
)  # fmt: skip


def days(*arms: str, until: int = 14, low: float = -1.0, high: float = 2.0, is_final: bool = True) -> OverDays:
    rows = [
        DayEffect(day=day, arm=arm, figure=figure, estimate=0.5, low=low, high=high, customers=1_000 - 50 * day,
                  control_customers=100)
        for day in range(1, until + 1) for arm in arms for figure in DRAWN
    ]  # fmt: skip
    return OverDays(days=14, rows=tuple(rows), is_final=is_final)


def steps(assigned: int, *, bought: int, confirmed: int | None = None) -> tuple[FunnelStep, ...]:
    def step(name, count: int | None) -> FunnelStep:
        share = None if count is None else count / assigned
        return FunnelStep(step=name, customers=count, low=count, high=count, share=share)

    told = {"assigned": assigned, "accepted": assigned, "confirmed": confirmed, "opened": None, "bought": bought}
    return tuple(step(name, count) for name, count in told.items())


TARGET = FunnelStep(step="target group", customers=2_000, low=2_000, high=2_000)
ONE = Funnel(
    arms=(
        ArmFunnel(arm="message", steps=(TARGET, *steps(900, bought=270))),
        ArmFunnel(arm="control", steps=(steps(100, bought=26)[0], steps(100, bought=26)[-1])),
    )
)


def result(over_days: OverDays | None = None, funnel: Funnel | None = None) -> CampaignResult:
    return CampaignResult(
        campaign="Summer", currency="EUR", days=14, nights=(date(2026, 11, 1),), measured_until=OVER, final_on=OVER,
        customers={"message": 900, "control": 100}, planned={"message": 0.9, "control": 0.1},
        arms=(ArmResult(arm="message", figures=dict.fromkeys(MEANS, EFFECT)),), over_days=over_days, funnel=funnel,
    )  # fmt: skip


def test_each_figure_has_a_chart_with_a_bar_for_each_day_of_each_arm() -> None:
    bought, spent = effects_by_day(result(days("all variants", "A", "B")))
    assert (bought[0], spent[0]) == ("Share who bought", "Spent by each customer")
    for _, drawn in (bought, spent):
        assert all(f">{arm}<" in drawn for arm in ("all variants", "A", "B"))
        assert drawn.count('aria-roledescription="rule mark"') == 3 * (14 + 1)  # and the line of no difference
        assert "http" not in drawn.replace("http://www.w3.org/", "")
    assert ">points<" in bought[1] and ">EUR<" in spent[1]
    (single, _) = effects_by_day(result(days("message")))
    assert ">message<" not in single[1]  # the only arm needs no name
    assert effects_by_day(result()) == [] == effects_by_day(result(OverDays(days=14)))


def test_only_the_last_day_of_a_final_result_is_drawn_as_the_result() -> None:
    def blue(told: OverDays) -> int:
        return effects_by_day(result(told))[0][1].count("#2E8BC8")

    assert (blue(days("message")), blue(days("message", is_final=False)), blue(days("message", until=6))) == (1, 0, 0)


def test_an_interval_without_an_end_goes_to_the_edge_of_the_chart() -> None:
    drawn = effects_by_day(result(days("message", low=-inf, high=inf)))[0][1]
    assert drawn.startswith("<svg") and "Infinity" not in drawn and "NaN" not in drawn
    assert days_table(days("message", until=1, low=-inf, high=inf)).rows[0][-1] == "+0.50 (−∞ to ∞)"


def test_how_days_are_read_is_said_of_final_ones_and_of_those_so_far() -> None:
    final = "The blue one is the result; those before are wider, so that all of them hold together."
    assert days_words(days("message")).endswith(final)
    so_far = days_words(days("message", until=6, is_final=False))
    assert "800 customers have come to day 6 of 14. So far the bars are wider" in so_far


@pytest.mark.parametrize(("is_over", "said"), [(True, ">bought<"), (False, ">bought so far<")])
def test_a_funnel_names_steps_arms_and_what_is_not_known(is_over: bool, said: str) -> None:
    drawn = funnel_chart(ONE, is_over=is_over)
    assert drawn.count(">not known<") == 2 and said in drawn and ">held out<" in drawn and ">900 (100.0%)<" in drawn
    assert drawn.count('aria-roledescription="bar"') == 6  # none for what isn't known
    assert "http" not in drawn.replace("http://www.w3.org/", "")


def test_of_what_is_not_certain_a_line_says_how_far_it_may_go() -> None:
    told = replace(ONE.arms[0].steps[3], customers=700, low=650, high=800, share=700 / 900)
    arm = replace(ONE.arms[0], steps=(*ONE.arms[0].steps[:3], told, *ONE.arms[0].steps[4:]))
    drawn = funnel_chart(Funnel(arms=(arm,)), is_over=True)
    assert ">700 (77.8%; 650 to 800)<" in drawn
    assert drawn.count('aria-roledescription="rule mark"') == 1
    assert 'aria-roledescription="rule mark"' not in funnel_chart(ONE, is_over=True)


def test_variants_and_their_control_group_have_colours_of_their_own() -> None:
    arms = [("all variants", 900), ("A", 500), ("B", 400)]
    found = Funnel(arms=(*(ArmFunnel(arm=arm, steps=steps(size, bought=90)) for arm, size in arms), ONE.arms[1]))
    drawn = funnel_chart(found, is_over=True)
    assert all(colour in drawn for colour in ("#0072B2", "#D55E00", "#009E73", "#8C8C8C"))


def test_texts_and_pages_tell_the_same_funnel() -> None:
    shown = result(days("message"), ONE)
    for told in (text(shown), text_of(html(shown))):
        assert "not known" in told and "270 (30.0%)" in told and "26 (26.0%)" in told
    assert html(shown).count("<svg") == 3 and html(result()).count("<svg") == 0


def test_of_a_result_in_doubt_the_days_are_folded() -> None:
    doubtful = replace(result(days("message"), ONE), planned={"message": 0.5, "control": 0.5}, sample_ratio_p=1e-9)
    assert doubtful.is_doubtful and "What it would say day by day" in html(doubtful)
    assert "What it would say day by day" not in html(result(days("message"), ONE))
