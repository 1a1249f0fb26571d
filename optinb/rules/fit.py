"""Whether a rule fits the data: every name is known, and every value can be compared with its attribute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from optinb.errors import RuleError, did_you_mean
from optinb.rules.extent import check_size, short_path
from optinb.rules.tree import (
    PURCHASE,
    AllOf,
    AnyOf,
    Birthday,
    Compare,
    Contacted,
    Did,
    InGroup,
    InList,
    Leaf,
    Matches,
    Missing,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
    children,
)
from optinb.rules.values import Day, DaysAgo, Scalar, Value

Kind = Literal["text", "number", "yes/no", "day"]


def fit(
    rule: Rule,
    attributes: Mapping[str, Kind],
    *,
    purchases: Mapping[str, Kind],
    events: Mapping[str, Kind],
    event_names: frozenset[str] | None = None,
    apps: Mapping[str, str] | None = None,
    campaigns: Collection[str] | None = None,
    lists: Collection[str] | None = None,
) -> None:
    """Checks a rule against what is known; nothing of the data is read.

    Args:
        rule: one in which no groups are named any more.
        attributes: kind of each attribute of the customer.
        purchases: kind of each column of a transaction.
        events: kind of each column of an event.
        event_names: the names of events that ever came; None when they aren't known.
        apps: the platform of each app by its id; None when they aren't known.
        campaigns: the names of campaigns; None when they aren't known.
        lists: the SHA-256 of every list whose content is kept; None when they aren't known.

    Raises:
        RuleError: with the path in the tree (such as `rule.all[1].not`), the value and the nearest known name.
    """
    check_size(rule)
    waiting: list[tuple[str, Rule]] = [("", rule)]
    while waiting:
        path, node = waiting.pop()
        match node:
            case AllOf() | AnyOf() | Not():
                waiting.extend((path + step, child) for step, child in reversed(children(node)))
            case Did():
                _did(node, path, purchases if node.event == PURCHASE else events, event_names)
            case Uses():
                _uses(node, path, apps)
            case Contacted():
                if node.campaign is not None and campaigns is not None and node.campaign not in campaigns:
                    near = did_you_mean(node.campaign, campaigns)
                    raise _error(path, f"no campaign is called {node.campaign!r}{near}")
            case InGroup(group):
                raise _error(path, f"the group {group!r} isn't filled in yet; expand the rule first")
            case InList(name, sha256):
                if sha256 is None:
                    raise _error(path, f"the content of the list {name!r} isn't filled in yet; expand the rule first")
                if lists is not None and sha256 not in lists:
                    raise _error(path, f"the content that the list {name!r} had is not kept; upload the list again")
            case Rank():
                _rank(node, path, attributes)
            case Compare() | OneOf() | Text() | Matches() | Missing() | Birthday():
                _leaf(node, path, attributes)


def _leaf(node: Leaf, path: str, attributes: Mapping[str, Kind]) -> None:
    kind = _known(node.attribute, path, attributes)
    values: tuple[Value | Scalar, ...] = ()
    match node:
        case Compare():
            values = (node.value,)
        case OneOf():
            values = node.values
        case Text() | Matches() if kind != "text":
            raise _error(path, f"{node.attribute!r} is a {kind}; only a text can contain, start with or match")
        case Birthday() if kind != "day":
            raise _error(path, f"{node.attribute!r} is a {kind}; only a day has anniversaries")
        case _:
            pass
    for value in values:
        given = kind_of(value)
        if given != kind:
            raise _error(
                path,
                f"{node.attribute!r} is a {kind} and can't be compared with the {given} {value!r}"
                + ("; write it in quotes" if kind == "text" else "; write it without quotes" * (kind == "number")),
            )
    if isinstance(node, Compare) and kind == "text" and node.op not in ("eq", "ne"):
        raise _error(path, f"{node.attribute!r} is a text; compare it with == or !=, or use one_of, contains")


def _rank(node: Rank, path: str, attributes: Mapping[str, Kind]) -> None:
    kind = _known(node.attribute, path, attributes)
    if kind not in ("number", "day"):
        raise _error(path, f"{node.attribute!r} is a {kind}; only numbers and days have a highest and lowest part")
    if node.within is not None:
        _known(node.within, path, attributes)


def _did(node: Did, path: str, columns: Mapping[str, Kind], event_names: frozenset[str] | None) -> None:
    if node.event != PURCHASE and event_names is not None and node.event not in event_names:
        raise _error(path, f"nobody ever did {node.event!r}{did_you_mean(node.event, [PURCHASE, *event_names])}")
    if node.column is not None and columns.get(node.column) != "number":
        numbers = [name for name, kind in columns.items() if kind == "number"]
        what = "summed" if node.measure == "total" else "averaged"
        raise _error(path, f"{node.column!r} of {node.event!r} can't be {what}{did_you_mean(node.column, numbers)}")
    waiting = [(f"{path}.where", node.filter)] if node.filter is not None else []
    while waiting:
        at, condition = waiting.pop()
        if isinstance(condition, Leaf):
            _leaf(condition, at, columns)
        waiting.extend((at + step, child) for step, child in reversed(children(condition)))


def _uses(node: Uses, path: str, apps: Mapping[str, str] | None) -> None:
    if apps is None:
        return
    if node.app is not None and node.app not in apps:
        raise _error(path, f"no app has the id {node.app!r}{did_you_mean(node.app, apps)}")
    if node.platform is not None and node.platform not in apps.values():
        known = dict.fromkeys(apps.values())
        raise _error(path, f"no app is on the platform {node.platform!r}{did_you_mean(node.platform, known)}")
    if node.app is not None and node.platform is not None and apps[node.app] != node.platform:
        raise _error(path, f"the app {node.app!r} is on {apps[node.app]}, not on {node.platform}; name only the app")


def _known(attribute: str, path: str, attributes: Mapping[str, Kind]) -> Kind:
    kind = attributes.get(attribute)
    if kind is None:
        raise _error(path, f"attribute {attribute!r} isn't known{did_you_mean(attribute, attributes)}")
    return kind


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
    return RuleError(f"rule{short_path(path)}: {what}")
