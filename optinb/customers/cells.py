"""Micro-segments as cells: a stage, or two small ones of a kind, and a run of bands of each layer. Pure.

Cells are made by halving and quartering: each stage by its bands of the first layer, the parts by those of the next,
as long as every part has enough customers and there aren't too many. All that is looked at is how many customers there
are of each stage and bands. A frozen set of cells is mended as little as the data allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from msgspec import Struct
from msgspec.structs import replace

from optinb.customers.lifecycle import STAGES

FEWEST, MOST = 12, 30
"""Micro-segments that a marketer can use: with fewer they tell little, with more nobody remembers them."""

SMALLEST = 0.01
"""The share of all customers that a micro-segment has at least."""

ROOM = 24
"""So many are made at most, since stages that are empty yet may add theirs."""

LEAST = (0.04, 0.03, 0.025, 0.02, 0.015)
"""The share that each has at least when they are made, well above `SMALLEST`; the last only where they are too few."""

ENOUGH = 0.025
"""The share of each part when some are made again."""

WANTED = 15
"""So many are looked for at the first shares, so that some may be joined later."""

HANDFUL = 5
"""So many customers each has at least when they are made, however few there are."""

APART = 0.03
"""A stage of a smaller share is joined with the one of its kind, or it would soon be under `SMALLEST`."""

GROWN = 0.1
"""A whole stage in one cell is split when the cells are made again, once it has this share."""

KINDS = (("new", "reactivated"), ("churned", "dormant"))
"""Stages of a kind, between which hardly anybody moves: those who have just come, or come back; those who don't buy."""

Bands = tuple[str, tuple[int, ...]]
Counts = Mapping[Bands, int]
"""The number of customers by stage and bands of each layer."""


class SegmentCell(Struct, frozen=True, kw_only=True):
    """The stages, and of each layer the first and the last band. `share`: of all customers when it was made."""

    stages: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    share: float = 0.0

    def holds(self, bands: Bands) -> bool:
        """Whether customers of a stage and bands are in it."""
        stage, at = bands
        return stage in self.stages and all(low <= i <= high for (low, high), i in zip(self.ranges, at, strict=True))


def make_cells(counts: Counts, wholes: Sequence[tuple[int, int]], *, least: float) -> tuple[SegmentCell, ...]:
    """The cells of all stages, at most `ROOM`, as many as the customers' differences allow.

    Args:
        counts: of all customers.
        wholes: the first and the last band of each layer, in the order in which they split.
        least: the share of all customers that each has at least; a stage that has less is one cell.
    """
    stages = [SegmentCell(stages=group, ranges=tuple(wholes)) for group in _groups(counts)]
    return with_shares(_split(stages, counts, least=least, most=ROOM), counts)


def occupied(cells: Iterable[SegmentCell], counts: Counts) -> int:
    """How many cells have customers."""
    return sum(size > 0 for size in sizes(cells, counts))


def sizes(cells: Iterable[SegmentCell], counts: Counts) -> list[int]:
    """The number of customers of each cell."""
    return [_size(cell, counts) for cell in cells]


def with_shares(cells: Iterable[SegmentCell], counts: Counts) -> tuple[SegmentCell, ...]:
    """The cells with their shares of tonight, in the order of stages and bands."""
    total = max(sum(counts.values()), 1)
    ordered = sorted(cells, key=lambda cell: (STAGES.index(cell.stages[0]), cell.ranges))
    return tuple(replace(cell, share=_size(cell, counts) / total) for cell in ordered)


def too_small(cells: Sequence[SegmentCell], counts: Counts) -> list[SegmentCell]:
    """The cells with customers, but with less than `SMALLEST`; the smallest first."""
    limit = SMALLEST * sum(counts.values())
    by_size = sorted(zip(sizes(cells, counts), range(len(cells)), cells, strict=True), key=lambda one: one[:2])
    return [cell for size, _, cell in by_size if 0 < size < limit]


def to_be_mended(cells: Sequence[SegmentCell], counts: Counts, wholes: Sequence[tuple[int, int]]) -> list[SegmentCell]:
    """Those that are too small and can be joined with others; the smallest first."""
    return [cell for cell in too_small(cells, counts) if _can_be_joined(cell, counts, wholes)]


def mended(cells: Sequence[SegmentCell], counts: Counts, wholes: Sequence[tuple[int, int]]) -> tuple[SegmentCell, ...]:
    """The cells with each that is too small joined to a neighbour, so that nobody else changes.

    A neighbour differs in one layer alone, by the next bands. Without one the stage is split again; a whole stage is
    joined with that of its kind, and stays as it is where there is none.
    """
    now = list(cells)
    while small := to_be_mended(now, counts, wholes):
        cell = small[0]
        near = [(other, both) for other in now if (both := _joined(cell, other)) is not None]
        if near:
            other, both = min(near, key=lambda pair: _size(pair[0], counts))
            now = [one for one in now if one not in (cell, other)] + [both]
        else:
            stages = _of_a_kind(cell) if cell.ranges == tuple(wholes) else cell.stages
            now = _again(now, stages, counts, wholes)
    return with_shares(now, counts)


