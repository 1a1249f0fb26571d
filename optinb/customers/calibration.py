"""From the chances that a model tells to the shares that came true in past windows: a rising curve of few parameters.

Where there are many customers the curve follows what they did (isotonic regression: whatever rises). Where there are
few it follows beta calibration (Kull, Silva Filho and Flach 2017, "Beta calibration: a well-founded and easily
implemented improvement on logistic calibration for binary classifiers", AISTATS), whose three parameters all customers
share. Steps alone are wrong where it matters most: the last one is there because a hundred customers happened to do the
same, and tells the next hundred that it is certain.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from optinb.customers.fitting import Floats, Places, one_thread

LIKE = 100
"""The smooth curve counts like so many customers in each step of the other (the prior of a beta-binomial mean)."""

POINTS = 1_000
"""A curve is kept at about so many raw chances, each of an equal share of the customers."""

CLEARLY = 3.0
"""So many standard errors below 0 are no chance; a step is made of what doesn't rise, so a few are common."""

NEAREST = 1e-4
"""Raw chances nearer to 0 or 1 are taken for this, since a logarithm needs it."""

BINS = 10


class Calibration(Struct, frozen=True, kw_only=True):
    """A rising curve from a raw chance to a calibrated one, as points between which it is straight."""

    raw: tuple[float, ...]
    chance: tuple[float, ...]

    def __call__(self, raw: Floats) -> Floats:
        """The calibrated chances (Float64, 0 to 1) of raw ones."""
        return np.interp(raw, self.raw, self.chance)


class Bin(Struct, frozen=True, kw_only=True):
    """Customers of like chances in the test: how many, the mean chance forecast, and the share it came true for."""

    customers: int
    forecast: float
    happened: float


@one_thread
def calibrate(raw: Floats, truth: Floats) -> Calibration:
    """The curve that turns raw chances (0 to 1) into the shares that came true; `truth` is 1 where it did, else 0.

    The same for the same customers in any order. Both kinds of truth must be there.
    """
    from sklearn.isotonic import IsotonicRegression

    at, place, customers = np.unique(raw, return_inverse=True, return_counts=True)
    count = customers.astype(np.float64)
    happened = _sums(place, truth)
    steps = IsotonicRegression().fit_transform(at, happened / count, sample_weight=count)
    _, step = np.unique(steps, return_inverse=True)
    weight = _sums(step, count)[step]
    smooth = _unless_contradicted(_beta(at, happened, count), steps, step, happened, count)
    chance = np.maximum.accumulate((weight * steps + LIKE * smooth) / (weight + LIKE))
    shares = np.cumsum(count) / count.sum()
    kept = np.unique([0, *np.searchsorted(shares, np.linspace(0, 1, POINTS + 1)[1:]).clip(0, len(at) - 1)])
    return Calibration(raw=tuple(at[kept].tolist()), chance=tuple(chance[kept].tolist()))


def _unless_contradicted(smooth: Floats, steps: Floats, step: Places, happened: Floats, count: Floats) -> Floats:
    """The smooth curve, and its mean over each step in which those who were told more did it clearly less.

    There the raw chances sort customers the wrong way round, and elsewhere they sort them within a step too.
    """
    customers = _sums(step, count)
    mean = (_sums(step, count * smooth) / customers)[step]
    rises = _sums(step, (smooth - mean) * (happened - count * steps))
    error = np.sqrt(_sums(step, count * (smooth - mean) ** 2) * _sums(step, count * steps * (1 - steps)) / customers)
    return np.where((rises < -CLEARLY * error)[step], mean, smooth)


def _sums(of: Places, figure: Floats) -> Floats:
    return np.bincount(of, weights=figure).astype(np.float64)


def _beta(at: Floats, happened: Floats, count: Floats) -> Floats:
    """The likeliest curve with logit = a log(raw) - b log(1 - raw) + c and neither a nor b below 0, at each raw."""
    from scipy.optimize import minimize
    from scipy.special import expit

    inside = np.clip(at, NEAREST, 1 - NEAREST)
    terms = np.column_stack([np.log(inside), -np.log1p(-inside), np.ones(len(at))])

    def minus_likelihood(parameters: Floats) -> tuple[float, Floats]:
        logit = terms @ parameters
        value = count @ np.logaddexp(0, logit) - happened @ logit
        return float(value) / count.sum(), terms.T @ (count * expit(logit) - happened) / count.sum()

    bounds = [(0, None), (0, None), (None, None)]
    found = minimize(minus_likelihood, [1.0, 1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
    return expit(terms @ found.x)


def reliability(chance: Floats, truth: Floats) -> tuple[Bin, ...]:
    """Customers by tenths of the chance (0 to 0.1, …); tenths without a customer are left out."""
    which = np.minimum((chance * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            customers=int((which == i).sum()),
            forecast=float(chance[which == i].mean()),
            happened=float(truth[which == i].mean()),
        )
        for i in range(BINS)
        if (which == i).any()
    )
