"""What figures are without what was known of customers before: a regression over everybody, in parts of the people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PER_TERM = 10
"""The customers of the smaller arm that each term needs, or it is left out."""
AT_ONCE = 500_000
"""The customers whose terms are in memory together: those of millions would take gigabytes."""


def take_away(history: Floats, columns: Floats, *, smaller: int) -> Floats:
    """Takes away what was known before from columns, by the least squares; terms that say the same do no harm.

    Args:
        history: (customers x known) what was known of each: the terms are these, their logarithms and the squares of
            the logarithms, each of the same spread.
        columns: (customers x columns), which are changed.
        smaller: how many customers the smaller arm has.

    Returns:
        `columns`.
    """
    count = len(history)
    spans = [slice(at, at + AT_ONCE) for at in range(0, count, AT_ONCE)]

    def total(of: Callable[[slice], Floats]) -> Floats:
        found = of(spans[0])
        for span in spans[1:]:
            found += of(span)
        return found

    mean = total(lambda span: _terms(history[span]).sum(axis=0)) / count
    spread = np.sqrt(total(lambda span: ((_terms(history[span]) - mean) ** 2).sum(axis=0)) / count)
    used = np.flatnonzero(spread > 0)[: smaller // PER_TERM]
    if not len(used):
        columns -= columns.mean(axis=0)
        return columns

    def terms(span: slice) -> Floats:
        found = (_terms(history[span])[:, used] - mean[used]) / spread[used]
        return np.concatenate([np.ones((len(found), 1)), found], axis=1)

    def moments(span: slice) -> Floats:
        mine = terms(span)
        return mine.T @ np.concatenate([mine, columns[span]], axis=1)

    both = total(moments)
    explained = np.linalg.pinv(both[:, : len(both)], rcond=1e-10, hermitian=True) @ both[:, len(both) :]
    for span in spans:
        columns[span] -= terms(span) @ explained
    return columns


def _terms(history: Floats) -> Floats:
    """The terms of some customers (customers x terms)."""
    logs = np.sign(history) * np.log1p(np.abs(history))
    return np.concatenate([history, logs, logs * logs], axis=1)
