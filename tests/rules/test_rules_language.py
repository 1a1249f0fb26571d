from __future__ import annotations

import re
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_strategies import rules

from optinb.errors import RuleError
from optinb.rules import (
    AllOf,
    AnyOf,
    InGroup,
    Not,
    Rule,
    all_of,
    any_of,
    attr,
    attributes_of,
    behaviours_of,
    days_ago,
    did,
    did_not_open,
    expand,
    fit,
    from_json,
    in_group,
    in_list,
    is_bound,
    none_of,
    opened,
    parse,
    received,
    responded,
    sentence,
    to_json,
    to_text,
    uses_app,
    was_in_control,
)

any_rule = rules()


@given(any_rule)
def test_a_rule_survives_its_json_form(rule: Rule) -> None:
    assert from_json(to_json(rule)) == rule
    assert to_json(from_json(to_json(rule))) == to_json(rule)


@given(any_rule)
def test_a_rule_survives_its_text_form_and_can_be_read_aloud(rule: Rule) -> None:
    assert to_json(parse(to_text(rule))) == to_json(rule)
    assert parse(rule.to_text()) == rule
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


@settings(max_examples=40)
@given(any_rule, any_rule)
def test_rules_that_mean_different_things_read_differently(one: Rule, other: Rule) -> None:
    if to_json(plain(one)) != to_json(plain(other)):
        assert sentence(one) != sentence(other)


