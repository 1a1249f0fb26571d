"""Attributes that say the target in other words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optinb.segments.discovery.columns import AttributeColumn
    from optinb.segments.discovery.evidence import Sums
    from optinb.segments.discovery.target import Target

RESTATES = 0.9  # of the yes customers less of the no customers that one condition holds for; or a rank correlation
NEARLY_ALL = 0.98  # a rate that is told as too good, unless nearly everybody has it
ENOUGH = 100_000  # customers that a rank correlation is measured on


def restating(
    places: NDArray[np.int64], alone: Sums, columns: Sequence[AttributeColumn], target: Target
) -> dict[int, str]:
    """The columns that restate the target by themselves, with the reason.

    Args:
        places: the column of each condition.
        alone: the sums of each condition by itself.
        columns: the attributes.
        target: what groups are looked for by.
    """
    if not target.yes_no:
        return {
            place: f"follows the target (rank correlation {_alike(column, target):.2f})"
            for place, column in enumerate(columns)
            if column.is_measure and abs(_alike(column, target)) >= RESTATES
        }
    customers, yes = np.asarray(alone.customers, float), np.asarray(alone.target, float)
    size, total = len(target.values), float(target.values.sum(dtype=np.float64))
    apart = np.abs(yes / total - (customers - yes) / (size - total))
    found: dict[int, str] = {}
    for at in np.flatnonzero(apart >= RESTATES):
        found.setdefault(int(places[at]), "one condition on it tells the target nearly always")
    return found


def near_perfect(places: NDArray[np.int64], alone: Sums, target: Target, *, least: int) -> NDArray[np.int64]:
    """Conditions whose customers say yes nearly always, although all together don't; the largest of each column."""
    customers, yes = np.asarray(alone.customers, float), np.asarray(alone.target, float)
    if not target.yes_no or target.values.mean() > NEARLY_ALL - 0.1:
        return np.empty(0, np.int64)
    suspect = np.flatnonzero((customers >= least) & (yes >= NEARLY_ALL * customers))
    by_size = suspect[np.argsort(-customers[suspect], kind="stable")]
    _, first = np.unique(places[by_size], return_index=True)
    return by_size[np.sort(first)]


def _alike(column: AttributeColumn, target: Target) -> float:
    from scipy.stats import rankdata

    known = np.flatnonzero(column.known)[:ENOUGH]
    if len(known) < 3:
        return 0.0
    ranks = rankdata(column.values[known]), rankdata(target.values[known])
    if min(np.ptp(r) for r in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])
