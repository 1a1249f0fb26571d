"""A rule read aloud, in plain English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_never

from msgspec.structs import replace

from optinb.base.figures import exact
from optinb.rules.extent import check_size
from optinb.rules.tree import (
    FORMS,
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
)
from optinb.rules.values import Between, Day, DaysAgo, Last, Value, Window

_COMPARED = {
    "eq": "is",
    "ne": "is known and not",
    "lt": "is below",
    "le": "is at most",
    "gt": "is above",
    "ge": "is at least",
}
COMPARED_DAY = {
    "eq": "is",
    "ne": "is known and not",
    "lt": "is before",
    "le": "is on or before",
    "gt": "is after",
    "ge": "is on or after",
}
AGO = {"le": "at least", "lt": "more than", "ge": "at most", "gt": "less than"}
AHEAD = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
BOUNDS = {"ge": "at least", "le": "at most", "eq": "exactly", "gt": "more than", "lt": "less than"}
_TEXT = {"contains": "contains", "starts_with": "starts with", "ends_with": "ends with"}
# what stands in a sentence without quotes: a name in snake case, a value of letters that reads as one word
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PLAIN_LABEL = re.compile(r"[^\W_]+([ -][^\W_]+)*")
_PLAIN_VALUE = re.compile(r"[^\W\d_][\w@.+:/-]*", re.UNICODE)
_NAME_BREAKERS = frozenset(("and", "or", "not", "is", "where", "missing", "known"))
_VALUE_BREAKERS = _NAME_BREAKERS | frozenset(
    ("yes", "no", "the", "at", "among", "above", "below", "before", "after", "in", "from", "on", "with", "exactly")
)


def sentence(rule: Rule, labels: Mapping[str, str] | None = None) -> str:
    """What the rule says, such as `country is DE and bought at least 2 times in the last 365 days`.

    Rules that mean different things read differently: what could be taken for the language's own words stands in
    quotes. `labels`, of which each attribute has one of its own, stand for the attributes' names; what is stored and
    compared has none. Raises RuleError for a rule that is too large.
    """
    check_size(rule)
    return _read(_labelled(rule, labels) if labels else rule)


class _Label(str):
    """What people call an attribute, in its place in a rule that is read aloud."""

    __slots__ = ()


def _labelled(rule: Rule, labels: Mapping[str, str]) -> Rule:
    match rule:
        case AllOf(rules) | AnyOf(rules):
            return replace(rule, rules=tuple(_labelled(one, labels) for one in rules))
        case Not(inner):
            return replace(rule, rule=_labelled(inner, labels))
        case Rank(attribute, _, _, within):
            return replace(rule, attribute=_label(attribute, labels), within=within and _label(within, labels))
        case Compare() | OneOf() | Text() | Matches() | Missing() | Birthday():
            return replace(rule, attribute=_label(rule.attribute, labels))
        case _:
            return rule


def _label(name: str, labels: Mapping[str, str]) -> str:
    label = labels.get(name)
    if label is None:
        return name
    is_plain = _PLAIN_LABEL.fullmatch(label) and not _NAME_BREAKERS & set(label.casefold().split())
    return _Label(label if is_plain else _quoted(label))


def _read(rule: Rule) -> str:
    match rule:
        case AllOf(rules):
            return " and ".join(map(_inner, rules)) if len(rules) > 1 else _read(*rules)
        case AnyOf(rules):
            return " or ".join(map(_inner, rules)) if len(rules) > 1 else _read(*rules)
        case Not(Missing(attribute)):
            return f"{_name(attribute)} is known"
        case Not(Did(op="ge", value=1, measure="count") as behaviour):
            return _never(behaviour)
        case Not(inner):
            return f"not ({_read(inner)})"
        case Compare(attribute, op, value):
            if isinstance(value, Day | DaysAgo):
                return _dated(_name(attribute), _day(op, value))
            return f"{_name(attribute)} {_COMPARED[op]} {value_words(value)}"
        case OneOf(attribute, values):
            *most, last = [value_words(v) for v in values]
            return f"{_name(attribute)} is {', '.join(most)} or {last}" if most else f"{_name(attribute)} is {last}"
        case Text(attribute, op, value):
            return f"{_name(attribute)} {_TEXT[op]} {_quoted(value)}"
        case Matches(attribute, pattern):
            return f"some part of {_name(attribute)} fits the pattern {_quoted(pattern)}"
        case Missing(attribute):
            return f"{_name(attribute)} is missing"
        case Birthday():
            return f"the anniversary of {_name(rule.attribute)} is {_near(rule)}"
        case Rank(attribute, side, percent, within):
            among = "all customers" if within is None else f"the customers with the same {_name(within)}"
            end = "highest" if side == "top" else "lowest"
            return f"{_name(attribute)} is among the {end} {exact(percent, separators=True)} % of {among}"
        case Did():
            return _did(rule)
        case Uses():
            return _uses(rule)
        case Contacted():
            return _contacted(rule)
        case InGroup(group):
            return f"is in the group {_quoted(group)}"
        case InList(name, sha256):
            return f"is on the list {_quoted(name)}" + (f" (content {sha256[:12]})" if sha256 else "")
        case _:
            assert_never(rule)


def value_words(value: Value) -> str:
    """A value as it is read in a sentence."""
    match value:
        case bool():
            return "yes" if value else "no"
        case Day(day):
            return f"{day.day} {day:%B} {day.year}"
        case DaysAgo(0):
            return "the run date"
        case DaysAgo(days):
            return f"{_days(abs(days))} {'ago' if days > 0 else 'after the run date'}"
        case int() | float():
            return exact(value, separators=True)
        case str():
            is_plain = (
                _PLAIN_VALUE.fullmatch(value) and value.casefold() not in _VALUE_BREAKERS and value[-1] not in ".:,"
            )
            return value if is_plain else _quoted(value)
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
            return f" from {value_words(Day(first))} to {value_words(Day(last))}"
        case _:
            assert_never(window)


def _did(rule: Did) -> str:
    what = ("bought" if rule.event == PURCHASE else f"did {value_words(rule.event)}") + _where(rule)
    match rule.measure:
        case "count" if rule.op == "ge" and rule.value == 1:
            return f"{what}{window_words(rule.window)}"
        case "count":
            return f"{what} {BOUNDS[rule.op]} {_times(rule.value)}{window_words(rule.window)}"
        case "days_in_a_row":
            return f"{what} on {BOUNDS[rule.op]} {_days(rule.value)} in a row{window_words(rule.window)}"  # type: ignore
        case "first" | "last":
            day = _day(rule.op, rule.value).removeprefix("is ")
            return f"{what}{window_words(rule.window)}, the {rule.measure} time {day}"
        case "total" | "average":
            column = _name(rule.column or "")
            amount = f"a{'n' if rule.measure == 'average' else ''} {rule.measure} {column} of {BOUNDS[rule.op]}"
            return f"{what} with {amount} {value_words(rule.value)}{window_words(rule.window)}"


def _never(rule: Did) -> str:
    did = "bought nothing" if rule.event == PURCHASE else f"did no {value_words(rule.event)}"
    return f"{did}{_where(rule)}{window_words(rule.window)}"


def _where(rule: Did) -> str:
    return "" if rule.filter is None else f" where {_inner(rule.filter)}"


def _uses(rule: Uses) -> str:
    what = "an app" if rule.app is None else f"the app {value_words(rule.app)}"
    if rule.platform is not None:
        what += f" on {value_words(rule.platform)}"
    versions = [f"{rule.version_from} or later"] if rule.version_from is not None else []
    versions += [f"before {rule.version_to}"] if rule.version_to is not None else []
    at = f" in a version {' and '.join(versions)}" if versions else ""
    last = f", last used{window_words(rule.last_used)}" if rule.last_used is not None else ""
    return f"uses {what}{at}{last}"


def _contacted(rule: Contacted) -> str:
    what = "a campaign" if rule.campaign is None else f"the campaign {_quoted(rule.campaign)}"
    times = "" if rule.times == 1 else f" at least {_times(rule.times)}"
    sent = f", sent{window_words(rule.window)}" if rule.window is not None else ""
    match rule.what:
        case "received":
            return f"received {what}{times}{sent}"
        case "in_control":
            return f"was in the control group of {what}{times}{sent}"
        case "opened":
            return f"opened the push of {what}{times}{sent}"
        case "not_opened":
            return f"got the push of {what}{times} without opening it{sent}"
        case "responded":
            within = f" by buying within {_days(rule.response_days or 0)} of it"
            return f"responded to {what}{within}{times}{sent}"


def _day(op: str, value: Value) -> str:
    """How a day is compared, such as `is at least 44 days ago` or `is on or after 2 January 2026`."""
    if isinstance(value, DaysAgo) and value.days and op in AGO:
        return f"is {(AGO if value.days > 0 else AHEAD)[op]} {value_words(value)}"
    return f"{COMPARED_DAY[op]} {value_words(value)}"


def _dated(name: str, day: str) -> str:
    """A day with its attribute: `registered at` needs no verb, such as in `registered at least 44 days ago`."""
    what, _, at = name.rpartition(" ")
    rest = day.removeprefix("is ")
    if not what or at != "at" or not rest.startswith(("at ", "more ", "less ", "on or ", "before ", "after ")):
        return f"{name} {day}"
    return f"{what} {rest}"


def _near(rule: Birthday) -> str:
    if rule.first == rule.last:
        return value_words(DaysAgo(-rule.first))
    if rule.first == 0:
        return f"in the {_days(rule.last)} from the run date on, that day included"
    if rule.last == 0:
        return f"in the {_days(-rule.first)} up to the run date, that day included"
    return f"from {value_words(DaysAgo(-rule.first))} to {value_words(DaysAgo(-rule.last))}"


def _inner(rule: Rule) -> str:
    while isinstance(rule, AllOf | AnyOf) and len(rule.rules) == 1:
        rule = rule.rules[0]
    return f"({_read(rule)})" if isinstance(rule, AllOf | AnyOf) else _read(rule)


def _times(count: object) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _days(count: float) -> str:
    return "1 day" if count == 1 else f"{exact(count, separators=True)} days"


def _name(attribute: str) -> str:
    if isinstance(attribute, _Label):
        return attribute
    words = attribute.split("_")
    is_plain = _PLAIN_NAME.fullmatch(attribute) and not _NAME_BREAKERS & set(words)
    return " ".join(words) if is_plain else _quoted(attribute)


def _quoted(text: str) -> str:
    return "“" + text.replace("\\", "\\\\").replace("”", "\\”") + "”"


FORMS["sentence"] = sentence
