"""Packages that import what they offer only when it is asked for: the two places that say what it is agree."""

from __future__ import annotations

import ast
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

import optinb
from optinb.base.lazily import once

ROOT = Path(optinb.__file__).parent
LAZY = {
    ".".join(("optinb", *file.parent.relative_to(ROOT).parts)): file
    for file in sorted(ROOT.rglob("__init__.py"))
    if "lazily(" in file.read_text()
}


def told(name: str) -> dict[str, str]:
    """What a checker of types sees: by name, the module."""
    nodes = [node for node in ast.walk(ast.parse(LAZY[name].read_text())) if isinstance(node, ast.ImportFrom)]
    own = [node for node in nodes if node.module not in ("typing", "optinb.base.lazily")]
    return {alias.name: str(node.module) for node in own for alias in node.names}


def offered(name: str) -> set[str]:
    """What Python finds."""
    table = next(node for node in ast.walk(ast.parse(LAZY[name].read_text())) if isinstance(node, ast.Dict))
    return {word for words in ast.literal_eval(table).values() for word in words.split()}


@pytest.mark.parametrize("name", LAZY)
def test_names_are_those_that_a_checker_of_types_sees(name: str) -> None:
    package = import_module(name)
    assert offered(name) == told(name).keys()
    for word, module in told(name).items():
        assert getattr(package, word) is getattr(import_module(module), word)


@pytest.mark.parametrize("name", LAZY)
def test_no_name_is_that_of_a_module(name: str) -> None:
    """It would be the module for whoever asks after somebody has imported that."""
    assert not offered(name) & {file.stem for file in LAZY[name].parent.iterdir()}


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute"):
        getattr(import_module("optinb.segments"), "grups")  # noqa: B009


class Slow:
    """Something with a part that takes a while to make."""

    @once
    def part(self) -> object:
        time.sleep(0.05)
        return object()


def test_two_who_ask_first_at_the_same_moment_get_the_same() -> None:
    slow = Slow()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: slow.part, range(4)))
    assert all(one is found[0] for one in found)
    assert Slow().part is not found[0]
