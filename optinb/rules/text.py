"""The text form of a rule, which is the Python one, read from its syntax tree and never evaluated."""

from __future__ import annotations

import ast
import warnings
from datetime import date
from typing import Any, assert_never

from optinb.base.figures import exact
from optinb.errors import RuleError, did_you_mean
from optinb.rules import build
from optinb.rules.build import RESPONSE_DAYS, AttributeTerm, term_text
from optinb.rules.extent import check_size
from optinb.rules.tree import (
    FORMS,
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
    Node,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
)
from optinb.rules.values import Between, Day, DaysAgo, Last, Measured, Value, Window

_WORDS = (
    "attr", "uplift", "did", "days_ago", "uses_app", "received", "was_in_control", "responded", "opened",
    "did_not_open", "in_group", "in_list", "all_of", "any_of", "none_of",
)  # fmt: skip
_FUNCTIONS: dict[str, Any] = {**{word: getattr(build, word) for word in _WORDS}, "date": date}
_METHODS: dict[type, tuple[str, ...]] = {
    AttributeTerm: (
        "one_of", "between", "contains", "starts_with", "ends_with", "matches", "is_missing", "is_known", "anniversary",
        "top", "bottom",
    ),
    Did: (
        "at_least", "at_most", "exactly", "more_than", "less_than", "total", "average", "first", "last",
        "days_in_a_row", "where", "within", "between",
    ),
    Measured: ("at_least", "at_most", "exactly", "where", "within", "between"),
    Uses: ("version_at_least", "version_below", "used_within", "used_between"),
    Contacted: ("at_least", "within", "between"),
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}
_KNOWN = ", ".join(f"{word}(...)" for word in _WORDS)
_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
MAX_TEXT = 1_000_000
MAX_SIGNS = 20  # a longer row of & or | is written as all_of(...), any_of(...)