def regrown(cells: Sequence[SegmentCell], counts: Counts, wholes: Sequence[tuple[int, int]]) -> tuple[SegmentCell, ...]:
    """The cells with each whole stage that has grown split."""
    now, total = list(cells), sum(counts.values())
    for cell in cells:
        if cell.ranges == tuple(wholes) and _size(cell, counts) >= GROWN * total:
            now = _again(now, cell.stages, counts, wholes)
    return with_shares(now, counts)


def split_further(cells: Sequence[SegmentCell], counts: Counts) -> tuple[SegmentCell, ...]:
    """The cells with the smallest that can be halved, one after another, until `FEWEST` have customers."""
    now = list(cells)
    while occupied(now, counts) < FEWEST:
        for cell in sorted(now, key=lambda cell: _size(cell, counts)):
            halves = (
                parts
                for layer in range(len(cell.ranges))
                if len(parts := _parts(cell, layer, counts, enough=ENOUGH * sum(counts.values()), most=2)) > 1
            )
            if parts := next(halves, None):
                at = now.index(cell)
                now[at : at + 1] = parts
                break
        else:
            break
    return with_shares(now, counts)


def _groups(counts: Counts) -> list[tuple[str, ...]]:
    """The stages, with those of a kind together where one of them is too small to stand alone."""
    of_stage = {stage: sum(n for (at, _), n in counts.items() if at == stage) for stage in STAGES}
    limit = APART * sum(of_stage.values())
    joined = [kind for kind in KINDS if 0 < min(of_stage[stage] for stage in kind) < limit]
    alone = [(stage,) for stage in STAGES if not any(stage in kind for kind in joined)]
    return sorted([*joined, *alone], key=lambda group: STAGES.index(group[0]))


def _split(cells: Sequence[SegmentCell], counts: Counts, *, least: float, most: int) -> tuple[SegmentCell, ...]:
    """The cells split by each layer in turn, the largest first."""
    enough = max(least * sum(counts.values()), HANDFUL)
    now = list(cells)
    for layer in range(len(now[0].ranges)):
        for cell in sorted(now, key=lambda cell: -_size(cell, counts)):
            parts = _parts(cell, layer, counts, enough=enough, most=most - len(now) + 1)
            at = now.index(cell)
            now[at : at + 1] = parts
    return tuple(now)


def _parts(cell: SegmentCell, layer: int, counts: Counts, *, enough: float, most: int) -> list[SegmentCell]:
    """A cell in the most parts by a layer that have enough customers each; of as many parts, the most even ones."""
    low, high = cell.ranges[layer]
    of_band = dict.fromkeys(range(low, high + 1), 0)
    for bands, count in counts.items():
        if cell.holds(bands):
            of_band[bands[1][layer]] += count
    for parts in range(min(most, len(of_band)), 1, -1):
        found: tuple[int, list[tuple[int, int]]] = (0, [])
        for cuts in combinations(range(low + 1, high + 1), parts - 1):
            ranges = list(zip((low, *cuts), (*(cut - 1 for cut in cuts), high), strict=True))
            smallest = min(sum(of_band[band] for band in range(a, b + 1)) for a, b in ranges)
            found = max(found, (smallest, ranges), key=lambda one: one[0])
        if found[0] >= enough:
            return [_with_range(cell, layer, bands) for bands in found[1]]
    return [cell]


def _again(
    cells: Sequence[SegmentCell], stages: tuple[str, ...], counts: Counts, wholes: Sequence[tuple[int, int]]
) -> list[SegmentCell]:
    """The cells with some stages made again, together."""
    others = [cell for cell in cells if not set(cell.stages) & set(stages)]
    whole = SegmentCell(stages=stages, ranges=tuple(wholes))
    return [*others, *_split([whole], counts, least=ENOUGH, most=ROOM - len(others))]


def _can_be_joined(cell: SegmentCell, counts: Counts, wholes: Sequence[tuple[int, int]]) -> bool:
    """Whether it's a part of its stages, or there are customers of a stage of its kind that is apart yet."""
    if cell.ranges != tuple(wholes):
        return True
    others = set(_of_a_kind(cell)) - set(cell.stages)
    return any(stage in others and count for (stage, _), count in counts.items())


def _of_a_kind(cell: SegmentCell) -> tuple[str, ...]:
    return next((kind for kind in KINDS if cell.stages[0] in kind), cell.stages)


def _joined(one: SegmentCell, other: SegmentCell) -> SegmentCell | None:
    """Two cells of the same stages as one, where they differ by neighbouring bands of one layer alone."""
    differ = [i for i, pair in enumerate(zip(one.ranges, other.ranges, strict=True)) if pair[0] != pair[1]]
    if one.stages != other.stages or len(differ) != 1:
        return None
    (low, high), (first, last) = one.ranges[differ[0]], other.ranges[differ[0]]
    if high + 1 != first and last + 1 != low:
        return None
    return _with_range(one, differ[0], (min(low, first), max(high, last)))


def _with_range(cell: SegmentCell, layer: int, bands: tuple[int, int]) -> SegmentCell:
    return replace(cell, ranges=(*cell.ranges[:layer], bands, *cell.ranges[layer + 1 :]))


def _size(cell: SegmentCell, counts: Counts) -> int:
    return sum(count for bands, count in counts.items() if cell.holds(bands))
