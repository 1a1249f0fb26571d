"""What people call says what it takes, and which errors it raises, where a tool finds it."""

from __future__ import annotations

import inspect
import re
import runpy
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

import optinb
import optinb.views

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / ".docs"
place = runpy.run_path(str(DOCS / "gather.py"))["place"]


@cache
def found(dotted: str) -> Any:
    """What the reference names, or the class of that name, wherever it has moved to."""
    home, _, name = (dotted if "." in dotted else place(dotted)).rpartition(".")
    return getattr(import_module(home), name)


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """The public functions of a class of optinb and of those of ours that it derives from."""
    for home in kind.__mro__:
        for name, member in vars(home).items() if home.__module__.startswith("optinb.") else ():
            if isinstance(member, property):
                member = member.fget
            if isinstance(member, cached_property):
                member = member.func
            function = getattr(member, "__func__", member)
            if not name.startswith("_") and inspect.isfunction(function):
                yield f"{home.__qualname__}.{name}", function


def handed_out(functions: dict[str, Any]) -> Iterator[type]:
    """The values and views that some functions return, but no services: those stand in the reference themselves."""
    returned = " ".join(str(function.__annotations__.get("return", "")) for function in functions.values())
    for name in sorted(set(re.findall(r"\b[A-Z]\w+", returned))):
        try:
            kind = found(name)
        except ValueError:
            continue  # no class of ours
        if issubclass(kind, Struct) or kind.__module__.startswith(("optinb.views.", "optinb.rules.")):
            yield kind


def public() -> dict[str, Any]:
    """Every function that people call, by name: those of the reference, and those of what they return."""
    functions = {
        name: getattr(module, name)
        for module in (optinb, optinb.views)
        for name in module.__all__
        if inspect.isfunction(getattr(module, name))
    }
    for page in (DOCS / "pages" / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE):
            if inspect.isclass(kind := found(name) if name != "optinb" else None):
                functions |= methods(kind)
    for kind in tuple(handed_out(functions)):
        functions |= methods(kind)
    return functions


def faults(function: Any) -> list[str]:
    """What the docstring of a function leaves out, or says where no tool finds it."""
    told = inspect.getdoc(function) or ""
    listed = re.findall(r"^    \*{0,2}(\w+): \S", told.partition("\nArgs:\n")[2].partition("\n\n")[0], re.MULTILINE)
    wanted = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    wrong = [] if told else ["it has no docstring"]
    if listed != wanted:
        wrong.append(f"Args: {listed}, but it takes {wanted}")
    if re.search(r"\b(?:Raises|Returns) [A-Za-z]", told):
        wrong.append("what it raises or returns is told in prose, not in a section")
    return wrong


def test_whatever_people_call_says_what_it_takes_and_raises() -> None:
    functions = public()
    assert len(functions) > 200
    assert {name: wrong for name, function in functions.items() if (wrong := faults(function))} == {}


def test_a_docstring_that_leaves_something_out_is_noticed() -> None:
    def whole(name: str, *rules: str, days: int) -> None:
        """Does something.

        Args:
            name: of a group.
            *rules: one or more,
                each on its line.
            days: 1 to 7.

        Raises:
            RuleError: for no rule.
        """

    def one_missing(name: str, *, days: int) -> None:  # noqa: D417
        """Does something.

        Args:
            name: of a group.
        """

    def renamed(on_progress: int) -> None:  # noqa: D417
        """Does something.

        Args:
            tell: is told.
        """

    def in_prose() -> None:
        """Does something. Raises RuleError for no rule."""

    assert faults(whole) == []
    assert all(faults(function) for function in (one_missing, renamed, in_prose, lambda: None))