def parse(text: str) -> Rule:
    """Reads a rule such as `(attr("country") == "DE") & did("purchase").within(days=60)`.

    Only the words of the language are understood; nothing is evaluated. Raises RuleError naming the place and remedy.
    """
    if len(text) > MAX_TEXT:
        raise RuleError(f"the rule has {len(text):,} characters; at most {MAX_TEXT:,} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of "\\d", which a pattern may well hold
            tree = ast.parse(text.strip(), mode="eval")
        rule = _read(tree.body)
    except SyntaxError as error:
        raise RuleError(f"the rule can't be read at column {error.offset}: {error.msg}") from error
    except ValueError as error:
        raise RuleError(f"the rule can't be read: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise RuleError("the rule is nested too deeply; flatten it") from error
    if not isinstance(rule, Node):
        raise RuleError(f"{text.strip()[:80]!r} is no rule yet; compare the attribute with something, such as == 'DE'")
    check_size(rule)  # type: ignore[arg-type]
    return rule  # type: ignore[return-value]


def _read(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_read(item) for item in items]
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return ~_rule(operand)
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return _rule(left) & _rule(right)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _rule(left) | _rule(right)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            subject = _read(left)
            if isinstance(subject, Did):
                raise _refuse(node, "write .at_least(2), .at_most(2) or .exactly(2) instead of a comparison")
            if not isinstance(subject, AttributeTerm | Measured):
                raise _refuse(node, "write the attribute first, such as attr('age') >= 18")
            return getattr(subject, _COMPARISONS[type(op)])(_read(right))
        case ast.Call(func=ast.Name(id=name)):
            if name not in _FUNCTIONS:
                raise _refuse(node, f"{name!r} isn't a word of the language{did_you_mean(name, _FUNCTIONS)}")
            return _call(node, _FUNCTIONS[name])
        case ast.Call(func=ast.Attribute(value=subject_node, attr=name)):
            subject = _read(subject_node)
            known = _METHODS.get(type(subject), ())
            if name not in known:
                raise _refuse(node, f"{name!r} isn't known here{did_you_mean(name, known)}")
            return _call(node, getattr(subject, name))
        case ast.BoolOp():
            raise _refuse(node, "combine rules with & and |, each rule in parentheses, not with and, or")
        case ast.UnaryOp(op=ast.Not()):
            raise _refuse(node, "write ~ instead of not")
        case ast.Compare():
            raise _refuse(node, "write one comparison at a time, such as (attr('age') >= 18) & (attr('age') < 30)")
        case _:
            raise _refuse(node, f"only {_KNOWN}, date, values and & | ~ are understood")


def _rule(node: ast.expr) -> Rule:
    rule = _read(node)
    if not isinstance(rule, Node):
        raise _refuse(node, "is no rule; put each comparison into parentheses, such as (attr('country') == 'DE')")
    return rule  # type: ignore[return-value]


def _call(node: ast.Call, function: Any) -> Any:
    arguments = [_read(a) for a in node.args]
    named = {k.arg: _read(k.value) for k in node.keywords if k.arg}
    if any(k.arg is None for k in node.keywords):
        raise _refuse(node, "** isn't understood")
    try:
        return function(*arguments, **named)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refuse(node, str(error)) from error


def _refuse(node: ast.expr, remedy: str) -> RuleError:
    source = ast.unparse(node)
    shown = source if len(source) <= 80 else source[:77] + "..."
    return RuleError(f"rule, column {node.col_offset + 1}: {shown}: {remedy}")


def to_text(rule: Rule) -> str:
    """The rule as people write it; `parse(to_text(rule)) == rule`. Raises RuleError for one that is too large."""
    check_size(rule)
    return _write(rule)


def _write(rule: Rule) -> str:
    match rule:
        case AllOf(rules):
            return _joined(rule, rules, " & ", "all_of")
        case AnyOf(rules):
            return _joined(rule, rules, " | ", "any_of")
        case Not(Missing(attribute)):
            return f"{term_text(attribute)}.is_known()"
        case Not(Not() as inner):
            return f"none_of({_write(inner)})"
        case Not(inner):
            return f"~{_operand(inner)}"
        case Compare(attribute, op, value):
            return f"{term_text(attribute)} {_OPERATORS[op]} {_value(value)}"
        case OneOf(attribute, values):
            return f"{term_text(attribute)}.one_of([{', '.join(map(_literal, values))}])"
        case Text(attribute, op, value):
            return f"{term_text(attribute)}.{op}({value!r})"
        case Matches(attribute, pattern):
            return f"{term_text(attribute)}.matches({pattern!r})"
        case Missing(attribute):
            return f"{term_text(attribute)}.is_missing()"
        case Birthday():
            return f"{term_text(rule.attribute)}.anniversary({_anniversary(rule)})"
        case Rank(attribute, side, percent, within):
            among = "" if within is None else f", within={within!r}"
            return f"{term_text(attribute)}.{side}({exact(percent)}{among})"
        case Did():
            return _did(rule)
        case Uses():
            return _uses(rule)
        case Contacted():
            return _contacted(rule)
        case InGroup(group):
            return f"in_group({group!r})"
        case InList(name, sha256):
            return f"in_list({name!r})" if sha256 is None else f"in_list({name!r}, sha256={sha256!r})"
        case _:
            assert_never(rule)


def _joined(rule: AllOf | AnyOf, rules: tuple[Rule, ...], sign: str, word: str) -> str:
    return sign.join(map(_operand, rules)) if _has_signs(rule) else f"{word}({', '.join(map(_write, rules))})"


def _has_signs(rule: AllOf | AnyOf) -> bool:
    # signs make one flat rule of rules within rules of the same kind, so that those are written with the word
    return 1 < len(rule.rules) <= MAX_SIGNS and all(type(r) is not type(rule) for r in rule.rules)


def _did(rule: Did) -> str:
    text = f"did({rule.event!r})"
    if rule.filter is not None:
        text += f".where({_write(rule.filter)})"
    match rule.measure:
        case "count":
            counted = "" if (rule.op, rule.value) == ("ge", 1) else _counted(rule)
            return text + counted + _window(rule.window)
        case "days_in_a_row":
            counted = "" if rule.op == "ge" else _counted(rule)
            return f"{text}.days_in_a_row({_literal(rule.value)}){counted}{_window(rule.window)}"
        case _:
            column = "" if rule.column is None else repr(rule.column)
            return f"{text}{_window(rule.window)}.{rule.measure}({column}) {_OPERATORS[rule.op]} {_value(rule.value)}"


def _counted(rule: Did) -> str:
    word = {"ge": "at_least", "le": "at_most", "eq": "exactly", "gt": "more_than", "lt": "less_than"}[rule.op]
    return f".{word}({_literal(rule.value)})"


def _uses(rule: Uses) -> str:
    named = [repr(rule.app)] if rule.app is not None else []
    named += [f"platform={rule.platform!r}"] if rule.platform is not None else []
    text = f"uses_app({', '.join(named)})"
    if rule.version_from is not None:
        text += f".version_at_least({rule.version_from!r})"
    if rule.version_to is not None:
        text += f".version_below({rule.version_to!r})"
    return text + _window(rule.last_used, within="used_within", between="used_between")


def _contacted(rule: Contacted) -> str:
    word = {"in_control": "was_in_control", "not_opened": "did_not_open"}.get(rule.what, rule.what)
    named = [repr(rule.campaign)] if rule.campaign is not None else []
    named += [f"days={rule.response_days}"] if rule.response_days not in (None, RESPONSE_DAYS) else []
    times = "" if rule.times == 1 else f".at_least({rule.times})"
    return f"{word}({', '.join(named)}){times}{_window(rule.window)}"


def _anniversary(rule: Birthday) -> str:
    if rule.first == 0:
        return f"within_next={rule.last}" if rule.last else ""
    return f"within_last={-rule.first}" if rule.last == 0 else f"{rule.first}, {rule.last}"


def _window(window: Window | None, *, within: str = "within", between: str = "between") -> str:
    match window:
        case Last(days):
            return f".{within}(days={days})"
        case Between(first, last):
            return f".{between}({_date(first)}, {_date(last)})"
        case None:
            return ""
        case _:
            assert_never(window)


def _value(value: Value) -> str:
    match value:
        case Day(day):
            return _date(day)
        case DaysAgo(days):
            return f"days_ago({days})"
        case _:
            return _literal(value)


def _literal(value: object) -> str:
    return exact(value) if isinstance(value, float) else repr(value)


def _date(day: date) -> str:
    return f"date({day.year}, {day.month}, {day.day})"


def _operand(rule: Rule) -> str:
    """The rule as it stands beside a sign, which binds tighter than a comparison."""
    match rule:
        case AllOf() | AnyOf():
            is_bare = not _has_signs(rule)
        case Did():
            is_bare = rule.measure in ("count", "days_in_a_row")
        case _:
            is_bare = not isinstance(rule, Compare)
    return _write(rule) if is_bare else f"({_write(rule)})"


FORMS["text"] = to_text
