"""Groups worth a campaign: of high value, at a risk that rises, reachable by push, and not written to lately.

Among customers of high value whom a push reaches and nobody wrote to in two weeks, half are searched for groups whose
churn risk rose more often than that of the others (`discovery`); what is found must hold in the other half.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import narwhals as nw
import numpy as np
import polars as pl

from optinb.engine import kinds
from optinb.rules import AllOf, Rule, attr, received
from optinb.segments.compile import members
from optinb.segments.discovery import Finding, discover
from optinb.segments.discovery.evidence import interval, sums_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.engine import Tables

ROSE = 0.10  # a churn risk that is higher by this than four weeks ago has risen
NOT_WRITTEN_TO = 14  # days
TARGET = "churn_risk_rose"
MOST = 3  # groups
WORTHY: Rule = AllOf((attr("value_segment") == "high", ~received().within(days=NOT_WRITTEN_TO)))


class WorthCampaign(NamedTuple):
    """A group that is worth a campaign, how many of it a push reaches, and what the half says that was held out."""

    rule: Rule
    condition: Rule
    finding: Finding
    reached: int
    rate: float
    rate_outside: float
    low: float
    high: float


def worth_campaigns(
    tables: Tables,
    *,
    risk_before: pl.DataFrame,
    reachable: pl.Series,
    first_half: pl.Series,
    attributes: Iterable[str],
    labels: Mapping[str, str],
) -> tuple[WorthCampaign, ...]:
    """The groups that are worth a campaign, the surest first.

    Args:
        tables: of the night.
        risk_before: customer_id and churn_risk (0 to 1, null where no model told it) of about four weeks before.
        reachable: the ids of whom a push reaches.
        first_half: the ids of those who are searched; what is found is held against the others.
        attributes: whose values are groups. What is made of purchases, or of the day of registration, would say again
            how risks change.
        labels: what people call the attributes.

    Raises:
        RuleError: where too few customers are looked at, or there is nothing to look at.
    """
    customers = tables.customers.to_native()
    now = customers.select("customer_id", risk=pl.col("churn_risk"))
    rose = (
        now.join(risk_before.lazy().rename({"churn_risk": "before"}), on="customer_id")
        .filter(pl.col("customer_id").is_in(reachable.implode()))
        .select("customer_id", (pl.col("risk") - pl.col("before") >= ROSE).alias(TARGET))
        .drop_nulls()
        .collect()
    )
    worthy = members(WORTHY, tables).collect(backend="polars").to_native()["customer_id"]
    rose = rose.filter(pl.col("customer_id").is_in(worthy.implode()))
    if not rose[TARGET].any():
        return ()
    parts = [rose.filter(pl.col("customer_id").is_in(first_half.implode()) == flag) for flag in (True, False)]
    searched, held_out = (
        replace(tables, customers=nw.from_native(customers.join(part.lazy(), on="customer_id").collect().lazy()))
        for part in parts
    )
    looked_at = {*attributes, TARGET}
    found = discover(
        searched,
        TARGET,
        include=[name for name in attributes if name in kinds(searched.customer_schema)],
        exclude=[name for name in kinds(searched.customer_schema) if name not in looked_at],
        depth=2,
        limit=MOST,
        labels=labels,
    )
    confirmed = (_held(finding, held_out, parts[1]) for finding in found)
    return tuple(one for one in confirmed if one is not None)


def _held(finding: Finding, tables: Tables, held_out: pl.DataFrame) -> WorthCampaign | None:
    """The finding with its figures in the half that wasn't searched; None where it didn't show there."""
    ids = members(finding.condition, tables).collect(backend="polars").to_native()["customer_id"]
    inside = held_out["customer_id"].is_in(ids.implode()).to_numpy()
    values = held_out[TARGET].cast(pl.Float64).to_numpy()
    if min(inside.sum(), (~inside).sum()) < 20:
        return None
    low, high = interval(sums_of(values[inside]), sums_of(values[~inside]), yes_no=True)
    if low <= 0:
        return None
    parts = finding.condition.rules if isinstance(finding.condition, AllOf) else (finding.condition,)
    rule = AllOf((*WORTHY.rules, *parts))  # type: ignore[attr-defined]
    rates = (float(np.mean(values[inside])), float(np.mean(values[~inside])))
    # both halves are of whom a push reaches
    reached = int(inside.sum()) + (finding.looked_at or finding.size)
    return WorthCampaign(rule, finding.condition, finding, reached, *rates, low, high)
