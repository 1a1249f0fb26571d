"""The search: every condition, every two of them, and the best of those with a third. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from optinb.segments.discovery.evidence import Bits, Flags, Floats, Places, Sums, Target, chance, gain

BREADTH, PER_COLUMNS = 240, 2  # pairs that get a third condition: of all, and of any two columns
CONDITIONS = 900  # at most; the strongest by themselves
NONE = -1


class Tested(NamedTuple):
    """Every combination that was tested.

    places: shape (t, 3), the conditions of each, ascending; -1 where there are fewer.
    strength: shape (t,), standard errors by which the target is higher than among all others.
    chances: shape (t,), the chance of its least gain over any of its parents, which have one condition less.
    """

    places: Places
    strength: Floats
    chances: Floats


def search(
    bits: Bits,
    columns: Places,
    target: Target,
    *,
    depth: int,
    least: int,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> Tested:
    """Tests conjunctions of conditions on different columns.

    A combination counts by its gain over the best parent, so that a condition that adds nothing is never told.

    Args:
        bits: shape (m, ceil(n / 8)): which customers fit each condition.
        columns: shape (m,): which column each condition is on.
        target: of the n customers.
        depth: how many conditions are combined: 1, 2 or 3.
        least: customers that a group must have, and leave.
        on_progress: is told of customers that are done; n for each level but the first.
    """
    whole = target.of(np.ones(len(target.values), bool))
    alone = target.of_each(bits)
    strength = gain(alone, whole, yes_no=target.yes_no)
    fit = (alone.customers >= least) & (whole.customers - alone.customers >= least)  # type: ignore[operator]
    kept = np.flatnonzero(fit)
    found = [Tested(_places(kept), strength[kept], chance(strength[kept]))]
    if depth > 1 and len(kept) > 1:
        kept = np.sort(kept[np.argsort(-np.round(strength[kept], 9), kind="stable")[:CONDITIONS]])
        level = _Level(bits[kept], columns[kept], target, whole, least)
        both = level.pairs(on_progress)
        found.append(both._replace(places=_named(both.places, kept)))
        if depth > 2 and len(both.places):
            third = level.triples(level.beam(both), on_progress)
            found.append(third._replace(places=_named(third.places, kept)))
    return Tested(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


class _Level:
    """Pairs and triples over the conditions that are kept."""

    def __init__(self, bits: Bits, columns: Places, target: Target, whole: Sums, least: int) -> None:
        self.bits, self.columns, self.target, self.whole, self.least = bits, columns, target, whole, least

    def pairs(self, on_progress: Callable[[int], None]) -> Tested:
        self.both = self.target.of_both(self.bits, self.bits, on_progress=on_progress)
        i, j = np.triu_indices(len(self.columns), 1)
        other = self.columns[i] != self.columns[j]
        i, j = i[other], j[other]
        return self._tested(
            np.stack([i, j], axis=1), _at(self.both, i, j), [_at(self.both, i, i), _at(self.both, j, j)]
        )

    def beam(self, both: Tested) -> Places:
        """The pairs that get a third condition: the strongest, but only a few on the same two columns."""
        taken: dict[tuple[int, int], int] = {}
        best: list[int] = []
        for at in np.argsort(-np.round(both.strength, 9), kind="stable"):
            i, j = both.places[at, :2]
            key = (int(self.columns[i]), int(self.columns[j]))
            if taken.get(key, 0) < PER_COLUMNS:
                taken[key] = taken.get(key, 0) + 1
                best.append(int(at))
            if len(best) == BREADTH:
                break
        return both.places[best][:, :2]

    def triples(self, beam: Places, on_progress: Callable[[int], None]) -> Tested:
        parents = self.bits[beam[:, 0]] & self.bits[beam[:, 1]]
        sums = self.target.of_both(parents, self.bits, on_progress=on_progress)
        a, c = (x.ravel() for x in np.indices((len(beam), len(self.columns))))
        i, j = beam[a, 0], beam[a, 1]
        m = len(self.columns)
        places = np.sort(np.stack([i, j, c], axis=1), axis=1)
        first = np.unique((places[:, 0] * m + places[:, 1]) * m + places[:, 2], return_index=True)[1]
        other = (self.columns[c] != self.columns[i]) & (self.columns[c] != self.columns[j])
        first = first[other[first]]
        a, i, j, c = a[first], i[first], j[first], c[first]
        parents_of = [_at(self.both, i, j), _at(self.both, i, c), _at(self.both, j, c)]
        return self._tested(places[first], _at(sums, a, c), parents_of)

    def _tested(self, places: Places, sums: Sums, parents: list[Sums]) -> Tested:
        n = np.asarray(sums.customers)
        # what takes hardly anybody away from a parent is the parent again
        fit = (n >= self.least) & np.all([n <= 0.99 * np.asarray(p.customers) for p in parents], axis=0)
        sums, parents, places = _only(sums, fit), [_only(p, fit) for p in parents], places[fit]
        strength = gain(sums, self.whole, yes_no=self.target.yes_no)
        gains = [gain(sums, parent, yes_no=self.target.yes_no) for parent in parents]
        return Tested(_padded(places), strength, chance(np.minimum.reduce([strength, *gains])))


def _at(sums: Sums, i: Places, j: Places) -> Sums:
    return Sums(*(np.asarray(x)[i, j] for x in sums))


def _only(sums: Sums, fit: Flags) -> Sums:
    return Sums(*(np.asarray(x)[fit] for x in sums))


def _places(single: Places) -> Places:
    return _padded(single[:, None])


def _padded(places: Places) -> Places:
    return np.pad(places, ((0, 0), (0, 3 - places.shape[1])), constant_values=NONE)


def _named(places: Places, kept: Places) -> Places:
    return np.where(places == NONE, NONE, kept[places])
