"""The search: every condition, every two of them, and the best of those with a third. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from optinb.segments.discovery.evidence import Bits, Flags, Floats, Places, Sums, Target, gain

BREADTH, PER_COLUMNS = 240, 2  # pairs that get a third condition: of all, and of any two columns
NONE = -1


class Tested(NamedTuple):
    """Every combination that was tested.

    places: shape (t, 3), the conditions of each, ascending; -1 where there are fewer.
    strength: shape (t,), standard errors by which the target is higher than among all others that are known.
    adds: shape (t,), the least gain, in standard errors, over any of its parents, which have one condition less; that
        of a condition alone is its strength.
    tests: shape (t,), how many combinations of as many conditions were tested.
    """

    places: Places
    strength: Floats
    adds: Floats
    tests: Places


def search(
    bits: Bits,
    columns: Places,
    known: Places,
    paired: Flags,
    target: Target,
    *,
    depth: int,
    least: int,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> Tested:
    """Tests conjunctions of conditions on different columns.

    A combination is held against its parents among those customers of whom the column of the further condition is
    known, so that who filled in a form isn't taken for what they filled in.

    Args:
        bits: shape (m + k, ceil(n / 8)): which customers fit each condition, and then of whom a column is known.
        columns: shape (m,): which column each condition is on.
        known: shape (m,): the place in `bits`, m or above, of those of whom the column of each condition is known.
        paired: shape (m,): the conditions that are combined with others.
        target: of the n customers.
        depth: how many conditions are combined: 1, 2 or 3.
        least: customers that a group must have, and leave.
        on_progress: is told of customers that are done; n for each level but the first.
    """
    each = target.of_each(bits)
    alone, within = (Sums(*(np.asarray(x)[rows] for x in each)) for rows in (np.arange(len(columns)), known))
    strength = gain(alone, within, yes_no=target.yes_no)
    size, among = np.asarray(alone.customers), np.asarray(within.customers)
    kept = np.flatnonzero((size >= least) & (among - size >= least))
    singles = Tested(_padded(kept[:, None]), strength[kept], strength[kept], np.full(len(kept), len(kept)))
    found = [singles]
    kept = np.intersect1d(kept, np.flatnonzero(paired))
    if depth > 1 and len(kept) > 1:
        level = _Level(bits, columns, known, kept, target, least)
        both = level.pairs(on_progress)
        found.append(both)
        if depth > 2 and len(both.places):
            found.append(level.triples(level.beam(both), on_progress))
    return Tested(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


class _Level:
    """Pairs and triples over the conditions that are kept."""

    def __init__(self, bits: Bits, columns: Places, known: Places, kept: Places, target: Target, least: int) -> None:
        # behind the conditions stand those of whom their columns are known, one row each
        rows, self.known = np.unique(known[kept], return_inverse=True)
        self.kept, self.target, self.least, self.columns = kept, target, least, columns[kept]
        self.bits = bits[np.concatenate([kept, rows])]
        self.known += len(kept)
        self.whole = target.of(np.ones(len(target.values), bool))

    def pairs(self, on_progress: Callable[[int], None]) -> Tested:
        self.both = self.target.of_both(self.bits, self.bits, on_progress=on_progress)
        i, j = np.triu_indices(len(self.columns), 1)
        other = self.columns[i] != self.columns[j]
        i, j = i[other], j[other]
        both = _at(self.both, self.known[i], self.known[j])
        parents = [_at(self.both, i, self.known[j]), _at(self.both, j, self.known[i])]
        return self._tested(np.stack([i, j], axis=1), _at(self.both, i, j), both, parents)

    def beam(self, both: Tested) -> Places:
        """The pairs that get a third condition: the strongest, but only a few on the same two columns."""
        at = np.searchsorted(self.kept, both.places[:, :2])
        taken: dict[tuple[int, int], int] = {}
        best: list[int] = []
        for place in np.argsort(-np.round(both.strength, 9), kind="stable"):
            i, j = at[place]
            key = (int(self.columns[i]), int(self.columns[j]))
            if taken.get(key, 0) < PER_COLUMNS:
                taken[key] = taken.get(key, 0) + 1
                best.append(int(place))
            if len(best) == BREADTH:
                break
        return at[best]

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
        whole = _at(self.both, self.known[c], self.known[c])
        # of the parents with c nobody counted those of whom the other column is known: they are taken as they are
        parents_of = [_at(sums, a, self.known[c]), _at(self.both, i, c), _at(self.both, j, c)]
        return self._tested(places[first], _at(sums, a, c), whole, parents_of)

    def _tested(self, places: Places, sums: Sums, known: Sums, parents: list[Sums]) -> Tested:
        n = np.asarray(sums.customers)
        # what takes hardly anybody away from a parent is the parent again
        fit = (n >= self.least) & np.all([n <= 0.99 * np.asarray(p.customers) for p in parents], axis=0)
        sums, known, parents, places = (
            _only(sums, fit),
            _only(known, fit),
            [_only(p, fit) for p in parents],
            places[fit],
        )
        yes_no = self.target.yes_no
        strength = np.minimum(gain(sums, self.whole, yes_no=yes_no), gain(sums, known, yes_no=yes_no))
        adds = np.minimum.reduce([gain(sums, parent, yes_no=yes_no) for parent in parents])
        return Tested(_padded(self.kept[places]), strength, adds, np.full(len(places), len(places)))


def _at(sums: Sums, i: Places, j: Places) -> Sums:
    return Sums(*(np.asarray(x)[i, j] for x in sums))


def _only(sums: Sums, fit: Flags) -> Sums:
    return Sums(*(np.asarray(x)[fit] for x in sums))


def _padded(places: Places) -> Places:
    return np.pad(places, ((0, 0), (0, 3 - places.shape[1])), constant_values=NONE)
