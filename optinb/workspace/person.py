"""The card of one customer: who they are, how they got there, what they bought, and what was sent to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from optinb.errors import RuleError
from optinb.workspace.history import Answer
from optinb.workspace.modelling import segmentation

if TYPE_CHECKING:
    import polars as pl

    from optinb.workspace.handle import Workspace

NEWEST = 50
"""Audiences that are looked through for a customer's messages."""

FUTURE = ("expected_purchases", "future_value", "future_value_low", "future_value_high", "value_rank",
          "value_rank_in_stage", "value_segment", "churn_risk", "reactivation_chance")  # fmt: skip


class StageSpan(Struct, frozen=True, kw_only=True):
    """A time in one lifecycle stage: the first and the last night that told it."""

    stage: str
    since: date
    until: date


class Month(Struct, frozen=True, kw_only=True):
    """What was bought in a month, which `first` begins: days with a purchase, and their sum in the currency."""

    first: date
    purchases: int
    spend: float


class Message(Struct, frozen=True, kw_only=True):
    """What became of a customer in a campaign of a night."""

    night: date
    answer: Answer


class CustomerCard(Struct, frozen=True, kw_only=True):
    """Everything that is known of a customer.

    `profile` is what is delivered, `features` what the models count, `future` what they expect, `untold` what none of
    them tells, with the reason; `about` describes the micro-segment, a sentence for each layer. `groups` are the saved
    target groups that they are in today; `messages` those of the newest nights, with controls and exclusions.
    """

    customer_id: str
    day: date
    is_known: bool
    stage: str | None = None
    profile: dict[str, Any] = {}
    features: dict[str, Any] = {}
    future: dict[str, Any] = {}
    untold: dict[str, str] = {}
    about: tuple[str, ...] = ()
    stages: tuple[StageSpan, ...] = ()
    months: tuple[Month, ...] = ()
    groups: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()


def customer_card(ws: Workspace, customer_id: str) -> CustomerCard:
    """The card of a customer, as of the published version; with `is_known` false for an id that isn't there."""
    import polars as pl

    snapshot, tables = ws.snapshot(), ws.tables()
    mine = pl.col("customer_id") == customer_id
    rows = tables.customers.to_native().lazy().filter(mine).collect().to_dicts()
    newest = ws.answers.newest(customer_id, limit=NEWEST)
    messages = tuple(Message(night=night, answer=answer) for night, answer in newest)
    if not rows:
        return CustomerCard(customer_id=customer_id, day=tables.run_date, is_known=False, messages=messages)
    known = {name: value for name, value in rows[0].items() if name != "customer_id" and value is not None}
    delivered = snapshot.schema("customers")
    future = {name: known[name] for name in FUTURE if name in known and name not in delivered}
    labels = segmentation(snapshot)
    return CustomerCard(
        customer_id=customer_id,
        day=tables.run_date,
        is_known=True,
        stage=known.get("stage"),
        profile={name: value for name, value in known.items() if name in delivered},
        features={name: value for name, value in known.items() if name not in delivered and name not in FUTURE},
        future=future,
        untold=dict(tables.untold),
        about=labels.describe(known["micro_segment"]) if labels and "micro_segment" in known else (),
        stages=_stages(snapshot.history().filter(mine)),
        months=_months(snapshot.scan("transactions").filter(mine)),
        groups=_groups(ws, customer_id),
        messages=messages,
    )


def _stages(states: pl.LazyFrame) -> tuple[StageSpan, ...]:
    if "stage" not in states.collect_schema():
        return ()
    spans: list[StageSpan] = []
    for day, stage in states.select("day", "stage").collect().sort("day").iter_rows():
        if spans and spans[-1].stage == stage:
            spans[-1] = StageSpan(stage=stage, since=spans[-1].since, until=day)
        else:
            spans.append(StageSpan(stage=stage, since=day, until=day))
    return tuple(spans)


def _months(transactions: pl.LazyFrame) -> tuple[Month, ...]:
    import polars as pl

    bought = transactions.filter(pl.col("amount") > 0).group_by(pl.col("day").dt.truncate("1mo").alias("month"))
    counted = bought.agg(pl.col("day").n_unique(), pl.col("amount").sum().round(2)).sort("month").collect()
    return tuple(Month(first=month, purchases=days, spend=spend) for month, days, spend in counted.iter_rows())


def _groups(ws: Workspace, customer_id: str) -> tuple[str, ...]:
    """The saved groups that a customer is in; one that can't be counted today has nobody."""
    import narwhals as nw

    from optinb.segments import members

    tables = ws.tables()
    alone = replace(tables, customers=tables.customers.filter(nw.col("customer_id") == customer_id))
    found = []
    for record in ws.groups.list():
        try:
            if len(members(ws.groups.bound(record.name), alone).collect().to_native().filter(customer_id=customer_id)):
                found.append(record.name)
        except RuleError:
            continue
    return tuple(found)
