from __future__ import annotations

import re
import time

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_strategies import patterns

from optinb.errors import RuleError
from optinb.rules import attr, engine_form, python_form

letters = st.text(st.sampled_from("abcz.-\n\r 0é²ſ\u2028"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(patterns, st.lists(letters, min_size=1, max_size=20))
def test_a_pattern_means_the_same_in_every_engine(pattern: str, texts: list[str]) -> None:
    expected = [re.search(python_form(pattern), text) is not None for text in texts]
    frame = pl.DataFrame({"text": texts})
    assert frame.select(pl.col("text").str.contains(engine_form(pattern)))["text"].to_list() == expected
    found = duckdb.execute(
        "select regexp_matches(text, $pattern) from (select unnest($texts) as text)",
        {"pattern": engine_form(pattern), "texts": texts},
    ).fetchall()
    assert [row[0] for row in found] == expected


@given(st.text(st.sampled_from("ab.^$*+?{}()[]|\\d1,-&~<#é "), max_size=10))
def test_any_text_is_a_pattern_that_every_engine_reads_or_a_rule_error(text: str) -> None:
    try:
        attr("x").matches(text)
    except RuleError as error:
        assert "pattern" in str(error)
        return
    re.compile(python_form(text))
    pl.Series(["ab"]).str.contains(engine_form(text))
    duckdb.execute("select regexp_matches('ab', $1)", [engine_form(text)])


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc\n", False),
        ("^.$", "\r", True),
        ("^.$", "\n", False),
        ("\\d", "²", False),
        ("^\\w+$", "é", False),
        ("A", "a", False),
        ("[^a]", "\n", True),
        ("[a&&b]", "&", True),
        ("^[a-c\\]-]{2}$", "]-", True),
    ],
)
def test_what_a_pattern_means_is_written_down(pattern: str, text: str, fits: bool) -> None:
    assert (re.search(python_form(pattern), text) is not None) == fits


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "fits every text"),
        ("(a+)+$", "exponential"),
        ("(a|aa)+$", "exponential"),
        ("(a|a?)+$", "exponential"),
        ("((ab|ac)d)*x", "begin alike"),
        ("(a{0,3})*x", "exponential"),
        (".*.*=.*", "take very long"),
        ("\\d+\\d+\\d+x", "take very long"),
        ("a?" * 30 + "a" * 30, "exponential"),
        ("(a+|b)[a-z]+", "take very long"),
        ("(a|a)" * 30 + "x", "exponential time: its alternatives"),
        ("(a)\\1", "back-references"),
        ("(?=a)", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?i)a", "flags"),
        ("(?P<x>a)", "named groups"),
        ("(?>a+)", "look-around"),
        ("a++", "repeat once"),
        ("a*?", "repeat once"),
        ("a{1,5000}", "at most 100"),
        ("a{3,2}", "from the smaller"),
        ("\\bx", "word boundary"),
        ("\\p{L}", "is not understood"),
        ("[[:alpha:]]", "classes in classes"),
        ("[z-a]", "a range goes"),
        ("(", "never closed"),
        (")", "closes nothing"),
        ("*", "nothing to repeat"),
        ("a\\", "ends where"),
        ("(" * 30 + "a" + ")" * 30, "deeper than 20"),
        ("x" * 500, "at most 200"),
        ("\ud800", "half a character"),
    ],
)
def test_a_pattern_that_could_take_long_or_differ_is_refused_with_the_remedy(pattern: str, complaint: str) -> None:
    with pytest.raises(RuleError, match=re.escape(complaint)):
        attr("email").matches(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z]+\\.[a-z]+@[a-z]+\\.(de|com|co\\.uk)$",
        "(ab|cd)*x$",
        "a+b",
        "^(\\+49|0)1[5-7]\\d{1,2}[ /-]?\\d{6,8}$",
        "\\w+\\W",
    ],
)
def test_usual_patterns_are_taken_and_are_fast_on_texts_made_to_be_slow(pattern: str) -> None:
    attr("email").matches(pattern)
    searched = re.compile(python_form(pattern))
    begin = time.process_time()
    for text in ("a" * 1_000, "ab" * 500, "a.a" * 300, "0" * 1_000, "+491" * 200):
        searched.search(text)
    assert time.process_time() - begin < 1
