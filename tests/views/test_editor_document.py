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
from optinb.views.editor.document import (
    NEW,
    WHERE,
    Json,
    build,
    condition,
    core,
    document_of,
    group_of,
    joined,
    kind_in,
    operator_of,
    opposite,
    parts,
    texts_of,
    window_of,
    with_texts,
)
from optinb.views.editor.edits import (
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
from optinb.views.editor.holes import BLANKS, OPERATORS, filled, shown, unit_of, write
from optinb.views.history import History

A, B, C = (condition(name, "eq", "text", ("x",)) for name in "abc")
DE = attr("country") == "DE"
BOUGHT = did("purchase").within(days=60)
BEHAVIOUR, CAMPAIGN, EMPTY = NEW["behaviour"], NEW["campaign"], group_of("all", [])


def all_(*lines: Json) -> Json:
    return group_of("all", lines)


def any_(*lines: Json) -> Json:
    return group_of("any", lines)


def rule_of(document: Json) -> Rule:
    built = build(document)
    assert built.rule is not None and not built.problems
    return built.rule


@given(rules())
def test_every_rule_of_the_language_comes_back_from_its_document(rule):
    assert to_json(rule_of(document_of(rule))) == to_json(rule)


@given(rules(), st.data())
def test_a_part_of_any_rule_that_is_moved_keeps_every_condition(rule, data):
    document = document_of(rule)
    path = (data.draw(st.integers(0, len(parts(document)) - 1)),)
    part = part_at(document, path)
    for by in data.draw(st.lists(st.sampled_from([-1, 1]), max_size=6)):
        before = leaves(document)
        document, path = move(document, path, by)
        assert part_at(document, path) == part
        assert sorted(map(repr, leaves(document))) == sorted(map(repr, before))


def leaves(document: Json) -> list:
    found = []
    for part in parts(document):
        found += leaves(part) if joined(part) else [part]
    return found


@given(
    st.sampled_from(sorted(BLANKS)), st.one_of(st.text(max_size=9), st.from_regex(r"-?[0-9,.]{0,9}", fullmatch=True))
)
def test_a_blank_shows_what_was_written_and_is_read_as_that(kind, text):
    leaf = write(kind, text)
    assert shown(leaf) == text
    try:
        value = BLANKS[kind].read(text) if text.strip() else None
    except (RuleError, ValueError):
        value = None
    if kind in ("date", "days_ago", "days_ahead"):
        assert unit_of(leaf) == kind
        leaf = leaf["day" if kind == "date" else "days"]
    if value is None:
        assert leaf == {"is": "hole", "kind": kind, "text": text}
    else:
        assert filled(leaf) == value


@pytest.mark.parametrize(("text", "leaf"), [("2", 2), ("12.5", 12.5), ("-3", -3)])
def test_a_value_stands_in_the_document_as_in_the_rule(text, leaf):
    assert write("number", text) == leaf
    assert write("days_ago", "3") == {"is": "days_ago", "days": 3}
    assert write("yes/no", "no") is False


@pytest.mark.parametrize("text", ["", "1x", "12.", "12.50", "1,250", "05", " 2"])
def test_what_would_read_otherwise_stays_as_it_was_written(text):
    assert write("number", text) == {"is": "hole", "kind": "number", "text": text}


def test_the_day_of_the_run_is_on_the_side_that_was_chosen():
    assert unit_of(write("days_ahead", "0")) == "days_ahead"
    document = all_(condition("born", "eq", "day", ("0",), "days_ahead"))
    assert rule_of(document) == (attr("born") == days_ago(0))


def test_every_operator_is_recognized_in_its_own_form():
    for op, operator in OPERATORS.items():
        for kind in operator.kinds:
            line = condition("a", op, kind)
            assert operator_of(line) == op
            assert kind_in(line, {"a": kind}) == kind
            assert texts_of(line) == operator.starts
            assert with_texts(line, texts_of(line)) == line


@pytest.mark.parametrize(
    ("rule", "document"),
    [
        (DE, all_(condition("country", "eq", "text", ("DE",)))),
        (~DE, all_(opposite(condition("country", "eq", "text", ("DE",))))),
        (attr("a").is_known(), all_(condition("a", "known", "text"))),
        (~BOUGHT, all_(opposite(BEHAVIOUR | {"window": {"is": "last", "days": 60}}))),
        (
            none_of(DE, in_group("VIPs")),
            group_of("none", [condition("country", "eq", "text", ("DE",)), {"is": "in_group", "group": "VIPs"}]),
        ),
        (attr("born").anniversary(within_next=7), all_(condition("born", "birthday", "day", ("0", "7")))),
        (attr("registered_at") >= days_ago(-3), all_(condition("registered_at", "ge", "day", ("3",), "days_ahead"))),
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
    assert parts(document)[0]["is"] == "code"
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
    assert core(parts(document)[0])["is"] != "code"
    assert rule_of(document) == rule


def test_a_group_of_one_part_at_the_top_means_that_part_and_below_is_kept():
    assert rule_of(any_(A)) == Compare("a", "eq", "x")
    one = AllOf((Compare("a", "eq", "x"),))
    assert rule_of(document_of(one)) == one
    assert rule_of(all_(A, any_(B))) == all_of(rule_of(all_(A)), any_of(attr("b") == "x"))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (NEW["attribute"], "Choose an attribute."),
        (condition("age", "ge", "number"), "Write a number."),
        (condition("age", "ge", "number", ("1x",)), "“1x” is no number; write such as 1250 or 12.5."),
        (condition("is_test", "eq", "yes/no"), "Choose yes or no."),
        (
            condition("born", "eq", "day", ("23.11.2026",), "date"),
            "“23.11.2026” is no date; write such as 2026-11-23.",
        ),
        (condition("born", "ge", "day", ("",), "days_ago"), "Write a number of days."),
        (condition("born", "ge", "day", ("-2",), "days_ago"), "“-2” lies on the other side of the run date"),
        (condition("born", "birthday", "day", ("0", "400")), "400 days can't be asked for; give a number from -366 to"),
        (condition("city", "eq", "text", (" B",)), "Spaces at the ends and line breaks can only be written as code."),
        (condition("city", "one_of", "text"), "Write a value, one a line."),
        (condition("value", "top", "number", ("120",)), "120 % is no part of the customers"),
        (condition("mail", "matches", "text", ("(a+)+",)), "repetition"),
        (BEHAVIOUR | {"event": write("event", "")}, "Choose what they did."),
        (BEHAVIOUR | {"value": write("count", "2.5")}, "A count is a whole number and not negative, not 2.5."),
        (BEHAVIOUR | {"measure": "total", "column": write("total", "")}, "Choose the column that the total is of."),
        (BEHAVIOUR | {"window": window_of("last")}, "Write a number of days."),
        (BEHAVIOUR | {"window": window_of("between")}, "Choose the first day."),
        (
            BEHAVIOUR | {"window": {"is": "between", "first": "2026-02-01", "last": "2026-01-01"}},
            "ends (2026-01-01) before it begins (2026-02-01); swap the days.",
        ),
        (CAMPAIGN | {"times": write("times", "0")}, "give a number from 1 to 10,000."),
        (NEW["app"] | {"version_from": "3.x"}, "is no version; write numbers with points between"),
        (NEW["group"], "Choose a saved group."),
        (NEW["list"], "Choose a list."),
        (NEW["code"], "Write a rule, such as attr('country') == 'DE'."),
        ({"is": "code", "text": "attr('x')"}, "is no rule yet"),
        ({"is": "code", "text": "attr('x') = 1"}, "can't be read at column"),
        (EMPTY, "Nothing is in this group yet"),
    ],
)
def test_what_is_missing_is_said_at_its_place(part, said):
    built = build(all_(A, part))
    assert built.rule is None
    assert [problem.path for problem in built.problems] == [(1,)]
    assert said in built.problems[0].text


def test_everything_that_is_missing_is_told_at_once_and_inside_behaviours_too():
    where = any_(NEW["attribute"], A)
    built = build(all_(NEW["attribute"], opposite(BEHAVIOUR | {"filter": where})))
    assert [problem.path for problem in built.problems] == [(0,), (1, WHERE, 0)]


def test_separators_of_thousands_are_read():
    assert rule_of(all_(condition("spend", "ge", "number", ("1,250.5",)))) == (attr("spend") >= 1250.5)
    assert build(all_(condition("spend", "ge", "number", ("1,25",)))).problems


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
    none = group_of("none", [A, opposite(B)])
    built = build(all_(A, opposite(BEHAVIOUR | {"filter": any_(A, B)}), none))
    assert built.place(message).path == path


def test_edits_change_one_place_and_leave_the_document_before_as_it_was():
    document = all_(A, any_(B, C))
    assert parts(add(document, (1,), A))[1] == any_(B, C, A)
    assert parts(remove(document, (1, 0)))[1] == any_(C)
    assert remove(document, ()) == EMPTY
    assert parts(change(document, (1, 1), value="y"))[1] == any_(B, C | {"value": "y"})
    assert parts(wrap(document, (0,)))[0] == any_(A)
    assert unwrap(document, (1,)) == all_(A, B, C)
    assert parts(copy(document, (0,)))[:2] == [A, A]
    assert document == all_(A, any_(B, C))


def test_a_part_goes_line_by_line_into_groups_and_out_again():
    document, path = all_(A, any_(B), C), (0,)
    seen = []
    for _ in range(5):
        document, path = move(document, path, 1)
        seen.append(path)
    assert seen == [(0, 0), (0, 1), (1,), (2,), (2,)]
    assert document == all_(any_(B), C, A)
    for _ in range(5):
        document, path = move(document, path, -1)
    assert document == all_(A, any_(B), C)


def test_the_opposite_of_a_part_says_the_opposite():
    for part in (A, any_(A, B), all_(A, B)):
        document = all_(C, part)
        plain, opposite = rule_of(document), rule_of(negate(document, (1,)))
        assert isinstance(plain, AllOf) and isinstance(opposite, AllOf)
        assert opposite.rules[1] == Not(plain.rules[1])
    assert rule_of(negate(negate(all_(C, any_(A, B)), (1,)), (1,))) == all_of(
        attr("c") == "x", AnyOf((attr("a") == "x", attr("b") == "x"))
    )


def test_edits_inside_a_behaviour_keep_to_its_own_conditions():
    document = all_(BEHAVIOUR | {"filter": all_(A, B), "window": None})
    moved, path = move(document, (0, WHERE, 0), -1)
    assert (moved, path) == (document, (0, WHERE, 0))
    emptied = remove(document, (0, WHERE))
    assert part_at(emptied, (0,))["filter"] is None
    assert rule_of(emptied) == did("purchase")


def test_steps_are_taken_back_and_made_again():
    history = History(EMPTY).do(all_(A)).do(all_(A, B))
    assert history.undo().now == all_(A)
    assert history.undo().undo().undo().now == EMPTY
    assert history.undo().redo() == history.redo()
    assert history.undo().do(all_(C)).redo().now == all_(C)


def test_letters_typed_into_one_blank_are_one_step():
    history = History(all_(A))
    for typed in ("y", "yz"):
        history = history.do(change(history.now, (0,), value=write("text", typed)), topic="0 value")
    history = history.do(change(history.now, (0,), op="ne"), topic="0 op")
    assert len(history.before) == 2
    assert history.undo().undo().now == all_(A)


def test_a_rule_that_is_too_large_is_a_problem_of_the_whole():
    built = build(all_(*(A,) * 3_000))
    assert built.rule is None and built.problems[0].path == ()
    with pytest.raises(RuleError):
        to_json(AllOf((attr("a") == "x",) * 3_000))
