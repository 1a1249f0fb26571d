"""What a customer will buy: how often (BG/NBD and MBG/NBD), and for how much each time (Gamma-Gamma).

Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
Marketing Science 24(2). While alive, a customer buys at random at a rate of their own; after each purchase they leave
for good with a probability of their own. Over customers, rates are Gamma(r, alpha) and probabilities Beta(a, b).

The modified model (Batislam, Denizel and Filiztekin 2007, International Journal of Research in Marketing 24(3)) lets
them leave after the first purchase too, so that a customer of one purchase isn't alive for ever. The two differ only in
the number of chances to leave that a history holds: x, or x + 1.

A history is three figures, in any unit of time: x, the purchases after the first; t_x, the time from the first purchase
to the last; T, the time from the first purchase to now.

Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value" (brucehardie.com/notes/025). Single purchases of a
customer are Gamma(p, nu); nu is spread over customers as Gamma(q, gamma). A customer with few purchases is drawn
towards the mean of all, one with many is believed. It supposes that spend for a purchase does not go with frequency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct

from optinb.customers.fitting import Floats, most_likely
from optinb.errors import ModelError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike

BOUNDS = {"r": (1e-3, 1e3), "alpha": (1e-3, 1e6), "a": (1e-3, 1e3), "b": (1e-3, 1e3)}
"""Where parameters are looked for. At an edge the model still predicts: with the least `a` hardly anybody leaves."""

NEAR_POLE = 1e-5
"""The closed form of the expectation is 0/0 at a = 1 and at a + b = 1; it is smooth there, but not to a computer."""


class BgNbd(Struct, frozen=True, kw_only=True):
    """A fitted model: its parameters (alpha in the unit of time of the histories) and its log-likelihood.

    `leaves_at_once`: whether customers may leave after the first purchase, which makes it the MBG/NBD.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    leaves_at_once: bool = False

    @property
    def name(self) -> str:
        """What the literature calls it."""
        return "MBG/NBD" if self.leaves_at_once else "BG/NBD"

    def _chances(self, x: Floats) -> Floats:
        """How often a customer with x repeats could have left."""
        return x + self.leaves_at_once

    def expected_purchases(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, *, horizon: float) -> Floats:  # noqa: N803
        """Expected purchases in the next `horizon` units of time, for each history (equation 10 of the paper).

        The hypergeometric function is taken as printed or Euler-transformed, whichever stays bounded as z nears 1.
        """
        h = _history(x, t_x, T)
        if abs(self.a - 1) < NEAR_POLE or abs(self.a + self.b - 1) < NEAR_POLE:
            sides = (self._expected(h, horizon, self.a + step * NEAR_POLE) for step in (-3, 3))
            return sum(sides, start=np.zeros(h.x.shape)) / 2
        return self._expected(h, horizon, self.a)

    def _expected(self, h: _Histories, horizon: float, a: float) -> Floats:
        from scipy.special import hyp2f1

        z = horizon / (self.alpha + h.T + horizon)
        stayed = self.b + self._chances(h.x)
        c = a + stayed - 1
        shape = self.r + h.x
        transformed = shape > a - 1
        series = hyp2f1(np.where(transformed, c - shape, shape), np.where(transformed, a - 1, stayed), c, z)
        while_alive = c / (a - 1) * (1 - (1 - z) ** np.where(transformed, a - 1, shape) * series)
        return while_alive * self.p_alive(h.x, h.t_x, h.T)

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:  # noqa: N803
        """Probability (0 to 1) that the customer has not left, for each history; 1 where they had no chance to."""
        h = _history(x, t_x, T)
        exponent = (self.r + h.x) * np.log((self.alpha + h.T) / (self.alpha + h.t_x))
        chances = self._chances(h.x)
        odds = np.log(self.a / (self.b + np.maximum(chances, 1) - 1)) + exponent
        return np.where(chances > 0, 1 / (1 + np.exp(np.minimum(odds, 700))), 1.0)

    def p_silent(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, *, horizon: float) -> Floats:  # noqa: N803
        """Probability (0 to 1) of no purchase in the next `horizon` units of time, for each history.

        Somebody who is alive has the rate Gamma(r + x, alpha + T), independent of the leaving probability, and stays
        alive until the next purchase; so the wait for it has a Pareto tail.
        """
        h = _history(x, t_x, T)
        waits = ((self.alpha + h.T) / (self.alpha + h.T + horizon)) ** (self.r + h.x)
        return 1 - self.p_alive(h.x, h.t_x, h.T) * (1 - waits)


