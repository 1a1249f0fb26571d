"""From thousands of combinations to a few groups: each sharpened, each telling what the others don't. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace
from scipy.special import ndtri

from optinb.segments.discovery.columns import FINE, Among, AttributeColumn, Condition, Known, Span, cuts, holds
from optinb.segments.discovery.evidence import (
    Bits,
    Flags,
    Floats,
    PassedBar,
    Places,
    Sums,
    Target,
    chance,
    count,
    gain,
    pack,
    q_values,
)

if TYPE_CHECKING:
    from optinb.segments.discovery.search import Tested

FALSE_CHANCE = 0.001  # that anything is told where nothing differs
SURE_CHANCE = 0.025  # that any combination at all lies further above its truth than an interval ever reaches
BEAM_LUCK = 9  # tests that a triple on one of the best pairs is worth, by false ones in 400 sets of permuted labels
CANDIDATES = 1_000  # the strongest combinations that are looked at
OVERLAP = 0.5  # of a group, at most this share may be told of already
SECOND_END = 0.5  # standard errors that a second end of a span must add
ADDS = 3.09  # standard errors that each condition, and each value of a set, must add by itself: a chance of 1 in 1,000
THIRD_ADDS = 4.0  # the same of three conditions: more thirds are tried on a pair than luck of 1 in 1,000 allows
LUCKY_VALUE = 0.01  # the chance that any further value enters a set by luck
ROUNDS = 4


class FoundGroup(NamedTuple):
    """A group that was found: its conditions, how it passed the search, and the share of false ones up to it."""

    conditions: tuple[Condition, ...]
    passed: PassedBar
    q_value: float


def choose(
    tested: Tested,
    conditions: Sequence[Condition],
    bits: Bits,
    columns: Sequence[AttributeColumn],
    target: Target,
    *,
    least: int,
    limit: int,
    overlapping: bool = False,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> list[FoundGroup]:
    """The groups that stay when each is measured on the customers whom none before it holds.

    Combinations of one, two and three conditions share the chance of a false group evenly (Bonferroni), so that a
    single value needn't stand out as far as one of many thousand combinations. Triples are only tried on the best
    pairs, so that each counts as `BEAM_LUCK` tests.

    Args:
        tested: what the search tested.
        conditions: of the search, by place.
        bits: which customers fit each of them.
        columns: the attributes.
        target: of the customers.
        least: customers in a group at least.
        limit: groups at most.
        overlapping: whether each group is measured on everybody, so that groups may overlap in part.
        on_progress: is told of each group.

    Returns:
        at most `limit` groups, the strongest first, those that only say what is empty or known last.
    """
    size = len(target.values)
    three = (tested.places >= 0).all(axis=1)
    tests = tested.tests * np.where(three, BEAM_LUCK, 1) * len(set(tested.tests.tolist()))
    # as searched, not as sharpened, which would bring some of those back that only luck brought so far
    needed, sure = -ndtri(FALSE_CHANCE / tests), -ndtri(SURE_CHANCE / tests)
    passed = np.flatnonzero((tested.strength >= needed) & (tested.adds >= np.where(three, THIRD_ADDS, ADDS)))
    passed = passed[np.argsort(-np.round(tested.strength[passed], 9), kind="stable")[:CANDIDATES]]
    if not len(passed):
        return []
    needed, sure, false = needed[passed], sure[passed], q_values(chance(tested.strength))[passed]
    places = [tuple(int(p) for p in row if p >= 0) for row in tested.places[passed]]
    masks = np.stack([np.bitwise_and.reduce(bits[list(row)], axis=0) for row in places])
    known = np.stack([known_of([conditions[p] for p in row], columns, bits.shape[1]) for row in places])
    hollow = np.array([all(isinstance(conditions[p], Known) for p in row) for row in places])
    sizes = np.asarray(target.of_each(masks).customers)
    left = np.ones(size, bool)
    alive = np.ones(len(places), bool)
    chosen: list[FoundGroup] = []
    told: list[Bits] = []
    sharpen = Sharpener(columns, target, least)
    while len(chosen) < limit and alive.any():
        here = pack([left])
        sums = target.of_each(masks & here)
        alone = np.asarray(sums.customers)
        strength = np.minimum(
            gain(sums, target.of(left), yes_no=target.yes_no),
            gain(sums, target.of_each(known & here), yes_no=target.yes_no),
        )
        if overlapping:
            # beside those told already it must still say something of its own
            alive &= (strength >= ADDS) & (alone >= least)
            strength = tested.strength[passed]
        else:
            alive &= (strength >= needed) & (alone >= least) & (alone >= (1 - OVERLAP) * sizes)
        if told:
            alive &= count(masks & told[-1]) <= OVERLAP * (count(masks) + count(told[-1])) / (1 + OVERLAP)
        if not alive.any():
            break
        # what only tells whose profile is filled in comes after all that says something
        order = np.where(alive, np.round(strength, 9) - 1e6 * hollow, -np.inf)
        best = int(np.argmax(order))
        alive[best] = False
        among = np.ones(size, bool) if overlapping else left
        found = sharpen(tuple(conditions[place] for place in places[best]), among)
        mask = np.logical_and.reduce([holds(c, columns[c.column]) for c in found])
        if (mask & among).sum() < max(least, (1 - OVERLAP) * mask.sum()):
            continue
        bar = PassedBar(float(strength[best]), float(needed[best]), float(sure[best]), ends_of(found))
        chosen.append(FoundGroup(found, bar, float(false[best])))
        if overlapping:
            told.append(pack([mask])[0])
        left &= ~mask
        on_progress(1)
    return chosen


def known_of(conditions: Sequence[Condition], columns: Sequence[AttributeColumn], width: int) -> Bits:
    """Of whom the columns of some conditions are known, as `width` bytes; whether one is empty is known of all."""
    masks = [columns[c.column].known for c in conditions if not isinstance(c, Known)]
    return pack([np.logical_and.reduce(masks)])[0] if masks else np.full(width, 255, np.uint8)


def ends_of(conditions: Sequence[Condition]) -> int:
    """How many ends of spans were moved to where the group is strongest."""
    return sum((c.low is not None) + (c.high is not None) for c in conditions if isinstance(c, Span))


class Sharpener:
    """Moves the ends of spans, and values into and out of sets, as long as a group gets stronger."""

    def __init__(self, columns: Sequence[AttributeColumn], target: Target, least: int) -> None:
        self.columns: Sequence[AttributeColumn] = columns
        self.target: Target = target
        self.least: int = least
        self._fine: dict[int, tuple[list[float | int], Places]] = {}

    def __call__(self, conditions: tuple[Condition, ...], left: Flags) -> tuple[Condition, ...]:
        """The sharpened conditions of a group, judged on the customers of `left`."""
        whole = self.target.of(left)
        for _ in range(ROUNDS):
            before = conditions
            for i in range(len(conditions)):
                others = [holds(c, self.columns[c.column]) for c in (*conditions[:i], *conditions[i + 1 :])]
                among = np.logical_and.reduce([left, *others])
                conditions = (*conditions[:i], self._better(conditions[i], among, whole), *conditions[i + 1 :])
            if conditions == before:
                break
        return self._needed(conditions, left)

    def _better(self, condition: Condition, among: Flags, whole: Sums) -> Condition:
        if isinstance(condition, Span):
            return self._better_span(condition, among, whole)
        if isinstance(condition, Among):
            return self._better_set(condition, among, whole)
        return condition

    def _better_span(self, span: Span, among: Flags, whole: Sums) -> Span:
        fine, bins = self._bins(span.column)
        sums = self.target.by_place(np.where(among, bins, -1), len(fine) + 1)
        upto = [np.concatenate([[0.0], np.cumsum(np.asarray(x))]) for x in sums]
        low, high = np.triu_indices(len(fine) + 2, 1)
        two_ends = (low > 0) & (high <= len(fine))
        strength = self._strengths(Sums(*(x[high] - x[low] for x in upto)), whole)
        strength[(low == 0) & (high == len(fine) + 1)] = -np.inf
        best = int(np.argmax(np.round(strength - SECOND_END * two_ends, 9)))
        now = float(self._strengths(self.target.of(among & holds(span, self.columns[span.column])), whole))
        second = SECOND_END * (float(two_ends[best]) - float(span.low is not None and span.high is not None))
        if strength[best] - second <= now + 1e-9:
            return span
        a, b = int(low[best]), int(high[best])
        return replace(span, low=fine[a - 1] if a else None, high=fine[b - 1] if b <= len(fine) else None)

    def _better_set(self, condition: Among, among: Flags, whole: Sums) -> Among:
        column = self.columns[condition.column]
        number = len(column.labels)
        if number < 3:
            return condition
        sums = self.target.by_place(np.where(among & column.known, column.values, -1), number)
        everybody = Sums(*(np.asarray(x).sum() for x in sums))
        # the more values a text has, the more would help by chance
        least = max(ADDS, float(-ndtri(LUCKY_VALUE / number)))
        helps = {int(c) for c in np.flatnonzero(gain(sums, everybody, yes_no=self.yes_no) >= least)}
        codes = set(condition.codes) & helps or set(condition.codes)
        while True:
            options = [codes, *(codes ^ {code} for code in sorted(helps))]
            options = [option for option in options if 0 < len(option) < number]
            tried = Sums(*(np.array([np.asarray(x)[list(o)].sum() for o in options]) for x in sums))
            best = int(np.argmax(np.round(self._strengths(tried, whole), 9)))
            if options[best] == codes:
                return replace(condition, codes=tuple(sorted(codes)))
            codes = options[best]

    def _strengths(self, sums: Sums, whole: Sums) -> Floats:
        strength = gain(sums, whole, yes_no=self.target.yes_no)
        return np.where(np.asarray(sums.customers) >= self.least, strength, -np.inf)

    def _needed(self, conditions: tuple[Condition, ...], left: Flags) -> tuple[Condition, ...]:
        """Without the conditions whose gain over the rest may well be chance, the least first."""
        while len(conditions) > 1:
            each = [holds(c, self.columns[c.column]) & left for c in conditions]
            inside = self.target.of(np.logical_and.reduce(each))
            gains = []
            for i, condition in enumerate(conditions):
                parent = np.logical_and.reduce(each[:i] + each[i + 1 :])
                if not isinstance(condition, Known):
                    parent &= self.columns[condition.column].known
                gains.append(float(gain(inside, self.target.of(parent), yes_no=self.yes_no)))
            worst = int(np.argmin(gains))
            if gains[worst] >= (ADDS if len(conditions) < 3 else THIRD_ADDS):
                break
            conditions = (*conditions[:worst], *conditions[worst + 1 :])
        return conditions

    @property
    def yes_no(self) -> bool:
        """Whether the target is a yes or no."""
        return self.target.yes_no

    def _bins(self, place: int) -> tuple[list[float | int], Places]:
        if place not in self._fine:
            column = self.columns[place]
            fine = cuts(column, FINE)
            bins = np.searchsorted(np.array(fine, dtype=column.values.dtype), column.values, side="right")
            self._fine[place] = fine, np.where(column.known, bins, -1)
        return self._fine[place]
