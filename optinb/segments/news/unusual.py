"""Which of many groups changed in a week as chance and season don't explain. Pure.

Of each group the change of the logarithm in a week is compared with the same change on the nights of the eight weeks
before it. Changes of a week that overlap repeat each other and count as fewer (as in `group_forecast`). A few changes
tell a group's scatter badly, so it is drawn towards what the groups have in common, where it is measured in units of
what chance alone would give a group of its size: the moderated t statistic (Smyth 2004, "Linear models and empirical
Bayes methods"), with its prior by the moments of the logarithms of the scatters.

A change is told if it passes in the first half of the customers at a level that allows for every group that is looked
at (Bonferroni), shows again in the second half, is large enough to matter, and is no change of the same week of the
year before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FALSE = 0.01  # the chance that a night without any event tells something in the first half
AGAIN = 0.05  # the same for one group in the second half
LEAST_CHANGES = 14  # changes of a week that must be known of a group
LEAST_SHARE, LEAST_CUSTOMERS = 0.10, 50  # nobody wants to hear of less


class Change(NamedTuple):
    """How a group changed in a week, in both halves: what changed it, where it was expected (logarithms), chances."""

    seen: tuple[float, float]
    expected: float
    apart: float
    p: float
    p_again: float

    def beside(self, common: float) -> Change:
        """The change with what became of everybody in the same week."""
        first, second = self.seen
        return self._replace(seen=(first + common, second + common), expected=self.expected + common)


class Scatter(NamedTuple):
    """Of each group: the usual change of a week, its variance, and how many independent changes tell it."""

    mean: Floats
    variance: Floats
    worth: Floats


def scatter_of(changes: Floats) -> Scatter:
    """How groups changed from week to week.

    Args:
        changes: shape (groups, nights), of the logarithm in a week, the nights in order; NaN where it isn't known.
    """
    known = np.isfinite(changes)
    n = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, changes, 0.0).sum(axis=1) / n
    off = np.where(known, changes - mean[:, None], 0.0)
    whole = (off**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(whole > 0, (off[:, 1:] * off[:, :-1]).sum(axis=1) / whole, 0.0)
    r = np.clip(r + (1 + 3 * r) / n, 0.0, 0.95)
    count = np.clip(np.maximum(n * (1 - r) / (1 + r), n / 7), 2.0, None)
    return Scatter(mean, whole / n * count / (count - 1), count)


def prior_of(units: Floats, df: Floats) -> tuple[float, float]:
    """What scatters have in common: a typical one, and how many degrees of freedom it is worth (Smyth 2004).

    Args:
        units: shape (groups,), variances in one unit, above 0.
        df: shape (groups,), their degrees of freedom.
    """
    from scipy.special import digamma, polygamma

    logs = np.log(units) - digamma(df / 2) + np.log(df / 2)
    middle = float(logs.mean())
    spread = float(logs.var(ddof=1) - polygamma(1, df / 2).mean()) if len(logs) > 1 else 0.0
    if spread <= 0:
        return float(np.exp(middle)), np.inf
    worth = 2 * _inverse_trigamma(spread)
    return float(np.exp(middle + digamma(worth / 2) - np.log(worth / 2))), worth


def _priors(units: Floats, df: Floats, alike: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """For each group what the groups of its kind have in common, as of `prior_of`."""
    common, worth = np.empty_like(units), np.empty_like(units)
    for kind in np.unique(alike):
        mine = alike == kind
        common[mine], worth[mine] = prior_of(units[mine], df[mine])
    return common, np.minimum(worth, 1e6)


def _inverse_trigamma(x: float) -> float:
    """Where trigamma is x: Newton's method on its reciprocal, which is nearly a line."""
    from scipy.special import polygamma

    y = 0.5 + 1 / x
    for _ in range(50):
        at = float(polygamma(1, y))
        step = at * (1 - at / x) / float(polygamma(2, y))
        y += step
        if abs(step) < 1e-8 * y:
            break
    return y


def unusual(
    tonight: Floats,
    before: Floats,
    sizes: Floats,
    *,
    alike: NDArray[np.intp],
    year_before: Floats | None = None,
    tests: int,
) -> dict[int, Change]:
    """The groups that changed beyond chance and season, by their places.

    Args:
        tonight: shape (2, groups), the change of the logarithm in the week up to tonight, in each half of the
            customers; NaN where it isn't known.
        before: shape (2, groups, nights), the same of earlier nights, in order, none of whose weeks overlaps tonight's.
        sizes: shape (2, groups), customers a week ago.
        alike: shape (groups,), a number for each kind of group, such as its stage: those of one kind scatter alike.
        year_before: shape (groups,), the change in the same week of the year before, of both halves together.
        tests: how many groups are looked at tonight, those of other calls included.
    """
    from scipy.special import stdtr, stdtrit

    enough = np.isfinite(before).sum(axis=2).min(axis=0) >= LEAST_CHANGES
    enough &= np.isfinite(tonight).all(axis=0) & (sizes.min(axis=0) > 0)
    places = np.flatnonzero(enough)
    if not len(places):
        return {}
    chances, usual, apart = [], [], []
    for half in (0, 1):
        scatter = scatter_of(before[half, places])
        size, df = sizes[half, places], scatter.worth - 1
        # a group that never moves has no scatter of its own, and chance is what it has at least
        units = np.maximum(scatter.variance * size, 1e-6)
        common, worth = _priors(units, df, alike[places])
        variance = (df * units + worth * common) / (df + worth) / size
        error = np.sqrt(variance * (1 + 1 / scatter.worth))
        df = df + worth
        t = (tonight[half, places] - scatter.mean) / error
        chances.append(2 * stdtr(df, -np.abs(t)))
        usual.append(scatter.mean)
        apart.append(error * stdtrit(df, 0.975))
    found: dict[int, Change] = {}
    for at, place in enumerate(places):
        seen = (float(tonight[0, place]), float(tonight[1, place]))
        off = [one - float(usual[half][at]) for half, one in enumerate(seen)]
        if chances[0][at] > FALSE / tests or chances[1][at] > AGAIN or off[0] * off[1] <= 0:
            continue
        expected, width = float(usual[0][at] + usual[1][at]) / 2, float(np.hypot(apart[0][at], apart[1][at])) / 2
        if year_before is not None and np.isfinite(last := year_before[place]):
            # what happens every year at this time is no news
            beyond = sum(seen) / 2 - last
            if beyond * off[0] <= 0 or abs(beyond) < max(1.5 * width, np.log1p(LEAST_SHARE)):
                continue
        found[int(place)] = Change(seen, expected, width, float(chances[0][at]), float(chances[1][at]))
    return found