def fit_bgnbd(
    x: ArrayLike,
    t_x: ArrayLike,
    T: ArrayLike,  # noqa: N803
    *,
    weights: ArrayLike | None = None,
    leaves_at_once: bool = False,
) -> BgNbd:
    """The model of greatest likelihood; `weights` says how many customers share each history (1 without it).

    `leaves_at_once` fits the MBG/NBD. Deterministic for the same rows in the same order. Raises ModelError if no
    parameters can be found.
    """
    name = "MBG/NBD" if leaves_at_once else "BG/NBD"
    h = _history(x, t_x, T)
    weight = np.ones(h.x.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    likelihood = _Likelihood(h, weight, at_first=int(leaves_at_once))
    rate = np.sum(weight * h.x) / max(float(np.sum(weight * h.T)), 1e-9)
    if not rate > 0:
        raise ModelError(f"{name}: nobody bought a second time; there is no rhythm to learn")
    (r, alpha, a, b), mean = most_likely(likelihood, start=(0.5, 0.5 / rate, 0.8, 2.5), bounds=BOUNDS, model=name)
    return BgNbd(r=r, alpha=alpha, a=a, b=b, log_likelihood=mean * likelihood.scale, leaves_at_once=leaves_at_once)


class _Histories(NamedTuple):
    x: Any
    t_x: Any
    T: Any


def _history(x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> _Histories:  # noqa: N803
    return _Histories(*(np.asarray(figure, dtype=np.float64) for figure in (x, t_x, T)))


class _Likelihood:
    """Minus the mean log-likelihood and its gradient in the logs of (r, alpha, a, b) (equation 6 of the paper).

    The gamma functions depend on x alone and are evaluated once for each different x. `at_first` is 1 where the first
    purchase was a chance to leave too.
    """

    def __init__(self, h: _Histories, weight: Floats, *, at_first: int = 0) -> None:
        self.scale = float(weight.sum())
        self._h = h
        self._weight = weight / self.scale
        self._counts, self._of_row = np.unique(h.x, return_inverse=True)
        self._count_weight = np.bincount(self._of_row, weights=self._weight)
        self._chances = self._counts + at_first
        chances = h.x + at_first
        self._may_have_left = chances > 0
        self._less_one = np.maximum(chances, 1.0) - 1

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        from scipy.special import expit, gammaln, psi

        r, alpha, a, b = np.exp(logs)
        h, weight, n, m = self._h, self._weight, self._counts, self._chances
        log_now, log_then = np.log(alpha + h.T), np.log(alpha + h.t_x)
        shape = r + h.x
        log_alive = -shape * log_now
        log_left = np.where(self._may_have_left, np.log(a) - np.log(b + self._less_one) - shape * log_then, -np.inf)
        left = expit(log_left - log_alive)
        by_count = (
            gammaln(r + n) - gammaln(r) + gammaln(a + b) + gammaln(b + m) - gammaln(b) - gammaln(a + b + m)
        ) + r * np.log(alpha)
        total = self._count_weight @ by_count + weight @ np.logaddexp(log_alive, log_left)

        both = psi(a + b) - psi(a + b + m)
        mean_log = log_now + left * (log_then - log_now)
        inverse = 1 / (alpha + h.T) * (1 - left) + left / (alpha + h.t_x)
        gradient = np.array(
            [
                self._count_weight @ (psi(r + n) - psi(r)) + np.log(alpha) - weight @ mean_log,
                r / alpha - weight @ (shape * inverse),
                self._count_weight @ both + weight @ left / a,
                self._count_weight @ (both + psi(b + m) - psi(b)) - weight @ (left / (b + self._less_one)),
            ]
        )
        return -float(total), -gradient * np.array([r, alpha, a, b])


SPEND_BOUNDS = {"p": (1e-2, 1e3), "q": (1.01, 1e3), "gamma": (1e-6, 1e9)}
"""Where parameters are looked for. The mean over all customers, p * gamma / (q - 1), exists for q above 1 only."""


class GammaGamma(Struct, frozen=True, kw_only=True):
    """A fitted Gamma-Gamma model: its parameters (gamma in the currency) and its log-likelihood."""

    p: float
    q: float
    gamma: float
    log_likelihood: float

    def expected_spend(self, purchases: pl.Expr, average: pl.Expr) -> pl.Expr:
        """Expected spend for a future purchase (Float64, the currency), from the number of purchases and their average.

        Equation 5 of the paper; an expression, so that it is computed where the data is.
        """
        return self.p * (self.gamma + purchases * average) / (self.p * purchases + self.q - 1)


def fit_gamma_gamma(n: ArrayLike, average: ArrayLike, *, weights: ArrayLike | None = None) -> GammaGamma:
    """The model of greatest likelihood from purchases (n, at least 1) and their average spend (above 0).

    `weights` says how many customers share a row (1 without it). Deterministic for the same rows in the same order.
    Raises ModelError if all averages are equal or no parameters can be found.
    """
    from scipy.special import gammaln, psi

    n = np.asarray(n, dtype=np.float64)
    average = np.asarray(average, dtype=np.float64)
    if not len(n) or np.ptp(average) <= 1e-9 * np.max(average):
        raise ModelError("Gamma-Gamma: every customer spends the same for a purchase; there is nothing to tell apart")
    weight = np.ones(n.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    total = float(weight.sum())
    weight = weight / total
    unit = float(weight @ average)
    z = average / unit
    log_z, log_sum = np.log(z), np.log(n) + np.log(z)
    sums = n * z
    counts, of_row = np.unique(n, return_inverse=True)
    count_weight = np.bincount(of_row, weights=weight)
    fixed = float(weight @ (n * log_sum)), float(weight @ log_z)

    def minus_likelihood(logs: Floats) -> tuple[float, Floats]:
        """Minus the mean log-likelihood (equation 1a) and its gradient in the logs of (p, q, gamma)."""
        p, q, gamma = np.exp(logs)
        shape = p * n + q
        log_all = np.log(gamma + sums)
        inverse = 1 / (gamma + sums)
        value = (
            count_weight @ (gammaln(p * counts + q) - gammaln(p * counts))
            - gammaln(q)
            + q * np.log(gamma)
            + p * fixed[0]
            - fixed[1]
            - weight @ (shape * log_all)
        )
        both = psi(p * counts + q)
        gradient = np.array(
            [
                count_weight @ (counts * (both - psi(p * counts))) + fixed[0] - weight @ (n * log_all),
                count_weight @ both - psi(q) + np.log(gamma) - weight @ log_all,
                q / gamma - weight @ (shape * inverse),
            ]
        )
        return -float(value), -gradient * np.array([p, q, gamma])

    (p, q, gamma), mean = most_likely(minus_likelihood, start=(2.0, 3.0, 1.0), bounds=SPEND_BOUNDS, model="Gamma-Gamma")
    return GammaGamma(p=p, q=q, gamma=gamma * unit, log_likelihood=(mean - float(np.log(unit))) * total)