def plain(rule: Rule) -> Rule:
    """A rule without what doesn't change its meaning, and so isn't read aloud."""
    match rule:
        case AllOf((only,)) | AnyOf((only,)):
            return plain(only)
        case AllOf(inner):
            return AllOf(tuple(map(plain, inner)))
        case AnyOf(inner):
            return AnyOf(tuple(map(plain, inner)))
        case Not(inner):
            return Not(plain(inner))
        case _:
            return rule


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (attr("age") == 3, attr("age") == "3"),
        (attr("vip") == True, attr("vip") == "yes"),  # noqa: E712
        (attr("birth_date").is_missing(), attr("birth date").is_missing()),
        (attr("city") == "A or city is B", (attr("city") == "A") | (attr("city") == "B")),
        (attr("city") == "A or B", attr("city").one_of(["A", "B"])),
        (attr("a").contains("x”"), attr("a").contains("x\\”")),
        (
            did("purchase").where((attr("a") == 1) & (attr("b") == 2)),
            did("purchase").where(attr("a") == 1) & (attr("b") == 2),
        ),
        (did("purchase"), did("bought")),
        (responded("A", days=7), responded("A", days=8)),
        (
            all_of(attr("a") == 1, any_of(attr("b") == 1, attr("c") == 1)),
            any_of(all_of(attr("a") == 1, attr("b") == 1), attr("c") == 1),
        ),
        (in_list("A"), in_list("A", sha256="0" * 64)),
    ],
)
def test_near_misses_read_differently(one: Rule, other: Rule) -> None:
    assert one.sentence() != other.sentence()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (attr("email").matches("@shop\\.(de|at)$"), "some part of email fits the pattern “@shop\\\\.(de|at)$”"),
        (
            attr("birth_date").anniversary(within_next=7),
            "the anniversary of birth date is in the 7 days from the run date on, that day included",
        ),
        (attr("birth_date").anniversary(), "the anniversary of birth date is the run date"),
        (
            attr("future_value").top(10, within="country"),
            "future value is among the highest 10 % of the customers with the same country",
        ),
        (did("purchase").last() < days_ago(60), "bought, the last time more than 60 days ago"),
        (
            did("purchase").average("amount").within(days=30) > 20,
            "bought with an average amount of more than 20 in the last 30 days",
        ),
        (
            did("app_open").days_in_a_row(3).within(days=14),
            "did app_open on at least 3 days in a row in the last 14 days",
        ),
        (
            uses_app(platform="ios").version_at_least("3.2").used_within(days=30),
            "uses an app on ios in a version 3.2 or later, last used in the last 30 days",
        ),
        (
            ~received("Summer sale").within(days=30),
            "not (received the campaign “Summer sale”, sent in the last 30 days)",
        ),
        (responded(), "responded to a campaign by buying within 7 days of it"),
        (was_in_control().at_least(2), "was in the control group of a campaign at least 2 times"),
        (opened("Sale").at_least(2), "opened the push of the campaign “Sale” at least 2 times"),
        (
            did_not_open().at_least(3).within(days=30),
            "got the push of a campaign at least 3 times without opening it, sent in the last 30 days",
        ),
        (in_group("VIPs") & ~in_list("Staff"), "is in the group “VIPs” and not (is on the list “Staff”)"),
        (none_of(attr("a") == 1, attr("b") == 2), "not (a is 1 or b is 2)"),
    ],
)
def test_every_word_reads_like_english(rule: Rule, text: str) -> None:
    assert rule.sentence() == text


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
        " or registered on or after 2 January 2026"
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
        ("attr('birth_date').anniversary(5, 3)", "before it begins"),
        ("attr('x').top(0)", "above 0 and below 100"),
        ("attr('x').matches('(a+)+$')", "exponential time"),
        ("did('purchase') > 3", "write .at_least"),
        ("did('purchase').total('amount')", "no rule yet"),
        ("did('purchase').last() > 3", "compare it with a day"),
        ("did('purchase').average('amount') == days_ago(3)", "compare it with a number"),
        ("did('purchase').where(did('x'))", "filtered by its own columns"),
        ("did('purchase').where(in_group('x'))", "filtered by its own columns"),
        ("did('purchase').where(3)", "is no rule"),
        ("did('purchase').at_least(1.5)", "whole number"),
        ("did('purchase').last() != days_ago(1)", "write ~"),
        ("uses_app('x').version_at_least('beta')", "is no version"),
        ("uses_app('x').version_at_least(3.2)", "in quotes"),
        ("received('')", "1 to 200 characters"),
        ("responded(days=-1)", "whole number of days"),
        ("in_list('x', sha256='abc')", "64 hexadecimal digits"),
        ("all_of()", "at least one"),
        ("any_of(attr('x') == 1, 3)", "any_of(...)[1]"),
        ("date(10**9, 1, 1)", "only attr"),
        ("attr('x') == date(99999999999999999999, 1, 1)", "too large"),
        ("", "can't be read"),
        (" & ".join(["(attr('x') == 1)"] * 2500), "nested too deeply"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_remedy(text: str, complaint: str) -> None:
    with pytest.raises(RuleError, match=re.escape(complaint)):
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
        from_json(to_json(attr("a") == 1).replace('"optinb_rule":2', '"optinb_rule":9'))


def test_a_rule_of_the_first_version_is_still_read() -> None:
    stored = (
        '{"optinb_rule":1,"rule":{"is":"all","rules":[{"event":"purchase","filter":null,"is":"did","op":"ge",'
        '"total_of":"amount","value":1500,"window":{"days":60,"is":"last"}},{"event":"open","filter":null,"is":"did",'
        '"op":"le","total_of":null,"value":2,"window":null}]}}'
    )
    assert from_json(stored) == (
        did("purchase").total("amount").at_least(1500).within(days=60) & did("open").at_most(2)
    )


def nested(depth: int) -> Rule:
    rule: Rule = attr("a").is_missing()
    for i in range(depth):
        rule = any_of(attr("b") == 1, rule) if i % 2 else all_of(rule, attr("b") == 1)
    return rule


def test_ten_thousand_nested_nodes_are_refused_in_text() -> None:
    for begun, closed in (("all_of(", ")"), ("~(", ")"), ("none_of(~", ")")):
        with pytest.raises(RuleError, match=r"nested|can't be read"):
            parse(begun * 10_000 + "attr('a') == 1" + closed * 10_000)
    with pytest.raises(RuleError, match=r"rule\.all\[0\]\.all\[0\].*nested deeper than 60.*flatten"):
        parse("all_of(" * 70 + "attr('a') == 1" + ")" * 70)


def test_ten_thousand_nested_nodes_are_refused_in_json() -> None:
    for depth in (100, 10_000):
        stored = (
            '{"optinb_rule":2,"rule":'
            + '{"is":"not","rule":' * depth
            + '{"is":"missing","attribute":"a"}'
            + "}" * depth
            + "}"
        )
        with pytest.raises(RuleError, match=r"nested.*flatten"):
            from_json(stored)
        with pytest.raises(RuleError, match=r"nested.*flatten"):
            from_json(stored.replace('"optinb_rule":2', '"optinb_rule":1'))


def test_ten_thousand_nested_nodes_are_refused_from_python() -> None:
    rule = nested(10_000)
    path = r"rule\.any\[1\]\.all\[0\].*nested deeper than 60 levels; flatten"
    for use in (to_json, to_text, sentence, lambda r: fit(r, {}, purchases={}, events={})):
        with pytest.raises(RuleError, match=path):
            use(rule)
    with pytest.raises(RuleError, match=path):
        expand(rule, group=lambda name: rule, list_sha256=lambda name: "")
    with pytest.raises(RuleError, match=r"\.where\.any\[1\].*nested"):
        to_json(did("purchase").where(rule))


def test_a_rule_of_too_many_conditions_is_refused_and_a_large_one_survives() -> None:
    wide = any_of(*(attr("a") == i for i in range(1_900)))
    assert parse(to_text(wide)) == wide
    assert parse(to_text(nested(59))) == nested(59)
    with pytest.raises(RuleError, match=r"rule\.any\[1\].*more than 2,000 conditions; use one_of"):
        to_json(any_of(wide, wide))


GROUPS = {
    "Young": attr("age") < 30,
    "Young VIPs": in_group("Young") & (attr("vip") == True),  # noqa: E712
    "Chicken": ~in_group("Egg"),
    "Egg": in_list("Staff") | in_group("Chicken"),
    "Self": in_group("Self"),
}


def group(name: str) -> Rule:
    if name not in GROUPS:
        raise RuleError(f"there is no group {name!r}")
    return GROUPS[name]


def test_a_rule_holds_the_rules_of_the_groups_and_the_content_of_the_lists_that_it_names() -> None:
    rule = in_group("Young VIPs") | none_of(in_list("Staff"), in_group("Young"))
    bound = expand(rule, group=group, list_sha256=lambda name: "ab" * 32)
    young = attr("age") < 30
    assert bound == any_of(all_of(young, attr("vip") == True), none_of(in_list("Staff", sha256="ab" * 32), young))  # noqa: E712
    assert is_bound(bound) and not is_bound(rule)
    assert from_json(to_json(bound)) == bound
    assert expand(bound, group=group, list_sha256=lambda name: "cd" * 32) == bound


@pytest.mark.parametrize(
    ("rule", "name", "complaint"),
    [
        (in_group("Self"), None, r"rule: .*circle \(Self → Self\)"),
        ((attr("a") == 1) & in_group("Egg"), None, r"rule\.not: .*circle \(Egg → Chicken → Egg\)"),
        (in_group("Young") | in_group("New"), "New", r"rule\.any\[1\]: .*circle \(New → New\)"),
        (in_group("Yong"), None, "no group 'Yong'"),
    ],
)
def test_groups_in_a_circle_and_unknown_ones_are_refused(rule: Rule, name: str | None, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint):
        expand(rule, group=group, list_sha256=lambda name: "", name=name)


def test_a_long_row_of_groups_and_one_that_grows_without_end_are_refused() -> None:
    with pytest.raises(RuleError, match="in a row"):
        expand(InGroup("1"), group=lambda name: InGroup(str(int(name) + 1)), list_sha256=lambda name: "")
    with pytest.raises(RuleError, match="more than 2,000 conditions"):
        expand(
            InGroup("25"),
            group=lambda name: all_of(*[in_group(str(int(name) - 1))] * 3) if int(name) else attr("a") == 1,
            list_sha256=lambda name: "",
        )


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
        (
            ~did("purchase").where(attr("a").is_known() | (attr("amount") == "x")),
            r"rule\.not\.where\.any\[0\]\.not: .*'a'",
        ),
        (did("app_open").average("vlue") > 3, "can't be averaged; did you mean 'value'"),
        (attr("age").matches("1"), "only a text"),
        (attr("age").anniversary(), "only a day has anniversaries"),
        (attr("country").top(5), "only numbers and days"),
        (attr("age").top(5, within="contry"), "did you mean 'country'"),
        (uses_app("shop-iso"), "did you mean 'shop-ios'"),
        (uses_app(platform="iso"), "did you mean 'ios'"),
        (uses_app("shop-ios", platform="android"), "is on ios, not on android"),
        (received("Sumer sale"), "did you mean 'Summer sale'"),
        (attr("age").is_known() & in_group("VIPs"), r"rule\.all\[1\]: .*'VIPs' isn't filled in"),
        (in_list("Staff"), "isn't filled in"),
        (in_list("Staff", sha256="cd" * 32), "upload the list again"),
    ],
)
def test_a_rule_that_does_not_fit_the_data_is_refused(rule: Rule, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint):
        fit_all(rule)


