"""What the customer models tell of every customer: the columns of their table, for people."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from optinb.customers.features import FEATURES, Feature, Kind, comeback_feature
from optinb.customers.lifecycle import STAGES
from optinb.customers.ranks import HIGH_ABOVE, INSIDE, MEDIUM_ABOVE


class Attribute(Struct, frozen=True, kw_only=True):
    """One column of the customer model's table: its name, kind and what it means."""

    name: str
    kind: Kind
    sentence: str


VALUE: tuple[Attribute, ...] = (
    Attribute(
        name="expected_purchases",
        kind="number",
        sentence="Expected days with a purchase in the coming value days (a setting); empty without a purchase.",
    ),
    Attribute(
        name="future_value",
        kind="money",
        sentence="Expected spend in the coming value days (a setting); empty without a purchase.",
    ),
    Attribute(
        name="future_value_low",
        kind="money",
        sentence=f"{INSIDE:.0%} of the customers with such a forecast spent between this and future_value_high.",
    ),
    Attribute(name="future_value_high", kind="money", sentence="See future_value_low."),
    Attribute(
        name="value_rank",
        kind="count",
        sentence="Percentile of the future value among all customers who have one: 1 to 100, 100 is highest.",
    ),
    Attribute(
        name="value_rank_in_stage",
        kind="count",
        sentence="The same among the customers of the same lifecycle stage.",
    ),
    Attribute(
        name="value_segment",
        kind="text",
        sentence=f"high (rank above {HIGH_ABOVE}), medium (above {MEDIUM_ABOVE}), low, or none without a future value.",
    ),
)

CHANCES: tuple[Attribute, ...] = (
    Attribute(
        name="churn_risk",
        kind="share",
        sentence="Chance (0 to 1) that a new, active or reactivated customer buys nothing in the coming risk days.",
    ),
    Attribute(
        name="reactivation_chance",
        kind="share",
        sentence="Chance (0 to 1) that a churned customer buys in the coming risk days; empty for others.",
    ),
)

STAGE: tuple[Attribute, ...] = (
    Attribute(
        name="churn_after_days",
        kind="days",
        sentence="Days without a purchase after which this customer counts as churned; empty without a purchase.",
    ),
    Attribute(name="stage", kind="text", sentence=f"Lifecycle stage: {', '.join(STAGES[:-1])} or {STAGES[-1]}."),
)

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(name="customer_id", kind="text", sentence="The customer."),
    *(Attribute(name=f.name, kind=f.kind, sentence=f.sentence) for f in (*FEATURES, comeback_feature(30))),
    *STAGE,
    Attribute(
        name="micro_segment",
        kind="text",
        sentence="Stage and clusters, such as active:spend3.rhythm1.taste4; clusters are numbered upwards.",
    ),
    *VALUE,
    *CHANCES,
)
"""Every column of `CustomerModel.table` without declared features, which stand before those of the stage."""

HISTORY_COLUMNS = (
    "customer_id",
    "stage",
    "micro_segment",
    "value_segment",
    "future_value",
    "churn_risk",
    "reactivation_chance",
    "purchases",
    "spend",
    "last_purchase_on",
)
"""What is kept of every customer every day."""


def columns(declared: Iterable[Feature] = ()) -> tuple[str, ...]:
    """The columns of the table, in order."""
    names = [attribute.name for attribute in ATTRIBUTES]
    at = names.index(STAGE[0].name)
    return (*names[:at], *(feature.name for feature in declared), *names[at:])
