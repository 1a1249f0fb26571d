"""Target groups as nobody should write them: each is refused with path and remedy, or works."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import pytest

from optinb import attr, days_ago, did, in_group, in_list, open_workspace, uses_app
from optinb.demo import AUTHOR
from optinb.errors import OptinbError, RuleError
from optinb.rules import AllOf, AnyOf, Compare, Not, parse, to_json
from optinb.segments import members_of_all

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.rules import Rule
    from optinb.workspace import Workspace

HALF = "\ud800"


def nested(count: int) -> Rule:
    rule: Rule = attr("country") == "DE"
    for number in range(count):
        rule = (Not(rule), AllOf((rule,)), AnyOf((rule,)))[number % 3]
    return rule


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (nested(10_000), r"rule\.not\.any\[0\]\.all\[0\].*: here the rule is nested deeper than 60 levels; flatten it"),
        (attr("contry") == "DE", "rule: attribute 'contry' isn't known; did you mean 'country'"),
        (~did("purchase") & (attr("country") >= "DE"), r"rule\.all\[1\]: 'country' is a text; compare it with"),
        (did("purchase") & (attr("country") == 3), r"rule\.all\[1\]: 'country' is a text and can't be .* the number 3"),
        (did("purchase").where(attr("amount") == "3"), r"rule\.where: 'amount' is a number .* write it without quotes"),
        (did("purhcase"), "rule: nobody ever did 'purhcase'; did you mean 'purchase'|no event was ever delivered"),
        (in_group("Lapsd"), "Lapsd"),
        (in_list("gone"), "gone"),
        (uses_app(platform="windows"), "no app is on the platform 'windows'"),
        (attr("country") == HALF, "half a character"),
        (in_group(HALF), "half a character"),
        (attr("country").one_of(["DE", HALF]), "half a character"),
        (did("purchase").between(date.min, date.max) & Compare("nope", "eq", 1), r"rule\.all\[1\]: attribute 'nope'"),
    ],
)  # fmt: skip
def test_every_way_of_using_a_wrong_rule_refuses_it_alike(ws: Workspace, rule: Rule, complaint: str) -> None:
    uses = (
        lambda: ws.groups.save("strained", rule),
        lambda: ws.preview(rule),
        lambda: ws.members(rule),
        lambda: ws.groups.count(rule),
        lambda: ws.explain(rule),
        lambda: ws.profile(rule),
        lambda: ws.overlap({"one": rule, "other": attr("country") == "DE"}),
        lambda: ws.why_member(ws.customers().first().collect()["customer_id"][0], rule),
    )
    for use in uses:
        with pytest.raises(OptinbError, match=complaint):
            use()
    assert "strained" not in [group.name for group in ws.groups.list()]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("attr('visits').between(5, 1)", "it ends (1) before it begins (5); swap"),
        ("attr('registered_at').between(date(2026, 2, 1), date(2026, 1, 1))", "before it begins"),
        ("attr('registered_at').between(days_ago(10), days_ago(30))", "before it begins"),
        ("did('purchase').between(date(2026, 2, 1), date(2026, 1, 1))", "swap the days"),
        ("attr('birth_date').anniversary(5, -5)", "swap the days"),
        ("uses_app().used_between(date(2026, 2, 1), date(2026, 1, 1))", "swap the days"),
        ("attr('country').one_of([])", "an empty set of values fits nobody; give at least one"),
        ("attr('country').matches('(a+)+$')", "could take exponential time"),
    ],
)
def test_what_can_hold_for_nobody_or_take_forever_is_refused_as_it_is_written(text: str, complaint: str) -> None:
    with pytest.raises(RuleError) as refused:
        parse(text)
    assert complaint in str(refused.value)
    assert parse("attr('visits').between(5, 5)") == attr("visits").between(5, 5)
    assert isinstance(attr("registered_at").between(days_ago(30), days_ago(10)), AllOf)


@pytest.mark.parametrize(
    "name", ["\"quoted\" 'both'", "émoji 🛍️ group", "a; DROP TABLE group_versions; --", "%", "  x  ", "\\n", "𝒳"]
)
def test_a_group_of_any_printable_name_is_saved_named_and_counted(ws: Workspace, name: str) -> None:
    saved = ws.groups.save(name, attr("country") == "DE")
    assert saved.name == name.strip()
    assert ws.groups.count(name).customers == ws.groups.count(attr("country") == "DE").customers
    assert ws.preview(in_group(name.strip())).customers == ws.groups.count(name).customers
    assert parse(in_group(name).to_text()) == in_group(name)


def test_half_a_character_is_no_name_and_no_rule(ws: Workspace) -> None:
    with pytest.raises(OptinbError, match=r"isn't known; .*; read as a rule: the rule can't be read"):
        ws.preview(HALF)


@pytest.mark.parametrize("name", ["a\nb", "", " ", "\x00", "a\u202eb", "x" * 121, HALF])
def test_a_name_that_nobody_could_read_is_refused(ws: Workspace, name: str) -> None:
    with pytest.raises(RuleError, match="1 to 120 printable characters"):
        ws.groups.save(name, attr("country") == "DE")


def test_values_are_never_read_as_anything_but_values(ws: Workspace) -> None:
    for value in ("'; --", '"', "\x00", "\\", "%", "🛍️", "\n", "x" * 100_000):
        rule = (
            (attr("country") == value) | attr("country").one_of([value, "DE"]) | attr("country").contains(value[:1000])
        )
        found = {engine: ws.members(rule, engine=engine)["customer_id"].to_list() for engine in ("polars", "duckdb")}
        assert found["polars"] == found["duckdb"] == ws.members(attr("country") == "DE")["customer_id"].to_list(), value


def test_groups_that_refer_to_each_other_by_a_race_are_refused_where_they_are_used(ws: Workspace) -> None:
    ws.groups.save("one", attr("country") == "DE")
    ws.groups.save("other", in_group("one"))
    with pytest.raises(RuleError, match="one → other → one"):
        ws.groups.save("ONE", in_group("other"))
    # as two people might do at the same moment
    ws.store.groups.save("one", rule_json=to_json(in_group("other")), sentence="", user="x", now=ws.now())
    for use in (ws.preview, ws.members, ws.groups.count):
        with pytest.raises(RuleError, match="in a circle"):
            use("one")


def test_people_who_save_at_once_each_make_a_version(ws: Workspace, folder: Path) -> None:
    def save(number: int) -> int:
        with open_workspace(folder, user=AUTHOR) as mine:
            return mine.groups.save("shared", attr("country") == f"C{number}").version

    with ThreadPoolExecutor(6) as pool:
        versions = sorted(pool.map(save, range(6)))
    assert versions == [1, 2, 3, 4, 5, 6]
    kept = ws.store.groups.versions("shared")
    assert [group.version for group in kept] == versions
    assert len({group.rule_json for group in kept}) == 6


def test_a_thousand_groups_are_listed_named_and_evaluated_together(ws: Workspace) -> None:
    for number in range(1_000):
        rule = (attr("country") == "DE") & did("purchase").at_least(1 + number % 7).within(days=number % 90)
        ws.store.groups.save(f"group {number}", rule_json=to_json(rule), sentence="", user="x", now=ws.now())
    assert len(ws.groups.list()) >= 1_000
    rules = {f"{number}": ws.groups.bound(f"group {number}") for number in range(0, 1_000, 50)}
    found = members_of_all(rules, ws.tables())
    for name in ("0", "450", "950"):
        assert int(found[name].sum()) == ws.groups.count(f"group {name}").customers
