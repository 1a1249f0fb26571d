"""Finding the parameters under which the data is most likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optinb.base.figures import figure
from optinb.customers.threads import one_thread
from optinb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SETTLED = 1e-4
"""The steepest slope of the mean log-likelihood, in the log of a parameter, that counts as the top."""

SEARCHES = 5
"""On a long ridge a search can stall short of the top; the next one starts there with a fresh idea of the curvature."""


def most_likely(
    minus_mean: Callable[[Floats], tuple[float, Floats]],
    *,
    start: Sequence[float],
    bounds: Mapping[str, tuple[float, float]],
    model: str,
) -> tuple[list[float], float]:
    """The best positive parameters within their bounds, and the mean log-likelihood there.

    `minus_mean` takes the logs of the parameters, in the order of `bounds`, and gives minus the mean log-likelihood and
    its gradient. A parameter may end at a bound. Deterministic. Raises ModelError, naming `model`, if there is no top.
    """
    from scipy.optimize import minimize

    search = one_thread(minimize)
    low, high = np.log(np.array(list(bounds.values()))).T
    at, slope = np.clip(np.log(start), low, high), np.inf
    for _ in range(SEARCHES):
        found = search(
            minus_mean,
            at,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
        )
        at = found.x
        slope = np.max(np.abs(found.jac[(at > low) & (at < high)]), initial=0.0)
        if slope < SETTLED and np.isfinite(found.fun):
            return [float(value) for value in np.exp(at)], -float(found.fun)
    raise ModelError(
        f"{model}: no parameters fit this data best (the search ended on a slope of {figure(float(slope), digits=2)})"
    )
