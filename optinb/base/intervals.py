"""Intervals of shares."""

from __future__ import annotations

from math import sqrt

Z_95 = 1.959964  # the normal quantile of a 95 % interval


def wilson(share: float, of: float, z: float = Z_95) -> tuple[float, float]:
    """The interval of a share by Wilson (1927), which holds for few cases and for shares near 0 and 1.

    Args:
        share: what was found, from 0 to 1.
        of: among how many; with none, nothing is known and it is 0 to 1.
        z: the normal quantile of half the level that is left out; 95 % when left out.
    """
    if of <= 0:
        return 0.0, 1.0
    centre, spread = share + z * z / (2 * of), z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = (centre - spread) / (1 + z * z / of), (centre + spread) / (1 + z * z / of)
    return max(low, 0.0), min(high, 1.0)
