"""Which delivered tables each attribute of a customer is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from optinb.customers.attributes import CHANCES, STAGE, VALUE
from optinb.customers.features import FEATURES, Aggregate, Feature, Source, comeback_feature
from optinb.customers.layers import LAYERS

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
    found |= dict.fromkeys((attribute.name for attribute in (*STAGE, *VALUE, *CHANCES)), PURCHASES)
    layers = (found[column] for layer in LAYERS.values() for column, _ in layer.figures)
    return found | {"micro_segment": PURCHASES.union(*layers), "customer_id": CUSTOMERS}


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
