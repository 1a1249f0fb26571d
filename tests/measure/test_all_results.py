"""All campaigns side by side, and how many of those that stand out are luck."""

from __future__ import annotations

from datetime import date, datetime
from math import inf

import pytest
from msgspec.structs import replace

from optinb.measure import AllResults, ArmResult, CampaignResult, Effect
from optinb.measure.arms import MEANS
from optinb.measure.drawn_result import buyers_words, drawn_campaigns, state_words

OVER = datetime(2026, 12, 7)  # noqa: DTZ001


def brought(name: str, *, p: float, low: float = -0.1, high: float = 0.2) -> CampaignResult:
    effect = Effect(estimate=0.05, low=low, high=high, p=p, sample_ratio_p=0.5, mean=0.3, control_mean=0.25,
                    customers=9_000, control_customers=1_000)  # fmt: skip
    return CampaignResult(
        campaign=name, currency="EUR", days=14, nights=(date(2026, 11, 23),), measured_until=OVER, final_on=OVER,
        customers={"message": 9_000, "control": 1_000},
        arms=(ArmResult(arm="message", figures=dict.fromkeys(MEANS, effect)),),
    )  # fmt: skip


def found(name: str, p: float) -> CampaignResult:
    return brought(name, p=p, low=0.01)


def test_what_stands_out_among_many_is_corrected_for_how_many_were_looked_at() -> None:
    noise = [brought(f"N{n}", p=0.2 + n / 30) for n in range(20)]
    several = AllResults(results=(found("Sure", 0.0001), found("Lucky", 0.04), found("Too", 0.045), *noise))
    assert [one.campaign for one in several.found] == ["Sure", "Lucky", "Too"]
    assert [one.campaign for one in several.stands()] == ["Sure"]
    assert several.lucky() == pytest.approx(23 * 0.045)  # that many of 23 without any effect have such a p
    assert "3 of them to keep or to stop, about 1 of them by luck" in several.sentence()
    assert several.sentence().endswith("by how many were looked at: Sure")


def test_alone_it_is_what_it_says() -> None:
    alone = AllResults(results=(found("Sure", 0.0005),))
    assert alone.stands() == alone.found == alone.results
    assert "1 final result, 1 of them to keep or to stop, hardly by luck" in alone.sentence()
    assert "of which none tells" in AllResults(results=(brought("N", p=0.5),)).sentence()


def test_what_is_open_doubtful_or_without_control_counts_for_nothing() -> None:
    open_one = replace(found("Open", 0.001), measured_until=None)
    untold = replace(found("Alone", 0.001), arms=(), customers={"message": 9}, problem="nobody was held out")
    several = AllResults(results=(open_one, untold, replace(found("Odd", 0.001), sample_ratio_p=0.0)))
    assert not several.compared and "of none is there a final result yet" in several.sentence()
    assert [state_words(one) for one in several.results] == [
        "measuring until Mon 7 Dec 2026",
        "no control group",
        "final",
    ]


def test_all_are_drawn_on_one_line_and_those_that_cant_be_relied_on_are_not() -> None:
    doubtful = replace(found("Odd", 0.001), sample_ratio_p=0.0)
    zero, drawn = drawn_campaigns((brought("Wide", p=0.5, low=-0.3, high=inf), found("Sure", 0.001), doubtful))
    (_, wide), (_, sure), (_, odd) = drawn
    assert wide is not None and sure is not None and odd is None
    assert wide.low < zero < sure.low < sure.at < sure.high < 100.0 == wide.high and wide.is_open_above
    assert (wide.kind, sure.kind) == ("", "ob-good")
    assert buyers_words(found("Sure", 0.001)) == "450 (90 to 1,800) buyers more" and buyers_words(doubtful) == ""
    assert buyers_words(brought("Harm", p=0.001, low=-0.2, high=-0.1)).endswith("(900 to 1,800) buyers fewer")
    assert drawn_campaigns(()) == (pytest.approx(6.9, abs=0.1), [])


def test_a_frame_has_a_row_for_each_figure_with_open_ends_missing() -> None:
    of_two_nights = replace(found("Two", 0.001), nights=(date(2026, 11, 23), date(2026, 11, 24)))
    frame = AllResults(results=(brought("Open", p=0.5, high=inf), of_two_nights)).frame()
    assert frame.columns == ["campaign", "night", "figure", "arm", "estimate", "low", "high", "p", "customers",
                             "control_customers", "is_final", "advice"]  # fmt: skip
    assert frame.height == 2 * len(MEANS)
    assert frame.row(0, named=True) == {
        "campaign": "Open", "night": date(2026, 11, 23), "figure": "response", "arm": "message", "estimate": 0.05,
        "low": -0.1, "high": None, "p": 0.5, "customers": 9_000, "control_customers": 1_000, "is_final": True,
        "advice": "wait",
    }  # fmt: skip
    assert frame["night"].null_count() == len(MEANS) and frame["advice"].unique().sort().to_list() == ["keep", "wait"]
    assert of_two_nights.frame().equals(frame.tail(len(MEANS)))
    assert AllResults(results=()).frame().is_empty()
