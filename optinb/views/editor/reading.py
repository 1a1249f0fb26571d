"""From a rule to the editor's document. Lossless: what has no form of its own becomes a line of code. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from optinb.base.figures import exact
from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    AnyOf,
    Between,
    Birthday,
    Compare,
    Contacted,
    Day,
    DaysAgo,
    Did,
    InGroup,
    InList,
    Last,
    Matches,
    Missing,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
    to_json,
    to_text,
)
from optinb.rules.fit import kind_of
from optinb.views.editor.building import line_rule
from optinb.views.editor.document import AppPart, BehaviourPart, CampaignPart, Code, Condition, GroupPart, Saved, Window

if TYPE_CHECKING:
    from optinb.rules import Value
    from optinb.rules import Window as RuleWindow
    from optinb.views.editor.document import Line, Unit


def document_of(rule: Rule) -> GroupPart:
    """The document of a rule, whose outermost part is a group; `rule_of` makes the same rule of it again."""
    line = line_of(rule)
    # a group of one part at the very top means that part
    return (
        line
        if isinstance(line, GroupPart) and (len(line.parts) > 1 or line.joined == "none")
        else GroupPart("all", (line,))
    )


def line_of(rule: Rule) -> Line:
    """A rule as a line, or as a group of lines."""
    match rule:
        case AllOf(rules):
            return GroupPart("all", tuple(map(line_of, rules)))
        case AnyOf(rules):
            return GroupPart("any", tuple(map(line_of, rules)))
        case Not(AnyOf(rules)) if len(rules) > 1:
            return GroupPart("none", tuple(map(line_of, rules)))
        case Not(AllOf() | AnyOf() | Not() as inner):
            return GroupPart("none", (line_of(inner),))
        case _:
            return _leaf(rule)


def _leaf(rule: Rule) -> Line:
    """A condition, or its negation, in its form; as code, where the form would say something else."""
    found = _form(rule)
    with_form = found is not None and _says(found, rule)
    return found if found is not None and with_form else Code(to_text(rule))


def _says(line: Line, rule: Rule) -> bool:
    try:
        return to_json(line_rule(line)) == to_json(rule)
    except (RuleError, ValueError):
        return False


def _form(rule: Rule) -> Line | None:
    negated = isinstance(rule, Not) and not isinstance(rule.rule, Missing)
    leaf = rule.rule if negated and isinstance(rule, Not) else rule
    match leaf:
        case Compare(attribute, op, value):
            text, unit = _written(value)
            return Condition(attribute, op, kind_of(value), (text,), unit, negated=negated)
        case OneOf(attribute, values):
            texts = tuple(_written(value)[0] for value in values)
            return Condition(attribute, "one_of", kind_of(values[0]), texts, negated=negated)
        case Text(attribute, op, value):
            return Condition(attribute, op, "text", (value,), negated=negated)
        case Matches(attribute, pattern):
            return Condition(attribute, "matches", "text", (pattern,), negated=negated)
        case Missing(attribute):
            return Condition(attribute, "missing", values=(), negated=negated)
        case Not(Missing(attribute)):
            return Condition(attribute, "known", values=())
        case Birthday(attribute, first, last):
            return Condition(attribute, "anniversary", "day", (str(first), str(last)), negated=negated)
        case Rank(attribute, side, percent, within):
            return Condition(attribute, side, "number", (exact(percent),), within=within or "", negated=negated)
        case Did():
            return _behaviour(leaf, negated=negated)
        case Uses(app, platform, low, high, window):
            return AppPart(app or "", platform or "", low or "", high or "", _window(window), negated)
        case Contacted(what, campaign, times, days, window):
            answer = str(7 if days is None else days)
            return CampaignPart(what, campaign or "", str(times), answer, _window(window), negated)
        case InGroup(name):
            return Saved("group", name, "", negated)
        case InList(name, sha256):
            return Saved("list", name, sha256 or "", negated)
        case _:
            return None


def _behaviour(rule: Did, *, negated: bool) -> BehaviourPart:
    text, unit = _written(rule.value)
    return BehaviourPart(
        event=rule.event,
        measure=rule.measure,
        op=rule.op,
        value=text,
        unit=unit if rule.measure in ("first", "last") else "days_ago",
        column=rule.column or "",
        where=GroupPart() if rule.filter is None else document_of(rule.filter),
        window=_window(rule.window),
        negated=negated,
    )


def _written(value: Value) -> tuple[str, Unit]:
    """A value as people write it into a blank, and the unit of a day."""
    match value:
        case bool():
            return ("yes" if value else "no"), "date"
        case Day(day):
            return day.isoformat(), "date"
        case DaysAgo(days):
            return str(abs(days)), ("days_ago" if days >= 0 else "days_ahead")
        case int() | float():
            return exact(value), "date"
        case str():
            return value, "date"


def _window(window: RuleWindow | None) -> Window:
    match window:
        case None:
            return Window()
        case Last(days):
            return Window("last", days=str(days))
        case Between(first, last):
            return Window("between", first=first.isoformat(), last=last.isoformat())
        case _:
            assert_never(window)
