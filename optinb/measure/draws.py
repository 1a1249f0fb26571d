"""What other draws of a control group would have shown: sums over groups of the same size, drawn by chance.

A control group is drawn by a hash of each customer, so that any other group of its size could have been drawn as well.
Whatever is computed of a group follows from the sums of a few columns over it; these are added up once for a couple of
thousand drawn groups, and serve all figures of a campaign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


CELLS = 5_000
"""Beyond as many customers, groups are drawn by cells of customers, put together by chance. The sum over a drawn group
has the same mean, variance and skewness then, whose terms are sums over customers, and takes no longer for millions."""


def cells_of(
    columns: Iterable[NDArray[np.float64]], customers: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """The sums of columns over at most `CELLS` cells of customers, alike in size.

    Args:
        columns: (customers,) each, of which one at a time is needed.
        customers: how many there are.
        random: what the cells are put together with.

    Returns:
        (cells x columns).
    """
    if customers <= CELLS:
        return np.stack(list(columns), axis=1)
    cell = random.permutation(customers) % CELLS
    sums = [np.bincount(cell, weights=column, minlength=CELLS) for column in columns]
    return np.stack(sums, axis=1).astype(np.float64, copy=False)


def drawn_sums(
    columns: NDArray[np.float64], share: float, *, draws: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """The sums of columns over groups that were drawn by chance.

    Args:
        columns: (units x columns).
        share: of the units that each group holds, above 0 and below 1.
        draws: how many groups.
        random: what they are drawn with.

    Returns:
        (draws x columns).
    """
    from scipy.sparse import csr_array

    units = len(columns)
    # The windows of one shuffled list are groups without a customer in common: each is drawn like any other.
    smaller = min(share, 1 - share)
    size = max(1, round(units * smaller))
    windows = units // size
    shuffled = [random.permutation(units)[: windows * size] for _ in range(-(-draws // windows))]
    chosen = np.concatenate(shuffled)[: draws * size].astype(np.int32)
    bounds = np.arange(0, draws * size + 1, size, dtype=np.int32)
    sums = csr_array((np.ones(len(chosen)), chosen, bounds), shape=(draws, units)) @ columns
    return sums if share <= 0.5 else columns.sum(axis=0) - sums
