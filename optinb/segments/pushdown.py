"""What may be left out below a join or a group-by without changing who belongs. Pure.

A rule is made of cheap conditions, which the row of a customer answers, and of costly ones, for which what customers
did has to be measured. Three proofs are made here from the shape of the rule alone:

* `split`: every member fulfils the cheap parts of the outermost "and", so that nobody else need be looked at.
* `relevance`: the value of a costly condition can't matter to a customer for whom a cheap condition beside it has
  already decided: under "and" one that is false, under "or" one that is true.
* `without_rows`: what the costly parts say of a customer without any row of one table: never true (the customers can
  be looked for among the rows), always true (looked for outside of them), or neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from optinb.rules import AllOf, AnyOf, Contacted, Day, DaysAgo, Did, Not, Rule, children, walk

T = TypeVar("T")


def is_cheap(rule: Rule) -> bool:
    """Whether a rule can be answered without measuring what customers did or were sent."""
    return not any(isinstance(node, Did | Contacted) for node in walk(rule))


def split(rule: Rule) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The parts of the outermost "and": the cheap ones, and the others. A customer belongs who fulfils them all."""
    match rule:
        case AllOf(rules):
            parts = rules
        case Not(AnyOf(rules)):
            parts = tuple(_negated(r) for r in rules)
        case Not(Not(inner)):
            parts = (inner,)
        case _:
            return ((rule,), ()) if is_cheap(rule) else ((), (rule,))
    found = [split(part) for part in parts]
    return _distinct(r for cheap, _ in found for r in cheap), _distinct(r for _, costly in found for r in costly)


def cheap_parts(rule: Rule) -> tuple[Rule, ...]:
    """The largest cheap conditions that a rule is made of, each without a "not" around it."""
    if is_cheap(rule):
        return (rule.rule if isinstance(rule, Not) else rule,)
    return _distinct(part for _, child in children(rule) for part in cheap_parts(child))


def relevance(rule: Rule) -> dict[Rule, Rule | None]:
    """For each costly leaf, the cheap condition outside of which its value can't matter; None where it always may.

    A leaf that stands at several places matters where it matters at one of them.
    """
    found: dict[Rule, list[tuple[Rule, ...]]] = {}

    def visit(node: Rule, outside: tuple[Rule, ...]) -> None:
        if isinstance(node, Did | Contacted):
            found.setdefault(node, []).append(outside)
        for child in (child for _, child in children(node)):
            if is_cheap(child):
                continue
            beside = [r for _, r in children(node) if r is not child and is_cheap(r)]
            decided = beside if isinstance(node, AllOf) else [_negated(r) for r in beside]
            visit(child, _distinct((*outside, *decided)))

    visit(rule, ())
    return {leaf: either(None if not o else all_of(o) for o in places) for leaf, places in found.items()}


def either(conditions: Iterable[Rule | None]) -> Rule | None:
    """Where one of several conditions holds; None stands for everywhere."""
    known = _distinct(conditions)
    if not known or None in known:
        return None
    # Somebody who fulfils all of a longer list fulfils a shorter one of the same conditions.
    parts = [(r, frozenset(r.rules) if isinstance(r, AllOf) else frozenset({r})) for r in known if r is not None]
    needed = tuple(r for r, own in parts if not any(other < own for _, other in parts))
    return needed[0] if len(needed) == 1 else AnyOf(needed)


def all_of(rules: tuple[Rule, ...]) -> Rule:
    """The rules joined by "and"."""
    return rules[0] if len(rules) == 1 else AllOf(rules)


def without_rows(rules: tuple[Rule, ...], absent: Mapping[Rule, bool]) -> bool | None:
    """What "and" over some rules says of a customer who has no row, when `absent` is what the leaves say then.

    None when it depends on something else.
    """

    def value(node: Rule) -> bool | None:
        match node:
            case AllOf(parts):
                return _all(map(value, parts))
            case AnyOf(parts):
                return _not(_all(_not(value(part)) for part in parts))
            case Not(inner):
                return _not(value(inner))
            case _:
                return absent.get(node)

    return _all(map(value, rules))


def of_nothing(behaviour: Did) -> bool:
    """What a behaviour says of a customer without a row that counts."""
    value = behaviour.value
    if isinstance(value, Day | DaysAgo) or behaviour.measure == "average":
        return False
    return {"ge": value <= 0, "le": value >= 0, "eq": value == 0, "gt": value < 0, "lt": value > 0}[behaviour.op]


def _negated(rule: Rule) -> Rule:
    return rule.rule if isinstance(rule, Not) else Not(rule)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: Iterable[bool | None]) -> bool | None:
    found = set(values)
    return False if False in found else None if None in found else True


def _distinct(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
