"""Which behaviours of many rules are measured in one pass over the data. Pure.

A pass that measures more costs more only a little, as long as it reads the same days and groups the same customers'
rows; one for everything would group all rows of the longest window, and hold every measure of every customer at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optinb.segments.plan import measures_of, rows_of
from optinb.segments.pushdown import either

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from numpy.typing import NDArray

    from optinb.rules import Did, Rule

# Nanoseconds for each row of a pass, measured on 25 M rows of 5 M customers: reading it, asking whether its customer
# matters (for a share of 1), grouping it, and adding it to one measure.
READ_NS, ASK_NS, GROUP_NS, MEASURE_NS = 55.0, 600.0, 470.0, 25.0
# As `plan.RESTRICT_BELOW`; lower, since the answers of a pass are held beside those of the others (measured on fifty
# groups: at 50 % a twentieth more processor time and a quarter more memory).
RESTRICT_BELOW = 0.4
# Measures of one pass, each of which costs memory for every customer while the pass runs.
AT_ONCE = 8
# What "ever" is taken for.
EVER_DAYS = 3650


@dataclass(frozen=True)
class Pass:
    """Behaviours measured together, on the rows of the customers who fulfil `only` (None: of all)."""

    leaves: tuple[Did, ...]
    only: Rule | None


@dataclass(frozen=True)
class _Part:
    """Some behaviours, and what a pass for them would cost."""

    leaves: tuple[Did, ...]
    table: str
    first: int
    last: int
    wanted: NDArray[np.bool_]
    measures: frozenset

    def joined(self, other: _Part) -> _Part:
        return _Part(
            leaves=self.leaves + other.leaves,
            table=self.table,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            wanted=self.wanted | other.wanted,
            measures=self.measures | other.measures,
        )

    @property
    def restricted(self) -> bool:
        """Whether it pays to leave out the rows of customers to whom nothing here can matter."""
        return float(self.wanted.mean()) <= RESTRICT_BELOW

    @property
    def cost(self) -> float:
        """Nanoseconds, for one row a day."""
        a_row = GROUP_NS + MEASURE_NS * len(self.measures)
        if self.restricted:
            a_row = (ASK_NS + a_row) * float(self.wanted.mean())
        return (self.last - self.first + 1) * (READ_NS + a_row)


def passes(
    relevant: Mapping[Did, Rule | None], run_date: date, *, wanted: Callable[[Rule], NDArray[np.bool_]]
) -> tuple[Pass, ...]:
    """Shares the behaviours out over passes, one after another, each to where it adds the least cost.

    Args:
        relevant: each behaviour with the condition outside of which it can't matter (None: it may for everybody).
        run_date: the night.
        wanted: of some sample of the customers, who fulfils a condition.
    """
    found: list[_Part] = []
    parts = [_part(leaf, condition, run_date, wanted) for leaf, condition in relevant.items()]
    for part in sorted(parts, key=lambda p: -p.cost):
        best, least = None, part.cost
        for i, existing in enumerate(found):
            if existing.table != part.table or part.leaves[0].measure == "days_in_a_row":
                continue
            joined = existing.joined(part)
            if len(joined.measures) <= AT_ONCE and (added := joined.cost - existing.cost) < least:
                best, least = i, added
        if best is None:
            found.append(part)
        else:
            found[best] = found[best].joined(part)
    return tuple(
        Pass(part.leaves, either(relevant[leaf] for leaf in part.leaves) if part.restricted else None) for part in found
    )


def _part(leaf: Did, condition: Rule | None, run_date: date, wanted: Callable[[Rule], NDArray[np.bool_]]) -> _Part:
    rows = rows_of(leaf, run_date)
    return _Part(
        leaves=(leaf,),
        table=rows.table if leaf.measure != "days_in_a_row" else f"{rows.table} in a row",
        first=rows.last.toordinal() - EVER_DAYS if rows.first is None else rows.first.toordinal(),
        last=rows.last.toordinal(),
        wanted=np.ones(1, bool) if condition is None else wanted(condition),
        measures=frozenset(measures_of(leaf, run_date)),
    )
