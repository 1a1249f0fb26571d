"""Whom a message moves: customers ranked by what it did for people like them, against its control group. Pure.

The outcome without what its level says of it, divided by the chance of the arm, is on average the effect on a customer;
shallow boosted trees learn from it who differs (the chance being known, this is what Nie and Wager's R-learner learns:
2021, Biometrika 108(2)). Where little else makes customers buy it ranks as an X-learner of the same trees does, and far
better where much does: 0.97 of the oracle's Qini against 0.71, and a T-learner's 0.56 (benchmarks/bench_uplift.py).

Each customer is scored by what was learned from others alone (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from optinb.customers.fitting import one_thread
from optinb.errors import UsageError
from optinb.measure.qini import Qini, qini_of
from optinb.measure.uplift_trees import BoostedTrees, as_trees

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FOLDS = 5
LEAST_CUSTOMERS = 200
LEAST_OUTCOMES = 20
"""The customers that each arm takes, and how many of them with an outcome other than 0, before anything is learned."""
IN_A_LEAF = 30
"""The customers of the smaller arm that a group within which the effect counts as the same holds, on average."""
TENTH = 0.1


class Uplift(Struct, frozen=True, kw_only=True):
    """A ranking, and how far it can be relied on.

    Attributes:
        scores: (customers,) the expected effect on each, in the outcome's unit, by a model that didn't see them; empty
            where nothing was learned.
        models: one for each part of the customers, learned from the others; see `score_of`.
        qini: of the ranking against random targeting; None where nothing was learned.
        customers: who were to get the message.
        control_customers: in the control group.
        more_held_out: about how many customers more in the control group, at the same share, it would take to show a
            ranking in which half of the customers have the whole effect; 0 where that would have been seen, None where
            nobody can say.
    """

    scores: np.ndarray[Any, np.dtype[np.float64]]
    models: tuple[BoostedTrees, ...]
    qini: Qini | None
    customers: int
    control_customers: int
    more_held_out: int | None

    @property
    def is_shown(self) -> bool:
        """Whether there is a ranking that is better than chance."""
        return self.qini is not None and self.qini.is_shown


def score_of(models: Sequence[BoostedTrees], features: ArrayLike) -> NDArray[np.float64]:
    """The expected effect on other customers, in the outcome's unit: the mean of what the models say.

    Args:
        models: of an `Uplift`.
        features: (customers x columns) in the order that they were learned in; gaps are NaN.
    """
    found = np.asarray(features, dtype=float)
    return np.asarray(np.mean([model.predict(found) for model in models], axis=0))


@one_thread
def learn_uplift(
    features: ArrayLike,
    treated: ArrayLike,
    outcome: ArrayLike,
    *,
    seed: int,
    control_share: float = 0.1,
) -> Uplift:
    """Learns from a message and its control group whom it moves.

    Args:
        features: (customers x columns) what was known of each before the send; gaps are NaN.
        treated: (customers,) whether each was to get it.
        outcome: (customers,) what followed: 1 and 0, or an amount.
        seed: of the parts that customers are put into; the same seed gives the same ranking.
        control_share: what share the control group was planned to be.

    Raises:
        UsageError: for arrays of different lengths, or an outcome with gaps.
    """
    x, arm, y = np.asarray(features, dtype=float), np.asarray(treated, dtype=bool), np.asarray(outcome, dtype=float)
    if x.ndim != 2 or not len(x) == len(arm) == len(y) or not np.isfinite(y).all():
        raise UsageError(
            f"features {x.shape}, treated {arm.shape} and outcome {y.shape} take a row for each customer, and an "
            "outcome without gaps"
        )
    customers, held_out = int(arm.sum()), int((~arm).sum())
    found = Uplift(
        scores=np.empty(0),
        models=(),
        qini=None,
        customers=customers,
        control_customers=held_out,
        more_held_out=_before_learning(arm, y),
    )
    if found.more_held_out != 0 or not x.shape[1]:
        return found
    fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    share = 1 - control_share
    level, scores, ranks = np.empty(len(y)), np.empty(len(y)), np.empty(len(y))
    # A gap in everybody says nothing, and binning it would warn.
    x = np.where(np.isnan(x).all(axis=0), 0.0, x)
    for part in range(FOLDS):
        out = fold == part
        level[out] = _boosted(x[~out], y[~out], leaf=max(IN_A_LEAF, len(y) // 300), depth=3).predict(x[out])
    contrast = (arm - share) / (share * control_share) * (y - level)
    models = []
    for part in range(FOLDS):
        out = fold == part
        leaf = max(ceil(IN_A_LEAF / min(share, control_share)), len(y) // 100)
        models.append(as_trees(_boosted(x[~out], contrast[~out], leaf=leaf, depth=2)))
        scores[out] = models[-1].predict(x[out])
        ranks[out] = _ranks(scores[out])
    judged = qini_of(ranks, contrast)
    worth = max(abs(judged.effect), TENTH * abs(float(y[~arm].mean()))) / 4
    times = judged.times_for(worth)
    return Uplift(
        scores=scores,
        models=tuple(models),
        qini=judged,
        customers=customers,
        control_customers=held_out,
        more_held_out=None if times is None else max(0, ceil((times - 1) * held_out)),
    )


def _before_learning(arm: NDArray[np.bool_], y: NDArray[np.float64]) -> int | None:
    """How many customers held out are missing before anything can be learned; None where nobody can say."""
    takes = 0
    for of in (arm, ~arm):
        followed = int((y[of] != 0).sum())
        size = int(of.sum())
        if not size or not followed:
            return None
        needed = max(LEAST_CUSTOMERS, ceil(LEAST_OUTCOMES * size / followed))
        takes = max(takes, ceil((needed / size - 1) * int((~arm).sum())))
    return takes


def _boosted(x: NDArray[np.float64], y: NDArray[np.float64], *, leaf: int, depth: int) -> Any:
    # scikit-learn takes a while to import
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting: Any = HistGradientBoostingRegressor  # sklearn's defaults mislead the type checker
    return boosting(
        max_iter=30,
        learning_rate=0.1,
        max_depth=depth,
        min_samples_leaf=leaf,
        max_bins=63,
        early_stopping=False,
        random_state=0,
    ).fit(x, y)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The places of scores, the highest near 0 and the lowest near 1; those of equal ones are the same."""
    from scipy.stats import rankdata

    return (rankdata(-scores) - 0.5) / len(scores)
