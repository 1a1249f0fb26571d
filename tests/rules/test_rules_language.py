from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.errors import RuleError
from optinb.rules import (
    Between,
    Compare,
    Day,
    DaysAgo,
    Did,
    Last,
    Missing,
    OneOf,
    Rule,
    Text,
    attr,
    attributes_of,
    behaviours_of,
    days_ago,
    did,
    fit,
    from_json,
    parse,
    sentence,
    to_json,
    to_text,
)

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
texts = st.text(max_size=20).filter(lambda t: "\x00" not in t and t.isprintable())
numbers = st.one_of(st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False))
days = st.dates(date(1990, 1, 1), date(2040, 1, 1))
comparisons = st.one_of(
    st.builds(
        Compare,
        names,
        st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
        st.one_of(texts, numbers, st.builds(Day, days), st.builds(DaysAgo, st.integers(-100, 1000))),
    ),
    st.builds(Compare, names, st.sampled_from(["eq", "ne"]), st.booleans()),
)
leaves = st.one_of(
    comparisons,
    st.builds(OneOf, names, st.lists(texts, min_size=1, max_size=4).map(tuple)),
    st.builds(Text, names, st.sampled_from(["contains", "starts_with", "ends_with"]), texts.filter(bool)),
    st.builds(Missing, names),
)


def _not(rule: Rule) -> Rule:
    return ~rule


def combined(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        inner.map(_not),
        several.map(lambda rules: rules[0] & rules[1]),
        several.map(lambda rules: rules[0] | rules[1]),
    )


windows = st.one_of(
    st.none(),
    st.builds(Last, st.integers(0, 1000)),
    st.tuples(days, days).map(lambda d: Between(min(d), max(d))),
)
behaviours = st.builds(
    Did,
    names,
    st.sampled_from(["ge", "le", "eq"]),
    st.integers(0, 100),
    st.one_of(st.none(), names),
    st.one_of(st.none(), st.recursive(leaves, combined, max_leaves=3)),
    windows,
)
rules = st.recursive(st.one_of(leaves, behaviours), combined, max_leaves=8)


@given(rules)
def test_a_rule_survives_its_json_form(rule: Rule) -> None:
    assert from_json(to_json(rule)) == rule
    assert to_json(from_json(to_json(rule))) == to_json(rule)


@given(rules)
def test_a_rule_survives_its_text_form(rule: Rule) -> None:
    assert to_json(parse(to_text(rule))) == to_json(rule)


@given(rules)
def test_every_rule_can_be_read_aloud(rule: Rule) -> None:
    assert sentence(rule).strip()


@given(st.text(max_size=200))
def test_any_text_is_a_rule_or_a_rule_error(text: str) -> None:
    try:
        rule = parse(text)
    except RuleError:
        return
    assert from_json(to_json(rule)) == rule


@given(st.binary(max_size=200))
def test_any_bytes_are_a_rule_or_a_rule_error(data: bytes) -> None:
    with pytest.raises(RuleError):
        from_json(data)


def test_sentence_reads_like_english() -> None:
    rule = (attr("country") == "DE") & did("purchase").at_least(2).within(days=365) & ~did("purchase").within(days=60)
    assert sentence(rule) == (
        "country is DE and bought at least 2 times in the last 365 days and bought nothing in the last 60 days"
    )


def test_sentence_names_categories_totals_and_days() -> None:
    rule = did("purchase").where(attr("category") == "BABY").total("amount").at_least(1500).within(days=60) | (
        attr("registered_at") >= date(2026, 1, 2)
    )
    assert sentence(rule) == (
        "bought where category is BABY with a total amount of at least 1,500 in the last 60 days"
        " or registered at is not before 2 January 2026"
    )


def test_attributes_and_behaviours_of_a_rule_are_known() -> None:
    bought = did("purchase").where(attr("category") == "BABY")
    rule = (attr("age") >= 18) & (bought | ~bought) & attr("city").is_known()
    assert attributes_of(rule) == {"age", "city"}
    assert behaviours_of(rule) == (bought,)


