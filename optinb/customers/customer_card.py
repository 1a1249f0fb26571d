"""The card of one customer: who they are, how they got there, what they bought, and what was sent to them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import polars as pl
from msgspec import Struct

from optinb.customers.modelling import segmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from optinb.engine import Tables
    from optinb.warehouse import Snapshot

NEWEST = 50
"""Audiences that are looked through for a customer's messages."""

FUTURE = ("expected_purchases", "future_value", "future_value_low", "future_value_high", "value_rank",
          "value_rank_in_stage", "value_segment", "churn_risk", "reactivation_chance")  # fmt: skip


class Told(Protocol):
    """Why a customer did or didn't get a campaign's message, as the journal of deliveries says it."""

    @property
    def outcome(self) -> str: ...


A = TypeVar("A", bound=Told)


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


class CustomerMessage(Struct, Generic[A], frozen=True, kw_only=True):
    """What became of a customer in a campaign of a night."""

    night: date
    answer: A


class CustomerCard(Struct, Generic[A], frozen=True, kw_only=True):
    """Everything that is known of a customer.

    `profile` is what is delivered, `features` what the models count, `future` what they expect, `not_modelled` what
    none of them tells, with the reason; `about` describes the micro-segment, a sentence for each layer. `groups` are
    the saved target groups that they are in today; `messages` those of the newest nights, with controls and exclusions.
    """

    customer_id: str
    day: date
    is_known: bool
    stage: str | None = None
    profile: dict[str, Any] = {}
    features: dict[str, Any] = {}
    future: dict[str, Any] = {}
    not_modelled: dict[str, str] = {}
    about: tuple[str, ...] = ()
    stages: tuple[StageSpan, ...] = ()
    months: tuple[Month, ...] = ()
    groups: tuple[str, ...] = ()
    messages: tuple[CustomerMessage[A], ...] = ()


def customer_card(
    customer_id: str,
    *,
    snapshot: Snapshot,
    tables: Tables,
    groups: Callable[[], tuple[str, ...]],
    answers: Iterable[tuple[date, A]],
) -> CustomerCard[A]:
    """The card of a customer, as of the published version; with `is_known` false for an id that isn't there.

    `groups` tells which saved groups they are in, and `answers` what became of them in the campaigns of a night.
    """
    mine = pl.col("customer_id") == customer_id
    rows = tables.customers.to_native().lazy().filter(mine).collect().to_dicts()
    messages = tuple(CustomerMessage(night=night, answer=answer) for night, answer in answers)
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
        not_modelled=dict(tables.not_modelled),
        about=labels.describe(known["micro_segment"]) if labels and "micro_segment" in known else (),
        stages=_stages(snapshot.history().filter(mine)),
        months=_months(snapshot.scan("transactions").filter(mine)),
        groups=groups(),
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
    bought = transactions.filter(pl.col("amount") > 0).group_by(pl.col("day").dt.truncate("1mo").alias("month"))
    counted = bought.agg(pl.col("day").n_unique(), pl.col("amount").sum().round(2)).sort("month").collect()
    return tuple(Month(first=month, purchases=days, spend=spend) for month, days, spend in counted.iter_rows())
