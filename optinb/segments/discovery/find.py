"""Discovery over arrays, from columns and a target to groups that are confirmed. Pure.

Attributes that say the target in other words are left out before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from optinb.base.progress import WHOLE, Hundredths
from optinb.errors import RuleError
from optinb.rules import sentence
from optinb.segments.discovery.choice import FoundGroup, choose, confirmed
from optinb.segments.discovery.columns import AttributeColumn, Condition, as_rule, conditions, holds
from optinb.segments.discovery.evidence import Bits, Flags, Floats, Places, Sums, Target, pack, steady
from optinb.segments.discovery.search import search

RESTATES = 0.9  # of the yes customers less of the no customers that one condition holds for; or a rank correlation
NEARLY_ALL = 0.98  # a rate that is told as too good, unless nearly everybody has it
ENOUGH = 100_000  # customers that a rank correlation is measured on


def restating(places: Places, alone: Sums, columns: Sequence[AttributeColumn], target: Target) -> dict[int, str]:
    """The columns that restate the target by themselves, with the reason.

    Args:
        places: the column of each condition.
        alone: the sums of each condition by itself.
        columns: the attributes.
        target: what groups are looked for by.
    """
    if not target.yes_no:
        return {
            place: f"follows the target (rank correlation {_alike(column, target):.2f})"
            for place, column in enumerate(columns)
            if column.is_measure and abs(_alike(column, target)) >= RESTATES
        }
    customers, yes = np.asarray(alone.customers, float), np.asarray(alone.target, float)
    size, total = len(target.values), float(target.values.sum(dtype=np.float64))
    apart = np.abs(yes / total - (customers - yes) / (size - total))
    found: dict[int, str] = {}
    for at in np.flatnonzero(apart >= RESTATES):
        found.setdefault(int(places[at]), "one condition on it tells the target nearly always")
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


def _alike(column: AttributeColumn, target: Target) -> float:
    from scipy.stats import rankdata

    known = np.flatnonzero(column.known)[:ENOUGH]
    if len(known) < 3:
        return 0.0
    ranks = rankdata(column.values[known]), rankdata(target.values[known])
    return float(np.corrcoef(*ranks)[0, 1]) if all(map(np.ptp, ranks)) else 0.0


ALL_CONDITIONS = 5_000  # at most, the first of each column before the last: so many fit any machine


class Found(NamedTuple):
    """Confirmed groups, each with the chance on the other half; how many were tested; what was left out, and why."""

    groups: list[tuple[FoundGroup, float]]
    tested: int
    left_out: dict[str, str]
    warnings: tuple[str, ...]


def find(
    columns: Sequence[AttributeColumn],
    values: Floats,
    *,
    yes_no: bool,
    explore: Flags,
    confirm: Flags,
    depth: int,
    least_share: float,
    limit: int,
    pace: Hundredths,
) -> Found:
    """Searches the customers of `explore` and confirms on those of `confirm`.

    Args:
        columns: attributes of n customers.
        values: shape (n,), the target; known for the customers of both halves.
        yes_no: whether the target is true or false of each customer.
        explore: shape (n,), the half that is searched.
        confirm: shape (n,), the other half.
        depth: conditions in a group at most, 1 to 3.
        least_share: of the customers of a half, at least so many must be in a group.
        limit: groups at most.
        pace: is told how far it is.

    Raises:
        RuleError: when no attribute has anything to make conditions of.
    """
    searched = values[explore] if yes_no else steady(values[explore | confirm])[explore[explore | confirm]]
    target = Target(searched.astype(np.float32), yes_no)
    here = [_part(column, explore) for column in columns]
    least = max(5, int(least_share * len(target.values)))
    made, bits, places = _conditions(here, least)
    alone = target.of_each(bits)
    restate = restating(places, alone, here, target)
    keep = np.array([place not in restate for place in places])
    if not keep.any():
        raise RuleError(
            "every attribute that has enough values only restates the target; ask for another target, or bring in more "
            "attributes"
        )
    suspects = [at for at in near_perfect(places, alone, target, least=least) if keep[at]]
    warnings = tuple(
        f"{sentence(as_rule(made[at], here[places[at]]))}: {_rate(alone, at):.1%} of them are what is looked for. If "
        f"{here[places[at]].name!r} follows from the target, leave it out: exclude=[{here[places[at]].name!r}]"
        for at in suspects
    )
    made, bits, places = [c for c, kept in zip(made, keep, strict=True) if kept], bits[keep], places[keep]
    whole = len(target.values) * max(depth - 1, 1)
    tested = search(
        bits,
        places,
        target,
        depth=depth,
        least=least,
        on_progress=pace.part("searching", hundredths=WHOLE - 15, of=whole),
    )
    groups, tests = choose(
        tested,
        made,
        bits,
        here,
        target,
        least=least,
        limit=limit,
        on_progress=pace.part("choosing", hundredths=10, of=limit),
    )
    other = values[confirm] if yes_no else steady(values[explore | confirm])[confirm[explore | confirm]]
    there = [_part(column, confirm) for column in columns]
    shown = confirmed(groups, there, Target(other.astype(np.float32), yes_no))
    left_out = {columns[place].name: reason for place, reason in restate.items()}
    return Found([(group, p) for group, _, p in shown], tests, left_out, warnings)


def members_of(group: Sequence[Condition], columns: Sequence[AttributeColumn]) -> Flags:
    """Who is in a group."""
    return np.logical_and.reduce([holds(condition, columns[condition.column]) for condition in group])


def _conditions(columns: Sequence[AttributeColumn], least: int) -> tuple[list[Condition], Bits, Places]:
    """Every condition that enough customers fit and enough don't, who fits it, and the column that it is on."""
    made: list[Condition] = []
    bits: list[Bits] = []
    for place, column in enumerate(columns):
        for condition in conditions(place, column):
            mask = holds(condition, column)
            if least <= mask.sum() <= len(mask) - least and len(made) < ALL_CONDITIONS:
                made.append(condition)
                bits.append(pack([mask])[0])
    if not made:
        raise RuleError(
            "no attribute tells the customers apart: each is empty, the same for nearly everybody, or another for each"
        )
    return made, np.stack(bits), np.array([condition.column for condition in made])


def _part(column: AttributeColumn, rows: Flags) -> AttributeColumn:
    return replace(column, values=column.values[rows], known=column.known[rows])


def _rate(alone: tuple, at: int) -> float:
    return float(np.asarray(alone[1])[at] / np.asarray(alone[0])[at])
