"""Which customers fit which condition, a bit each, and what many of them have in common, by products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

BLOCK = 16_384  # customers unpacked at a time: a count of them is exact in single precision


def pack(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Booleans of shape (m, n) as bits of shape (m, ceil(n / 8))."""
    return np.stack([np.packbits(mask) for mask in masks])


def unpack(bits: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    """Bits of shape (..., ceil(n / 8)) as booleans of shape (..., n)."""
    return np.unpackbits(bits, axis=-1, count=size).astype(bool)


def count(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many bits are set in each row."""
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)


def products(
    rows: NDArray[np.uint8],
    columns: NDArray[np.uint8],
    weights: Sequence[NDArray[np.float32] | None],
    size: int,
    *,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> list[NDArray[np.float64]]:
    """Sums over the customers that fit a row and a column both.

    Args:
        rows: bits of shape (r, ceil(n / 8)).
        columns: bits of shape (c, ceil(n / 8)).
        weights: what is summed, shape (n,); None counts.
        size: n.
        on_progress: is told of each block of customers how many they are.

    Returns:
        an array of shape (r, c) for each weight.
    """
    sums = [np.zeros((len(rows), len(columns))) for _ in weights]
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        part = slice(start // 8, (stop + 7) // 8)
        right = np.unpackbits(columns[:, part], axis=1, count=stop - start).astype(np.float32)
        left = right if rows is columns else np.unpackbits(rows[:, part], axis=1, count=stop - start).astype(np.float32)
        for total, weight in zip(sums, weights, strict=True):
            if weight is None:
                total += left @ right.T
            elif (weighed := weight[start:stop]).any():
                only = np.flatnonzero(weighed)
                # customers of no weight add nothing; of a yes/no target they are the most
                few = len(only) < 0.5 * len(weighed)
                total += (left[:, only] * weighed[only]) @ right[:, only].T if few else (left * weighed) @ right.T
        on_progress(stop - start)
    return sums
