"""What groups are looked for by: a yes or no, or a number, of each customer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from optinb.segments.discovery.evidence import Sums
from optinb.segments.discovery.masks import count, pack, products

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CLIPPED = 0.99  # of a number, values beyond this quantile (and below its mirror) count as the quantile itself


@dataclass(frozen=True, eq=False)
class Target:
    """The target of n customers, as it is searched by.

    values: shape (n,), single precision; 0 and 1 of a yes/no target, else a number that `steady` made.
    yes_no: whether it is a yes or no.
    """

    values: NDArray[np.float32]
    yes_no: bool

    @cached_property
    def _bits(self) -> NDArray[np.uint8]:
        return pack([self.values > 0.5])

    @cached_property
    def _weights(self) -> list[NDArray[np.float32] | None]:
        return [None, self.values] if self.yes_no else [None, self.values, self.values * self.values]

    def part(self, rows: NDArray[np.bool_]) -> Target:
        """The target of some of the customers."""
        return Target(self.values[rows], self.yes_no)

    def of(self, mask: NDArray[np.bool_]) -> Sums:
        """The sums over the customers of a mask."""
        chosen = self.values[mask].astype(np.float64)
        total = chosen.sum()
        return Sums(float(len(chosen)), total, total if self.yes_no else (chosen * chosen).sum())

    def of_each(self, bits: NDArray[np.uint8]) -> Sums:
        """The sums over the customers of each row of bits."""
        if self.yes_no:
            yes = count(bits & self._bits)
            return Sums(count(bits), yes, yes)
        everybody = pack([np.ones(len(self.values), bool)])
        return Sums(*(found[:, 0] for found in products(bits, everybody, self._weights, len(self.values))))

    def of_both(
        self,
        rows: NDArray[np.uint8],
        columns: NDArray[np.uint8],
        *,
        on_progress: Callable[[int], None] = lambda _done: None,
    ) -> Sums:
        """The sums over the customers that fit a row and a column both: shape (rows, columns)."""
        found = products(rows, columns, self._weights, len(self.values), on_progress=on_progress)
        return Sums(found[0], found[1], found[-1])

    def by_place(self, places: NDArray[np.integer], number: int) -> Sums:
        """The sums over the customers at each place from 0 to `number` - 1; at a negative place stand the others."""
        stands = places >= 0
        at, values = places[stands], self.values[stands].astype(np.float64)
        total = np.bincount(at, weights=values, minlength=number)
        squares = total if self.yes_no else np.bincount(at, weights=values * values, minlength=number)
        return Sums(np.bincount(at, minlength=number).astype(np.float64), total, squares)


def steady(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """A number as it is searched by: its few extreme values clipped, so that no single customer makes a group.

    Standardised, so that sums of squares keep their digits in single precision.
    """
    clipped = np.clip(values, *np.quantile(values, [1 - CLIPPED, CLIPPED]))
    if clipped.min() == clipped.max():
        clipped = values
    spread = clipped.std()
    return ((clipped - clipped.mean()) / (spread if spread > 0 else 1.0)).astype(np.float32)
