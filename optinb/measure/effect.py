"""What a message brought: those who were to get it against their control group, whatever the figure's distribution.

With a control group of a few hundred and spend with a long tail, Welch's interval is too narrow on one side, and always
in the message's favour. Here the studentised difference is compared with what it would have been had other customers
been drawn as the control group. For an effect that is the same for everybody this is exact in groups of any size, and
for any other it holds in large ones (Chung and Romano 2013, "Exact and asymptotically robust permutation tests", Annals
of Statistics 41(2)). The interval holds all effects that the test wouldn't refuse.

What was known of customers before the send explains much of their spend after it. Its part is taken away by a
regression over all customers, whichever arm they are in (Freedman and Lane 1983, Journal of Business and Economic
Statistics 1(4)), so that the test stays exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from optinb.errors import UsageError
from optinb.measure.draws import cells_of, drawn_sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

CONTROL = "control"
DRAWS = 2_000
CONFIDENCE = 0.95
LOOKS_RISK = 0.01
"""The risk that all looks before the last may take together; see `Look`."""
LEAST = 2
"""The customers that each arm needs, for there to be a spread."""
PER_TERM = 10
"""The customers of the control group that each term of the regression on what was known needs, or it is left out."""
HALVINGS = 40
TIE = 1e-9
"""Differences of rounding, within which two draws are the same."""


class Look(Struct, frozen=True):
    """Which of several looks at a figure whose window is still open this is; the last is the final one.

    Whoever looks every night for a difference finds one by luck sooner or later. The looks before the last share a risk
    of their own (`LOOKS_RISK`, at most), so that their intervals are wider, and hold at all looks together.

    Attributes:
        number: from 1 to `of`.
        of: how many there will be.
    """

    number: int
    of: int

    @property
    def is_last(self) -> bool:
        """Whether the figure is final."""
        return self.number >= self.of


FINAL = Look(1, 1)


class Effect(Struct, frozen=True, kw_only=True):
    """What an arm did more than its control group, for each customer who was assigned to it.

    Attributes:
        estimate: the difference of the means, in the unit of the outcome, adjusted by what was known before.
        low: of the interval; -inf where no effect is too small to be refused.
        high: of the interval; inf where none is too large.
        p: the chance of a difference as far from none, were there no effect. Of a look before the last, it is what a
            single look would say.
        sample_ratio_p: the chance of sizes as far from the planned shares; below 0.001 something else than chance made
            the arms.
        mean: of the outcome among those who were to get the message.
        control_mean: among the control group.
        customers: who were to get the message.
        control_customers: in the control group.
        is_final: whether the interval is that of the last look.
    """

    estimate: float
    low: float
    high: float
    p: float
    sample_ratio_p: float
    mean: float
    control_mean: float
    customers: int
    control_customers: int
    is_final: bool = True


def compare(
    assigned: ArrayLike,
    outcome: ArrayLike,
    history: ArrayLike | None = None,
    *,
    seed: int,
    control_share: float = 0.1,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    look: Look = FINAL,
) -> Effect:
    """Compares everybody who was to get a message with the control group.

    Args:
        assigned: (customers,) which arm each is in: 0, False or "control" for the control group.
        outcome: (customers,) what followed: 1 and 0, or an amount.
        history: (customers,) or (customers x columns) what was known of each before the send, such as their spend of
            the year before; amounts as they are, since their logarithms are taken here.
        seed: of the draws; the same seed gives the same figures.
        control_share: what share the control group was planned to be.
        confidence: of the interval.
        draws: how many other control groups are drawn.
        look: which of several looks at an open window this is.

    Returns:
        The difference with its interval.

    Raises:
        UsageError: for arrays of different lengths, an outcome or a history with gaps, or an arm of fewer than two.
    """
    return compare_figures(
        assigned,
        {"outcome": outcome},
        history,
        seed=seed,
        control_share=control_share,
        confidence=confidence,
        draws=draws,
        look=look,
    )["outcome"]


def compare_figures(
    assigned: ArrayLike,
    outcomes: Mapping[str, ArrayLike],
    history: ArrayLike | None = None,
    *,
    seed: int,
    control_share: float = 0.1,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    look: Look = FINAL,
) -> dict[str, Effect]:
    """Compares several figures of the same customers, with the same draws; arguments as for `compare`.

    Raises:
        UsageError: as for `compare`, with the name of the figure.
    """
    treated = _is_treated(assigned)
    figures = {name: _checked(name, values, len(treated)) for name, values in outcomes.items()}
    control_customers = int((~treated).sum())
    sizes = np.array([len(treated) - control_customers, control_customers])
    if sizes.min() < LEAST:
        raise UsageError(
            f"there are {sizes[0]:,} customers who were to get it and {sizes[1]:,} in the control group; each takes "
            f"{LEAST} at least"
        )
    stacked = np.stack(list(figures.values()), axis=1)
    arm = treated.astype(float)[:, None]
    rest = _without(_terms(history, sizes), np.concatenate([stacked, arm], axis=1))
    y, a = rest[:, :-1], rest[:, -1:]
    columns = np.concatenate([np.ones_like(a), a, a * a, y, y * y, y * a], axis=1)
    random = np.random.default_rng(seed)
    seen = columns[~treated].sum(axis=0)
    drawn = drawn_sums(cells_of(columns, random), sizes[1] / sizes.sum(), draws=draws, random=random)
    test = _Test(columns.sum(axis=0), np.concatenate([seen[None], drawn]), len(figures))
    tail = (1 - confidence) / 2
    if not look.is_last:
        tail = max(LOOKS_RISK / 2 / (look.of - 1), 1.001 / (draws + 1))
    estimate = test.estimate()
    low, high = test.interval(estimate, tail)
    p = test.p()
    ratio = sample_ratio(sizes, [1 - control_share, control_share])
    return {
        name: Effect(
            estimate=float(estimate[at]),
            low=float(low[at]),
            high=float(high[at]),
            p=float(p[at]),
            sample_ratio_p=ratio,
            mean=float(values[treated].mean()),
            control_mean=float(values[~treated].mean()),
            customers=int(sizes[0]),
            control_customers=int(sizes[1]),
            is_final=look.is_last,
        )
        for at, (name, values) in enumerate(figures.items())
    }


def sample_ratio(sizes: ArrayLike, shares: ArrayLike) -> float:
    """The chance of sizes of arms as far from the planned shares as these, by the chi-square test.

    Args:
        sizes: (arms,) customers.
        shares: (arms,) that were planned, in any unit.
    """
    from scipy.stats import chisquare

    sizes, shares = np.asarray(sizes, dtype=float), np.asarray(shares, dtype=float)
    return float(chisquare(sizes, sizes.sum() * shares / shares.sum()).pvalue)


class _Test:
    """The studentised differences of the groups that were drawn, the first of which is the real one.

    All follow from sums over the control group: of the customers (1), of the arm a and the outcomes y without what was
    known before (a, a², y, y², ya). With an effect d for everybody who was to get it, y - d·a is what they would have
    done without.
    """

    def __init__(self, total: NDArray[np.float64], sums: NDArray[np.float64], figures: int) -> None:
        def parts(of: NDArray[np.float64]) -> list[NDArray[np.float64]]:
            y, yy, ya = (of[..., 3 + k * figures : 3 + (k + 1) * figures] for k in range(3))
            return [of[..., 0:1], of[..., 1:2], of[..., 2:3], y, yy, ya]

        self._control, self._others = parts(sums), parts(total - sums)

    def estimate(self) -> NDArray[np.float64]:
        """The effects (figures,) at which the arms don't differ."""
        (n, a, _, y, *_), (m, b, _, z, *_) = ([part[0] for part in parts] for parts in (self._control, self._others))
        return np.asarray((z / m - y / n) / (b / m - a / n))

    def p(self) -> NDArray[np.float64]:
        """The chance (figures,) of a difference as far from none on either side."""
        above, below = self._tails(np.zeros(self._control[3].shape[1]))
        return np.minimum(1.0, 2 * np.minimum(above, below))

    def interval(self, estimate: NDArray[np.float64], tail: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the largest effects (figures,) that neither tail refuses, by halving."""
        _, spread = self._studentised(estimate)
        step = np.where(spread[0] > 0, 2 * spread[0], 0.0) / (self._others[1] / self._others[0])[0]
        found = []
        for side in (-1, 1):
            inside, outside = estimate.copy(), estimate + side * step
            for _ in range(HALVINGS):
                if (is_in := self._holds(outside, side, tail) & (step > 0)).any():
                    inside, outside = np.where(is_in, outside, inside), np.where(is_in, 2 * outside - inside, outside)
                else:
                    break
            open_ended = self._holds(outside, side, tail) & (step > 0)
            for _ in range(HALVINGS):
                if (abs(outside - inside) <= 1e-4 * step).all():
                    break
                middle = (inside + outside) / 2
                is_in = self._holds(middle, side, tail)
                inside, outside = np.where(is_in, middle, inside), np.where(is_in, outside, middle)
            found.append(np.where(open_ended, side * np.inf, (inside + outside) / 2))
        return found[0], found[1]

    def _holds(self, effect: NDArray[np.float64], side: int, tail: float) -> NDArray[np.bool_]:
        above, below = self._tails(effect)
        return (above if side < 0 else below) > tail

    def _tails(self, effect: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The share (figures,) of draws that are at least as large as what was seen, and at most."""
        t, _ = self._studentised(effect)
        seen = t[0]
        return (t >= seen - TIE).mean(axis=0), (t <= seen + TIE).mean(axis=0)

    def _studentised(self, effect: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The differences (draws, figures) were the effect this, by their standard errors; and these."""
        (mean, variance), (others, variance_of_others) = (
            _mean_and_variance(part, effect) for part in (self._control, self._others)
        )
        spread = np.sqrt(variance + variance_of_others)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(spread > 0, (others - mean) / spread, 0.0), spread


def _mean_and_variance(
    sums: list[NDArray[np.float64]], effect: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of y - effect·a: the mean, and the variance of the mean."""
    n, a, aa, y, yy, ya = sums
    mean = (y - effect * a) / n
    square = (yy - 2 * effect * ya + effect * effect * aa) / n
    return mean, np.maximum(square - mean * mean, 0.0) / np.maximum(n - 1, 1)


def _is_treated(assigned: ArrayLike) -> NDArray[np.bool_]:
    """Whether each customer was to get it."""
    arms = np.asarray(assigned)
    if arms.ndim != 1 or not arms.size:
        raise UsageError(f"assigned has the shape {arms.shape}; it is one arm for each customer")
    if arms.dtype.kind in "UO":
        return np.asarray(arms != CONTROL)
    return np.asarray(arms != 0)


def _checked(name: str, values: ArrayLike, customers: int) -> NDArray[np.float64]:
    """An outcome, one number for each customer."""
    found = np.asarray(values, dtype=float)
    if found.shape != (customers,):
        raise UsageError(f"{name} has the shape {found.shape}; it is one number for each of {customers:,} customers")
    if not np.isfinite(found).all():
        raise UsageError(f"{name} has {int((~np.isfinite(found)).sum()):,} gaps; who did nothing has 0")
    return found


def _terms(history: ArrayLike | None, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The terms of the regression (customers x terms): the columns, their logarithms and the squares of these."""
    customers = int(sizes.sum())
    one = np.ones((customers, 1))
    if history is None:
        return one
    found = np.asarray(history, dtype=float)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != customers:
        raise UsageError(f"history has the shape {found.shape}; it takes a row for each of {customers:,} customers")
    if not np.isfinite(found).all():
        raise UsageError(f"history has {int((~np.isfinite(found)).sum()):,} gaps; fill them, such as with 0")
    logs = np.sign(found) * np.log1p(np.abs(found))
    terms = np.concatenate([found, logs, logs * logs], axis=1)
    spread = terms.std(axis=0)
    varies = spread > 0
    terms = (terms[:, varies] - terms[:, varies].mean(axis=0)) / spread[varies]
    return np.concatenate([one, terms[:, : int(sizes.min()) // PER_TERM]], axis=1)


def _without(terms: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns without what the terms explain of them; terms that say the same as others do no harm."""
    if terms.shape[1] == 1:
        return np.asarray(columns - columns.mean(axis=0))
    moments = terms.T @ terms
    return np.asarray(columns - terms @ (np.linalg.pinv(moments, rcond=1e-10, hermitian=True) @ (terms.T @ columns)))
