"""Gamma-Gamma: what a customer will spend on a purchase, from what they spent on average and how often.

Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value" (brucehardie.com/notes/025). Single purchases of a
customer are Gamma(p, nu); nu is spread over customers as Gamma(q, gamma). A customer with few purchases is drawn
towards the mean of all, one with many is believed. It supposes that spend for a purchase does not go with frequency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from optinb.customers.likelihood import most_likely
from optinb.errors import ModelError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike, NDArray

BOUNDS = {"p": (1e-2, 1e3), "q": (1.01, 1e3), "gamma": (1e-6, 1e9)}
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

    def minus_likelihood(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
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

    (p, q, gamma), mean = most_likely(minus_likelihood, start=(2.0, 3.0, 1.0), bounds=BOUNDS, model="Gamma-Gamma")
    return GammaGamma(p=p, q=q, gamma=gamma * unit, log_likelihood=(mean - float(np.log(unit))) * total)
