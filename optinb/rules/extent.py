"""What can be asked of any rule: its size, and what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar, assert_never

import msgspec

from optinb.errors import RuleError
from optinb.rules.tree import (
    PURCHASE,
    AllOf,
    AnyOf,
    Birthday,
    Compare,
    Contacted,
    Did,
    InGroup,
    InList,
    Leaf,
    Matches,
    Missing,
    Node,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
    children,
    walk,
)

T = TypeVar("T", bound=Node)
MAX_NODES = 2_000
MAX_DEPTH = 60


def check_size(rule: Rule) -> None:
    """Refuses what is no rule, what nobody can read and no engine can plan (without recursing), and half characters.

    Raises RuleError with the path in the tree and the remedy.
    """
    count = 0
    waiting: list[tuple[str, int, Rule]] = [("", 1, rule)]
    while waiting:
        path, depth, node = waiting.pop()
        if not isinstance(node, Node):
            raise RuleError(f"rule{short_path(path)}: {node!r} is no rule; write such as attr('country') == 'DE'")
        count += 1
        if count > MAX_NODES:
            raise RuleError(
                f"rule{short_path(path)}: here the rule has more than {MAX_NODES:,} conditions; use one_of([...]), an "
                "uploaded list, or a smaller group"
            )
        if depth > MAX_DEPTH:
            raise RuleError(
                f"rule{short_path(path)}: here the rule is nested deeper than {MAX_DEPTH} levels; flatten it with "
                "all_of(...), any_of(...)"
            )
        waiting.extend((path + step, depth + 1, child) for step, child in reversed(children(node)))
        if isinstance(node, Did) and node.filter is not None:
            waiting.append((f"{path}.where", depth + 1, node.filter))
    try:
        msgspec.json.encode(rule)
    except UnicodeEncodeError as error:
        # half of a surrogate pair: no engine and no database takes it
        raise RuleError(f"the rule holds half a character ({error.object!r:.80}); write the whole one") from error


def short_path(path: str) -> str:
    """A path that can be read: of a long one, its beginning and end."""
    return path if len(path) <= 120 else f"{path[:80]} … {path[-30:]}"


def attributes_of(rule: Rule) -> frozenset[str]:
    """The attributes of the customer that a rule reads."""
    nodes = walk(rule)
    parts = {node.within for node in nodes if isinstance(node, Rank) and node.within is not None}
    return frozenset(parts.union(node.attribute for node in nodes if isinstance(node, Leaf | Rank)))


def behaviours_of(rule: Rule) -> tuple[Did, ...]:
    """The distinct behaviours of a rule, in the order in which they stand."""
    return nodes_of(rule, Did)


def nodes_of(rule: Rule, kind: type[T]) -> tuple[T, ...]:
    """The distinct nodes of one kind, in the order in which they stand."""
    return tuple(dict.fromkeys(node for node in walk(rule) if isinstance(node, kind)))


def tables_read(rule: Rule, origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The delivered tables that decide who belongs to a rule.

    What campaigns did and who stands on an uploaded list is no delivered table, but a response is a purchase too.

    Args:
        rule: one in which the groups that it names are in their places (`expand`).
        origins: the tables behind each attribute that is made of others; any other one is delivered with customers.

    Raises RuleError for a rule that still names a group.
    """
    return frozenset().union(*(_read(node, origins) for node in walk(rule)))


def tables_behind(attributes: Iterable[str], origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The delivered tables that attributes are made of."""
    return frozenset().union(*(origins.get(name, {"customers"}) for name in attributes))


def _read(node: Rule, origins: Mapping[str, frozenset[str]]) -> frozenset[str]:
    match node:
        case Compare() | OneOf() | Text() | Matches() | Missing() | Birthday() | Rank():
            return tables_behind(attributes_of(node), origins)
        case Did():
            return frozenset({"transactions" if node.event == PURCHASE else "events"})
        case Uses():
            return frozenset({"app_users"})
        case Contacted(what="responded"):
            return frozenset({"transactions"})
        case AllOf() | AnyOf() | Not() | InList() | Contacted():  # the parts of a rule come in turn
            return frozenset()
        case InGroup(name):
            raise RuleError(f"the rule names the group {name!r}: put the group's rule in its place with expand(...)")
        case _:
            assert_never(node)