def test_double_negation_is_the_rule_itself() -> None:
    rule = attr("country") == "DE"
    assert ~~rule == rule


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("attr('country')", "no rule yet"),
        ("__import__('os').system('true')", "isn't a word of the language"),
        ("did('purchase').withn(days=3)", "did you mean 'within'"),
        ("attr('a') == 1 and attr('b') == 2", "with & and |"),
        ("not attr('a').is_missing()", "write ~"),
        ("attr('a') == 1 & attr('b') == 2", "one comparison at a time"),
        ("18 < attr('a')", "write the attribute first"),
        ("attr('a') == None", "only attr"),
        ("attr('a').one_of([])", "empty set"),
        ("attr('a').one_of([1, 'x'])", "all texts or all numbers"),
        ("attr('a').contains('')", "isn't empty"),
        ("did('purchase').within(days=-1)", "whole number of days"),
        ("did('purchase').within(days=1.5)", "whole number of days"),
        ("did('purchase').within(60)", "positional argument"),
        ("did('purchase').between(date(2026, 2, 1), date(2026, 1, 1))", "before it begins"),
        ("did('purchase').between(date(2026, 2, 30), date(2026, 3, 1))", "day"),
        ("attr(**{'name': 'x'})", "isn't understood"),
        ("attr('x') == (lambda: 1)", "only attr"),
        ("attr('x') == 1e999", "no number to compare with"),
        ("attr('x') == 99999999999999999999", "too large"),
        ("(" * 5000, "can't be read"),
        ("~" * 5000 + "did('x')", "nested too deeply"),
        ("attr('x') == 1\x00", "can't be read"),
        ("", "can't be read"),
        (" & ".join(["(attr('x') == 1)"] * 2500), "nested too deeply"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_remedy(text: str, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint.replace("|", r"\|").replace("(", r"\(")):
        parse(text)


def test_rules_are_never_true_or_false_by_themselves() -> None:
    with pytest.raises(RuleError, match=r"& \| ~"):
        bool(attr("a") == 1)


def test_comparing_with_none_or_a_moment_says_what_to_write() -> None:
    with pytest.raises(RuleError, match="is_missing"):
        attr("a") == None  # noqa: B015, E711
    with pytest.raises(RuleError, match="compare with a day"):
        attr("a") >= datetime(2026, 1, 1)  # noqa: B015, DTZ001


def test_stored_rule_with_an_unknown_kind_names_place_and_nearest() -> None:
    text = '{"optinb_rule":1,"rule":{"is":"all","rules":[{"is":"compar","attribute":"a","op":"eq","value":1}]}}'
    with pytest.raises(RuleError, match=r"rules\[0\].*did you mean 'compare'"):
        from_json(text)


def test_stored_rule_of_a_later_version_asks_for_an_update() -> None:
    with pytest.raises(RuleError, match="update optinb"):
        from_json(to_json(attr("a") == 1).replace('"optinb_rule":1', '"optinb_rule":9'))


def test_ten_thousand_nested_nodes_are_refused() -> None:
    stored = (
        '{"optinb_rule":1,"rule":' + '{"is":"not","rule":' * 10_000 + '{"is":"missing","attribute":"a"}' + "}" * 10_001
    )
    with pytest.raises(RuleError, match="nested"):
        from_json(stored)


ATTRIBUTES = {"country": "text", "age": "number", "vip": "yes/no", "registered_at": "day"}
PURCHASES = {"category": "text", "amount": "number"}
EVENTS = {"value": "number"}


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (attr("contry") == "DE", "did you mean 'country'"),
        ((attr("age") >= 1) & ~(attr("country") == 3), r"rule\.all\[1\]\.not: .*write it in quotes"),
        (attr("age") == "12", "can't be compared with the text"),
        (attr("vip") == 1, "can't be compared with the number"),
        (attr("registered_at") >= 3, "can't be compared with the number"),
        (attr("country") >= "DE", "compare it with == or !="),
        (attr("age").contains("1"), "only a text"),
        (did("purchase").where(attr("categry") == "x"), "did you mean 'category'"),
        (did("purchase").total("amont").at_least(3), "did you mean 'amount'"),
        (did("app_opne"), "did you mean 'app_open'"),
    ],
)
def test_a_rule_that_does_not_fit_the_data_is_refused(rule: Rule, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint):
        fit(rule, ATTRIBUTES, purchases=PURCHASES, events=EVENTS, event_names=frozenset({"app_open"}))  # type: ignore[arg-type]


def test_a_rule_that_fits_passes() -> None:
    rule = (
        (attr("country").one_of(["DE", "AT"]))
        & (attr("registered_at") >= days_ago(30))
        & did("app_open").total("value").at_most(3).within(days=7)
        & ~attr("age").between(18, 30)
    )
    fit(rule, ATTRIBUTES, purchases=PURCHASES, events=EVENTS, event_names=frozenset({"app_open"}))  # type: ignore[arg-type]
