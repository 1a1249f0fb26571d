"""Comparing those who were to get a message with their control group."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
import tea_tasting
from scipy.stats import binom, ttest_ind

from optinb.errors import UsageError
from optinb.measure import draws as drawing
from optinb.measure.effect import Look, compare, compare_figures, sample_ratio

RUNS, CUSTOMERS, DRAWS = 300, 600, 400


def campaign(seed: int, customers: int = CUSTOMERS, *, more: float = 0.0):
    """Who was to get it, what they had spent before, and what they spent after, with a long tail."""
    random = np.random.default_rng(seed)
    rate, assigned = random.gamma(1.0, 0.6, customers), random.random(customers) >= 0.1
    level = np.exp(random.normal(0, 0.5, customers))
    before = random.poisson(3 * rate) * level * np.exp(random.normal(3.5, 0.7, customers))
    after = random.poisson(rate) * level * np.exp(random.normal(3.5, 1.0, customers))
    return assigned, before, after + more * assigned


def test_difference_of_the_means_is_what_is_estimated_without_a_history() -> None:
    assigned, _, spend = campaign(1)
    found = compare(assigned, spend, seed=1, draws=DRAWS)
    assert found.estimate == pytest.approx(spend[assigned].mean() - spend[~assigned].mean())
    assert (found.mean, found.control_mean) == (spend[assigned].mean(), spend[~assigned].mean())
    assert (found.customers, found.control_customers) == (assigned.sum(), (~assigned).sum())


@pytest.mark.parametrize("known", [False, True])
def test_an_amount_more_for_everybody_moves_the_interval_by_it_and_nothing_else(known: bool) -> None:
    assigned, before, spend = campaign(2)
    history = before if known else None
    none = compare(assigned, spend, history, seed=2, draws=DRAWS)
    more = compare(assigned, spend + 25.0 * assigned, history, seed=2, draws=DRAWS)
    width = none.high - none.low
    assert more.estimate == pytest.approx(none.estimate + 25)
    assert (more.low, more.high) == pytest.approx((none.low + 25, none.high + 25), abs=0.002 * width)


def test_no_effect_is_missed_as_often_as_said_on_each_side_where_welch_misses_it_in_favour_of_the_message() -> None:
    low = high = below = welch = 0
    for seed in range(RUNS):
        assigned, before, spend = campaign(seed)
        found = compare(assigned, spend, before if seed % 2 else None, seed=seed, draws=DRAWS)
        low, high, below = low + (found.low > 0), high + (found.high < 0), below + (found.p < 0.05)
        welch += ttest_ind(spend[assigned], spend[~assigned], equal_var=False).confidence_interval().low > 0
    most_of_a_side, least, most = binom.ppf(0.999, RUNS, 0.025), *binom.ppf([0.001, 0.999], RUNS, 0.05)
    assert low <= most_of_a_side and high <= most_of_a_side
    assert least <= below <= most
    assert welch > most_of_a_side  # what this is for


@pytest.mark.parametrize("known", [False, True])
def test_large_groups_of_the_same_size_say_what_another_library_says(known: bool) -> None:
    _, before, spend = campaign(3, 40_000)
    assigned = np.arange(40_000) % 2 == 0
    after = spend + 4.0 * assigned
    rows = pl.DataFrame({"variant": assigned.astype(int), "spend": after, "before": before})
    mean = tea_tasting.Mean("spend", covariate="before" if known else None)
    other = tea_tasting.Experiment(spend=mean).analyze(rows)["spend"]
    ours = compare(assigned, after, before if known else None, seed=3, control_share=0.5)
    theirs = (other.effect_size, other.effect_size_ci_lower, other.effect_size_ci_upper)
    # theirs is adjusted by a straight line, ours by the logarithm, too
    nearly = (0.1 if known else 0.05) * (theirs[2] - theirs[1])
    assert (ours.estimate, ours.low, ours.high) == pytest.approx(theirs, abs=nearly)
    assert ours.low < 4 < ours.high


def test_interval_and_p_say_the_same_of_no_effect() -> None:
    refused = set()
    for seed in range(60):
        assigned, _, spend = campaign(seed, more=10.0 * (seed % 4))
        found = compare(assigned, spend, seed=seed, draws=DRAWS)
        assert (found.p > 0.05) == (found.low <= 0 <= found.high), found
        refused.add(found.p <= 0.05)
    assert refused == {False, True}


def test_what_was_known_before_makes_the_interval_narrower_and_noise_does_not_make_it_wider() -> None:
    random, plain, known, noise = np.random.default_rng(5), [], [], []
    for seed in range(20):
        assigned, _, spend = campaign(seed)
        before = spend * np.exp(random.normal(0, 0.3, CUSTOMERS))
        for history, widths in ((None, plain), (before, known), (random.random(CUSTOMERS), noise)):
            found = compare(assigned, spend, history, seed=seed, draws=DRAWS)
            widths.append(found.high - found.low)
    assert np.median(known) < 0.7 * np.median(plain)
    assert np.median(noise) < 1.1 * np.median(plain)


def test_arms_are_told_by_word_number_or_flag_alike() -> None:
    assigned, _, spend = campaign(3)
    words = np.where(assigned, np.where(spend > 20, "A", "B"), "control")
    flags, numbers, named = (compare(arm, spend, seed=3, draws=DRAWS) for arm in (assigned, assigned * 1, words))
    assert flags == numbers == named


def test_the_same_seed_gives_the_same_figures_and_another_nearly_the_same() -> None:
    assigned, before, spend = campaign(4)
    one, same, other = (compare(assigned, spend, before, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.1 * (one.high - one.low))


def test_figures_of_one_campaign_are_those_of_each_alone() -> None:
    assigned, before, spend = campaign(6)
    figures = {"spend": spend, "response": spend > 0}
    together = compare_figures(assigned, figures, before, seed=6, draws=DRAWS)
    alone = {name: compare(assigned, values, before, seed=6, draws=DRAWS) for name, values in figures.items()}
    for name, found in alone.items():
        of_both = together[name]
        assert (of_both.estimate, of_both.low, of_both.high, of_both.p) == pytest.approx(
            (found.estimate, found.low, found.high, found.p), rel=1e-3
        )


def test_millions_drawn_by_cells_say_what_single_customers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assigned, _, spend = campaign(7, 20_000)
    by_cells = compare(assigned, spend, seed=7)
    monkeypatch.setattr(drawing, "CELLS", 20_000)
    single = compare(assigned, spend, seed=7)
    assert by_cells.estimate == pytest.approx(single.estimate)
    width = single.high - single.low
    assert (by_cells.low, by_cells.high) == pytest.approx((single.low, single.high), abs=0.06 * width)


def test_looks_before_the_last_are_wider_and_the_last_is_the_plain_one() -> None:
    assigned, _, spend = campaign(8)
    plain, third, last = (
        compare(assigned, spend, seed=8, look=look) for look in (Look(1, 1), Look(3, 14), Look(14, 14))
    )
    assert last == plain
    assert third.low < plain.low and third.high > plain.high
    assert (third.is_final, plain.is_final) == (False, True)


def test_an_outcome_that_is_the_same_for_everybody_has_no_effect_for_certain() -> None:
    assigned, before, _ = campaign(9)
    found = compare(assigned, np.zeros(CUSTOMERS), before, seed=9, draws=DRAWS)
    assert (found.estimate, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_control_group_of_another_size_than_planned_is_told() -> None:
    assert sample_ratio([9_000, 850], [0.9, 0.1]) < 0.001
    assert sample_ratio([8_865, 985], [0.9, 0.1]) > 0.5
    assigned, _, spend = campaign(10)
    assert compare(assigned, spend, seed=1, draws=DRAWS).sample_ratio_p > 0.001
    assert compare(assigned, spend, seed=1, draws=DRAWS, control_share=0.3).sample_ratio_p < 0.001


def test_false_alarms_of_the_sample_ratio_are_as_rare_as_said() -> None:
    control = np.random.default_rng(11).binomial(9_850, 0.1, 20_000)
    found = zip(*np.unique(control, return_counts=True), strict=True)
    alarms = sum(runs for n, runs in found if sample_ratio([9_850 - n, n], [0.9, 0.1]) < 0.001)
    least, most = binom.ppf([0.001, 0.999], 20_000, 0.001)
    assert least <= alarms <= most


def test_intervals_of_two_letters_beside_a_third_without_one_hold_what_was_planted() -> None:
    """Visits of 10.6, 15.1 and 18.3 % of 64,000, of whom one in 18 buys; the better letter doubles what is spent."""
    customers, rates, buys = (
        64_000,
        {"control": 0.106, "B": 0.151, "A": 0.183},
        {"control": 0.054, "B": 0.059, "A": 0.068},
    )
    amount, held, told = np.exp(4.5 + 0.6**2 / 2), 0, 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        arms = random.choice([*rates], customers)
        visits = random.random(customers) < np.array([rates[arm] for arm in arms])
        spend = (
            (random.random(customers) < np.array([buys[arm] for arm in arms]))
            * visits
            * random.lognormal(4.5, 0.6, customers)
        )
        for arm in ("A", "B"):
            of = (arms == arm) | (arms == "control")
            found = compare_figures(
                arms[of], {"visits": visits[of], "spend": spend[of]}, seed=seed, control_share=0.5, draws=DRAWS
            )
            truth = {
                "visits": rates[arm] - rates["control"],
                "spend": amount * (rates[arm] * buys[arm] - rates["control"] * buys["control"]),
            }
            held += sum(found[name].low <= truth[name] <= found[name].high for name in truth)
            told += sum(found[name].low > 0 for name in truth)
    assert held >= binom.ppf(0.001, 48, 0.95)
    assert told >= 36  # narrow enough to tell a letter from none


def test_spend_of_each_purchase_and_shares_of_more_are_held_as_often_as_said() -> None:
    runs, missed = 120, Counter[str]()
    for seed in range(runs):
        random = np.random.default_rng(seed)
        assigned, level = random.random(800) >= 0.1, np.exp(random.normal(0, 0.5, 800))
        orders = random.poisson(0.8 * np.where(assigned, 1.25, 1))
        spend = orders * level * np.exp(random.normal(3, 0.5, 800)) * np.where(assigned, 1.2, 1)
        of_each = float(np.exp(3 + 0.25))
        found = compare_figures(
            assigned, {"spend": spend}, level, seed=seed, draws=DRAWS, ratios={"value": (spend, orders)}, rises=True
        )
        truth = {"spend": (0.8 * of_each * 0.5, 0.5), "value": (of_each * 0.2, 0.2)}
        for name, (more, share) in truth.items():
            effect = found[name]
            assert effect.rise is not None and (effect.low > 0) == (effect.rise.low > 0)
            assert effect.rise.low < effect.rise.estimate < effect.rise.high
            missed[name] += not effect.low <= more <= effect.high
            missed[f"{name} as a share"] += not effect.rise.low <= share <= effect.rise.high
        value = found["value"]
        assert value.mean == pytest.approx(spend[assigned].sum() / orders[assigned].sum())
        assert value.estimate == pytest.approx(value.mean - value.control_mean)
    assert max(missed.values()) <= binom.ppf(0.999, runs, 0.05), missed


def test_a_share_of_next_to_nothing_is_unbounded_and_of_nothing_there_is_none() -> None:
    random = np.random.default_rng(12)
    assigned = np.arange(600) >= 60
    bought = np.where(assigned, random.random(600) < 0.2, np.arange(600) < 1)
    found = compare_figures(assigned, {"bought": bought, "none": 0 * bought}, seed=1, draws=DRAWS, rises=True)
    rise = found["bought"].rise
    assert rise is not None and rise.low > 0 and rise.high == np.inf
    assert found["none"].rise is None
    assert compare(assigned, bought, seed=1, draws=DRAWS).rise is None  # nobody asked for it


def test_the_chance_that_it_helps_follows_from_how_rare_as_much_is_without_effect() -> None:
    assigned, _, spend = campaign(2)
    more, less = (compare(assigned, spend + by * assigned, seed=2, draws=DRAWS) for by in (150.0, -150.0))
    assert more.chance == 1 - more.p / 2 > 0.9 and less.chance == less.p / 2 < 0.1


@pytest.mark.parametrize(
    ("assigned", "outcome", "history", "said"),
    [
        ([1, 0, 1, 0], ["yes", "no", "no", "yes"], None, "outcome has 'yes', which is no number; give 1 and 0 for"),
        ([1, 0, 1, 0], [1.0, 2.0, 3.0, 1.0], ["DE", "FR", "1", "2"], "history has 'DE', which is no number"),
        (["A", None, "control", "control"], [1.0, 2.0, 3.0, 1.0], None, "no arm for 1 of 4 customers"),
        ([1.0, np.nan, 0.0, np.nan], [1.0, 2.0, 3.0, 1.0], None, "no arm for 2 of 4 customers .* leave them out"),
        ([1, 0, 1, 0], [1.0, 2.0, 3.0], None, r"outcome has the shape \(3,\); it is one number for each of 4"),
        ([1, 0, 1, 0], [1.0, np.nan, 3.0, 1.0], None, "outcome has 1 gaps; who did nothing has 0"),
        ([1, 0, 1, 0], [1.0, 2.0, 3.0, 1.0], [1.0, np.inf, 2.0, 2.0], "history has 1 gaps"),
        ([1, 0, 1, 0], [1.0, 2.0, 3.0, 1.0], [1.0, 2.0], r"history has the shape \(2, 1\); it takes a row for each"),
        ([1, 1, 1, 0], [1.0, 2.0, 3.0, 1.0], None, "3 customers who were to get it and 1 in the control group"),
        ([[1, 0], [1, 0]], [1.0, 2.0], None, r"assigned has the shape \(2, 2\); it is one arm for each customer"),
        ([], [], None, "assigned has the shape"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(assigned, outcome, history, said) -> None:
    with pytest.raises(UsageError, match=said):
        compare(assigned, outcome, history, seed=1)


def test_a_ratio_that_one_arm_has_nothing_to_be_told_by_is_refused() -> None:
    with pytest.raises(UsageError, match="value is told by a column that is below 0, or 0 throughout an arm"):
        compare_figures([1, 1, 0, 0], {}, seed=1, ratios={"value": ([3.0, 1.0, 0.0, 0.0], [1, 1, 0, 0])})
