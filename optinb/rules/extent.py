"""What can be asked of any rule: its size, and what it reads."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from optinb.errors import RuleError
from optinb.rules.tree import Did, Leaf, Node, Rank, Rule, children, walk

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
    found: set[str] = set()
    for node in walk(rule):
        if isinstance(node, Leaf | Rank):
            found.add(node.attribute)
        if isinstance(node, Rank) and node.within is not None:
            found.add(node.within)
    return frozenset(found)


def behaviours_of(rule: Rule) -> tuple[Did, ...]:
    """The distinct behaviours of a rule, in the order in which they stand."""
    return nodes_of(rule, Did)


def nodes_of(rule: Rule, kind: type[T]) -> tuple[T, ...]:
    """The distinct nodes of one kind, in the order in which they stand."""
    return tuple(dict.fromkeys(node for node in walk(rule) if isinstance(node, kind)))
