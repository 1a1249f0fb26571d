"""The canonical JSON form of a rule, with a version number: what is stored, compared and approved.

It covers everything that the rule only names, once that is put in its place: the rules of other groups, and the content
of uploaded lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import RuleError, did_you_mean
from optinb.rules.extent import MAX_DEPTH, check_size, short_path
from optinb.rules.tree import AllOf, AnyOf, InGroup, InList, Not, Rule, children, walk

VERSION = 2  # 1 knew no measure of a behaviour but its count and a total
_KINDS = [str(kind.__struct_config__.tag) for kind in get_args(Rule)]
_TOO_DEEP = f"the rule is nested too deeply; at most {MAX_DEPTH} levels are read: flatten it"


class _Stored(Struct, frozen=True, forbid_unknown_fields=True):
    optinb_rule: int
    rule: msgspec.Raw


def to_json(rule: Rule) -> str:
    """The canonical form: the same rule always has the same text. Raises RuleError as `check_size` does."""
    check_size(rule)
    return msgspec.json.encode({"optinb_rule": VERSION, "rule": rule}, order="sorted").decode()


def from_json(text: str | bytes) -> Rule:
    """Reads the canonical form of this version and of earlier ones.

    Raises RuleError naming the place in the tree, the value and the remedy.
    """
    try:
        wrapped = msgspec.json.decode(text, type=_Stored)
        if not 1 <= wrapped.optinb_rule <= VERSION:
            raise RuleError(
                f"the rule has version {wrapped.optinb_rule}; this optinb reads versions 1 to {VERSION}: update optinb"
            )
        if wrapped.optinb_rule == 1:
            rule = msgspec.convert(_from_version_1(msgspec.json.decode(wrapped.rule)), type=Rule)
        else:
            rule = msgspec.json.decode(wrapped.rule, type=Rule)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        raise RuleError(f"rule{where.strip('`')}: {_explain(message)}") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RuleError(f"the stored rule is no JSON: {error}") from error
    except RecursionError as error:
        raise RuleError(_TOO_DEEP) from error
    check_size(rule)
    return rule


def _from_version_1(stored: Any) -> Any:
    """A stored rule of version 1, as version 2 writes it."""
    waiting = [stored]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, dict):
            if part.get("is") == "did" and (column := part.pop("total_of", None)) is not None:
                part |= {"measure": "total", "column": column}
            waiting.extend(part.values())
    return stored


def _explain(message: str) -> str:
    if message.startswith("Invalid value '"):
        tag = message.split("'")[1]
        return f"{tag!r} is no kind of rule{did_you_mean(tag, _KINDS)}"
    return message[0].lower() + message[1:]


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
