"""Whether a rule fits the data: every name is known, and every value can be compared with its attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from optinb.errors import RuleError, did_you_mean
from optinb.rules.tree import (
    PURCHASE,
    AllOf,
    AnyOf,
    Compare,
    Day,
    DaysAgo,
    Did,
    Missing,
    Not,
    OneOf,
    Rule,
    Scalar,
    Text,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["text", "number", "yes/no", "day"]


def fit(
    rule: Rule,
    attributes: Mapping[str, Kind],
    *,
    purchases: Mapping[str, Kind],
    events: Mapping[str, Kind],
    event_names: frozenset[str] | None = None,
) -> None:
    """Checks a rule against what is known.

    Args:
        attributes: kind of each attribute of the customer.
        purchases: kind of each column of a transaction.
        events: kind of each column of an event.
        event_names: the names of events that ever came; None when they aren't known.

    Raises RuleError with the path in the tree (such as `all[1].not`), the value and the nearest known name.
    """
    waiting: list[tuple[str, Rule]] = [("", rule)]
    while waiting:
        path, node = waiting.pop()
        match node:
            case AllOf(rules):
                waiting.extend((f"{path}.all[{i}]", r) for i, r in enumerate(rules))
            case AnyOf(rules):
                waiting.extend((f"{path}.any[{i}]", r) for i, r in enumerate(rules))
            case Not(inner):
                waiting.append((f"{path}.not", inner))
            case Did():
                columns = purchases if node.event == PURCHASE else events
                _did(node, path, columns, event_names)
                if node.filter is not None:
                    fit(node.filter, columns, purchases=purchases, events=events)
            case Compare() | OneOf() | Text() | Missing():
                _leaf(node, path, attributes)


def _leaf(node: Compare | OneOf | Text | Missing, path: str, attributes: Mapping[str, Kind]) -> None:
    kind = attributes.get(node.attribute)
    if kind is None:
        raise _error(path, f"attribute {node.attribute!r} isn't known{did_you_mean(node.attribute, attributes)}")
    values: tuple[Value | Scalar, ...] = ()
    match node:
        case Compare():
            values = (node.value,)
        case OneOf():
            values = node.values
        case Text() if kind != "text":
            raise _error(path, f"{node.attribute!r} is a {kind}; only a text can contain or start with something")
        case _:
            pass
    for value in values:
        given = kind_of(value)
        if given != kind:
            raise _error(
                path,
                f"{node.attribute!r} is a {kind} and can't be compared with the {given} {value!r}"
                + ("; write it in quotes" if kind == "text" else ""),
            )
    if isinstance(node, Compare) and kind == "text" and node.op not in ("eq", "ne"):
        raise _error(path, f"{node.attribute!r} is a text; compare it with == or !=, or use one_of, contains")


def _did(node: Did, path: str, columns: Mapping[str, Kind], event_names: frozenset[str] | None) -> None:
    if node.event != PURCHASE and event_names is not None and node.event not in event_names:
        raise _error(path, f"nobody ever did {node.event!r}{did_you_mean(node.event, [PURCHASE, *event_names])}")
    if node.total_of is not None and columns.get(node.total_of) != "number":
        numbers = [name for name, kind in columns.items() if kind == "number"]
        raise _error(path, f"{node.total_of!r} of {node.event!r} can't be summed{did_you_mean(node.total_of, numbers)}")


def kind_of(value: Value) -> Kind:
    """What an attribute must be to be compared with this value."""
    match value:
        case bool():
            return "yes/no"
        case int() | float():
            return "number"
        case Day() | DaysAgo():
            return "day"
        case str():
            return "text"


def _error(path: str, what: str) -> RuleError:
    return RuleError(f"rule{path}: {what}")
