from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_strategies import rules

from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    AnyOf,
    Compare,
    Not,
    Rule,
    all_of,
    any_of,
    attr,
    days_ago,
    did,
    in_group,
    in_list,
    none_of,
    responded,
    to_json,
    uses_app,
)
from optinb.views.editor.building import build
from optinb.views.editor.document import WHERE, BehaviourPart, CampaignPart, Code, Condition, GroupPart, Saved, Window
from optinb.views.editor.edits import (
    History,
    add,
    change,
    copy,
    move,
    negate,
    part_at,
    remove,
    unwrap,
    wrap,
)
from optinb.views.editor.reading import document_of

A, B, C = (Condition(name, "eq", "text", ("x",)) for name in "abc")
DE = attr("country") == "DE"
BOUGHT = did("purchase").within(days=60)


def rule_of(document: GroupPart) -> Rule:
    built = build(document)
    assert built.rule is not None and not built.problems
    return built.rule


@given(rules())
def test_every_rule_of_the_language_comes_back_from_its_document(rule):
    assert to_json(rule_of(document_of(rule))) == to_json(rule)


@given(rules(), st.data())
def test_a_part_of_any_rule_that_is_moved_keeps_every_condition(rule, data):
    document = document_of(rule)
    path = (data.draw(st.integers(0, len(document.parts) - 1)),)
    part = part_at(document, path)
    for by in data.draw(st.lists(st.sampled_from([-1, 1]), max_size=6)):
        before = leaves(document)
        document, path = move(document, path, by)
        assert part_at(document, path) == part
        assert sorted(map(repr, leaves(document))) == sorted(map(repr, before))


def leaves(document: GroupPart) -> list:
    found = []
    for part in document.parts:
        found += leaves(part) if isinstance(part, GroupPart) else [part]
    return found


@pytest.mark.parametrize(
    ("rule", "document"),
    [
        (DE, GroupPart("all", (Condition("country", "eq", "text", ("DE",)),))),
        (~DE, GroupPart("all", (Condition("country", "eq", "text", ("DE",), negated=True),))),
        (attr("a").is_known(), GroupPart("all", (Condition("a", "known", values=()),))),
        (~BOUGHT, GroupPart("all", (BehaviourPart(window=Window("last", days="60"), negated=True),))),
        (
            none_of(DE, in_group("VIPs")),
            GroupPart("none", (Condition("country", values=("DE",)), Saved("group", "VIPs"))),
        ),
        (
            attr("born").anniversary(within_next=7),
            GroupPart("all", (Condition("born", "anniversary", "day", ("0", "7")),)),
        ),
        (
            attr("registered_at") >= days_ago(-3),
            GroupPart("all", (Condition("registered_at", "ge", "day", ("3",), "days_ahead"),)),
        ),
    ],
)
def test_what_has_a_form_is_shown_in_it(rule, document):
    assert document_of(rule) == document


@pytest.mark.parametrize(
    "rule",
    [
        attr("city") == "",
        attr("city").contains("two\nlines"),
        attr("city").one_of(["A", " B"]),
    ],
)
def test_what_no_blank_can_hold_is_a_line_of_code(rule):
    document = document_of(rule)
    assert isinstance(document.parts[0], Code)
    assert rule_of(document) == rule


@pytest.mark.parametrize(
    "rule",
    [
        did("purchase").last() < date(2026, 1, 31),
        did("purchase").where(attr("category") == "BABY").total("amount") >= 100.5,
        did("app_open").days_in_a_row(3).within(days=14),
        attr("born") >= date(1990, 1, 1),
        attr("value").top(12.5, within="country"),
        attr("is_test") == False,  # noqa: E712
        attr("age").one_of([18, 21]),
        uses_app("shop-ios").version_at_least("3.2").used_between(date(2026, 1, 1), date(2026, 2, 1)),
        ~responded("Summer", days=3).at_least(2).within(days=30),
        in_list("Trade fair", sha256="0" * 64),
    ],
)
def test_hardly_anything_needs_code(rule):
    document = document_of(rule)
    assert not isinstance(document.parts[0], Code)
    assert rule_of(document) == rule


def test_a_group_of_one_part_at_the_top_means_that_part_and_below_is_kept():
    assert rule_of(GroupPart("any", (A,))) == Compare("a", "eq", "x")
    one = AllOf((Compare("a", "eq", "x"),))
    assert rule_of(document_of(one)) == one
    assert rule_of(GroupPart("all", (A, GroupPart("any", (B,))))) == all_of(
        rule_of(GroupPart(parts=(A,))), any_of(attr("b") == "x")
    )


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Condition(), "Choose an attribute."),
        (Condition("age", "ge", "number", ("",)), "Write a number."),
        (Condition("age", "ge", "number", ("1x",)), "“1x” is no number; write such as 1250 or 12.5."),
        (Condition("is_test", "eq", "yes/no", ("",)), "Choose yes or no."),
        (Condition("born", "eq", "day", ("23.11.2026",)), "“23.11.2026” is no date; write such as 2026-11-23."),
        (Condition("born", "ge", "day", ("",), "days_ago"), "Write a number of days."),
        (Condition("city", "one_of", "text", ("",)), "Write a value, one a line."),
        (Condition("value", "top", "number", ("120",)), "120 % is no part of the customers"),
        (Condition("mail", "matches", "text", ("(a+)+",)), "repetition"),
        (BehaviourPart(event=""), "Choose what they did."),
        (BehaviourPart(value="2.5"), "A count is a whole number and not negative, not 2.5."),
        (BehaviourPart(measure="total"), "Choose the column that the total is of."),
        (BehaviourPart(window=Window("last")), "Write a number of days."),
        (BehaviourPart(window=Window("between", first="2026-02-01", last="2026-01-01")), "ends (2026-01-01) before"),
        (CampaignPart(times="0"), "give a number from 1 to 10,000."),
        (Saved("list"), "Choose a list."),
        (Code("attr('x')"), "is no rule yet"),
        (Code("attr('x') = 1"), "can't be read at column"),
        (GroupPart(), "Nothing is in this group yet"),
    ],
)
def test_what_is_missing_is_said_at_its_place(part, said):
    built = build(GroupPart("all", (A, part)))
    assert built.rule is None
    assert [problem.path for problem in built.problems] == [(1,)]
    assert said in built.problems[0].text


