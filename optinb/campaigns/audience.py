"""From a target group to the exact list of who gets a message, with a reason for everybody who doesn't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl
from msgspec import Struct

from optinb.engine.shares import in_share
from optinb.errors import CampaignError, did_you_mean
from optinb.segments import reachable_apps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.campaigns.campaign import Property
    from optinb.settings import AppSettings

Outcome = Literal["recipient", "control", "excluded"]

# In the order in which they are examined: the first that applies is a customer's reason.
REASONS: dict[str, str] = {
    "no_app": "uses none of the apps that the message goes to",
    "no_sdk": "uses only versions of them without the Appboy SDK",
    "push_off": "has push switched off in all of them",
    "blocked": "is blocked",
    "test": "is a test customer",
    "opted_out": "has opted out of push messages",
    "property_missing": "has no value for a property that the template needs",
    "same_external_id": "shares the external user id with another customer of the audience",
}
OUTCOMES: dict[str, str] = {
    "recipient": "gets the message",
    "control": "is held out in the control group",
    **REASONS,
}
AUDIENCE_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String,
        "external_user_id": pl.String,
        "outcome": pl.String,
        "reason": pl.String,
        "properties": pl.String,
    }
)


class Waterfall(Struct, frozen=True, kw_only=True):
    """How a target group becomes recipients; target = recipients + control + the sum of excluded."""

    target: int
    excluded: dict[str, int]
    control: int
    recipients: int

    def steps(self) -> list[tuple[str, int, int]]:
        """(what happens, customers it takes away, customers left), from the target group to the recipients."""
        left = self.target
        rows = [("target group", 0, left)]
        for reason, count in self.excluded.items():
            left -= count
            rows.append((REASONS[reason], count, left))
        rows.append(("is held out in the control group", self.control, left - self.control))
        return rows


def build_audience(
    members: pl.LazyFrame,
    customers: pl.LazyFrame,
    app_users: pl.LazyFrame,
    *,
    apps: Iterable[AppSettings],
    properties: Mapping[str, Property] | None = None,
    control: float = 0.0,
    salt: str = "",
    untold: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """One row for every member of the target group: what happens to them tonight, and why.

    Args:
        members: customer_id (text) of the target group, each once.
        customers: customer_id, external_user_id, is_blocked, is_test, push_opt_in and the attributes that
            `properties` name.
        app_users: as in `reachable_apps`.
        apps: the apps of the app group on the template's platforms.
        properties: where each trigger property comes from.
        control: share of the customers who could get the message that is held out.
        salt: makes the draw of the control group independent of others; a campaign's id.
        untold: attributes that no model tells tonight, each with the reason.

    Returns:
        a frame with AUDIENCE_SCHEMA, sorted by customer_id. `reason` is null for recipients and controls, and
        `properties` (a JSON object as text) is null for everybody but recipients and controls.

    Raises CampaignError when a property names an attribute that isn't known.
    """
    properties = properties or {}
    attributes = sorted({p.attribute for p in properties.values() if p.attribute})
    kinds = customers.collect_schema()
    _check_attributes(attributes, kinds.names(), untold or {})
    reach = (
        reachable_apps(app_users, apps)
        .group_by("customer_id")
        .agg(sdk=pl.col("has_sdk").any(), push=(pl.col("has_sdk") & pl.col("push_enabled")).any())
    )
    person = customers.select(
        "customer_id",
        "external_user_id",
        "is_blocked",
        "is_test",
        "push_opt_in",
        *(pl.col(a).alias(f"attribute {a}") for a in attributes),
    )
    needed = [
        pl.col(f"attribute {p.attribute}").is_null() for p in properties.values() if p.attribute and p.default is None
    ]
    reasons = {
        "no_app": pl.col("sdk").is_null(),
        "no_sdk": ~pl.col("sdk"),
        "push_off": ~pl.col("push"),
        "blocked": pl.col("is_blocked").fill_null(False),
        "test": pl.col("is_test").fill_null(False),
        "opted_out": ~pl.col("push_opt_in").fill_null(True),
        "property_missing": pl.any_horizontal(needed) if needed else pl.lit(False),
    }
    rows = (
        members.select("customer_id")
        .join(person, on="customer_id", how="inner")
        .join(reach, on="customer_id", how="left")
        .with_columns(reason=first_reason(reasons))
        .sort("customer_id")
        .collect()
    )
    rows = rows.with_columns(
        reason=pl.when(pl.col("reason").is_null() & ~pl.struct("external_user_id", "reason").is_first_distinct())
        .then(pl.lit("same_external_id"))
        .otherwise("reason")
    )
    held_out = in_share(rows["customer_id"], salt=salt, share=control)
    return (
        rows.with_columns(held_out)
        .with_columns(
            outcome=pl.when(pl.col("reason").is_not_null())
            .then(pl.lit("excluded"))
            .when("in_share")
            .then(pl.lit("control"))
            .otherwise(pl.lit("recipient"))
        )
        .with_columns(properties=pl.when(pl.col("outcome") != "excluded").then(properties_json(properties, kinds)))
        .select(AUDIENCE_SCHEMA.names())
    )


def personal(customers: pl.LazyFrame, *, properties: Mapping[str, Property] | None = None) -> pl.LazyFrame:
    """What a message to each customer is made of, whoever they are.

    Args:
        customers: customer_id, external_user_id, is_test and the attributes that `properties` name.

    Returns:
        customer_id, external_user_id, is_test, property_missing (flags, never null) and properties (a JSON object).
    """
    properties = properties or {}
    attributes = sorted({p.attribute for p in properties.values() if p.attribute})
    kinds = customers.collect_schema()
    _check_attributes(attributes, kinds.names(), {})
    needed = [pl.col(p.attribute).is_null() for p in properties.values() if p.attribute and p.default is None]
    return customers.with_columns(pl.col(a).alias(f"attribute {a}") for a in attributes).select(
        "customer_id",
        "external_user_id",
        pl.col("is_test").fill_null(False),
        property_missing=pl.any_horizontal(needed) if needed else pl.lit(False),
        properties=properties_json(properties, kinds),
    )


def waterfall(audience: pl.DataFrame) -> Waterfall:
    """The figures of an audience with AUDIENCE_SCHEMA; reasons in the order in which they are examined."""
    reasons = dict(audience["reason"].drop_nulls().value_counts().iter_rows())
    outcomes = dict(audience["outcome"].value_counts().iter_rows())
    return Waterfall(
        target=audience.height,
        excluded={reason: reasons[reason] for reason in REASONS if reason in reasons},
        control=outcomes.get("control", 0),
        recipients=outcomes.get("recipient", 0),
    )


def first_reason(reasons: Mapping[str, pl.Expr]) -> pl.Expr:
    """The name of the first condition that is true, null if none is."""
    return pl.coalesce(*(pl.when(condition).then(pl.lit(name)) for name, condition in reasons.items()))


def properties_json(properties: Mapping[str, Property], kinds: Mapping[str, pl.DataType]) -> pl.Expr:
    """A JSON object with the trigger properties of a row, as text; keys in alphabetical order.

    `kinds` gives the types of the attributes. Days and times are written as ISO 8601. A default of another kind than
    its attribute turns both into text.
    """
    values: list[pl.Expr] = []
    for name, source in sorted(properties.items()):
        if source.attribute is None:
            values.append(pl.lit(source.value).alias(name))
            continue
        kind, attribute = kinds[source.attribute], pl.col(f"attribute {source.attribute}")
        if not (kind.is_numeric() or kind == pl.Boolean):
            attribute = attribute.cast(pl.String)
        default = source.default
        if default is not None:
            number = isinstance(default, int | float) and not isinstance(default, bool)
            if (kind.is_numeric() and number) or (kind == pl.Boolean and isinstance(default, bool)):
                attribute = pl.coalesce(attribute, pl.lit(default))
            else:
                attribute = pl.coalesce(attribute.cast(pl.String), pl.lit(str(default)))
        values.append(attribute.alias(name))
    return pl.struct(values).struct.json_encode() if values else pl.lit("{}")


def _check_attributes(attributes: list[str], known: list[str], untold: Mapping[str, str]) -> None:
    for attribute in attributes:
        if attribute not in known:
            if attribute in untold:
                raise CampaignError(f"no model tells {attribute!r}, which the properties need: {untold[attribute]}")
            raise CampaignError(
                f"attribute {attribute!r} of the campaign's properties isn't known{did_you_mean(attribute, known)}"
            )
