"""The canonical JSON form of a rule, with a version number: what is stored, compared and approved."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from msgspec import Struct

from optinb.errors import RuleError, did_you_mean
from optinb.rules.extent import MAX_DEPTH, check_size
from optinb.rules.tree import Rule

VERSION = 2  # 1 knew no measure of a behaviour but its count and a total
_KINDS = [str(kind.__struct_config__.tag) for kind in get_args(Rule)]
_TOO_DEEP = f"the rule is nested too deeply; at most {MAX_DEPTH} levels are read: flatten it"


class _Stored(Struct, frozen=True, forbid_unknown_fields=True):
    optinb_rule: int
    rule: Rule


class _Wrapped(Struct, frozen=True, forbid_unknown_fields=True):
    optinb_rule: int
    rule: msgspec.Raw


def to_json(rule: Rule) -> str:
    """The canonical form: the same rule always has the same text. Raises RuleError as `check_size` does."""
    check_size(rule)
    return msgspec.json.encode(_Stored(VERSION, rule), order="sorted").decode()


def from_json(text: str | bytes) -> Rule:
    """Reads the canonical form of this version and of earlier ones.

    Raises RuleError naming the place in the tree, the value and the remedy.
    """
    try:
        wrapped = msgspec.json.decode(text, type=_Wrapped)
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
