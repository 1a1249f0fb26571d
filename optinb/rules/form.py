"""The canonical JSON form of a rule, with a version number: what is stored, compared and approved."""

from __future__ import annotations

from typing import get_args

import msgspec
from msgspec import Struct

from optinb.errors import RuleError, did_you_mean
from optinb.rules.tree import AllOf, AnyOf, Not, Rule, walk

VERSION = 1
MAX_NODES = 2_000
MAX_DEPTH = 60
_KINDS = [str(kind.__struct_config__.tag) for kind in get_args(Rule)]


class _Stored(Struct, frozen=True, forbid_unknown_fields=True):
    optinb_rule: int
    rule: Rule


def to_json(rule: Rule) -> str:
    """The canonical form: the same rule always has the same text."""
    check_size(rule)
    return msgspec.json.encode(_Stored(VERSION, rule), order="sorted").decode()


def from_json(text: str | bytes) -> Rule:
    """Reads the canonical form. Raises RuleError naming the place in the tree, the value and the remedy."""
    try:
        stored = msgspec.json.decode(text, type=_Stored)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        raise RuleError(f"rule{where.strip('`')}: {_explain(message)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RuleError(f"the stored rule is no JSON: {error}") from error
    except RecursionError as error:
        raise RuleError(f"the rule is nested too deeply; at most {MAX_DEPTH} levels are read") from error
    if stored.optinb_rule != VERSION:
        raise RuleError(
            f"the rule has version {stored.optinb_rule}; this optinb reads version {VERSION}: update optinb"
        )
    check_size(stored.rule)
    return stored.rule


def check_size(rule: Rule) -> None:
    """Refuses rules that nobody can read and no engine can plan. Raises RuleError."""
    if len(walk(rule)) > MAX_NODES:
        raise RuleError(f"the rule has more than {MAX_NODES:,} conditions; use one_of([...]) or split the group")
    level, depth = [rule], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise RuleError(f"the rule is nested deeper than {MAX_DEPTH} levels; flatten it")
        level = [child for node in level for child in _children(node)]


def _children(node: Rule) -> tuple[Rule, ...]:
    if isinstance(node, AllOf | AnyOf):
        return node.rules
    return (node.rule,) if isinstance(node, Not) else ()


def _explain(message: str) -> str:
    if message.startswith("Invalid value '"):
        tag = message.split("'")[1]
        return f"{tag!r} is no kind of rule{did_you_mean(tag, _KINDS)}"
    return message[0].lower() + message[1:]
