"""The guide of the language: every example in it is a rule, and no word of the language is missing."""

from __future__ import annotations

import ast
import re

import pytest

from optinb.base.share import shared
from optinb.rules import parse, text, to_text

GUIDE = shared("notebooks/guides/rules.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
WORDS = tuple(word for word in text._FUNCTIONS if word not in ("date", "days_ago"))


def is_workspace_call(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "ws" for part in ast.walk(node))


def in_blocks() -> list[str]:
    """The rules in blocks of code: each expression alone, and each rule that the workspace is called with."""
    found = []
    for block in BLOCK.findall(GUIDE):
        for statement in ast.parse(block).body:
            assert isinstance(statement, ast.Expr | ast.Assign)
            asked = statement.value
            if not is_workspace_call(asked):
                found.append(ast.unparse(asked))
            elif isinstance(asked, ast.Call):
                found += [ast.unparse(a) for a in asked.args if isinstance(a, ast.UnaryOp | ast.BinOp | ast.Compare)]
    return found


def in_sentences() -> list[str]:
    """The rules in backticks: what begins with a word of the language that is called."""
    spans = re.findall(r"`([^`\n]+)`", BLOCK.sub("", GUIDE))
    return [span for span in spans if re.match(rf"[~(]*({'|'.join(WORDS)})\(", span)]


EXAMPLES = in_blocks() + in_sentences()


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_guide_is_a_rule_that_can_be_written_again(example: str) -> None:
    rule = parse(example)
    assert parse(to_text(rule)) == rule
    assert rule.sentence()


def test_the_guide_has_every_word_of_the_language() -> None:
    methods = {name for names in text._METHODS.values() for name in names}
    named = set(re.findall(r"\w+", GUIDE))
    assert {*text._FUNCTIONS, *methods} - named == set()
    assert len(in_blocks()) >= 3
    assert len(in_sentences()) > 50
