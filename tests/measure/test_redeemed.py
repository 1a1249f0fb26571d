"""Who redeemed what: by the code, whoever came with it, or by the offer's name for a customer who had got it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from optinb.campaigns import EarlierShare, OfferCost
from optinb.measure import CampaignRedemptions
from optinb.measure.redeemed import GIVEN, REDEEMED, TOLD, by_night, redeemed, told_by_purchases

FIRST, SECOND = date(2026, 11, 23), date(2026, 11, 24)


def at(day: date, hour: int) -> datetime:
    """A moment in UTC, without its offset, as tables have it."""
    return datetime.fromisoformat(day.isoformat()) + timedelta(hours=hour)


def given(
    *rows: tuple[str, date, str, str | None], cost: float | None = 5.0, shared: str | None = None
) -> pl.DataFrame:
    told = [(c, night, at(night, 17), who, code, shared, cost) for c, night, who, code in rows]
    return pl.DataFrame(told, schema=GIVEN, orient="row")


def came(day: date, *, code=None, offer=None, who=None, cost=None, hour=20, id=None) -> tuple:
    return (at(day, hour), code, offer, who, cost, id, False)


def purchases(*rows: tuple[str, date, str, str | None, float]) -> list[tuple]:
    """What purchases tell: of id, day, customer, code and amount."""
    names = ["transaction_id", "occurred_at", "customer_id", "promo_code", "amount"]
    told = [(key, at(day, 20), who, code, paid) for key, day, who, code, paid in rows]
    return told_by_purchases(pl.LazyFrame(told, schema=names, orient="row")).collect().rows()


def found(rows: list[tuple], got: pl.DataFrame, **kw) -> list[tuple]:
    frame = redeemed(pl.DataFrame(rows, schema=TOLD, orient="row"), got, offer="Spring", **kw)
    assert frame.schema == REDEEMED
    return frame.select("campaign_id", "night", "customer_id", "redeemed_by", "by_other", "cost").rows()


OWN = given(("c", FIRST, "ann", "A-1"), ("c", FIRST, "bob", "A-2"), ("c", SECOND, "cid", "A-3"))


def test_a_code_counts_for_whom_it_was_given_to_whoever_came_with_it():
    rows = [
        came(SECOND, code="A-1", who="ann", hour=1),
        came(SECOND, code="A-2", who="eve", hour=2),
        came(SECOND, code="A-3", hour=3),
        came(SECOND, code="A-9", who="ann", hour=4),  # that nobody got
    ]
    assert found(rows, OWN) == [
        ("c", FIRST, "ann", "ann", False, 5.0),
        ("c", FIRST, "bob", "eve", True, 5.0),
        ("c", SECOND, "cid", None, None, 5.0),
    ]


def test_a_person_who_was_merged_is_nobody_else():
    rows = [came(SECOND, code="A-1", who="ann2")]
    assert found(rows, OWN, persons={"ann": "p", "ann2": "p"})[0][4] is False
    assert found(rows, OWN)[0][4] is True


def test_an_offer_by_name_counts_in_the_newest_night_that_gave_it_before():
    got = given(("c", FIRST, "ann", None), ("d", SECOND, "ann", None), ("c", FIRST, "bob", None))
    rows = [
        came(FIRST, offer="spring", who="ann"),
        came(SECOND, offer="SPRING", who="ann"),
        came(SECOND, offer="Autumn", who="ann"),
        came(FIRST, offer="Spring", who="bob", hour=9),  # before it was sent
        came(SECOND, offer="Spring", who="eve"),  # who didn't get it
    ]
    assert [row[:3] for row in found(rows, got)] == [("c", FIRST, "ann"), ("d", SECOND, "ann")]


def test_a_purchase_counts_by_its_code_and_a_refund_or_one_without_a_code_does_not():
    rows = purchases(
        ("t1", SECOND, "ann", "A-1", 0.0),  # a free coffee is a purchase
        ("t2", SECOND, "eve", "A-2", 9.5),
        ("t3", SECOND, "bob", "A-2", -9.5),
        ("t4", SECOND, "cid", None, 9.5),
    )
    assert [row[2:5] for row in found(rows, OWN)] == [("ann", "ann", False), ("bob", "eve", True)]


def test_a_code_that_all_got_counts_for_each_customer_who_got_it():
    got = given(("c", FIRST, "ann", None), ("c", FIRST, "bob", None), shared="SPRING20")
    bought = purchases(
        ("t1", SECOND, "ann", "spring20", 5.0), ("t2", SECOND, "eve", "SPRING20", 5.0), ("t3", SECOND, "bob", "x", 5.0)
    )
    assert [row[2] for row in found(bought, got)] == ["ann"]
    assert [row[2] for row in found([came(SECOND, code="Spring20", who="bob")], got)] == ["bob"]
    assert [row[2] for row in found(purchases(("t1", SECOND, "ann", "Spring", 5.0)), got)] == [
        "ann"
    ]  # the offer's name


@pytest.mark.parametrize(
    ("told", "bought", "count"),
    [
        ([came(SECOND, code="A-1", id="t1")], [("t1", FIRST, "ann", "A-1", 5.0)], 1),  # by the id
        ([came(SECOND, code="A-1", cost=2.0)], [("t1", FIRST, "ann", "A-1", 5.0)], 1),  # another day
        ([came(SECOND, offer="Spring", who="ann")], [("t1", SECOND, "ann", "A-1", 5.0)], 1),  # by name and by code
        ([came(SECOND, code="A-2")], [("t1", SECOND, "ann", "A-1", 5.0)], 2),  # another code
        ([came(SECOND, code="A-1")], [("t1", SECOND, "ann", "A-1", 5.0), ("t2", FIRST, "ann", "A-1", 5.0)], 2),
        ([came(SECOND, code="A-1", id="t2")], [("t1", SECOND, "ann", "A-1", 5.0), ("t2", FIRST, "ann", "A-1", 5.0)], 2),
        ([came(SECOND, code="A-1"), came(FIRST, code="A-1", id="r9")], [("t1", SECOND, "ann", "A-1", 5.0)], 2),
        ([], [("t1", SECOND, "ann", "A-1", 5.0), ("t2", SECOND, "ann", "A-1", 7.0)], 1),  # two lines of one purchase
        ([came(FIRST, id="t2", code="A-1")], [(f"t{n}", SECOND, "ann", "A-1", 5.0) for n in (1, 2, 3)], 1),  # one's id
    ],
)  # fmt: skip
def test_what_the_table_and_a_purchase_both_tell_counts_once(told, bought, count):
    rows = found([*told, *purchases(*bought)], OWN)
    assert len(rows) == count
    assert [row[5] for row in rows if row[5] != 5.0] == [row[4] for row in told if row[4]]  # the table's cost stays


def test_what_a_row_says_that_it_cost_counts_before_what_one_costs():
    rows = [came(SECOND, code="A-1", cost=1.5), came(SECOND, code="A-2")]
    assert [row[5] for row in found(rows, OWN)] == [1.5, 5.0]
    assert [row[5] for row in found(rows, given(("c", FIRST, "bob", "A-2"), cost=None))] == [None]


@pytest.mark.parametrize(("cost", "told"), [(5.0, 10.0), (None, None)])
def test_each_night_has_its_own_figures_and_an_unknown_cost_stays_unknown(cost, told):
    got = given(("c", FIRST, "ann", "A-1"), ("c", FIRST, "bob", "A-2"), ("c", SECOND, "cid", "A-3"), cost=cost)
    rows = [came(SECOND, code="A-1", who="ann"), came(SECOND, code="A-2", who="ann")]
    frame = redeemed(pl.DataFrame(rows, schema=TOLD, orient="row"), got, offer="Spring")
    first, second = by_night(frame, got)
    assert (first.night, first.given, first.redeemed, first.by_others, first.cost) == (FIRST, 2, 2, 1, told)
    assert (second.given, second.redeemed, second.cost) == (1, 0, 0.0)
    summary = CampaignRedemptions(offer="Spring", currency="EUR", nights=(first, second), until=SECOND)
    assert summary.cost == told
    cost_told = "cost 10.00 EUR" if told else "cost not known"
    assert summary.sentence() == (
        f"'Spring': redeemed 2 of 3 (66.7%), 1 time by somebody else than who got the code; {cost_told}, by the "
        f"delivery of {SECOND}"
    )


def test_what_nobody_can_know_is_said_and_no_figure_made_up():
    unsent = CampaignRedemptions(offer="Spring", currency="EUR")
    assert unsent.sentence() == "nothing of 'Spring' has gone out yet"
    nights = by_night(pl.DataFrame(schema=REDEEMED), OWN)
    untold = CampaignRedemptions(offer="Spring", currency="EUR", nights=nights)
    assert "neither the table `redemptions` nor `promo_code` in transactions was ever delivered" in untold.sentence()
    assert (
        "can't be told: it isn't here"
        in CampaignRedemptions(offer="Spring", currency="EUR", problem="it isn't here").sentence()
    )


def test_the_cost_beforehand_is_exact_and_names_the_source_of_a_share():
    cost = OfferCost(recipients=10_000, cost_of_one=5.0, currency="EUR")
    assert cost.sentence() == "at most 10,000 recipients x 5.00 EUR = 50,000.00 EUR, if everybody redeems"
    earlier = EarlierShare(redeemed=30, given=1_000, campaigns=("Spring, lapsed",))
    told = OfferCost(recipients=3, cost_of_one=0.1, currency="EUR", is_each_night=True, earlier=earlier)
    assert told.at_most == 0.3
    assert "each time, if everybody redeems; " in told.sentence()
    assert "3.0% (30 of 1,000) redeemed this offer in Spring, lapsed" in told.sentence()
