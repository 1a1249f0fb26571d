"""Attributes that say in other words what a rule says already: those it asks about, and what is made of the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optinb.customers import ATTRIBUTES
from optinb.customers.attributes import PURCHASES, origins
from optinb.rules import PURCHASE, Rule, Uses, attributes_of, behaviours_of, walk

if TYPE_CHECKING:
    from optinb.customers.features import Feature

IDS = frozenset({"customer_id", "external_user_id"})
OF_APPS = frozenset({"apps", "last_app_use_on"})
OF_REGISTRATION = frozenset({"registered_at", "tenure_days"})
OF_PURCHASES = frozenset(a.name for a in ATTRIBUTES) - IDS - OF_APPS - {"tenure_days"}
"""What the customer models make of purchases."""


def made_of_purchases(declared: Iterable[Feature]) -> tuple[str, ...]:
    """The features of the settings that are made of nothing but purchases."""
    declared = tuple(declared)
    tables_of = origins(declared)
    return tuple(feature.name for feature in declared if tables_of[feature.name] == PURCHASES)


def restated(rule: Rule, *, of_purchases: Iterable[str] = ()) -> frozenset[str]:
    """The attributes that restate a rule; `of_purchases` are further features that are made of purchases."""
    asked = attributes_of(rule)
    found = set(asked)
    purchases = OF_PURCHASES | set(of_purchases)
    if asks_about_purchases(rule) or asked & purchases:
        found |= purchases
    if asked & OF_APPS or any(isinstance(node, Uses) for node in walk(rule)):
        found |= OF_APPS
    if asked & OF_REGISTRATION:
        found |= OF_REGISTRATION
    return frozenset(found)


def asks_about_purchases(rule: Rule) -> bool:
    """Whether a rule asks what customers bought, or about a figure that is made of it."""
    bought = any(behaviour.event == PURCHASE for behaviour in behaviours_of(rule))
    return bought or bool(attributes_of(rule) & OF_PURCHASES)
