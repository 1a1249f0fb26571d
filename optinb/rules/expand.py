"""A rule with everything in it that it only names: the rules of other groups, and the content of uploaded lists."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from optinb.errors import RuleError
from optinb.rules.extent import check_size, short_path
from optinb.rules.tree import (
    AllOf,
    AnyOf,
    InGroup,
    InList,
    Not,
    Rule,
    children,
    walk,
)

MAX_CHAIN = 30


def is_bound(rule: Rule) -> bool:
    """Whether a rule stands for itself: it names no group, and every list with its content."""
    return not any(isinstance(n, InGroup) or (isinstance(n, InList) and n.sha256 is None) for n in walk(rule))


def expand(
    rule: Rule, *, group: Callable[[str], Rule], list_sha256: Callable[[str], str], name: str | None = None
) -> Rule:
    """A rule with the rules of the groups that it names in their places, and the content of its lists.

    Its canonical form then covers everything that decides who belongs: when a group or a list changes, it changes.

    Args:
        rule: any.
        group: gives the rule of a saved group; raises an OptinbError with the nearest name for an unknown one.
        list_sha256: gives the SHA-256 of a list's content; raises likewise. A list that has one keeps it.
        name: the group that the rule is saved as, which it must not name, not even by way of others.

    Raises:
        RuleError: with the path in the tree, for a rule that is too large, and for groups that refer to each other in a
            circle.
    """
    done: dict[str, Rule] = {}

    def whole(rule: Rule, within: tuple[str, ...]) -> Rule:
        check_size(rule)
        for path, node in _named(rule):
            if node.group not in done:
                if node.group in within:
                    circle = " → ".join([*within[within.index(node.group) :], node.group])
                    raise RuleError(
                        f"rule{short_path(path)}: the groups refer to each other in a circle ({circle}); take one out"
                    )
                if len(within) > MAX_CHAIN:
                    raise RuleError(
                        f"rule{short_path(path)}: more than {MAX_CHAIN} groups refer to one another in a row; "
                        "put their rules into one"
                    )
                done[node.group] = whole(group(node.group), (*within, node.group))
        found = _replaced(rule, done.__getitem__, list_sha256)
        check_size(found)
        return found

    return whole(rule, (name,) if name is not None else ())


def with_lists(rule: Rule, list_sha256: Callable[[str], str]) -> Rule:
    """A rule with the content of its lists in place, in which groups stay named. Raises as `expand` does."""
    check_size(rule)
    return _replaced(rule, InGroup, list_sha256)


def _named(rule: Rule) -> list[tuple[str, InGroup]]:
    """The groups that a rule names, each with its path."""
    found, waiting = [], [("", rule)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, InGroup):
            found.append((path, node))
        waiting.extend((path + step, child) for step, child in reversed(children(node)))
    return found


def _replaced(rule: Rule, group: Callable[[str], Rule], list_sha256: Callable[[str], str]) -> Rule:
    match rule:
        case InGroup(name):
            return group(name)
        case InList(name, None):
            return replace(rule, sha256=list_sha256(name))
        case AllOf(rules) | AnyOf(rules):
            return replace(rule, rules=tuple(_replaced(r, group, list_sha256) for r in rules))
        case Not(inner):
            return replace(rule, rule=_replaced(inner, group, list_sha256))
        case _:
            return rule
