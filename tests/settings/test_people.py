"""When two names are one person: what "a second person must" is kept by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.base.people import folded, is_among, same_person

ONE = [
    ("Anna", "anna"),
    ("anna", "ANNA "),
    ("\tanna", "anna\n"),
    ("Zo\u00eb", "Zoe\u0308"),  # composed, and of two signs
    ("anna", "\uff41\uff4e\uff4e\uff41"),  # of the width that East Asian signs have
    ("an\u200bna", "anna"),  # a space of no width
    ("an\u00adna", "anna"),  # a soft hyphen
    ("\u202eanna\u202c", "anna"),  # written from the right
    ("anna\ufe0f", "anna"),  # a variation selector
    ("\ufb01ona", "FIONA"),  # a ligature
    ("stra\u00dfe", "STRASSE"),
    ("\u03a3\u03c2", "\u03c3\u03c3"),
    ("anna  b", "anna\u00a0b"),
]


@pytest.mark.parametrize(("one", "other"), ONE, ids=ascii)
def test_names_that_look_alike_are_one_person(one: str, other: str) -> None:
    assert same_person(one, other)
    assert is_among(one, ["bert", other])


@pytest.mark.parametrize(("one", "other"), [("anna", "anne"), ("anna", "ann a"), ("zoe", "zo\u00eb"), ("a", "")])
def test_other_names_are_other_people(one: str, other: str) -> None:
    assert not same_person(one, other)
    assert not is_among(one, [other, "bert"])
    assert not is_among(one, [])


@given(st.text())
def test_a_name_that_counts_counts_as_itself_whatever_its_case_and_composition(name: str) -> None:
    assert folded(folded(name)) == folded(name)
    assert same_person(name, name.casefold())
    assert same_person(name, f" {name}\u200b ")
