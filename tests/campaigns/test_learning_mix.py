"""The shares of variants that move by what is learned of them."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from msgspec.structs import replace

from optinb.campaigns.learning import Learned, Learning, LearningFigure, Mix, follows, mix_of

ID = "0123456789ab"
NIGHT = date(2026, 11, 23)
HALVES = {"A": 0.5, "B": 0.5}


def known(a: float, b: float, customers: int = 1_000) -> dict[str, Learned]:
    def one(mean: float) -> Learned:
        return Learned(customers=customers, mean=mean, error=float(np.sqrt(mean * (1 - mean) / customers)))

    return {"A": one(a), "B": one(b)}


def mix(learning: Learning, learned: dict[str, Learned], **given) -> Mix:
    return mix_of(learning, HALVES, learned, **{"campaign_id": ID, "night": NIGHT, **given})


def test_shares_stay_as_planned_until_enough_is_known_of_every_variant() -> None:
    few = mix(Learning(figure="response", least=1_001), known(0.1, 0.3))
    assert few.shares == HALVES and not few.chances and "1,000 now" in few.sentence()
    one_alone = {"A": known(0.1, 0.3)["A"]}
    assert mix(Learning(figure="response"), one_alone).shares == HALVES
    assert mix(Learning(figure="response", least=1_000), known(0.1, 0.3)).shares != HALVES


def test_the_better_variant_gets_more_and_each_keeps_its_floor() -> None:
    told = mix(Learning(figure="response", floor=0.15), known(0.10, 0.13))
    assert told.shares["B"] > 0.8 and told.shares["A"] >= 0.15
    assert sum(told.shares.values()) == pytest.approx(1, abs=1e-3)
    clear = mix(Learning(figure="response", floor=0.15), known(0.1, 0.3))
    assert clear.shares == {"A": 0.15, "B": 0.85}
    even = mix(Learning(figure="response"), known(0.1, 0.1))
    assert even.shares["A"] == pytest.approx(0.5, abs=0.02)


def test_a_mix_is_the_same_from_the_same_seed_night_and_figures_and_another_from_others() -> None:
    learned = known(0.1, 0.105)
    told = mix(Learning(figure="response", seed=7), learned)
    assert told == mix(Learning(figure="response", seed=7), learned)
    others = [
        mix(Learning(figure="response", seed=8), learned),
        mix(Learning(figure="response", seed=7), learned, night=NIGHT + timedelta(days=1)),
        mix(Learning(figure="response", seed=7), learned, campaign_id="0123456789ac"),
    ]
    assert all(other.shares != told.shares for other in others)


def test_a_winner_by_the_stated_rule_gets_all_but_the_floors_from_then_on() -> None:
    rule = Learning(figure="response", floor=0.05, winner=0.99)
    assert mix(rule, known(0.1, 0.105)).winner is None
    won = mix(rule, known(0.1, 0.2))
    assert (won.winner, won.shares) == ("B", {"A": 0.05, "B": 0.95})
    later = mix(rule, known(0.2, 0.1), winner="B", night=NIGHT + timedelta(days=1))
    assert (later.winner, later.shares) == ("B", {"A": 0.05, "B": 0.95})
    assert mix(rule, known(0.1, 0.105), winner="gone").winner is None  # a variant that isn't any more
    assert mix(Learning(figure="response", floor=0.05), known(0.1, 0.9)).winner is None


@pytest.mark.parametrize("figure", ["spend", "orders"])
def test_amounts_are_drawn_by_their_error(figure) -> None:
    learned = {
        "A": Learned(customers=400, mean=10.0, error=2.0),
        "B": Learned(customers=400, mean=12.0, error=2.0),
    }
    told = mix(Learning(figure=figure), learned)
    assert told.chances["B"] == pytest.approx(0.76, abs=0.02)  # of a normal difference of 2 with an error of 2.83


def test_regret_falls_below_that_of_halves_and_the_worse_variant_is_still_tried() -> None:
    random, rule, truth = (
        np.random.default_rng(5),
        Learning(figure="response", floor=0.1, least=100),
        {"A": 0.10, "B": 0.14},
    )
    got, bought, shares = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0), HALVES
    for night in range(60):
        for name in truth:
            customers = round(200 * shares[name])
            got[name] += customers
            bought[name] += int(random.binomial(customers, truth[name]))
        means = {name: bought[name] / got[name] for name in truth}
        learned = {
            name: Learned(customers=got[name], mean=mean, error=float(np.sqrt(mean * (1 - mean) / got[name])))
            for name, mean in means.items()
        }
        shares = mix(rule, learned, night=NIGHT + timedelta(days=night)).shares
    assert got["B"] > 2 * got["A"] and got["A"] >= 60 * 200 * 0.1 * 0.95


@pytest.mark.parametrize("figure", ["spend", "orders"])
def test_nobody_wins_before_anybody_bought(figure: LearningFigure) -> None:
    rule = Learning(figure=figure, winner=0.999)
    nothing, some = Learned(customers=300, mean=0.0, error=0.0), Learned(customers=300, mean=2.0, error=0.5)
    for learned in ({"A": nothing, "B": nothing}, {"A": nothing, "B": some}):
        told = mix(rule, learned)
        assert (told.shares, told.winner) == (HALVES, None) and "until somebody of each has bought" in told.sentence()
    assert mix(rule, {"A": some, "B": some}).chances


def test_a_mix_follows_from_its_figures_by_other_random_numbers_too_and_by_other_figures_not() -> None:
    told = mix(Learning(figure="response", seed=7, winner=0.999), known(0.1, 0.105))
    other = mix(Learning(figure="response", seed=8, winner=0.999), known(0.1, 0.105))
    assert other.shares != told.shares  # as another release of NumPy may draw
    kept = replace(other, learning=told.learning)
    assert all(follows(one, campaign_id=ID, night=NIGHT) for one in (told, kept))
    best = mix(Learning(figure="response", seed=7, winner=0.999), known(0.1, 0.3))
    assert follows(best, campaign_id=ID, night=NIGHT) and best.winner == "B"
    for forged in (
        replace(told, shares={"A": 0.1, "B": 0.9}),
        replace(told, learned=known(0.1, 0.3)),
        replace(told, winner="B"),
        replace(told, chances={}),
        replace(told, night=NIGHT + timedelta(days=1)),
    ):
        assert not follows(forged, campaign_id=ID, night=NIGHT)
