"""What the customer models tell of every customer: the columns of their table, for people, and the tables behind them.

A workspace may declare features of its own in its settings: `[[features]]`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from optinb.customers.features import FEATURES, IN_UNITS, Aggregate, Feature, Kind, Source, comeback_feature
from optinb.customers.layers import LAYERS
from optinb.customers.lifecycle import STAGES
from optinb.customers.ranges import INSIDE
from optinb.customers.value import HIGH_ABOVE, MEDIUM_ABOVE
from optinb.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from optinb.base.settings import FeatureSection


MICRO_SEGMENT = "micro_segment"


class Attribute(Struct, frozen=True, kw_only=True):
    """One column of the customer model's table: its name, what people call it, its kind and what it means."""

    name: str
    label: str
    kind: Kind
    sentence: str


VALUE: tuple[Attribute, ...] = (
    Attribute(
        name="expected_purchases",
        label="expected purchases",
        kind="number",
        sentence="Expected days with a purchase in the coming value days (a setting); empty without a purchase.",
    ),
    Attribute(
        name="future_value",
        label="future value",
        kind="money",
        sentence="Expected spend in the coming value days (a setting); empty without a purchase.",
    ),
    Attribute(
        name="future_value_low",
        label="future value, low end",
        kind="money",
        sentence="Of ten customers with such a forecast, one spent less, or all may have spent nothing.",
    ),
    Attribute(
        name="future_value_high",
        label="future value, high end",
        kind="money",
        sentence="Nine in ten customers with such a forecast, buyers or not, spent this or less.",
    ),
    Attribute(
        name="future_value_net",
        label="future value after refunds",
        kind="money",
        sentence="The future value without what such a customer is likely to send back.",
    ),
    Attribute(
        name="purchase_chance",
        label="chance of a purchase",
        kind="share",
        sentence="Chance (0 to 1) of any purchase in the coming value days (a setting); empty without a purchase.",
    ),
    Attribute(
        name="value_if_buying",
        label="value if they buy",
        kind="money",
        sentence="Expected spend in the coming value days of those with such a forecast who buy at all.",
    ),
    Attribute(
        name="value_if_buying_low",
        label="value if they buy, low end",
        kind="money",
        sentence=f"{INSIDE:.0%} of those with such a forecast who bought spent between this and value_if_buying_high.",
    ),
    Attribute(
        name="value_if_buying_high",
        label="value if they buy, high end",
        kind="money",
        sentence="See value_if_buying_low.",
    ),
    Attribute(
        name="value_rank",
        label="rank by future value",
        kind="count",
        sentence="Percentile of the future value among all customers who have one: 1 to 100, 100 is highest.",
    ),
    Attribute(
        name="value_rank_in_stage",
        label="rank by future value in the same stage",
        kind="count",
        sentence="The same among the customers of the same lifecycle stage.",
    ),
    Attribute(
        name="value_segment",
        label="value segment",
        kind="text",
        sentence=f"high (rank above {HIGH_ABOVE}), medium (above {MEDIUM_ABOVE}), low, or none without a future value.",
    ),
)

RANK = Attribute(
    name="recency_frequency_rank",
    label="rank by recency and frequency",
    kind="count",
    sentence="Percentile (100 is best) by how lately and how often they bought, with no model behind it.",
)

CHANCES: tuple[Attribute, ...] = (
    Attribute(
        name="churn_risk",
        label="churn risk",
        kind="share",
        sentence="Chance (0 to 1) that a new, active or reactivated customer buys nothing in the coming risk days.",
    ),
    Attribute(
        name="reactivation_chance",
        label="chance of coming back",
        kind="share",
        sentence="Chance (0 to 1) that a churned customer buys in the coming risk days; empty for others.",
    ),
)

STAGE: tuple[Attribute, ...] = (
    Attribute(
        name="churn_after_days",
        label="days until a customer counts as churned",
        kind="days",
        sentence="Days without a purchase after which this customer counts as churned; empty without a purchase.",
    ),
    Attribute(
        name="stage",
        label="lifecycle stage",
        kind="text",
        sentence=f"Lifecycle stage: {', '.join(STAGES[:-1])} or {STAGES[-1]}.",
    ),
)

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(name="customer_id", label="customer id", kind="text", sentence="The customer."),
    *(
        Attribute(name=f.name, label=f.label, kind=f.kind, sentence=f.sentence)
        for f in (*FEATURES, comeback_feature(30))
    ),
    *STAGE,
    Attribute(
        name=MICRO_SEGMENT,
        label="micro-segment",
        kind="text",
        sentence="Stage and layers in words, such as “active, high spend, bought often”; one scale for all stages.",
    ),
    *VALUE,
    *CHANCES,
    RANK,
)
"""Every column of `CustomerModel.table` without declared features, which stand before those of the stage."""

DELIVERED: Mapping[str, tuple[str, str]] = {
    "external_user_id": ("id in the apps", "The id that the apps give to Appboy."),
    "registered_at": ("registration", "When the customer registered."),
    "country": ("country", "The country, as delivered."),
    "language": ("language", "The language, as delivered."),
    "time_zone": ("time zone", "The customer's own time zone, such as Europe/Berlin."),
    "gender": ("gender", "The gender, as delivered."),
    "birth_date": ("date of birth", "The day on which the customer was born."),
    "push_opt_in": ("push opt-in", "Whether the customer has agreed to get push messages."),
    "is_blocked": ("blocked", "Whether the customer must not be written to."),
    "is_test": ("test customer", "Whether this is a customer of the team's own, for tests."),
}
"""The label and the meaning of each column of customers that the contract of deliveries names."""


