"""Columns that say the same as another column, or as the target: they are told once, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from optinb.segments.discovery.columns import AttributeColumn
    from optinb.segments.discovery.evidence import Floats, Places, Sums, Target

SAME = 0.99  # a rank correlation, or the share of customers whose values match one to one
RESTATES = 0.9  # of the yes customers less of the no customers that a column tells; or a rank correlation
NEARLY_ALL = 0.98  # a rate that is told as too good, unless nearly everybody has it
ENOUGH = 20_000  # customers that columns are compared on
FEW = 100  # customers that must be known in both


def saying_the_same(columns: Sequence[AttributeColumn]) -> dict[int, int]:
    """The columns that say what an earlier one says, with the place of that one.

    Measures say the same where their ranks do (whichever way round), texts and yes/no where each value of one goes with
    one value of the other; both only where they are known of the same customers.
    """
    short = [_first(column) for column in columns]
    ranks = [_ranks(column) if column.is_measure else None for column in short]
    found: dict[int, int] = {}
    for later, column in enumerate(short):
        for earlier in range(later):
            if earlier in found or column.is_measure is not short[earlier].is_measure:
                continue
            if (column.known == short[earlier].known).mean() < SAME:
                continue
            if _match(column, short[earlier], ranks[later], ranks[earlier]):
                found[later] = earlier
                break
    return found


def restating(
    places: Places, alone: Sums, columns: Sequence[AttributeColumn], target: Target, skip: Mapping[int, int]
) -> dict[int, str]:
    """The columns that restate the target by themselves, with the reason.

    Args:
        places: the column of each condition.
        alone: the sums of each condition by itself.
        columns: the attributes.
        target: what groups are looked for by.
        skip: columns that aren't looked at.
    """
    looked_at = [(place, column) for place, column in enumerate(columns) if place not in skip]
    if not target.yes_no:
        return {
            place: f"follows the target (rank correlation {alike:.2f})"
            for place, column in looked_at
            if column.is_measure and abs(alike := _alike(column, target)) >= RESTATES
        }
    customers, yes = np.asarray(alone.customers, float), np.asarray(alone.target, float)
    size, total = len(target.values), float(target.values.sum(dtype=np.float64))
    apart = np.abs(yes / total - (customers - yes) / (size - total))
    found: dict[int, str] = {}
    for at in np.flatnonzero(apart >= RESTATES):
        found.setdefault(int(places[at]), "one condition on it tells the target nearly always")
    for place, column in looked_at:
        if place not in found and not column.is_measure and len(column.labels) > 2:
            sums = target.by_place(np.where(column.known, column.values, -1), len(column.labels))
            of_yes, counted = np.asarray(sums.target), np.asarray(sums.customers)
            # half the distance between how yes customers and no customers are spread over the values
            if np.abs(of_yes / total - (counted - of_yes) / (size - total)).sum() / 2 >= RESTATES:
                found[place] = "its values together tell the target nearly always"
    return found


def near_perfect(places: Places, alone: Sums, target: Target, *, least: int) -> Places:
    """Conditions whose customers say yes nearly always, although all together don't; the largest of each column."""
    customers, yes = np.asarray(alone.customers, float), np.asarray(alone.target, float)
    if not target.yes_no or target.values.mean() > NEARLY_ALL - 0.1:
        return np.empty(0, np.int64)
    suspect = np.flatnonzero((customers >= least) & (yes >= NEARLY_ALL * customers))
    by_size = suspect[np.argsort(-customers[suspect], kind="stable")]
    _, first = np.unique(places[by_size], return_index=True)
    return by_size[np.sort(first)]


def _first(column: AttributeColumn) -> AttributeColumn:
    return column.part(slice(ENOUGH))


def _ranks(column: AttributeColumn) -> Floats:
    from scipy.stats import rankdata

    return rankdata(np.where(column.known, column.values, column.values.min(initial=0)))


def _match(one: AttributeColumn, other: AttributeColumn, ranks: Floats | None, others: Floats | None) -> bool:
    known = one.known & other.known
    if known.sum() < FEW:
        return False
    if ranks is not None and others is not None:
        a, b = ranks[known], others[known]
        return bool(np.ptp(a)) and bool(np.ptp(b)) and abs(float(np.corrcoef(a, b)[0, 1])) >= SAME
    a, b = one.values[known] + 1, other.values[known] + 1  # texts that are too rare stand at 0
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1)
    return len(np.unique(a)) > 1 and min(table.max(axis=0).sum(), table.max(axis=1).sum()) >= SAME * known.sum()


def _alike(column: AttributeColumn, target: Target) -> float:
    from scipy.stats import rankdata

    known = np.flatnonzero(column.known)[:ENOUGH]
    if len(known) < 3:
        return 0.0
    ranks = rankdata(column.values[known]), rankdata(target.values[known])
    return float(np.corrcoef(*ranks)[0, 1]) if all(map(np.ptp, ranks)) else 0.0
