"""What a message brought: those who were to get it against their control group, whatever the figure's distribution.

With a control group of a few hundred and spend with a long tail, Welch's interval is too narrow on one side, and always
in the message's favour. Here the studentised difference is compared with what it would have been had other customers
been drawn as the control group. For an effect that is the same for everybody this is exact in groups of any size, and
for any other it holds in large ones (Chung and Romano 2013, "Exact and asymptotically robust permutation tests", Annals
of Statistics 41(2)). The interval holds all effects that the test wouldn't refuse.

What was known of customers before the send explains much of their spend after it. Its part is taken away by a
regression over all customers, whichever arm they are in (Freedman and Lane 1983, Journal of Business and Economic
Statistics 1(4)), so that the test stays exact.

How much more that is, as a share of what they would have done without (`Rise`), is told by the same draws: each share
is refused where what is left without it differs from the control group, so that it is unbounded where even nothing
might have been bought without (as Fieller's interval is; 1954, Journal of the Royal Statistical Society B 16(2)). The
spend of each purchase, and the like, are ratios of two sums: their differences are studentised by the delta method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from optinb.errors import UsageError
from optinb.measure.differences import Compared, Moments
from optinb.measure.draws import cells_of, drawn_sums
from optinb.measure.regression import take_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

CONTROL = "control"
DRAWS = 2_000
CONFIDENCE = 0.95
LOOKS_RISK = 0.01
"""The risk that all looks before the last may take together; see `Look`."""
LEAST = 2
"""The customers that each arm needs, for there to be a spread."""


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

    def tail(self, confidence: float = CONFIDENCE, draws: int = DRAWS) -> float:
        """The chance on each side, below which this look refuses an effect.

        Args:
            confidence: of the last look's interval.
            draws: how many groups are drawn, of which the rarest two count at least.
        """
        if self.is_last:
            return (1 - confidence) / 2
        return max(LOOKS_RISK / 2 / (self.of - 1), 1.001 / (draws + 1))


FINAL = Look(1, 1)


class Rise(Struct, frozen=True, kw_only=True):
    """By which share an arm did more than without its message: 0.12 is 12 % more, -0.5 half as much.

    Attributes:
        estimate: adjusted by what was known before.
        low: of the interval; -1 where no fall is too large to be refused.
        high: of the interval; inf where no rise is.
    """

    estimate: float
    low: float
    high: float


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
        rise: the same as a share of what they would have done without; None where it wasn't asked for, or the control
            group did nothing that a share could be told of.
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
    rise: Rise | None = None

    @property
    def chance(self) -> float:
        """The chance that it is more than none, from 0 to 1, for somebody who expected neither more nor less."""
        return 1 - self.p / 2 if self.estimate > 0 else self.p / 2


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
    ratios: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    rises: bool = False,
) -> dict[str, Effect]:
    """Compares several figures of the same customers, with the same draws; further arguments as for `compare`.

    Args:
        assigned: as for `compare`.
        outcomes: of each figure by its name what followed.
        history: as for `compare`.
        seed: as for `compare`.
        control_share: as for `compare`.
        confidence: as for `compare`.
        draws: as for `compare`.
        look: as for `compare`.
        ratios: of each figure that is a ratio of sums two columns, such as what customers spent and how often they
            bought; `history` doesn't adjust these, and `mean` is the ratio.
        rises: whether each is told as a share, too.

    Raises:
        UsageError: as for `compare`, with the name of the figure; for a ratio whose second column is 0 throughout an
            arm, or below 0.
    """
    treated = _is_treated(assigned)
    control_customers = int((~treated).sum())
    sizes = np.array([len(treated) - control_customers, control_customers])
    if sizes.min() < LEAST:
        raise UsageError(
            f"there are {sizes[0]:,} customers who were to get it and {sizes[1]:,} in the control group; each takes "
            f"{LEAST} at least"
        )
    one = np.ones(len(treated))
    figures = {name: (_checked(name, values, len(treated)), one) for name, values in outcomes.items()}
    figures |= {name: _checked_ratio(name, *columns, treated) for name, columns in (ratios or {}).items()}
    names, means, arm = [*figures], len(outcomes), treated.astype(float)
    adjusted = [*(y for y, _ in [*figures.values()][:means]), arm]
    adjusted += [y * arm for y in adjusted[:means]] if rises else []
    known = _known(history, len(treated))
    rest = [*take_away(known, np.stack(adjusted, axis=1), smaller=int(sizes.min())).T]
    del known, adjusted
    asked = [Compared(y, rest[means]) for y in rest[:means]]
    asked += [Compared(y, x * arm, x) for y, x in (figures[name] for name in names[means:])]
    if rises:
        asked += [Compared(y, more) for y, more in zip(rest[:means], rest[means + 1 :], strict=True)]
        asked += [Compared(y, y * arm, x) for y, x in (figures[name] for name in names[means:])]
    moments = Moments(asked)
    random, seen = np.random.default_rng(seed), list[float]()

    def columns() -> Iterator[NDArray[np.float64]]:
        for column in moments.columns():
            seen.append(float(column[~treated].sum()))
            yield column

    cells = cells_of(columns(), len(treated), random)
    drawn = drawn_sums(cells, sizes[1] / sizes.sum(), draws=draws, random=random)
    test = moments.differences(np.concatenate([[seen], drawn]), cells.sum(axis=0))
    estimate = test.estimate()
    low, high = test.interval(estimate, look.tail(confidence, draws))
    p = test.p()
    ratio = sample_ratio(sizes, [1 - control_share, control_share])
    found = {}
    for at, (name, (y, x)) in enumerate(figures.items()):
        mean, control_mean = (float(y[arm].sum() / x[arm].sum()) for arm in (treated, ~treated))
        of = at + len(figures)
        has_rise = rises and control_mean > 0 and np.isfinite(estimate[of])
        found[name] = Effect(
            estimate=float(estimate[at]),
            low=float(low[at]),
            high=float(high[at]),
            p=float(p[at]),
            sample_ratio_p=ratio,
            mean=mean,
            control_mean=control_mean,
            customers=int(sizes[0]),
            control_customers=int(sizes[1]),
            is_final=look.is_last,
            rise=Rise(estimate=_rise(estimate[of]), low=_rise(low[of]), high=_rise(high[of])) if has_rise else None,
        )
    return found


def _rise(brought: float) -> float:
    """The rise that follows from the share of what customers did that the message brought."""
    if brought >= 1:
        return float("inf")
    return -1.0 if brought == -np.inf else float(brought / (1 - brought))


def sample_ratio(sizes: ArrayLike, shares: ArrayLike) -> float:
    """The chance of sizes of arms as far from the planned shares as these, by the chi-square test.

    Args:
        sizes: (arms,) customers.
        shares: (arms,) that were planned, in any unit.
    """
    from scipy.stats import chisquare

    sizes, shares = np.asarray(sizes, dtype=float), np.asarray(shares, dtype=float)
    return float(chisquare(sizes, sizes.sum() * shares / shares.sum()).pvalue)


def _is_treated(assigned: ArrayLike) -> NDArray[np.bool_]:
    """Whether each customer was to get it."""
    arms = np.asarray(assigned)
    if arms.ndim != 1 or not arms.size:
        raise UsageError(f"assigned has the shape {arms.shape}; it is one arm for each customer")
    # what isn't itself is NaN
    unknown = np.array([arm is None or arm != arm for arm in arms]) if arms.dtype.kind == "O" else arms != arms
    if unknown.any():
        raise UsageError(
            f"assigned has no arm for {int(unknown.sum()):,} of {arms.size:,} customers (None or NaN); leave them out, "
            f"or say {CONTROL!r} of those who were held out"
        )
    if arms.dtype.kind == "O":
        return np.array([arm != CONTROL if isinstance(arm, str) else bool(arm) for arm in arms])
    return np.asarray(arms != (CONTROL if arms.dtype.kind == "U" else 0))


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Values as numbers. Raises UsageError."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        said = next((value for value in np.asarray(values, dtype=object).ravel() if not _is_number(value)), "")
        raise UsageError(
            f"{name} has {said!r}, which is no number; give 1 and 0 for what happened and what didn't, or an amount"
        ) from error


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _checked(name: str, values: ArrayLike, customers: int) -> NDArray[np.float64]:
    """An outcome, one number for each customer."""
    found = _numbers(name, values)
    if found.shape != (customers,):
        raise UsageError(f"{name} has the shape {found.shape}; it is one number for each of {customers:,} customers")
    if not np.isfinite(found).all():
        raise UsageError(f"{name} has {int((~np.isfinite(found)).sum()):,} gaps; who did nothing has 0")
    return found


def _checked_ratio(
    name: str, sums: ArrayLike, by: ArrayLike, treated: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two columns of a ratio."""
    y, x = _checked(name, sums, len(treated)), _checked(name, by, len(treated))
    if x.min() < 0 or not (x[treated].any() and x[~treated].any()):
        raise UsageError(
            f"{name} is told by a column that is below 0, or 0 throughout an arm; leave it out until both have some"
        )
    return y, x


def _known(history: ArrayLike | None, customers: int) -> NDArray[np.float64]:
    """What was known of each customer (customers x columns)."""
    if history is None:
        return np.empty((customers, 0))
    found = _numbers("history", history)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != customers:
        raise UsageError(f"history has the shape {found.shape}; it takes a row for each of {customers:,} customers")
    if not np.isfinite(found).all():
        raise UsageError(f"history has {int((~np.isfinite(found)).sum()):,} gaps; fill them, such as with 0")
    return found
