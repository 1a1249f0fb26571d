"""Finds the closed sets in what a value is made of, and gives the value once for each member of each."""

from __future__ import annotations

import ast
import enum
import inspect
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_ITEMS = 2  # of a list; those behind them are made of the same


class Place(NamedTuple):
    """A field whose type is a closed set."""

    owner: type
    field: str


class Variant(NamedTuple):
    """A copy of a value in which another member of its set stands in one place."""

    value: Any
    place: Place
    member: Any


def variants(value: Any) -> Iterator[Variant]:
    """Copies of a value that differ in one place: what stands there is another member of the set that its type names.

    Structs, named tuples, and what they, lists and dicts hold are looked through. What a type itself refuses is left
    out.
    """
    if is_made_of_fields(type(value)):
        for name, hint in hints(type(value)).items():
            for field, place, member in _of(getattr(value, name), hint, Place(type(value), name)):
                with suppress(ValueError):
                    yield Variant(_with(value, name, field), place, member)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value[:MOST_ITEMS]):
            for one, place, member in variants(item):
                yield Variant(type(value)([*value[:at], one, *value[at + 1 :]]), place, member)
    elif isinstance(value, Mapping):
        for key, item in list(value.items())[:MOST_ITEMS]:
            for one, place, member in variants(item):
                yield Variant({**value, key: one}, place, member)


def places_of(kind: Any, *, within: str = "optinb", but: tuple[str, ...] = ()) -> set[Place]:
    """Every field with a closed set of words that a type is made of, by what its fields are declared as."""
    found: set[Place] = set()
    seen: set[type] = set()

    def look(hint: Any) -> None:
        for part in get_args(hint):
            look(part)
        known = isinstance(hint, type) and hint.__module__.startswith(within) and not hint.__module__.startswith(but)
        if not known or hint in seen or not is_made_of_fields(hint):
            return
        seen.add(hint)
        for name, declared in hints(hint).items():
            if any(isinstance(member, str) for member in members_of(declared)):
                found.add(Place(hint, name))
            look(declared)

    look(kind)
    return found


def members_of(hint: Any) -> tuple[Any, ...]:
    """The members of a type that is a closed set, or a tuple of such; nothing for any other type."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if hint is bool:
        return (True, False)
    if isinstance(hint, enum.EnumMeta):
        return tuple(hint)
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        return tuple((member,) for member in members_of(get_args(hint)[0]) if isinstance(member, str))
    if get_origin(hint) not in (Union, UnionType):
        return ()
    parts = [part for part in get_args(hint) if part is not NoneType]
    # yes and no beside any text or number are values like others
    closed = [part for part in parts if members_of(part) and (part is not bool or len(parts) == 1)]
    members = [member for part in closed for member in members_of(part)]
    return (*members, None) if members and len(parts) < len(get_args(hint)) else tuple(members)


def is_made_of_fields(kind: type) -> bool:
    """Whether a type is a Struct or a named tuple."""
    return issubclass(kind, msgspec.Struct) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


@cache
def hints(kind: type) -> dict[str, Any]:
    """The types of a class's fields, also those that its module imports only for the type checker."""
    names: dict[str, Any] = {}
    for owner in reversed(kind.__mro__):
        if owner.__module__.startswith("optinb"):
            names |= _names_of(owner.__module__)
    fields = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else kind._fields  # type: ignore[attr-defined]
    found = get_type_hints(kind, localns=names)
    return {name: found[name] for name in fields if name in found}


def _of(value: Any, hint: Any, place: Place) -> Iterator[tuple[Any, Place, Any]]:
    members = members_of(hint)
    for member in members:
        yield member, place, member
    if not members:
        yield from variants(value)


def _with(value: Any, name: str, field: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **{name: field})
    return value._replace(**{name: field})


def parameters(function: Callable[..., Any]) -> tuple[Any, ...]:
    """The types of a function's parameters, also those that its module imports only for the type checker."""
    found = get_type_hints(function, localns=_names_of(function.__module__))
    return tuple(hint for name, hint in found.items() if name != "return")


@cache
def _names_of(module: str) -> dict[str, Any]:
    names = dict(vars(sys.modules[module]))
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module, "exec"), names)
    return names
