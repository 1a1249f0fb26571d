"""Pareto/NBD: like the BG/NBD, but customers may leave at any time, whether they buy or not.

Schmittlein, Morrison and Colombo (1987), "Counting Your Customers: Who Are They and What Will They Do Next?",
Management Science 33(1). While alive, a customer buys at a rate of their own, Gamma(r, alpha) over customers; how long
they stay is exponential at a rate of their own, Gamma(s, beta). Histories are those of `bgnbd`.

The likelihood is the sum of two ways to explain a silence: still alive, or gone at some moment y since the last
purchase. The second is an integral over y, which the literature gives in hypergeometric functions; those overflow for
frequent buyers (of groceries, say). Here it is summed by Gauss-Legendre in log(alpha + y), where it is nearly
exponential; that holds for any history, and gives the gradient in passing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from optinb.customers.fitting import Floats, most_likely
from optinb.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

BOUNDS = {"r": (1e-3, 1e3), "alpha": (1e-3, 1e6), "s": (1e-3, 1e2), "beta": (1e-2, 1e6)}
"""Where parameters are looked for. With the least `s` hardly anybody leaves."""

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
TAIL = 20.0
"""What lies beyond e^-20 of the integrand's start is left out."""


class ParetoNbd(Struct, frozen=True, kw_only=True):
    """A fitted model: its parameters (alpha and beta in the unit of time of the histories) and its log-likelihood."""

    r: float
    alpha: float
    s: float
    beta: float
    log_likelihood: float

    name = "Pareto/NBD"

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Floats:  # noqa: N803
        """Probability (0 to 1) that the customer has not left, for each history."""
        from scipy.special import expit

        x, t_x, T = (np.asarray(figure, dtype=np.float64) for figure in (x, t_x, T))  # noqa: N806
        alive, (gone, *_) = _ways(x, t_x, T, self.r, self.alpha, self.s, self.beta)
        return expit(alive - gone)

    def expected_purchases(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, *, horizon: float) -> Floats:  # noqa: N803
        """Expected purchases in the next `horizon` units of time, for each history (equation 22 of the paper)."""
        count, now = np.asarray(x, dtype=np.float64), self.beta + np.asarray(T, dtype=np.float64)
        log_left = np.log(now / (now + horizon))
        power = self.s - 1
        stays = -log_left if abs(power) < 1e-9 else -np.expm1(power * log_left) / power
        rate = (self.r + count) / (self.alpha + np.asarray(T, dtype=np.float64))
        return self.p_alive(x, t_x, T) * rate * now * stays


def fit_pareto_nbd(x: ArrayLike, t_x: ArrayLike, T: ArrayLike, *, weights: ArrayLike | None = None) -> ParetoNbd:  # noqa: N803
    """The model of greatest likelihood; `weights` says how many customers share each history (1 without it).

    Deterministic for the same rows in the same order. Raises ModelError if no parameters can be found.
    """
    from scipy.special import expit, gammaln, psi

    x, t_x, T = (np.asarray(figure, dtype=np.float64) for figure in (x, t_x, T))  # noqa: N806
    weight = np.ones(x.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    scale = float(weight.sum())
    weight = weight / scale
    rate = float(weight @ x) / max(float(weight @ T), 1e-9)
    if not rate > 0:
        raise ModelError("Pareto/NBD: nobody bought a second time; there is no rhythm to learn")

    def minus_likelihood(logs: Floats) -> tuple[float, Floats]:
        r, alpha, s, beta = np.exp(logs)
        alive, (gone, log_a, inverse_a, log_b, inverse_b) = _ways(x, t_x, T, r, alpha, s, beta)
        left = expit(gone - alive)

        def mean(of_gone: Floats, of_alive: Floats) -> Floats:
            return np.where(left > 0, left * of_gone, 0) + (1 - left) * of_alive

        value = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + np.logaddexp(alive, gone)
        by_r = psi(r + x) - psi(r) + np.log(alpha) - mean(log_a, np.log(alpha + T))
        by_alpha = r / alpha - (r + x) * mean(inverse_a, 1 / (alpha + T))
        by_s = np.log(beta) + mean(1 / s - log_b, -np.log(beta + T))
        by_beta = s / beta - mean((s + 1) * inverse_b, s / (beta + T))
        gradient = np.array([weight @ by_r, weight @ by_alpha, weight @ by_s, weight @ by_beta])
        return -float(weight @ value), -gradient * np.array([r, alpha, s, beta])

    start = (0.6, 0.6 / rate, 0.6, 0.6 / rate)
    (r, alpha, s, beta), mean = most_likely(minus_likelihood, start=start, bounds=BOUNDS, model="Pareto/NBD")
    return ParetoNbd(r=r, alpha=alpha, s=s, beta=beta, log_likelihood=mean * scale)


def _ways(
    x: Floats, t_x: Floats, T: Floats, r: float, alpha: float, s: float, beta: float  # noqa: N803
) -> tuple[Floats, tuple[Floats, ...]]:  # fmt: skip
    """The logs of both ways to explain each history, without the factor that they share.

    With the second come the means, over the moment y of leaving, of log(alpha + y), 1 / (alpha + y), and of both with
    beta.
    """
    shape = r + x
    alive = -shape * np.log(alpha + T) + s * (np.log(beta) - np.log(beta + T))
    first = np.log(alpha + t_x)
    width = np.minimum(np.log(alpha + T) - first, TAIL / np.maximum(shape - 1, 1e-9))
    log_a = first[:, None] + width[:, None] * (NODES + 1) / 2
    a = np.exp(log_a)
    b = beta + a - alpha
    log_b = np.log(b)
    terms = (1 - shape)[:, None] * log_a - (s + 1) * log_b
    top = terms.max(axis=1)
    parts = np.exp(terms - top[:, None]) * WEIGHTS
    total = parts.sum(axis=1)
    with np.errstate(divide="ignore"):  # who has just bought had no time to leave
        gone = top + np.log(total * width / 2) + np.log(s) + s * np.log(beta)
    share = parts / total[:, None]
    return alive, (gone, *((share * figure).sum(axis=1) for figure in (log_a, 1 / a, log_b, 1 / b)))
