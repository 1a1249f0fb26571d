"""What is left out below the group-by, and that a rule's shape proves it."""

from __future__ import annotations

from datetime import date

from rule_oracle import RUN, World

from optinb.rules import Not, all_of, any_of, attr, did, uses_app
from optinb.segments import plan_of
from optinb.segments.compile import explain
from optinb.segments.pushdown import relevance, split

DE, VIP = attr("country") == "DE", attr("vip") == True  # noqa: E712
OFTEN = did("purchase").at_least(2).within(days=365)
QUIET = ~did("purchase").within(days=60)


def test_cheap_conditions_of_a_conjunction_restrict_what_is_read() -> None:
    plan = plan_of(DE & OFTEN & QUIET, RUN)
    assert [scan.only for scan in plan.scans] == [DE]
    assert plan.joins == ("semi",)
    assert len(plan.scans[0].measures) == 2
    assert plan.scans[0].first == date(2025, 3, 30)


def test_a_cheap_condition_beside_or_matters_only_where_it_fails() -> None:
    leaf = OFTEN
    assert relevance(VIP | leaf) == {leaf: Not(VIP)}
    assert relevance(VIP & ~(DE | leaf)) == {leaf: all_of(VIP, Not(DE))}


def test_a_behaviour_at_two_places_is_read_for_the_customers_of_both() -> None:
    leaf = OFTEN
    assert relevance((DE & leaf) | (VIP & leaf)) == {leaf: any_of(DE, VIP)}
    assert relevance((DE & leaf) | leaf) == {leaf: None}


def test_every_member_fulfils_the_cheap_parts_of_a_denied_or() -> None:
    assert split(~(DE | OFTEN)) == ((Not(DE),), (Not(OFTEN),))


def test_nothing_bought_is_looked_for_outside_of_the_rows_so_that_who_never_bought_stays() -> None:
    plan = plan_of(did("purchase").exactly(0).within(days=180), RUN)
    assert (plan.joins, plan.whether) == (("anti",), True)
    assert plan_of(did("purchase").at_most(3), RUN).joins == ("anti",)


def test_behaviours_of_two_tables_keep_customers_without_rows_where_they_may_belong() -> None:
    opened = did("open").within(days=7)
    assert plan_of(OFTEN & opened, RUN).joins == ("inner", "inner")
    assert plan_of(OFTEN | opened, RUN).joins == ("left", "left")
    assert plan_of(OFTEN & ~opened, RUN).joins == ("inner", "left")


def test_a_condition_that_most_fulfil_is_not_pushed_below_and_the_plan_says_so() -> None:
    people = [{"customer_id": str(i), "country": "DE" if i else "AT"} for i in range(10)]
    explained = explain(DE & OFTEN, World(customers=people).tables())
    assert explained.plan.scans[0].only is None
    (reason,) = [
        r for r in explained.reasons if r.kind == "customers" and "purchases" not in r.what and "90%" in r.what
    ]
    assert not reason.done
    assert "would be safe" in reason.why


def test_only_the_columns_that_are_asked_about_are_read() -> None:
    plan = plan_of(DE & (did("purchase").where(attr("category") == "BABY").total("amount") >= 100), RUN)
    assert plan.columns == ("customer_id", "country")
    assert plan.scans[0].columns == ("amount", "category", "customer_id", "day")


def test_days_in_a_row_that_may_be_fewer_keep_who_has_less() -> None:
    assert plan_of(did("open").days_in_a_row(3), RUN).joins == ("semi",)
    assert plan_of(did("open").days_in_a_row(3).at_most(5), RUN).joins == ("anti",)
    assert plan_of(did("open").days_in_a_row(3).exactly(2), RUN).joins == ("inner", "left")


def test_an_explanation_reads_as_steps_with_a_reason_for_each_thing_left_out() -> None:
    world = World(customers=[{"customer_id": str(i), "country": "DE" if i == 0 else "AT"} for i in range(10)])
    text = str(explain(DE & OFTEN & QUIET & uses_app("shop-ios"), world.tables()))
    assert "Read purchases and measure 2 figures" in text
    assert "every member fulfils it" in text
    assert "for all others the rule is decided" in text
    assert text.count("\n   - ") >= 6
