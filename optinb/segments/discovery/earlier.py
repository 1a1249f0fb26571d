"""Whether what was found on a night held in the part of history that wasn't searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from optinb.engine import Tables, kinds
from optinb.rules import Contacted, Did, Last, Rule, Uses, attributes_of, nodes_of
from optinb.segments.compile import members
from optinb.segments.discovery.columns import read_customers, read_target
from optinb.segments.discovery.evidence import Sums, Target, chance, gain, interval, steady, sums_of
from optinb.segments.discovery.finding import Finding, HeldBefore

if TYPE_CHECKING:
    from optinb.segments.discovery.run import Discovery

APART = 28  # days at least between the night that is searched and the one it is held against
ASKED = 182  # the days apart that are looked for: half a year, so that what holds in June holds in December
FEW = 20  # customers of a group whose rate says something


def earlier_day(
    days: Iterable[date], run_date: date, target: Rule | str, *, behind: Mapping[str, int | None]
) -> date | str:
    """The day that findings are held against; or why there is none.

    It lies as near to half a year before as the days allow, and so far that what the target asks about on it doesn't
    overlap what it asks about on the night that was searched.

    Args:
        days: those whose customers are kept.
        run_date: the night that was searched.
        target: what was looked for.
        behind: how many days an attribute looks back, by name; None for all of history. Others are of their day.
    """
    back = APART
    for name in sorted({target} if isinstance(target, str) else attributes_of(target)):
        of_days = behind.get(name, 0)
        if of_days is None:
            return f"{name!r} looks at all of history, so that no part of it is left"
        back = max(back, of_days + 1)
    for node in (
        () if isinstance(target, str) else (n for kind in (Did, Uses, Contacted) for n in nodes_of(target, kind))
    ):
        window = node.last_used if isinstance(node, Uses) else node.window
        if not isinstance(window, Last):
            return "the target looks at all of history, or at fixed days, so that no part of history is left"
        back = max(back, window.days + 1)
    known = [day for day in days if (run_date - day).days >= back]
    if not known:
        return f"no customers are kept of {run_date - timedelta(days=back)} or before"
    wanted = max(ASKED, back)
    return min(known, key=lambda day: (abs((run_date - day).days - wanted), day))


def held_before(found: Discovery, tables: Tables, target: Rule | str, within: Rule | None) -> Discovery:
    """The same findings, each with how its group did on an earlier day.

    Args:
        found: on a later night.
        tables: as they were on the earlier day.
        target: what was looked for.
        within: among whom.
    """
    known = kinds(tables.customer_schema)
    asked = frozenset({target}) if isinstance(target, str) else attributes_of(target)
    missing = sorted((asked | (frozenset() if within is None else attributes_of(within))) - known.keys())
    if missing:
        return replace(found, not_earlier=f"{missing[0]!r} isn't kept of {tables.run_date}")
    customers = read_customers(tables, [target] if isinstance(target, str) else [], within)
    values, yes_no = read_target(tables, target, customers)
    looked_at = np.isfinite(values)
    if looked_at.sum() < 2 * FEW:
        return replace(
            found, not_earlier=f"the target is known of {int(looked_at.sum()):,} customers on {tables.run_date}"
        )
    asked_of = values[looked_at]
    searched_by = Target(asked_of.astype(np.float32) if yes_no else steady(asked_of), yes_no)
    everybody = searched_by.of(np.ones(len(asked_of), bool))

    def then(finding: Finding) -> Finding:
        if attributes_of(finding.condition) - known.keys():
            return finding
        ids = members(finding.condition, tables).collect(backend="polars").to_native()["customer_id"]
        mask = customers["customer_id"].is_in(ids.implode()).to_numpy()[looked_at]
        if min(mask.sum(), (~mask).sum()) < FEW:
            return finding
        inside, outside = sums_of(asked_of[mask]), sums_of(asked_of[~mask])
        low, high = interval(inside, outside, yes_no=yes_no)
        there = HeldBefore(
            day=tables.run_date,
            looked_at=int(mask.sum()),
            rate=mean(inside),
            rate_outside=mean(outside),
            low=low,
            high=high,
        )
        p = float(chance(gain(searched_by.of(mask), everybody, yes_no=yes_no)))
        return replace(finding, earlier=there, p_confirmed=p)

    return replace(found, findings=tuple(then(finding) for finding in found), earlier_on=tables.run_date)


def mean(sums: Sums) -> float:
    """The target's mean."""
    return float(sums.target) / float(sums.customers)  # type: ignore[arg-type]
