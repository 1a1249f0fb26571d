"""A campaign's effect by parts of its customers, and its variants against each other: exploratory, and corrected. Pure.

Whoever looks at many parts finds some that differ by luck. The chances are corrected so that of those that are found at
most one in twenty is luck, on average (Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57(1)).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.figures import many
from optinb.measure.arms import figures_of
from optinb.measure.effect import CONTROL, Effect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

By = Literal["first day", "platform", "stage", "micro-segment", "variants"]
SHARE_OF_LUCK = 0.05
HALF = 0.5
DRAWS = 4_000
"""For each part: a chance can't be told below one of these, and the correction asks for small ones."""
FEWEST_HELD_OUT = 20
"""The customers of each side that a part needs: of fewer every interval is so wide that it only disturbs."""
MOST_VALUES = 12
"""Of a column so many parts are looked at, the largest ones; of nights the newest."""


class ResultPart(Struct, frozen=True, kw_only=True):
    """What a campaign brought of a part of its customers, or a variant against another.

    Attributes:
        by: what the parts differ by.
        part: its value, such as "ios"; of variants both of them.
        bought: the share who bought.
        spent: what was spent by each.
        p: the chance of buyers as far from as many, were there no effect, corrected for all parts that are looked at.
    """

    by: By
    part: str
    bought: Effect
    spent: Effect
    p: float = 1.0

    @property
    def is_found(self) -> bool:
        """Whether it differs from none once luck is allowed for."""
        return self.p <= SHARE_OF_LUCK


def parts_of(
    outcomes: pl.DataFrame, by: Sequence[tuple[By, pl.Series]], *, planned: Mapping[str, float], seed: int
) -> tuple[ResultPart, ...]:
    """What all variants together brought of each part, against those of the part who were held out.

    Args:
        outcomes: what everybody did, with OUTCOMES; of final windows alone, since these are no looks at open ones.
        by: what the parts differ by, and for each customer the part, as it was known before the send; null where it
            isn't known.
        planned: the share of each arm that was planned.
        seed: of the draws.
    """
    found = []
    for name, values in by:
        parts = outcomes.with_columns(part=values)
        is_held_out = pl.col("arm") == CONTROL
        sizes = parts.group_by("part").agg(held_out=is_held_out.sum(), got=(~is_held_out).sum(), all=pl.len())
        enough = pl.min_horizontal("held_out", "got") >= FEWEST_HELD_OUT
        told = sizes.drop_nulls("part").filter(enough).sort("part", descending=True)
        if name != "first day":
            told = told.sort("all", descending=True, maintain_order=True)
        for part in sorted(told["part"].head(MOST_VALUES)):
            rows = parts.filter(pl.col("part") == part)
            arms = [arm for arm in rows["arm"].unique().sort() if arm != CONTROL]
            found.append(_part(name, str(part), rows, arms, CONTROL, planned, seed))
    return _corrected(found)


def variants_compared(outcomes: pl.DataFrame, *, planned: Mapping[str, float], seed: int) -> tuple[ResultPart, ...]:
    """What each variant brought more than each other one.

    Args:
        outcomes: what everybody did, with OUTCOMES; of final windows alone.
        planned: the share of each arm that was planned.
        seed: of the draws.
    """
    sizes = dict(outcomes["arm"].value_counts().iter_rows())
    names = sorted(arm for arm, size in sizes.items() if arm != CONTROL and size >= FEWEST_HELD_OUT)
    pairs = combinations(names, 2)
    return _corrected(
        [_part("variants", f"{one} against {other}", outcomes, [one], other, planned, seed) for one, other in pairs]
    )


def luck_words(parts: Sequence[ResultPart]) -> str:
    """How many of the parts that are looked at are found, and how many are likely luck; empty without any.

    Args:
        parts: all that were looked at together.
    """
    if not parts:
        return ""
    found = sum(part.is_found for part in parts)
    by_luck = SHARE_OF_LUCK * len(parts)
    luck = f"about {max(1, round(by_luck)):,}" if by_luck >= HALF else "hardly one"
    seen = f"of {many(len(parts), 'part')} looked at {luck} would differ by luck alone"
    if not found:
        return f"{seen}, and none differs by more"
    of_these = SHARE_OF_LUCK * found
    likely = f"about {max(1, round(of_these)):,} of these" if of_these >= HALF else "hardly one of these"
    return f"{seen}; {found:,} {'differs' if found == 1 else 'differ'} once that is allowed for, and {likely} is luck"


def _part(
    by: By,
    name: str,
    rows: pl.DataFrame,
    arms: Sequence[str],
    against: str,
    planned: Mapping[str, float],
    seed: int,
) -> ResultPart:
    effects = figures_of(rows, arms, against, planned=planned, seed=seed, only=("response", "spend"), draws=DRAWS)
    return ResultPart(by=by, part=name, bought=effects["response"], spent=effects["spend"])


def _corrected(parts: Sequence[ResultPart]) -> tuple[ResultPart, ...]:
    """The same with chances that allow for how many were looked at."""
    if not parts:
        return ()
    from scipy.stats import false_discovery_control

    chances = false_discovery_control(np.clip([part.bought.p for part in parts], 0, 1))
    return tuple(replace(part, p=float(p)) for part, p in zip(parts, chances, strict=True))
