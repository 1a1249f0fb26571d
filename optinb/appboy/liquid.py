"""Liquid as Appboy writes it: which trigger properties a text needs, and how it reads for a customer.

The `${name}` form is Appboy's own; it is rewritten to an index before python-liquid sees it. Tags and filters that only
Appboy can carry out (content from a web service, catalogues) are let through, so that a preview shows the rest.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TextIO

import liquid
from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, Path
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.exceptions import LiquidError
from liquid.tag import Tag
from liquid.token import TOKEN_EXPRESSION

from optinb.appboy.liquid_marks import DOLLAR, IN_TAGS, TRIGGER, Needed

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping

    from liquid.expression import Expression

_USER = "user_attributes"
_APPBOYS_OWN = (_USER, "custom_attribute", "content_blocks", "campaign", "targeted_device", "most_recently_used_device")
_FOREIGN_TAGS = ("connected_content", "catalog_items", "catalog_selection_items", "message_extras", "event_data")


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

    A property that a condition asks for counts as one with a default, in the condition and within it: its author has
    thought of customers who have none.
    """
    try:
        nodes = _parsed(text).nodes
    except LiquidError:
        return ()
    uses = _Uses()
    uses.follow(nodes)
    return tuple(Needed(name, has_default) for name, has_default in uses.found.items())


def rendered(text: str, properties: Mapping[str, Any]) -> str:
    """A text for a customer with these trigger properties; what only Appboy knows reads as `‹name›`.

    Raises AbortedMessage where the text aborts, and LiquidError where it isn't Liquid.
    """
    return _parsed(text).render({TRIGGER: dict(properties), **dict.fromkeys(_APPBOYS_OWN, _Shown())})


def rewritten(text: str) -> str:
    """A text whose `${name}` forms are turned into what python-liquid reads."""
    return IN_TAGS.sub(lambda tag: DOLLAR.sub(_index, tag[0]), text)


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


class _Uses:
    """Follows a text for its uses of trigger properties, each with whether the text does without the property."""

    def __init__(self) -> None:
        self.found: dict[str, bool] = {}
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._context = liquid.RenderContext(_environment().from_string(""))

    def follow(self, nodes: Iterable[Node], *, tested: frozenset[str] = frozenset()) -> None:
        """Collects from nodes in their order; `tested` are properties that a condition around them asks for."""
        for node in nodes:
            asked = tested
            for expression in node.expressions():
                if isinstance(expression, BooleanExpression):
                    names = set(self._in(expression))
                    self._note(names, without=True)
                    asked |= names
                elif isinstance(node, AssignNode):
                    # what a variable needs is known where it is shown
                    self._aliases[str(node.name)] = tuple(self._in(expression, tested=tested))
                else:
                    self._note(self._in(expression, tested=tested), without=False)
            self.follow(node.children(self._context), tested=asked)

    def _note(self, names: Iterable[str], *, without: bool) -> None:
        for name in names:
            self.found[name] = self.found.get(name, True) and without

    def _in(self, expression: Expression, *, tested: frozenset[str] = frozenset()) -> Iterator[str]:
        """The properties that an expression can't do without; those that it can are noted on the way."""
        if isinstance(expression, FilteredExpression) and any(f.name == "default" for f in expression.filters or ()):
            for child in expression.children():
                self._note(self._in(child, tested=tested), without=True)
            return
        if isinstance(expression, Path):
            for name in self._named(expression):
                if name in tested:
                    self._note([name], without=True)
                else:
                    yield name
        for child in expression.children():
            yield from self._in(child, tested=tested)

    def _named(self, path: Path) -> tuple[str, ...]:
        if path.path[0] == TRIGGER and len(path.path) > 1:
            return (str(path.path[1]),)
        return self._aliases.get(str(path.path[0]), ())
