"""How much a group differs: its target, effects, their chance under no difference, and intervals. Pure, vectorised.

A group is told by sums over its customers: how many, the target's sum, and the sum of its squares (of a yes/no target,
the same as the sum). Which customers fit a condition is a bit each, and what many conditions have in common is found by
products of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri, xlogy

from optinb.base.intervals import wilson

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Bits: TypeAlias = NDArray[np.uint8]
Places: TypeAlias = NDArray[np.int64]


class Sums(NamedTuple):
    """Customers, the sum of their target, and of its squares: numbers, or arrays of one shape."""

    customers: ArrayLike
    target: ArrayLike
    squares: ArrayLike


def sums_of(values: Floats) -> Sums:
    """The sums over some customers, from the target of each."""
    return Sums(float(len(values)), float(values.sum()), float((values * values).sum()))


def gain(inside: Sums, whole: Sums, *, yes_no: bool) -> Floats:
    """By how many standard errors the target is higher inside a part of a whole than in the rest of it.

    Yes/no: the signed root of the likelihood ratio (Wilks 1938), whose tail stays near the exact one when few say yes,
    where the usual z is far off. Numbers: the z of a sample without replacement, which is that of permuted labels.
    Parts that are empty, or the whole, have 0.
    """
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


def chance(z: ArrayLike) -> Floats:
    """The chance of so many standard errors or more where there is no difference."""
    return ndtr(-np.asarray(z, float))


def q_values(chances: Floats) -> Floats:
    """Adjusted chances of Benjamini and Hochberg (1995): at most this share of what is as good or better is false."""
    order = np.argsort(chances, kind="stable")
    adjusted = chances[order] * len(chances) / np.arange(1, len(chances) + 1)
    found = np.empty_like(adjusted)
    found[order] = np.minimum.accumulate(adjusted[::-1])[::-1]
    return np.minimum(found, 1.0)


LOWEST = 60.0  # standard errors below what was found, under which nothing is told any more
MOVED = 3.0  # what an end that was moved adds to half the likelihood ratio by chance, at most


class PassedBar(NamedTuple):
    """By how many standard errors a group stood out in a search, and what that must be charged for.

    Attributes:
        strength: standard errors found.
        bar: standard errors that a group needed to be told.
        sure: standard errors that hardly any combination of the search lies from its truth; less than `bar`.
        moved: ends of spans that were moved to where the group is strongest.
    """

    strength: float
    bar: float
    sure: float
    moved: int = 0

    def ends(self, level: float) -> tuple[float, float]:
        """Standard errors below and above what was found, between which the true strength lies.

        Of a strength that was only looked at because it passed a bar, the interval is that of a normal cut off there
        (Zhong and Prentice 2008, Biostatistics 9); far above the bar it is the usual one, and it never reaches further
        down than what holds for all combinations together. Where a change is put is where chance helps most: an end
        that was moved freely adds up to 3 to half the likelihood ratio (the mean of a Brownian motion with drift at its
        highest point on either side of the change; Hinkley 1970, Biometrika 57; Yao 1987, Annals of Statistics 15), and
        next to nothing where the cuts lie far apart. So the interval reaches down as if it did, and up as if it didn't.
        """
        tail = (1 - level) / 2

        def below(mean: float) -> float:
            """The chance of more than was found, given that the bar is passed."""
            return float(log_ndtr(mean - self.strength) - log_ndtr(mean - self.bar))

        def where(log_chance: float) -> float:
            """The strength at which that chance is reached; the lowest looked at for who passed by a hair."""
            lowest, highest = self.strength - LOWEST, self.strength + 10
            if below(lowest) >= log_chance:
                return lowest
            return float(brentq(lambda mean: below(mean) - log_chance, lowest, highest))  # type: ignore[arg-type]

        down = min(self.strength - where(np.log(tail)), self.sure) + MOVED * self.moved / self.strength
        return down, max(where(np.log1p(-tail)) - self.strength, 0.0)


def interval(
    inside: Sums, outside: Sums, *, yes_no: bool, level: float = 0.95, passed: PassedBar | None = None
) -> tuple[float, float]:
    """The interval of the difference of the means, inside less outside.

    Yes/no: Newcombe's hybrid of Wilson intervals (1998, method 10). Numbers: Welch's, with normal quantiles.

    Args:
        inside: the group.
        outside: the others.
        yes_no: whether the target is a yes or no.
        level: how often the interval holds the truth.
        passed: the search that the group comes from, which makes the interval reach further down; None for a group
            that wasn't searched for on these customers.
    """
    z = float(ndtri(0.5 + level / 2))
    below, above = (z, z) if passed is None else passed.ends(level)
    (n1, k1, q1), (n2, k2, q2) = ((float(x) for x in sums) for sums in (inside, outside))  # type: ignore[arg-type]
    p1, p2 = k1 / n1, k2 / n2
    if yes_no:
        down = np.hypot(p1 - wilson(p1, n1, below)[0], wilson(p2, n2, below)[1] - p2)
        up = np.hypot(wilson(p1, n1, above)[1] - p1, p2 - wilson(p2, n2, above)[0])
        return float(p1 - p2 - down), float(p1 - p2 + up)
    spread = np.sqrt(max(q1 / n1 - p1**2, 0) / n1 + max(q2 / n2 - p2**2, 0) / n2)
    return float(p1 - p2 - below * spread), float(p1 - p2 + above * spread)


BLOCK = 16_384  # customers unpacked at a time: a count of them is exact in single precision


def pack(masks: Sequence[Flags]) -> Bits:
    """Booleans of shape (m, n) as bits of shape (m, ceil(n / 8))."""
    return np.stack([np.packbits(mask) for mask in masks])


def unpack(bits: Bits, size: int) -> Flags:
    """Bits of shape (..., ceil(n / 8)) as booleans of shape (..., n)."""
    return np.unpackbits(bits, axis=-1, count=size).astype(bool)


def count(bits: Bits) -> Places:
    """How many bits are set in each row."""
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)


def products(
    rows: Bits,
    columns: Bits,
    weights: Sequence[NDArray[np.float32] | None],
    size: int,
    *,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> list[Floats]:
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
    def _bits(self) -> Bits:
        return pack([self.values > 0.5])

    @cached_property
    def _weights(self) -> list[NDArray[np.float32] | None]:
        return [None, self.values] if self.yes_no else [None, self.values, self.values * self.values]

    def part(self, rows: Flags) -> Target:
        """The target of some of the customers."""
        return Target(self.values[rows], self.yes_no)

    def of(self, mask: Flags) -> Sums:
        """The sums over the customers of a mask."""
        chosen = self.values[mask].astype(np.float64)
        total = chosen.sum()
        return Sums(float(len(chosen)), total, total if self.yes_no else (chosen * chosen).sum())

    def of_each(self, bits: Bits) -> Sums:
        """The sums over the customers of each row of bits."""
        if self.yes_no:
            yes = count(bits & self._bits)
            return Sums(count(bits), yes, yes)
        everybody = pack([np.ones(len(self.values), bool)])
        return Sums(*(found[:, 0] for found in products(bits, everybody, self._weights, len(self.values))))

    def of_both(
        self,
        rows: Bits,
        columns: Bits,
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


def steady(values: Floats) -> NDArray[np.float32]:
    """A number as it is searched by: its few extreme values clipped, so that no single customer makes a group.

    Standardised, so that sums of squares keep their digits in single precision.
    """
    clipped = np.clip(values, *np.quantile(values, [1 - CLIPPED, CLIPPED]))
    if clipped.min() == clipped.max():
        clipped = values
    spread = clipped.std()
    return ((clipped - clipped.mean()) / (spread if spread > 0 else 1.0)).astype(np.float32)
