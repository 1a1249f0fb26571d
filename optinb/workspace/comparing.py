"""Groups beside everybody else, and beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import replace

from optinb.errors import UsageError
from optinb.rules import Node, attributes_of, sentence
from optinb.segments import members_of_all, overlap, profile
from optinb.workspace.engines import members_on

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.rules import Rule
    from optinb.segments import Overlap, Profile
    from optinb.workspace.data import Reading

MOST_GROUPS = 12  # a chart of more can't be read, and their combinations are thousands


def profile_of(reading: Reading, rule: Rule | str) -> Profile:
    """What makes the customers of a rule or saved group different. Raises RuleError."""
    tree, bound = reading.groups.rule(rule), reading.groups.bound(rule)
    tables = reading.tables_for(bound)
    customers = tables.customers.to_native().collect()
    found = members_on(reading, bound, tables, "polars")["customer_id"]
    return profile(
        customers,
        customers["customer_id"].is_in(found.implode()),
        sentence=sentence(tree),
        run_date=tables.run_date,
        asked=attributes_of(bound),
    )


def compared(reading: Reading, one: Rule | str, other: Rule | str) -> Profile:
    """Two groups side by side. Raises RuleError."""
    sides, asked, run_date = [], set(), None
    for rule in (one, other):
        bound = reading.groups.bound(rule)
        tables = reading.tables_for(bound)
        customers = tables.customers.to_native().collect()
        found = members_on(reading, bound, tables, "polars")
        sides.append(customers.join(found, on="customer_id", how="semi", maintain_order="left"))
        asked |= attributes_of(bound)
        run_date = tables.run_date
    inside = pl.Series([True, False]).gather(pl.Series([0] * sides[0].height + [1] * sides[1].height, dtype=pl.UInt32))
    found = profile(
        pl.concat(sides),
        inside,
        sentence=sentence(reading.groups.rule(one)),
        run_date=run_date,  # type: ignore[arg-type]
        asked=asked,
    )
    return replace(found, against=sentence(reading.groups.rule(other)))


def micro_segments_of(reading: Reading) -> pl.DataFrame:
    """The micro-segments with their sizes and what is expected of their customers, the largest first."""
    from optinb.workspace.modelling import segmentation  # which reads workspaces itself

    customers = reading.customers()
    known = customers.collect_schema()
    if "micro_segment" not in known:
        raise UsageError("the customers aren't modelled yet: run ws.model() or `optinb model`")
    means = [
        (pl.col(name).mean() if name in known else pl.lit(None, pl.Float64)).alias(name)
        for name in ("future_value", "churn_risk", "reactivation_chance")
    ]
    grouped = customers.group_by("stage", "micro_segment").agg(pl.len().cast(pl.Int64).alias("customers"), *means)
    found = grouped.sort(["customers", "micro_segment"], descending=[True, False]).collect()
    labels = segmentation(reading.snapshot())
    about = ["; ".join(labels.describe(name)) if labels and name else "" for name in found["micro_segment"]]
    return found.with_columns(pl.Series("about", about, dtype=pl.String))


def overlap_of(reading: Reading, groups: Iterable[str] | Mapping[str, Rule | str]) -> Overlap:
    """How groups overlap. Raises RuleError, or UsageError unless there are 2 to MOST_GROUPS names."""
    if isinstance(groups, str | Node):
        raise UsageError('give several groups: ws.overlap(["Lapsed", "Germans"])')
    named: dict[str, Rule | str] = (
        dict(groups.items()) if isinstance(groups, Mapping) else {name: name for name in groups}
    )
    if not 2 <= len(named) <= MOST_GROUPS:
        raise UsageError(f"{len(named)} groups can't be compared; give 2 to {MOST_GROUPS}")
    for name in named:
        if not isinstance(name, str) or not name.strip() or name == "customer_id":
            raise UsageError(
                f'{name!r} is no name for a group; give saved names, or rules with names: {{"young": attr("age") < 30}}'
            )
    bound = {name: reading.groups.bound(rule) for name, rule in named.items()}
    # the tables of a rule that asks about campaigns know their names, those of others need not
    tables = reading.tables_for(*bound.values())
    return overlap(members_of_all(bound, tables), run_date=tables.run_date)
