"""What stands twice for those who carry optinb on is the same in both places."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fast_files import FAST, FAST_BUDGET_S

ROOT = Path(__file__).parents[2]


def section(text: str, title: str) -> list[str]:
    """The commands of one part of .ci/run."""
    (found,) = re.findall(rf'^echo "== {title}"\n(.*?)(?=^echo "== |\Z)', text, re.MULTILINE | re.DOTALL)
    return [line for line in found.splitlines() if line]


def test_hooks_before_a_commit_are_the_checks_of_ci() -> None:
    hooks = re.findall(r"^ +entry: (.*)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)
    run = section((ROOT / ".ci" / "run").read_text(), "style, types, layers, notebooks without outputs")
    assert [re.sub(r"^bash -c '(.*)'$", r"\1", hook) for hook in hooks] == run


def test_hooks_fetch_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (.*)", text) == ["local"]
    assert set(re.findall(r"language: (.*)", text)) == {"system"}


def test_the_fast_files_exist_and_stay_within_their_budget() -> None:
    assert [name for name in FAST if not (ROOT / "tests" / name).is_file()] == []
    assert sum(FAST.values()) <= FAST_BUDGET_S


def test_every_marker_and_extra_is_explained_to_who_contributes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    told = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    markers = [marker.split(":")[0] for marker in project["tool"]["pytest"]["ini_options"]["markers"]]
    extras = project["project"]["optional-dependencies"]
    assert [name for name in (*markers, *extras) if f"`{name}`" not in told] == []


@pytest.mark.parametrize("page", ["README.md", ".github/CONTRIBUTING.md"])
def test_the_commands_that_are_told_are_those_of_ci(page: str) -> None:
    whole = section((ROOT / ".ci" / "run").read_text(), "tests, as the README says")[0].split(" && ")[1]
    text = (ROOT / page).read_text()
    assert whole in text
    assert "pytest -m fast" in text


def test_what_contributors_are_sent_to_exists() -> None:
    told = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:optinb|tests|notebooks|\.ci|\.docs)/[\w./]*)`", told)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


def symbol(name: str, *reasons: str) -> dict[str, Any]:
    """What pyright says of a name; its type is known where there is no reason against it."""
    return {"name": name, "isTypeKnown": not reasons, "diagnostics": [{"message": reason} for reason in reasons]}


def test_a_type_that_would_have_to_be_guessed_is_named() -> None:
    guessed = runpy.run_path(str(ROOT / ".ci" / "known_types.py"))["guessed"]
    missing = "Type is missing type annotation and could be inferred differently by type checkers"
    widget = (
        symbol("optinb.views.desk.Desk", "Type of metaclass unknown", "Type of base class unknown"),
        symbol("optinb.views.desk.Desk.result", missing),
        symbol("optinb.views.desk", 'Return type is partially unknown\n  Return type is "Desk"'),
    )
    known = symbol("optinb.open_workspace")
    assert guessed([known, *widget]) == {}
    assert guessed([known, *widget, symbol("optinb.base.Context.root", missing)]) == {
        "optinb.base.Context.root": missing
    }
    of_another = 'Parameter type is "Card[Unknown]"'
    assert guessed([symbol("optinb.show.text", of_another), *widget]) == {"optinb.show.text": of_another}
    ambiguous = {**symbol("optinb.LIMIT"), "isTypeAmbiguous": True, "diagnostics": [{"message": missing}]}
    assert list(guessed([ambiguous])) == ["optinb.LIMIT"]