def fit_all(rule: Rule) -> None:
    fit(
        rule,
        ATTRIBUTES,  # type: ignore[arg-type]
        purchases=PURCHASES,  # type: ignore[arg-type]
        events=EVENTS,  # type: ignore[arg-type]
        event_names=frozenset({"app_open"}),
        apps={"shop-ios": "ios", "shop-android": "android"},
        campaigns=["Summer sale"],
        lists=["ab" * 32],
    )


def test_a_rule_that_fits_passes() -> None:
    rule = (
        (attr("country").one_of(["DE", "AT"]))
        & (attr("registered_at") >= days_ago(30))
        & did("app_open").total("value").at_most(3).within(days=7)
        & ~attr("age").between(18, 30)
        & attr("country").matches("^D")
        & attr("registered_at").anniversary(within_next=3)
        & attr("registered_at").bottom(5, within="vip")
        & (did("purchase").first() <= date(2026, 1, 1))
        & uses_app("shop-ios").version_below("3").used_within(days=3)
        & ~responded("Summer sale")
        & in_list("Staff", sha256="ab" * 32)
    )
    fit_all(rule)


def test_a_sentence_reads_with_labels_where_attributes_have_them():
    rule = (attr("recency_days") >= 30) & ~(attr("stage").one_of(["new", "active"])) & attr("x").top(10, within="stage")
    labels = {"recency_days": "days since the last purchase", "stage": "is or isn't", "x": "share, in all"}
    said = sentence(rule, labels)
    assert said.startswith("days since the last purchase is at least 30 and not (“is or isn't” is new or active) and ")
    assert "“share, in all” is among the highest 10 % of the customers with the same “is or isn't”" in said
    assert sentence(rule).startswith("recency days is at least 30 and ")
    bought = did("purchase").where(attr("category") == "shoes").at_least(1)
    assert sentence(bought, {"category": "x"}) == sentence(bought)
