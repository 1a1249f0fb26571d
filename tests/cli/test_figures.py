"""No figure that people see has an exponent, however small or large it is."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optinb import show
from optinb.base.figures import amount, exact, figure, share
from optinb.campaigns.part_words import part_words
from optinb.campaigns.power import power_of
from optinb.measure.pages import number, percent
from optinb.rules import attr, from_json, parse, sentence, to_json, to_text
from optinb.segments.discovery import Discovery, Finding
from optinb.segments.profile import _text as of_a_profile
from optinb.show.customers import discovery_summary, finding
from optinb.show.tables import cell, table
from optinb.views.editor.holes import shown as in_the_editor
from optinb.views.tables import _short as in_a_table

EXPONENT = re.compile(r"\d[eE][+-]?\d")
EXTREMES = [9.785e-12, 5e-324, 1e-7, 9.999e-5, 0.0001, 0.00049, 0.5, 999.96, 9_999.7, 99_999.96, 1e16, 1.5e22, 1.7e308]
SHOWN = {
    "figure": figure,
    "few digits": lambda value: figure(value, digits=2),
    "share": share,
    "signed share": lambda value: share(value, signed=True),
    "amount": amount,
    "exact": exact,
    "exact with separators": lambda value: exact(value, separators=True),
    "cell": cell,
    "table": lambda value: table([("a", value)], head=("name", "value")),
    "number of a page": number,
    "share of a page": percent,
    "profile": lambda value: of_a_profile(value, is_share=False),
    "share of a profile": lambda value: of_a_profile(value, is_share=True),
    "table of a page": in_a_table,
    "editor": in_the_editor,
    "sentence": lambda value: sentence(attr("spend") > value),
    "rule": lambda value: to_text(attr("spend") > value),
    "control": lambda value: part_words("control share", repr(value)),
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("value", [*EXTREMES, *(-value for value in EXTREMES), 0.0, -0.0])
def test_no_figure_has_an_exponent(name: str, value: float) -> None:
    shown = SHOWN[name](value)
    assert not EXPONENT.search(shown), shown
    assert not shown.startswith("-0.00") or float(shown.strip("%")) != 0 or name.startswith("exact")


@given(st.floats())
@example(math.nan)
@example(math.inf)
def test_figures_of_any_float_are_words_or_digits(value: float) -> None:
    for show_one in (figure, share, amount, cell, number, percent):
        assert not EXPONENT.search(show_one(value))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_a_rule_that_is_written_out_is_the_same_rule(value: float) -> None:
    rule = attr("spend") >= value
    assert parse(to_text(rule)) == rule == from_json(to_json(rule))


def test_what_is_nearly_nothing_is_said_to_be_under_something() -> None:
    assert (figure(9.785e-12), share(9.785e-12), amount(9.785e-12)) == ("under 0.0001", "under 0.1%", "under 0.01")
    assert (figure(0.0), share(0.0), amount(0.0)) == ("0", "0.0%", "0.00")
    assert (figure(None), figure(math.nan), figure(math.inf)) == ("–", "–", "∞")
    assert (figure(1234567.891), figure(0.012345), figure(-1.5)) == ("1,234,568", "0.01235", "-1.5")


@pytest.mark.parametrize("value", EXTREMES)
@pytest.mark.parametrize("kind", ["yes/no", "number"])
def test_what_was_discovered_shows_no_exponent(kind: Literal["yes/no", "number"], value: float) -> None:
    found = Finding(
        rule=attr("spend") > value,
        condition=attr("spend") > value,
        size=9,
        share=value,
        rate=value,
        rate_outside=value / 3,
        low=-value,
        high=value,
        captured=value,
        q_value=value,
        p_confirmed=value,
    )
    discovery = Discovery(
        target="spend",
        kind=kind,
        within=None,
        run_date=date(2026, 11, 23),
        customers=99,
        known=99,
        rate=value,
        tested=9,
        attributes=("spend",),
        left_out={},
        warnings=(),
        findings=(found,),
    )
    page = re.sub(r"<style>.*?</style>", "", show.html(discovery), flags=re.DOTALL)
    rows = discovery.table()
    assert rows["size"].to_list() == [9]
    told = rows["rate"].to_list()
    assert told == [None] if value > 10**33 else [float(rate) for rate in told] == pytest.approx([value], abs=0.0001)
    shown = (
        show.text(discovery),
        page,
        finding(discovery, found),
        discovery_summary(discovery),
        str(rows),
        rows._repr_html_(),
    )
    for text in shown:
        assert not EXPONENT.search(re.sub(r"<[^>]*>", "", text)), text


@pytest.mark.parametrize("value", EXTREMES)
def test_a_test_of_any_power_shows_no_exponent(value: float) -> None:
    told = power_of(recipients=900, control=100, base_rate=min(value, 0.9), measurement_days=14).warning or ""
    assert not EXPONENT.search(told), told
