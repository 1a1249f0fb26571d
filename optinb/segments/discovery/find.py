"""Discovery over arrays, from columns and a target to groups that are confirmed. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optinb.base.progress import WHOLE, Hundredths
from optinb.errors import RuleError
from optinb.rules import sentence
from optinb.segments.discovery.choice import FoundGroup, choose, confirmed
from optinb.segments.discovery.columns import AttributeColumn, Condition, as_rule, conditions, holds
from optinb.segments.discovery.leaks import near_perfect, restating
from optinb.segments.discovery.masks import pack
from optinb.segments.discovery.search import search
from optinb.segments.discovery.target import Target, steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ALL_CONDITIONS = 5_000  # at most, the first of each column before the last: so many fit any machine


class Found(NamedTuple):
    """Confirmed groups, each with the chance on the other half; how many were tested; what was left out, and why."""

    groups: list[tuple[FoundGroup, float]]
    tested: int
    left_out: dict[str, str]
    warnings: tuple[str, ...]


def find(
    columns: Sequence[AttributeColumn],
    values: NDArray[np.float64],
    *,
    yes_no: bool,
    explore: NDArray[np.bool_],
    confirm: NDArray[np.bool_],
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


def members_of(group: Sequence[Condition], columns: Sequence[AttributeColumn]) -> NDArray[np.bool_]:
    """Who is in a group."""
    return np.logical_and.reduce([holds(condition, columns[condition.column]) for condition in group])


def _conditions(
    columns: Sequence[AttributeColumn], least: int
) -> tuple[list[Condition], NDArray[np.uint8], NDArray[np.int64]]:
    """Every condition that enough customers fit and enough don't, who fits it, and the column that it is on."""
    made: list[Condition] = []
    bits: list[NDArray[np.uint8]] = []
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


def _part(column: AttributeColumn, rows: NDArray[np.bool_]) -> AttributeColumn:
    return replace(column, values=column.values[rows], known=column.known[rows])


def _rate(alone: tuple, at: int) -> float:
    return float(np.asarray(alone[1])[at] / np.asarray(alone[0])[at])
