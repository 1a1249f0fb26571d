"""A ranking of customers by what a message does for them, and how far it can be relied on."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from optinb.errors import UsageError
from optinb.measure.qini import qini_of
from optinb.measure.uplift import LEAST_CUSTOMERS, Uplift, _boosted, learn_uplift, score_of
from optinb.measure.uplift_trees import BoostedTrees, as_trees


def made(customers: int = 6_000, *, adds: float = 0.0, moved: float = 1.0, base: float = 0.1, seed: int = 1):
    """Attributes, arms and purchases of customers; the message adds to those above a place of the first attribute."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(customers, 4))
    x[random.random(customers) < 0.1, 3] = np.nan
    treated = random.random(customers) >= 0.2
    effect = np.where(x[:, 0] > np.quantile(x[:, 0], 1 - moved), adds, 0.0) if moved < 1 else np.full(customers, adds)
    return x, treated, random.random(customers) < base + effect * treated, effect


def learned(**given) -> Uplift:
    x, treated, bought, _ = made(**given)
    return learn_uplift(x, treated, bought, seed=3, control_share=0.2)


def test_whom_a_message_moves_comes_first_by_what_others_did() -> None:
    x, treated, bought, effect = made(3_000, adds=0.2, moved=0.5)
    found = learn_uplift(x, treated, bought, seed=3, control_share=0.2)
    assert found.is_shown and found.qini is not None
    assert found.scores[effect > 0].mean() > 0.15 > 0.05 > found.scores[effect == 0].mean()
    assert found.qini.low < 0.2 / 8 < found.qini.high  # the oracle's
    whole = found.qini.effect
    assert found.qini.gain(0.5) > 0.8 * whole > 0 and found.qini.gain(1.0) == pytest.approx(whole)
    assert (score_of(found.models, x)[effect > 0] > 0.1).mean() > 0.9  # as of customers whom it never saw


@pytest.mark.parametrize(("adds", "missing"), [(0.0, True), (0.1, False)])
def test_nothing_is_shown_where_all_are_moved_alike_but_what_it_would_take(adds, missing) -> None:
    found = learned(customers=2_500, adds=adds)
    assert not found.is_shown and found.qini is not None
    assert found.qini.low < 0 < found.qini.high
    assert (found.more_held_out or 0) > 0 if missing else found.more_held_out == 0  # it would have been seen


@pytest.mark.scale
def test_a_ranking_is_shown_in_few_campaigns_that_move_all_alike() -> None:
    found = [learned(customers=2_000, adds=adds, base=0.2, seed=seed) for adds in (0, 0.1) for seed in range(50)]
    assert sum(one.is_shown for one in found) <= 9  # where 5 % are shown, more of 100 are once in thirty times


def test_too_small_a_control_group_is_not_learned_from_and_says_how_many_are_missing() -> None:
    found = learned(customers=400)
    assert found.qini is None and not found.is_shown and not found.scores.size
    assert found.control_customers < LEAST_CUSTOMERS
    assert LEAST_CUSTOMERS - found.control_customers <= (found.more_held_out or 0)
    x, treated, _, _ = made()
    nobody = learn_uplift(x, treated, np.zeros(len(treated)), seed=1, control_share=0.2)
    assert nobody.qini is None and nobody.more_held_out is None


def test_what_it_takes_falls_as_the_square_of_the_interval() -> None:
    random = np.random.default_rng(1)
    ranks = (random.permutation(1_000) + 0.5) / 1_000
    one, wide = qini_of(ranks, contrast := random.normal(0, 1, 1_000)), None
    wide = qini_of(ranks, 2 * contrast)
    assert (wide.times_for(0.01) or 0) == pytest.approx(4 * (one.times_for(0.01) or 0))
    assert one.times_for(0) is None


def test_a_ranking_by_the_effect_itself_has_the_whole_curve() -> None:
    ranks = (np.arange(1_000) + 0.5) / 1_000
    found = qini_of(ranks, np.where(ranks < 0.25, 4.0, 0.0))
    assert found.effect == 1.0 and found.coefficient == pytest.approx(0.375)
    assert found.gain(0.25) == found.effect > 0 and found.curve[-1] == (1.0, 1.0)
    assert qini_of(1 - ranks, np.where(ranks < 0.25, 4.0, 0.0)).coefficient == pytest.approx(-0.375)


def test_trees_as_data_say_what_those_of_scikit_learn_say_also_of_gaps_and_read_from_json() -> None:
    x, _, bought, _ = made(1_500)
    x[:50, 0] = np.nan
    fitted = _boosted(x, bought + np.isnan(x[:, 3]), leaf=20, depth=3)
    trees = msgspec.json.decode(msgspec.json.encode(as_trees(fitted)), type=BoostedTrees)
    asked = np.concatenate([x, np.full((1, 4), np.nan), np.full((1, 4), 1e300)])
    assert trees.predict(asked) == pytest.approx(fitted.predict(asked), abs=1e-9)


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="a row for each customer"):
        learn_uplift(np.zeros((3, 2)), [1, 0], [1.0, 0.0, 1.0], seed=1)
