"""How much a group differs: effects, their chance under no difference, and intervals. Pure, vectorised.

A group is told by sums over its customers: how many, the target's sum, and the sum of its squares (of a yes/no target,
the same as the sum).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Sums(NamedTuple):
    """Customers, the sum of their target, and of its squares: numbers, or arrays of one shape."""

    customers: ArrayLike
    target: ArrayLike
    squares: ArrayLike


def gain(inside: Sums, whole: Sums, *, yes_no: bool) -> NDArray[np.float64]:
    """By how many standard errors the target is higher inside a part of a whole than in the rest of it.

    Yes/no: the signed root of the likelihood ratio (Wilks 1938), whose tail stays near the exact one when few say yes,
    where the usual z is far off. Numbers: the z of a sample without replacement, which is that of permuted labels.
    Parts that are empty, or the whole, have 0.
    """
    from scipy.special import xlogy

    n, k, _ = (np.asarray(x, float) for x in inside)
    size, total, squares = (np.asarray(x, float) for x in whole)
    rest = size - n
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / size
        if yes_no:
            expected = n * mean, n * (1 - mean), rest * mean, rest * (1 - mean)
            observed = k, n - k, total - k, rest - (total - k)
            ratio = sum(xlogy(o, o / e) for o, e in zip(observed, expected, strict=True))
            z = np.sqrt(np.maximum(2 * ratio, 0)) * np.sign(k - expected[0])
        else:
            variance = np.maximum(squares / size - mean**2, 0)
            z = (k / n - mean) / np.sqrt(variance / n * rest / (size - 1))
    return np.where((n > 0) & (rest > 0) & np.isfinite(z), z, 0.0)


def chance(z: ArrayLike) -> NDArray[np.float64]:
    """The chance of so many standard errors or more where there is no difference."""
    from scipy.special import ndtr

    return ndtr(-np.asarray(z, float))


def q_values(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted chances of Benjamini and Hochberg (1995): at most this share of what is as good or better is false."""
    order = np.argsort(chances, kind="stable")
    adjusted = chances[order] * len(chances) / np.arange(1, len(chances) + 1)
    found = np.empty_like(adjusted)
    found[order] = np.minimum.accumulate(adjusted[::-1])[::-1]
    return np.minimum(found, 1.0)


def interval(inside: Sums, outside: Sums, *, yes_no: bool, level: float = 0.95) -> tuple[float, float]:
    """The interval of the difference of the means, inside less outside.

    Yes/no: Newcombe's hybrid of Wilson intervals (1998, method 10). Numbers: Welch's, with normal quantiles.
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    (n1, k1, q1), (n2, k2, q2) = ((float(x) for x in sums) for sums in (inside, outside))  # type: ignore[arg-type]
    p1, p2 = k1 / n1, k2 / n2
    if yes_no:
        (low1, high1), (low2, high2) = _wilson(p1, n1, z), _wilson(p2, n2, z)
        down = np.hypot(p1 - low1, high2 - p2)
        up = np.hypot(high1 - p1, p2 - low2)
        return float(p1 - p2 - down), float(p1 - p2 + up)
    spread = z * np.sqrt(max(q1 / n1 - p1**2, 0) / n1 + max(q2 / n2 - p2**2, 0) / n2)
    return float(p1 - p2 - spread), float(p1 - p2 + spread)


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float((centre - spread) / (1 + z * z / n)), float((centre + spread) / (1 + z * z / n))