def test_everything_that_is_missing_is_told_at_once_and_inside_behaviours_too():
    where = GroupPart("any", (Condition(), A))
    built = build(GroupPart("all", (Condition(), BehaviourPart(where=where, negated=True))))
    assert [problem.path for problem in built.problems] == [(0,), (1, WHERE, 0)]


def test_separators_of_thousands_are_read():
    assert rule_of(GroupPart("all", (Condition("spend", "ge", "number", ("1,250.5",)),))) == (attr("spend") >= 1250.5)
    assert build(GroupPart("all", (Condition("spend", "ge", "number", ("1,25",)),))).problems


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("rule.all[0]: attribute 'a' isn't known", (0,)),
        ("rule.all[1].not.where.any[1]: no", (1, WHERE, 1)),
        ("rule.all[2].not.any[1].not: no", (2, 1)),
        ("rule.all[9]: no", ()),
        ("no model tells 'x': too few", ()),
    ],
)
def test_an_error_of_the_rule_is_placed_at_its_part(message, path):
    where = GroupPart("any", (A, B))
    none = GroupPart("none", (A, Condition("b", "eq", "text", ("x",), negated=True)))
    built = build(GroupPart("all", (A, BehaviourPart(where=where, negated=True), none)))
    assert built.place(message).path == path


def test_edits_change_one_place_and_leave_the_document_before_as_it_was():
    document = GroupPart("all", (A, GroupPart("any", (B, C))))
    assert add(document, (1,), A).parts[1] == GroupPart("any", (B, C, A))
    assert remove(document, (1, 0)).parts[1] == GroupPart("any", (C,))
    assert remove(document, ()) == GroupPart()
    assert change(document, (1, 1), values=("y",)).parts[1] == GroupPart("any", (B, Condition("c", values=("y",))))
    assert wrap(document, (0,)).parts[0] == GroupPart("any", (A,))
    assert unwrap(document, (1,)) == GroupPart("all", (A, B, C))
    assert copy(document, (0,)).parts[:2] == (A, A)
    assert document == GroupPart("all", (A, GroupPart("any", (B, C))))


def test_a_part_goes_line_by_line_into_groups_and_out_again():
    document, path = GroupPart("all", (A, GroupPart("any", (B,)), C)), (0,)
    seen = []
    for _ in range(5):
        document, path = move(document, path, 1)
        seen.append(path)
    assert seen == [(0, 0), (0, 1), (1,), (2,), (2,)]
    assert document == GroupPart("all", (GroupPart("any", (B,)), C, A))
    for _ in range(5):
        document, path = move(document, path, -1)
    assert document == GroupPart("all", (A, GroupPart("any", (B,)), C))


def test_the_opposite_of_a_part_says_the_opposite():
    for part in (A, GroupPart("any", (A, B)), GroupPart("all", (A, B))):
        document = GroupPart("all", (C, part))
        plain, opposite = rule_of(document), rule_of(negate(document, (1,)))
        assert isinstance(plain, AllOf) and isinstance(opposite, AllOf)
        assert opposite.rules[1] == Not(plain.rules[1])
    assert rule_of(negate(negate(GroupPart("all", (C, GroupPart("any", (A, B)))), (1,)), (1,))) == all_of(
        attr("c") == "x", AnyOf((attr("a") == "x", attr("b") == "x"))
    )


def test_edits_inside_a_behaviour_keep_to_its_own_conditions():
    document = GroupPart("all", (BehaviourPart(where=GroupPart("all", (A, B))),))
    moved, path = move(document, (0, WHERE, 0), -1)
    assert (moved, path) == (document, (0, WHERE, 0))
    emptied = remove(document, (0, WHERE))
    assert part_at(emptied, (0, WHERE)) == GroupPart()
    assert rule_of(emptied) == did("purchase")


def test_steps_are_taken_back_and_made_again():
    history = History(GroupPart()).do(GroupPart("all", (A,))).do(GroupPart("all", (A, B)))
    assert history.undo().now == GroupPart("all", (A,))
    assert history.undo().undo().undo().now == GroupPart()
    assert history.undo().redo() == history.redo()
    assert history.undo().do(GroupPart("all", (C,))).redo().now == GroupPart("all", (C,))


def test_letters_typed_into_one_blank_are_one_step():
    history = History(GroupPart("all", (A,)))
    for typed in ("y", "yz"):
        history = history.do(change(history.now, (0,), values=(typed,)), topic="0 value")
    history = history.do(change(history.now, (0,), op="ne"), topic="0 op")
    assert len(history.before) == 2
    assert history.undo().undo().now == GroupPart("all", (A,))


def test_a_rule_that_is_too_large_is_a_problem_of_the_whole():
    built = build(GroupPart("all", (A,) * 3_000))
    assert built.rule is None and built.problems[0].path == ()
    with pytest.raises(RuleError):
        to_json(AllOf((attr("a") == "x",) * 3_000))
