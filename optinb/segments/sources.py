"""Which delivered tables a rule reads, so that nobody is chosen by one that stopped coming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from optinb.errors import RuleError
from optinb.rules import (
    PURCHASE,
    AllOf,
    AnyOf,
    Birthday,
    Compare,
    Contacted,
    Did,
    InGroup,
    InList,
    Matches,
    Missing,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
    walk,
)

NONE: frozenset[str] = frozenset()


def tables_read(rule: Rule, origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The delivered tables that decide who belongs to a rule.

    What campaigns did and who stands on an uploaded list is no delivered table, but a response is a purchase too.

    Args:
        rule: one in which the groups that it names are in their places (`expand`).
        origins: the tables behind each attribute that is made of others; any other one is delivered with customers.

    Raises RuleError for a rule that still names a group.
    """
    return NONE.union(*(_read(node, origins) for node in walk(rule)))


def tables_behind(attributes: Iterable[str], origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The delivered tables that attributes are made of."""
    return NONE.union(*(origins.get(name, frozenset({"customers"})) for name in attributes))


def attributes_read(rule: Rule) -> frozenset[str]:
    """The attributes of customers that a rule asks about; raises nothing."""
    return NONE.union(*(_attributes(node) for node in walk(rule)))


def _attributes(node: Rule) -> frozenset[str]:
    match node:
        case Compare(name) | OneOf(name) | Text(name) | Matches(name) | Missing(name) | Birthday(name):
            return frozenset({name})
        case Rank():
            return frozenset({node.attribute, *([node.within] if node.within is not None else [])})
        case _:
            return NONE


def _read(node: Rule, origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    match node:
        case AllOf() | AnyOf() | Not():  # their parts come in turn
            return NONE
        case Compare() | OneOf() | Text() | Matches() | Missing() | Birthday() | Rank():
            return tables_behind(_attributes(node), origins)
        case Did():
            return frozenset({"transactions" if node.event == PURCHASE else "events"})
        case Uses():
            return frozenset({"app_users"})
        case Contacted():
            return frozenset({"transactions"}) if node.what == "responded" else NONE
        case InList():
            return NONE
        case InGroup(name):
            raise RuleError(f"the rule names the group {name!r}: put the group's rule in its place with expand(...)")
        case _:
            assert_never(node)