def labels_of(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """What people call each of some attributes; `given` are the labels of the settings.

    No two have one label: where a label would stand for several, the name tells them apart.
    """
    own = {a.name: a.label for a in ATTRIBUTES} | {name: label for name, (label, _) in DELIVERED.items()}
    called = {name: given.get(name) or own.get(name) or name.replace("_", " ") for name in names}
    often = Counter(label.casefold() for label in called.values())
    return {name: label if often[label.casefold()] == 1 else f"{label} ({name})" for name, label in called.items()}


def meanings_of(declared: Iterable[Feature] = (), scores: Mapping[str, str] | None = None) -> dict[str, str]:
    """What attributes mean, in a sentence by name.

    `declared` are the features of the settings; `scores`: the same of what was learned and published.
    """
    delivered = {name: meaning for name, (_, meaning) in DELIVERED.items()}
    return delivered | {a.name: a.sentence for a in (*declared, *ATTRIBUTES)} | dict(scores or {})


HISTORY_COLUMNS = (
    "customer_id",
    "stage",
    MICRO_SEGMENT,
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


CUSTOMERS = frozenset({"customers"})
PURCHASES = frozenset({"transactions"})
# A figure that is made from others, and of which code alone says from which.
_DERIVED: Mapping[str, frozenset[str]] = {
    "days_since_first_purchase": PURCHASES,
    "recency_days": PURCHASES,
    "average_order": PURCHASES,
    "tenure_days": CUSTOMERS,
}


def origins(declared: Iterable[Feature] = ()) -> dict[str, frozenset[str]]:
    """The tables behind every column of `CustomerModel.table`, by name; `declared` are the features of the settings."""
    found = {feature.name: _of(feature) for feature in (*FEATURES, comeback_feature(30), *declared)}
    found |= dict.fromkeys((attribute.name for attribute in (*STAGE, *VALUE, *CHANCES, RANK)), PURCHASES)
    layers = (found[column] for column in LAYERS.values())
    return found | {MICRO_SEGMENT: PURCHASES.union(*layers), "customer_id": CUSTOMERS}


def days_behind(declared: Iterable[Feature] = ()) -> dict[str, int | None]:
    """How many days each figure of the models looks back, by name; None for all of history.

    `declared` are the features of the settings. What is delivered isn't among them, nor what follows from the
    registration alone.
    """
    found: dict[str, int | None] = dict.fromkeys(
        a.name for a in ATTRIBUTES if a.name not in ("customer_id", "tenure_days")
    )
    for feature in (*FEATURES, *declared):
        if isinstance(feature.made, Aggregate):
            found[feature.name] = feature.made.days
    return found


def _of(feature: Feature) -> frozenset[str]:
    return _table(feature.made.source) if isinstance(feature.made, Aggregate) else _DERIVED[feature.name]


def _table(source: Source) -> frozenset[str]:
    match source:
        case "purchases" | "refunds" | "categories" | "rows":
            return PURCHASES
        case "apps":
            return frozenset({"app_users"})
        case "events":
            return frozenset({"events"})
        case _:
            assert_never(source)


COLUMNS: dict[str, tuple[str, ...]] = {
    "purchases": ("day", "amount", "currency", "quantity", "product", "category"),
    "events": ("day", "name", "value"),
}
"""What a feature can be gathered of, or look at."""


def declared_features(sections: Iterable[FeatureSection], *, taken: Collection[str] = ()) -> tuple[Feature, ...]:
    """The features of the settings. `taken`: names of columns that exist otherwise.

    Raises SettingsError, naming the feature, the value and the remedy.
    """
    used = {feature.name for feature in (*FEATURES, comeback_feature(30))} | set(taken)
    made = []
    for section in sections:
        if section.name in used:
            raise SettingsError(f"feature {section.name!r}: there is a column of that name already; choose another")
        used.add(section.name)
        made.append(_feature(section))
    return tuple(made)


def _feature(section: FeatureSection) -> Feature:
    known = COLUMNS[section.source]
    for column in (*section.where, *([section.of] if section.of else [])):
        if column not in known:
            raise SettingsError(
                f"feature {section.name!r}: {section.source} have no column {column!r}{did_you_mean(column, known)}"
            )
    if section.of is None and section.how != "count":
        raise SettingsError(f'feature {section.name!r}: of which column is the {section.how}? Add of = "amount"')
    if section.how in ("sum", "mean") and section.of not in IN_UNITS:
        raise SettingsError(f"feature {section.name!r}: {section.of!r} has no {section.how}; only a number has one")
    kind: Kind = "number"
    if section.how in ("count", "n_unique"):
        kind = "count"
    elif section.of == "day":
        kind = "date"
    elif section.of == "amount":
        kind = "money"
    elif section.of not in IN_UNITS:
        kind = "text"
    return Feature(
        name=section.name,
        label=section.name.replace("_", " "),
        kind=kind,
        sentence=section.sentence or _sentence(section),
        made=Aggregate(
            "rows" if section.source == "purchases" else "events",
            section.of or "day",
            section.how,
            section.days,
            tuple((name, (v,) if isinstance(v, str) else v) for name, v in section.where.items()),
        ),
    )


def _sentence(section: FeatureSection) -> str:
    what = f"{section.how} of {section.of}" if section.of else "Number"
    where = " and ".join(
        f"{name} {value if isinstance(value, str) else ' or '.join(value)}" for name, value in section.where.items()
    )
    rows = f"{section.source} with {where}" if where else section.source
    return f"{what[0].upper()}{what[1:]} of {rows}" + (f" in the last {section.days} days." if section.days else ".")
