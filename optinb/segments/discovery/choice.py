"""From thousands of combinations to a few groups: each sharpened, each telling what the others don't. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace

from optinb.segments.discovery.columns import FINE, Among, AttributeColumn, Condition, Span, cuts, holds
from optinb.segments.discovery.evidence import Bits, Flags, Floats, Places, Sums, Target, chance, gain, pack, q_values

if TYPE_CHECKING:
    from optinb.segments.discovery.search import Tested

FALSE_SHARE = 0.05  # of the groups told, at most this share may be false
CANDIDATES = 1_000  # the strongest combinations that are looked at
OVERLAP = 0.5  # of a group, at most this share may be told of already
SECOND_END = 0.5  # standard errors that a second end of a span must add
ADDS = 1e-3  # a condition of a sharpened group stays where its gain has at most this chance
ROUNDS = 4


class FoundGroup(NamedTuple):
    """A group that was found on the half that is searched: its conditions, and the share of false ones up to it."""

    conditions: tuple[Condition, ...]
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
    on_progress: Callable[[int], None] = lambda _done: None,
) -> tuple[list[FoundGroup], int]:
    """The groups that stay when each is measured on the customers whom none before it holds.

    Returns at most `limit` groups, the strongest first, and how many combinations were tested in all.
    """
    size, tests = len(target.values), len(tested.chances)
    passed = np.flatnonzero(q_values(tested.chances) <= FALSE_SHARE) if tests else np.empty(0, int)
    passed = passed[np.argsort(-np.round(tested.strength[passed], 9), kind="stable")[:CANDIDATES]]
    if not len(passed):
        return [], tests
    places = [tuple(int(p) for p in row if p >= 0) for row in tested.places[passed]]
    masks = np.stack([np.bitwise_and.reduce(bits[list(row)], axis=0) for row in places])
    sizes = np.asarray(target.of_each(masks).customers)
    left = np.ones(size, bool)
    alive = np.ones(len(places), bool)
    chosen: list[FoundGroup] = []
    chances: list[float] = []
    sharpen = Sharpener(columns, target, least)
    while len(chosen) < limit and alive.any():
        sums = target.of_each(masks & pack([left]))
        alone = np.asarray(sums.customers)
        strength = np.round(gain(sums, target.of(left), yes_no=target.yes_no), 9)
        strength[~alive | (alone < least) | (alone < (1 - OVERLAP) * sizes)] = 0
        best = int(np.argmax(strength))
        if chance(strength[best]) * tests > FALSE_SHARE:
            break
        alive[best] = False
        found = sharpen(tuple(conditions[place] for place in places[best]), left)
        mask = np.logical_and.reduce([holds(c, columns[c.column]) for c in found])
        if (mask & left).sum() < max(least, (1 - OVERLAP) * mask.sum()):
            continue
        chances.append(float(chance(least_gain(found, columns, target, left))))
        chosen.append(FoundGroup(found, 1.0))
        left &= ~mask
        on_progress(1)
    tests += sharpen.tests
    adjusted = [_adjusted(p, tested.chances, tests) for p in chances]
    return [g._replace(q_value=q) for g, q in zip(chosen, adjusted, strict=True) if q <= FALSE_SHARE], tests


def _adjusted(p: float, chances: Floats, tests: int) -> float:
    """Benjamini and Hochberg's value of one more test; tests whose chance isn't kept count as if they were 1."""
    return min(1.0, p * tests / (1 + int((chances <= p).sum())))


def least_gain(
    conditions: Sequence[Condition], columns: Sequence[AttributeColumn], target: Target, among: Flags
) -> float:
    """The least gain, in standard errors, over everybody and over the group without one of its conditions."""
    each = [holds(c, columns[c.column]) & among for c in conditions]
    inside = target.of(np.logical_and.reduce(each))
    wholes = [among, *(np.logical_and.reduce([*each[:i], *each[i + 1 :]]) for i in range(len(each)) if len(each) > 1)]
    return min(float(gain(inside, target.of(whole), yes_no=target.yes_no)) for whole in wholes)


class Sharpener:
    """Moves the ends of spans, and values into and out of sets, as long as a group gets stronger."""

    def __init__(self, columns: Sequence[AttributeColumn], target: Target, least: int) -> None:
        self.columns: Sequence[AttributeColumn] = columns
        self.target: Target = target
        self.least: int = least
        self.tests: int = 0
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
        codes = set(condition.codes)
        while True:
            options = [codes, *(codes ^ {code} for code in range(number))]
            options = [option for option in options if 0 < len(option) < number]
            tried = Sums(*(np.array([np.asarray(x)[list(o)].sum() for o in options]) for x in sums))
            best = int(np.argmax(np.round(self._strengths(tried, whole), 9)))
            if options[best] == codes:
                return replace(condition, codes=tuple(sorted(codes)))
            codes = options[best]

    def _strengths(self, sums: Sums, whole: Sums) -> Floats:
        self.tests += np.asarray(sums.customers).size
        strength = gain(sums, whole, yes_no=self.target.yes_no)
        return np.where(np.asarray(sums.customers) >= self.least, strength, -np.inf)

    def _needed(self, conditions: tuple[Condition, ...], left: Flags) -> tuple[Condition, ...]:
        """Without the conditions whose gain over the rest may well be chance, the least first."""
        while len(conditions) > 1:
            each = [holds(c, self.columns[c.column]) & left for c in conditions]
            inside = self.target.of(np.logical_and.reduce(each))
            gains = [
                float(gain(inside, self.target.of(np.logical_and.reduce(each[:i] + each[i + 1 :])), yes_no=self.yes_no))
                for i in range(len(each))
            ]
            worst = int(np.argmin(gains))
            if chance(gains[worst]) <= ADDS:
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


def confirmed(
    groups: Sequence[FoundGroup], columns: Sequence[AttributeColumn], target: Target
) -> list[tuple[FoundGroup, Flags, float]]:
    """The groups that show on customers who were not searched, with their mask there and the chance of their gain.

    Each must have a gain there too over everybody and over every parent, on those whom no stronger group holds; its
    chance is held against the number of groups (Bonferroni).
    """
    left = np.ones(len(target.values), bool)
    found: list[tuple[FoundGroup, Flags, float]] = []
    for group in groups:
        mask = np.logical_and.reduce([holds(c, columns[c.column]) for c in group.conditions])
        whole = target.of(left)
        p = float(chance(gain(target.of(mask & left), whole, yes_no=target.yes_no)))
        if p <= FALSE_SHARE / len(groups) and least_gain(group.conditions, columns, target, left) > 0:
            found.append((group, mask, p))
            left &= ~mask
    return found
