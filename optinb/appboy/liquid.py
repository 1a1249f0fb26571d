"""Liquid as Appboy writes it: which trigger properties a text needs, and how it reads for a customer.

The `${name}` form is Appboy's own; it is rewritten to an index before python-liquid sees it. Tags and filters that only
Appboy can carry out (content from a web service, catalogues) are let through, so that a preview shows the rest.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TextIO

import liquid
from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, Path
from liquid.exceptions import LiquidError
from liquid.tag import Tag
from liquid.token import TOKEN_EXPRESSION
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from liquid.expression import Expression

TRIGGER = "api_trigger_properties"
_USER = "user_attributes"
_IN_TAGS = re.compile(r"\{\{.*?\}\}(?!\})|\{%.*?%\}", re.DOTALL)
_DOLLAR = re.compile(r"(?:(?P<of>[\w\]'\"]+)\.)?\$\{\s*(?P<name>[^{}]+?)\s*\}")
_APPBOYS_OWN = (_USER, "custom_attribute", "content_blocks", "campaign", "targeted_device", "most_recently_used_device")
_FOREIGN_TAGS = ("connected_content", "catalog_items", "catalog_selection_items", "message_extras", "event_data")


class Needed(Struct, frozen=True):
    """A trigger property that a text uses; `has_default` if the text reads well without it."""

    name: str
    has_default: bool


class AbortedMessage(Exception):  # noqa: N818 - an outcome of rendering, caught by `rendered`'s callers
    """The text says that a customer with these properties gets no message."""


def problem(text: str) -> str | None:
    """What is wrong with a text's Liquid in one line, None if nothing is."""
    try:
        _parsed(text)
    except LiquidError as error:
        return " ".join(str(error.message).split())
    return None


def needed(text: str) -> tuple[Needed, ...]:
    """The trigger properties that a text uses, in the order of their first use; nothing for a text that isn't Liquid.

    A property only read in a condition counts as one with a default: without it, the condition is false.
    """
    try:
        nodes = _parsed(text).nodes
    except LiquidError:
        return ()
    found: dict[str, bool] = {}
    for name, has_default in _uses(nodes):
        found[name] = found.get(name, True) and has_default
    return tuple(Needed(name, has_default) for name, has_default in found.items())


def rendered(text: str, properties: Mapping[str, Any]) -> str:
    """A text for a customer with these trigger properties; what only Appboy knows reads as `‹name›`.

    Raises AbortedMessage where the text aborts, and LiquidError where it isn't Liquid.
    """
    return _parsed(text).render({TRIGGER: dict(properties), **dict.fromkeys(_APPBOYS_OWN, _Shown())})


def rewritten(text: str) -> str:
    """A text whose `${name}` forms are turned into what python-liquid reads."""
    return _IN_TAGS.sub(lambda tag: _DOLLAR.sub(_index, tag[0]), text)


def _index(match: re.Match[str]) -> str:
    quote = '"' if "'" in match["name"] else "'"
    return f"{match['of'] or _USER}[{quote}{match['name']}{quote}]"


@lru_cache(maxsize=512)
def _parsed(text: str) -> liquid.BoundTemplate:
    return _environment().from_string(rewritten(text))


@cache
def _environment() -> liquid.Environment:
    # filters that python-liquid doesn't know are Appboy's own: the value passes them unchanged
    environment = liquid.Environment(strict_filters=False)
    for name in _FOREIGN_TAGS:
        environment.tags[name] = _ForeignTag(environment)
    environment.tags["abort_message"] = _AbortTag(environment)
    return environment


class _Shown(dict[str, str]):
    """Stands for values that only Appboy knows."""

    def __missing__(self, name: str) -> str:
        return f"‹{name}›"

    def __contains__(self, _name: object) -> bool:
        return True


class _EmptyNode(Node):
    def render_to_output(self, context: liquid.RenderContext, buffer: TextIO) -> int:
        return 0


class _AbortNode(Node):
    def render_to_output(self, context: liquid.RenderContext, buffer: TextIO) -> int:
        raise AbortedMessage


class _ForeignTag(Tag):
    block = False
    node: type[Node] = _EmptyNode

    def parse(self, stream: liquid.TokenStream) -> Node:
        token = stream.current
        if stream.peek.kind == TOKEN_EXPRESSION:
            next(stream)
        return self.node(token)


class _AbortTag(_ForeignTag):
    node = _AbortNode


def _uses(nodes: Iterable[Node]) -> Iterator[tuple[str, bool]]:
    """Each use of a trigger property, with whether it does without the property."""
    context = liquid.RenderContext(_environment().from_string(""))
    for node in nodes:
        for expression in node.expressions():
            yield from _in_expression(expression, shown=not isinstance(expression, BooleanExpression))
        yield from _uses(node.children(context))


def _in_expression(expression: Expression, *, shown: bool) -> Iterator[tuple[str, bool]]:
    covered = isinstance(expression, FilteredExpression) and any(f.name == "default" for f in expression.filters or ())
    if isinstance(expression, Path) and expression.path[0] == TRIGGER and len(expression.path) > 1:
        yield str(expression.path[1]), not shown
    for child in expression.children():
        yield from _in_expression(child, shown=shown and not covered)
