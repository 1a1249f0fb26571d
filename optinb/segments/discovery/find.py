"""Discovery over arrays, from columns and a target to groups. Pure.

Attributes that say the target in other words are left out before.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np

from optinb.base.progress import WHOLE, Hundredths
from optinb.errors import RuleError
from optinb.rules import sentence
from optinb.segments.discovery.choice import FoundGroup, choose
from optinb.segments.discovery.columns import (
    MOST_VALUES,
    Among,
    AttributeColumn,
    Condition,
    Known,
    as_rule,
    conditions,
    holds,
)
from optinb.segments.discovery.evidence import Bits, Flags, Floats, Places, Sums, Target, gain, pack, steady
from optinb.segments.discovery.same import near_perfect, restating, saying_the_same
from optinb.segments.discovery.search import search

ALL_CONDITIONS = 5_000  # at most, the first of each column before the last: so many fit any machine
COMBINED = 900  # conditions at most that are combined with others; the strongest by themselves
HINTS = 1.5  # standard errors by which a rare value must stand out by itself to be combined


class Found(NamedTuple):
    """Groups; how many combinations were tested; what was left out, and why; what to know before believing it."""

    groups: list[FoundGroup]
    tested: int
    left_out: dict[str, str]
    warnings: tuple[str, ...]


def find(
    columns: Sequence[AttributeColumn],
    values: Floats,
    *,
    yes_no: bool,
    depth: int,
    least: int,
    limit: int,
    overlapping: bool,
    keep: Container[str] = (),
    pace: Hundredths,
) -> Found:
    """Searches customers whose target is known.

    Args:
        columns: attributes of n customers.
        values: shape (n,), the target.
        yes_no: whether the target is true or false of each customer.
        depth: conditions in a group at most, 1 to 3.
        least: customers in a group at least.
        limit: groups at most.
        overlapping: whether groups may overlap.
        keep: attributes that are looked at even if they restate the target.
        pace: is told how far it is.

    Raises:
        RuleError: when no attribute has anything to make conditions of.
    """
    target = Target(values.astype(np.float32) if yes_no else steady(values), yes_no)
    twins = saying_the_same(columns)
    left_out = {columns[place].name: f"says the same as {columns[first].name}" for place, first in twins.items()}
    made, bits, places = _conditions(columns, least, skip=twins)
    alone = target.of_each(bits)
    restate = restating(places, alone, columns, target, twins)
    restate = {place: reason for place, reason in restate.items() if columns[place].name not in keep}
    left_out |= {columns[place].name: reason for place, reason in restate.items()}
    useless = set(range(len(columns))) - set(places.tolist()) - set(twins)
    left_out |= dict.fromkeys(
        [columns[place].name for place in sorted(useless)], "no value that enough customers share"
    )
    keep = np.array([place not in restate for place in places])
    if not keep.any():
        raise RuleError(
            "every attribute that has enough values only restates the target; ask for another target, or bring in more "
            "attributes"
        )
    suspects: list[int] = [at for at in near_perfect(places, alone, target, least=least).tolist() if keep[at]]
    warnings = tuple(
        f"{sentence(as_rule(made[at], columns[places[at]]))}: {_rate(alone, at):.1%} of them are what is looked for. "
        f"If {columns[places[at]].name!r} follows from the target, leave it out: exclude=[{columns[places[at]].name!r}]"
        for at in suspects
    )
    strength = gain(alone, target.of(np.ones(len(values), bool)), yes_no=yes_no)
    paired = _paired(made, np.asarray(alone.customers), strength, columns, least=least)
    made, bits, places, paired = (
        [c for c, kept in zip(made, keep, strict=True) if kept],
        bits[keep],
        places[keep],
        paired[keep],
    )
    everybody = np.full(bits.shape[1], 255, np.uint8)
    rows = np.stack([everybody, *(pack([column.known])[0] for column in columns)])
    known = len(made) + np.array([0 if isinstance(c, Known) else 1 + c.column for c in made])
    tested = search(
        np.concatenate([bits, rows]),
        places,
        known,
        paired,
        target,
        depth=depth,
        least=least,
        on_progress=pace.part("searching", hundredths=WHOLE - 15, of=len(values) * max(depth - 1, 1)),
    )
    groups = choose(
        tested,
        made,
        bits,
        columns,
        target,
        least=least,
        limit=limit,
        overlapping=overlapping,
        on_progress=pace.part("choosing", hundredths=10, of=limit),
    )
    return Found(groups, len(tested.places), left_out, warnings)


def members_of(group: Sequence[Condition], columns: Sequence[AttributeColumn]) -> Flags:
    """Who is in a group."""
    return np.logical_and.reduce([holds(condition, columns[condition.column]) for condition in group])


def _paired(
    made: Sequence[Condition], customers: Floats, strength: Floats, columns: Sequence[AttributeColumn], *, least: int
) -> Flags:
    """The conditions that are combined with others: at most so many, the strongest by themselves.

    A rarer value of a text must hint at something by itself and have customers to spare; whether an attribute is known
    is told by itself alone.
    """
    fit = np.array([not (isinstance(c, Known) and c.known) for c in made])
    rare = np.array([isinstance(c, Among) and c.codes[0] >= MOST_VALUES for c in made])
    fit &= ~rare | ((strength >= HINTS) & (customers >= 2 * least))
    best = np.argsort(-np.round(np.where(fit, strength, -np.inf), 9), kind="stable")[:COMBINED]
    fit[np.setdiff1d(np.arange(len(made)), best)] = False
    return fit


def _conditions(
    columns: Sequence[AttributeColumn], least: int, *, skip: Container[int]
) -> tuple[list[Condition], Bits, Places]:
    """Every condition that enough customers fit and enough don't, who fits it, and the column that it is on."""
    made: list[Condition] = []
    bits: list[Bits] = []
    for place, column in enumerate(columns):
        if place in skip:
            continue
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


def _rate(alone: Sums, at: int) -> float:
    return float(np.asarray(alone.target)[at] / np.asarray(alone.customers)[at])
