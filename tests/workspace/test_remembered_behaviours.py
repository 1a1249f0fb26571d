"""Counts stay exact while what customers did is remembered from one edit to the next."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optinb import attr, did, in_group, received
from optinb.demo import RUN_DATE
from optinb.errors import RuleError
from optinb.segments import membership_cache as remembered

BOUGHT = did("purchase").at_least(2).within(days=365)
QUIET = ~did("purchase").within(days=60)


@pytest.fixture
def counted_anew(monkeypatch):
    """The rules, and parts of rules, that are counted from the rows of what customers did."""
    seen = []
    found = remembered._counted

    def spy(rule, tables):
        seen.append(rule)
        return found(rule, tables)

    monkeypatch.setattr(remembered, "_counted", spy)
    return seen


@pytest.mark.parametrize(
    "costly", [BOUGHT, QUIET, BOUGHT & QUIET, did("app_open") | ~BOUGHT, in_group("Lapsed buyers")]
)
def test_every_count_is_that_of_the_members(ws, counted_anew, costly):
    for country in ("DE", "FR", "DE", "AT", "nowhere"):
        rule = (attr("country") != country) & costly & (attr("is_test") == False)  # noqa: E712
        assert ws.preview(rule).customers == len(ws.members(rule))
    assert len(counted_anew) == 2  # the first rule, and with the second the part that both share


def test_an_edit_of_the_behaviour_is_counted_anew_and_one_taken_back_is_not(ws, counted_anew):
    for days in (30, 90, 365, 90, 30):
        rule = (attr("country") == "DE") & did("purchase").within(days=days)
        assert ws.preview(rule).customers == len(ws.members(rule))
    assert len(counted_anew) == 3


def test_nothing_of_an_older_version_is_remembered(ws):
    rule = (attr("country") == "DE") & ~did("purchase").within(days=30)
    for _ in range(3):
        ws.preview(rule)
    ws.model(RUN_DATE + timedelta(days=1))
    found = ws.preview(rule)
    assert found.warehouse_version == ws.snapshot().version
    assert found.customers == len(ws.members(rule))


def test_what_campaigns_did_is_never_remembered(ws, counted_anew):
    rule = (attr("country") == "DE") & ~received()
    for _ in range(3):
        assert ws.preview(rule).customers == len(ws.members(rule))
    assert len(counted_anew) == 3


def test_for_a_few_customers_the_rows_of_all_others_stay_left_out(ws, counted_anew):
    for country in ("AT", "CH", "ES"):
        rule = (attr("country") == country) & BOUGHT
        assert ws.preview(rule).customers == len(ws.members(rule))
    assert len(counted_anew) == 3


def test_true_is_not_taken_for_one(ws):
    ws.preview(BOUGHT & (attr("is_test") == True))  # noqa: E712
    with pytest.raises(RuleError, match="can't be compared with the number 1"):
        ws.preview(BOUGHT & (attr("is_test") == 1))


def test_a_rule_that_doesnt_fit_is_refused_each_time(ws):
    for _ in range(3):
        with pytest.raises(RuleError, match="did you mean 'country'"):
            ws.preview((attr("contry") == "DE") & BOUGHT)
