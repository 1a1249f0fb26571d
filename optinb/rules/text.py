"""The text form of a rule, which is the Python one, read from its syntax tree and never evaluated."""

from __future__ import annotations

import ast
from datetime import date
from typing import Any, assert_never

from optinb.errors import RuleError, did_you_mean
from optinb.rules.build import Attribute, attr, days_ago, did
from optinb.rules.form import check_size
from optinb.rules.tree import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    Day,
    DaysAgo,
    Did,
    Last,
    Missing,
    Node,
    Not,
    OneOf,
    Rule,
    Text,
    Value,
)

_FUNCTIONS = {"attr": attr, "did": did, "days_ago": days_ago, "date": date}
_METHODS: dict[type, tuple[str, ...]] = {
    Attribute: ("one_of", "between", "contains", "starts_with", "ends_with", "is_missing", "is_known"),
    Did: ("at_least", "at_most", "exactly", "total", "where", "within", "between"),
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}
_OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
MAX_TEXT = 100_000


def parse(text: str) -> Rule:
    """Reads a rule such as `(attr("country") == "DE") & did("purchase").within(days=60)`.

    Only the words of the language are understood; nothing is evaluated. Raises RuleError naming the place and remedy.
    """
    if len(text) > MAX_TEXT:
        raise RuleError(f"the rule has {len(text):,} characters; at most {MAX_TEXT:,} are read")
    try:
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
            if not isinstance(subject, Attribute):
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
            raise _refuse(node, "only attr(...), did(...), days_ago(...), date(...), values and & | ~ are understood")


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
    except (TypeError, ValueError) as error:
        raise _refuse(node, str(error)) from error


def _refuse(node: ast.expr, remedy: str) -> RuleError:
    source = ast.unparse(node)
    shown = source if len(source) <= 80 else source[:77] + "..."
    return RuleError(f"rule, column {node.col_offset + 1}: {shown}: {remedy}")


def to_text(rule: Rule) -> str:
    """The rule as people write it; `parse(to_text(rule)) == rule`."""
    match rule:
        case AllOf(rules):
            return " & ".join(_operand(r) for r in rules)
        case AnyOf(rules):
            return " | ".join(_operand(r) for r in rules)
        case Not(Missing(attribute)):
            return f"attr({attribute!r}).is_known()"
        case Not(inner):
            return f"~{_operand(inner)}"
        case Compare(attribute, op, value):
            return f"attr({attribute!r}) {_OPERATORS[op]} {_value(value)}"
        case OneOf(attribute, values):
            return f"attr({attribute!r}).one_of([{', '.join(map(repr, values))}])"
        case Text(attribute, op, value):
            return f"attr({attribute!r}).{op}({value!r})"
        case Missing(attribute):
            return f"attr({attribute!r}).is_missing()"
        case Did():
            return _did(rule)
        case _:
            assert_never(rule)


def _did(rule: Did) -> str:
    text = f"did({rule.event!r})"
    if rule.filter is not None:
        text += f".where({to_text(rule.filter)})"
    if rule.total_of is not None:
        text += f".total({rule.total_of!r})"
    if (rule.op, rule.value) != ("ge", 1):
        text += f".{ {'ge': 'at_least', 'le': 'at_most', 'eq': 'exactly'}[rule.op] }({rule.value!r})"
    match rule.window:
        case Last(days):
            text += f".within(days={days})"
        case Between(first, last):
            text += f".between({_date(first)}, {_date(last)})"
        case None:
            pass
        case _:
            assert_never(rule.window)
    return text


def _value(value: Value) -> str:
    match value:
        case Day(day):
            return _date(day)
        case DaysAgo(days):
            return f"days_ago({days})"
        case _:
            return repr(value)


def _date(day: date) -> str:
    return f"date({day.year}, {day.month}, {day.day})"


def _operand(rule: Rule) -> str:
    bare = isinstance(rule, Did | OneOf | Text | Missing | Not)
    return to_text(rule) if bare else f"({to_text(rule)})"
