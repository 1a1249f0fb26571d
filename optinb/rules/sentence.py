"""A rule read aloud, in plain English."""

from __future__ import annotations

from typing import assert_never

from optinb.rules.tree import (
    PURCHASE,
    AllOf,
    AnyOf,
    Between,
    Compare,
    Day,
    DaysAgo,
    Did,
    Last,
    Missing,
    Not,
    OneOf,
    Rule,
    Text,
    Value,
    Window,
)

_COMPARED = {
    "eq": "is",
    "ne": "is known and not",
    "lt": "is below",
    "le": "is at most",
    "gt": "is above",
    "ge": "is at least",
}
_COMPARED_DAY = {
    "eq": "is",
    "ne": "is known and not",
    "lt": "is before",
    "le": "is not after",
    "gt": "is after",
    "ge": "is not before",
}
_TEXT = {"contains": "contains", "starts_with": "starts with", "ends_with": "ends with"}


def sentence(rule: Rule) -> str:
    """What the rule says, such as `country is DE and bought at least 2 times in the last 365 days`."""
    match rule:
        case AllOf(rules):
            return " and ".join(_inner(r) for r in rules)
        case AnyOf(rules):
            return " or ".join(_inner(r) for r in rules)
        case Not(Missing(attribute)):
            return f"{_name(attribute)} is known"
        case Not(Did() as behaviour) if behaviour.op == "ge" and behaviour.value == 1 and behaviour.total_of is None:
            return _never(behaviour)
        case Not(inner):
            return f"not ({sentence(inner)})"
        case Compare(attribute, op, value):
            words = _COMPARED_DAY if isinstance(value, Day | DaysAgo) else _COMPARED
            return f"{_name(attribute)} {words[op]} {value_words(value)}"
        case OneOf(attribute, values):
            *most, last = [value_words(v) for v in values]
            return f"{_name(attribute)} is {', '.join(most)} or {last}" if most else f"{_name(attribute)} is {last}"
        case Text(attribute, op, value):
            return f"{_name(attribute)} {_TEXT[op]} “{value}”"
        case Missing(attribute):
            return f"{_name(attribute)} is missing"
        case Did():
            return _did(rule)
        case _:
            assert_never(rule)


def value_words(value: Value) -> str:
    """A value as it is read in a sentence."""
    match value:
        case bool():
            return "yes" if value else "no"
        case Day(day):
            return f"{day:%-d %B %Y}"
        case DaysAgo(0):
            return "the run date"
        case DaysAgo(days):
            return f"{days} days before the run date" if days > 0 else f"{-days} days after the run date"
        case int() | float():
            return f"{value:,}"
        case str():
            return value or "“”"
        case _:
            assert_never(value)


def window_words(window: Window | None) -> str:
    """A window as it is read in a sentence, with a space in front; nothing for "ever"."""
    match window:
        case None:
            return ""
        case Last(0):
            return " on the run date"
        case Last(1):
            return " since the day before the run date"
        case Last(days):
            return f" in the last {days:,} days"
        case Between(first, last):
            return f" from {first:%-d %B %Y} to {last:%-d %B %Y}"
        case _:
            assert_never(window)


def _did(rule: Did) -> str:
    verb = "bought" if rule.event == PURCHASE else f"did {rule.event}"
    where = f" where {sentence(rule.filter)}" if rule.filter is not None else ""
    bound = {"ge": "at least", "le": "at most", "eq": "exactly"}[rule.op]
    if rule.total_of is not None:
        total = f"a total {_name(rule.total_of)} of {bound} {value_words(rule.value)}"
        return f"{verb}{where} with {total}{window_words(rule.window)}"
    if rule.op == "ge" and rule.value == 1:
        return f"{verb}{where}{window_words(rule.window)}"
    times = "once" if rule.value == 1 else f"{value_words(rule.value)} times"
    return f"{verb}{where} {bound} {times}{window_words(rule.window)}"


def _never(rule: Did) -> str:
    did = "bought nothing" if rule.event == PURCHASE else f"did no {rule.event}"
    where = f" where {sentence(rule.filter)}" if rule.filter is not None else ""
    return f"{did}{where}{window_words(rule.window)}"


def _inner(rule: Rule) -> str:
    return f"({sentence(rule)})" if isinstance(rule, AllOf | AnyOf) else sentence(rule)


def _name(attribute: str) -> str:
    return attribute.replace("_", " ")
