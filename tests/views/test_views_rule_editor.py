from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest
from page_text import text_of

from optinb import views
from optinb.base.workspace_folder import init_workspace
from optinb.demo import APPROVER, AUTHOR, demo_settings
from optinb.rules import (
    all_of,
    any_of,
    attr,
    days_ago,
    did,
    in_group,
    none_of,
    parse,
    received,
    responded,
    to_text,
    uses_app,
)
from optinb.views.debounce import LatestOnly
from optinb.views.editor.document import WHERE
from optinb.views.editor.editor import COUNTING, RuleEditor
from optinb.workspace import open_workspace


@pytest.fixture
def editor(ws) -> RuleEditor:
    return views.rule_editor(ws)


def choose(line: Any, attribute: str) -> None:
    if line.picker is None:
        line.attribute.click()
    picker: Any = line.picker
    picker.list.value = attribute


def fill_country(editor: RuleEditor, value: str = "DE") -> Any:
    line = editor.tree.lines[0]
    choose(line, "country")
    line.value.value = value
    return line


def test_an_empty_editor_says_what_to_do_and_counts_nothing(editor):
    assert editor.rule is None
    assert "Choose an attribute" in text_of(editor.tree.lines[0].problem.value)
    assert "as soon as the rule is complete" in text_of(editor.figures.value)


def test_a_condition_is_counted_exactly_with_reach_and_waterfall(editor, ws):
    fill_country(editor)
    assert editor.rule == (attr("country") == "DE")
    assert "country is DE" in text_of(editor.sentence.value)
    preview = ws.preview(editor.rule)
    shown = text_of(editor.figures.value)
    assert f"{len(ws.members(editor.rule)):,} of {preview.total:,} customers" in shown
    for app in preview.reach.apps:
        assert f"{app.app} {app.users:,} {app.reachable:,}" in shown
    assert f"A push message arrives {preview.waterfall.recipients:,}" in shown


def test_reach_follows_the_app_group(editor, ws):
    fill_country(editor)
    editor.app_group.value = "Club"
    assert "Whom a push reaches in Club" in text_of(editor.figures.value)
    assert editor.preview == ws.preview(editor.rule, app_group="Club")


def test_three_kinds_of_lines_make_one_rule(editor, ws):
    fill_country(editor)
    editor.tree.add["behaviour"].click()
    behaviour = editor.tree.lines[1]
    behaviour.value.value = "2"
    behaviour.window.days.value = "365"
    editor.tree.add["nested"].click()
    nested = editor.tree.lines[2]
    nested.joined.value = "none"
    choose(nested.lines[0], "is_test")
    nested.lines[0].yes.value = "yes"
    nested.more.value = True
    nested.add["app"].click()
    nested.lines[1].platform.value = "ios"
    expected = all_of(
        attr("country") == "DE",
        did("purchase").at_least(2).within(days=365),
        none_of(attr("is_test") == True, uses_app(platform="ios")),  # noqa: E712
    )
    assert editor.rule == expected
    assert f"{len(ws.members(expected)):,} of" in text_of(editor.figures.value)


def test_behaviour_is_a_sentence_with_blanks_and_conditions_on_its_own_columns(editor):
    editor.tree.add["behaviour"].click()  # in place of the line that nobody has filled in
    (line,) = editor.tree.lines
    line.measure.value = "total"
    assert line.column.value == "amount"
    line.value.value = "1,250.5"
    line.window.span.value = "ever"
    line.add_where.click()
    inside = line.where.lines[0]
    assert inside.path == (0, WHERE, 0)
    inside.column.value = "category"
    inside.value.value = "BABY"
    assert editor.rule == (did("purchase").where(attr("category") == "BABY").total("amount") >= 1250.5)
    inside.tools.remove.click()
    assert line.where is None
    line.measure.value = "last"
    line.operator.value = "lt"
    line.day.days.value = "60"
    line.lead.value = "not"
    assert to_text(editor.rule) == "~(did('purchase').last() < days_ago(60))"


def test_operators_and_blanks_fit_the_kind_of_the_attribute(editor):
    line = editor.tree.lines[0]
    choose(line, "registered_at")
    assert "ob-blank" in line.day.days._dom_classes and line.day.days in line.sentence.children
    assert "contains" not in [value for _, value in line.operator.options]
    choose(line, "city")
    assert line.value in line.sentence.children
    assert "top" not in [value for _, value in line.operator.options]
    line.operator.value = "one_of"
    line.values.value = "Berlin\n Bonn \n"
    assert editor.rule == attr("city").one_of(["Berlin", "Bonn"])
    assert line.values.value == "Berlin\n Bonn \n"
    line.operator.value = "known"
    assert editor.rule == attr("city").is_known()


def test_what_is_known_and_what_is_missing_are_each_others_opposite(editor):
    line = editor.tree.lines[0]
    choose(line, "registered_at")
    line.lead.value = "not"
    line.operator.value = "known"
    assert editor.rule == attr("registered_at").is_known() and line.lead.value == ""
    line.lead.value = "not"
    assert editor.rule == attr("registered_at").is_missing()
    assert line.operator.value == "missing" and line.lead.value == ""
    line.operator.value = "ge"
    line.day.days.value = "30"
    assert editor.rule == (attr("registered_at") >= days_ago(30))


def test_half_a_number_stays_and_its_line_says_what_is_wrong(editor):
    line = editor.tree.lines[0]
    choose(line, "churn_risk")
    for text, rule in {"1": 1, "1.": 1.0, "1.50": 1.5, "1.5x": None, "1,500": 1500}.items():
        line.number.value = text
        assert line.number.value == text
        assert editor.rule == (None if rule is None else attr("churn_risk") == rule)
        assert ("is no number" in line.problem.value) == (rule is None)


def test_campaigns_groups_and_lists_are_lines(editor):
    editor.tree.add["campaign"].click()
    (line,) = editor.tree.lines
    line.times.value = "2"
    line.window.span.value = "last"
    line.window.days.value = "30"
    line.campaign_did.value = "responded"
    assert editor.rule == responded(days=7).at_least(2).within(days=30)
    line.campaign_did.value = "received"
    assert editor.rule == received().at_least(2).within(days=30)
    editor.tree.add["list"].click()
    editor.tree.lines[0].tools.remove.click()
    line = editor.tree.lines[0]
    assert "Choose a list." in text_of(line.problem.value)
    line.lead.value = "not"
    line.kind.value = "group"
    line.name.value = "Lapsed buyers"
    assert editor.rule == ~in_group("Lapsed buyers")


def test_picker_finds_by_name_and_meaning_and_shows_the_distribution(editor, ws):
    line = editor.tree.lines[0]
    line.attribute.click()
    picker = line.picker
    picker.search.value = "days since"
    assert "stage" not in [name for _, name in picker.list.options]
    picker.search.value = "churn"
    assert picker.list.options[0][1].startswith("churn")
    picker.search.value = "country"
    picker.list.value = "country"
    counts = dict(ws.customers().collect()["country"].value_counts().iter_rows())
    (german,) = [row for row in picker.values.rows if row.button and row.button.description == "DE"]
    assert f"{counts['DE']:,}" in text_of(german.children[1].value)
    assert "DE" in line.value.options


def test_steps_are_undone_and_redone(editor):
    line = fill_country(editor)
    line.value.value = "DEU"
    editor.tree.add["behaviour"].click()
    editor.undo.click()
    assert editor.rule == (attr("country") == "DEU")
    editor.undo.click()
    editor.undo.click()
    assert editor.rule is None and editor.undo.disabled
    editor.redo.click()
    editor.redo.click()
    assert editor.rule == (attr("country") == "DEU")
    assert line.value.value == "DEU"


def test_code_and_lines_follow_each_other(editor, ws):
    fill_country(editor)
    assert editor.code.value == "attr('country') == 'DE'"
    editor.code.value = '(attr("country") == "AT") | in_group("Lapsed buyers")'
    assert editor.rule == any_of(attr("country") == "AT", in_group("Lapsed buyers"))
    assert editor.tree.joined.value == "any"
    assert editor.tree.lines[1].name.value == "Lapsed buyers"
    assert editor.code.value == '(attr("country") == "AT") | in_group("Lapsed buyers")'
    editor.tree.lines[0].value.value = "CH"
    assert parse(editor.code.value) == editor.rule


def test_code_that_cant_be_read_shows_where_and_no_count(editor):
    fill_country(editor)
    editor.code.value = "attr('country') = 'DE'"
    assert "column" in text_of(editor.about_code.value)
    assert editor.rule is None
    assert "Mend the code" in text_of(editor.figures.value)
    editor.code.value = "attr('country') == 'DE'"
    assert editor.rule == (attr("country") == "DE")
    assert "customers" in text_of(editor.figures.value)


def test_an_error_of_the_data_is_said_at_its_line(editor):
    editor.code.value = "(attr('country') == 'DE') & ~(attr('contry') == 'AT')"
    said = [text_of(line.problem.value) for line in editor.tree.lines]
    assert said[0] == ""
    assert "Attribute 'contry' isn't known; did you mean 'country'?" in said[1]
    assert "the marked line" in text_of(editor.figures.value)


def test_old_figures_go_before_new_ones_are_counted(editor):
    line = fill_country(editor)
    waiting = []
    editor._count_soon = type("Held", (), {"__call__": lambda _: waiting.append(editor.figures.value), "stop": int})()
    line.value.value = "AT"
    assert waiting and COUNTING in waiting[0] and editor.preview is None


def test_an_answer_that_comes_late_is_dropped():
    told = []

    async def ask() -> None:
        newest, first, done = LatestOnly(), Event(), asyncio.Event()
        newest.ask(lambda: first.wait(10), lambda found: told.append("old"))
        newest.ask(lambda: "middle", lambda found: told.append(found))
        newest.ask(lambda: "new", told.append)
        newest.ask(lambda: "newest", lambda found: done.set() if told.append(found) is None else None)
        first.set()
        await done.wait()

    asyncio.run(ask())
    assert told == ["newest"]


def test_what_is_forgotten_is_never_told():
    told = []

    async def ask() -> None:
        newest, done = LatestOnly(), asyncio.Event()
        newest.ask(lambda: "old", told.append)
        newest.forget()
        LatestOnly().ask(lambda: None, lambda _: done.set())
        await done.wait()

    asyncio.run(ask())
    assert told == []


def test_lines_are_moved_into_groups_and_out_by_buttons(editor):
    fill_country(editor)
    editor.tree.add["nested"].click()
    editor.tree.lines[0].tools.down.click()
    nested = editor.tree.lines[0]
    assert [line.path for line in nested.lines] == [(0, 0), (0, 1)]
    nested.tools.group.click()
    assert len(editor.tree.lines) == 2


def test_a_group_is_turned_into_its_opposite_and_back_by_a_button(editor, ws):
    fill_country(editor)
    editor.tree.add["nested"].click()
    editor.tree.lines[0].tools.down.click()
    (nested,) = editor.tree.lines
    nested.lines[1].tools.remove.click()
    editor.tree.lines[0].tools.opposite.click()
    assert editor.rule == ~(attr("country") == "DE")
    editor.tree.lines[0].tools.opposite.click()
    assert editor.rule == any_of(attr("country") == "DE")


def test_a_saved_group_is_opened_changed_and_saved_as_its_next_version(ws):
    editor = views.rule_editor(ws, group="Lapsed buyers")
    assert editor.name.value == "Lapsed buyers"
    assert "version 1" in text_of(editor.about_name.value)
    editor.tree.lines[1].window.days.value = "90"
    editor.save.click()
    assert "“Lapsed buyers” is saved as version 2." in text_of(editor.result.value)
    assert "in the last 90 days" in ws.groups.get("Lapsed buyers").sentence


def test_what_wasnt_saved_is_offered_again_from_the_same_beginning(editor, ws):
    assert editor.kept.layout.display == "none"
    fill_country(editor)
    editor.tree.add["behaviour"].click()
    editor.tree.lines[1].value.value = "2x"
    again = views.rule_editor(ws)
    assert "A rule that you haven't saved is kept from" in text_of(again.about_kept.value)
    assert again.kept.layout.display == "" and again.rule is None
    again.continue_kept.click()
    assert again.desk.document == editor.desk.document
    assert again.tree.lines[1].value.value == "2x"
    assert views.rule_editor(ws, group="Lapsed buyers").kept.layout.display == "none"
    again.tree.lines[1].value.value = "2"
    again.name.value = "Twice"
    again.save.click()
    assert views.rule_editor(ws).kept.layout.display == "none"


def test_what_is_kept_is_each_persons_own_and_can_be_thrown_away(editor, ws, folder):
    fill_country(editor)
    with open_workspace(folder, user=APPROVER) as other:
        assert views.rule_editor(other).kept.layout.display == "none"
    while not editor.undo.disabled:
        editor.undo.click()
    assert views.rule_editor(ws).kept.layout.display == "none"
    editor.redo.click()
    again = views.rule_editor(ws)
    again.discard_kept.click()
    assert again.kept.layout.display == "none"
    assert views.rule_editor(ws).kept.layout.display == "none"


def test_an_incomplete_rule_and_a_missing_name_cant_be_saved(editor, ws):
    before = ws.groups.list()
    editor.save.click()
    assert 'role="alert"' in editor.result.value
    fill_country(editor)
    editor.save.click()
    assert "must have 1 to 120 printable characters" in text_of(editor.result.value)
    assert ws.groups.list() == before


def test_whatever_people_write_is_escaped(editor):
    fill_country(editor, "<script>alert(1)</script>")
    shown = editor.sentence.value + editor.figures.value
    assert "<script" not in shown


def test_a_workspace_without_data_opens_and_says_what_is_missing(tmp_path):
    init_workspace(tmp_path / "new", settings=demo_settings("http://127.0.0.1:8021"))
    with open_workspace(tmp_path / "new", user=AUTHOR) as empty:
        editor = views.rule_editor(empty, attr("country") == "DE")
        assert "run `optinb import`" in text_of(editor.figures.value)


def test_every_control_has_a_label(ws):
    import ipywidgets as w

    rule = all_of(
        attr("country") == "DE",
        did("purchase").where(attr("category") == "BABY").between(*(d for d in _days())),
        any_of(attr("birth_date").anniversary(within_next=7), attr("age_years").top(10), in_group("Lapsed buyers")),
        uses_app(platform="ios"),
    )
    editor = views.rule_editor(ws, rule)
    kinds = (w.ValueWidget, w.Button)
    controls: list[Any] = [c for c in below(editor) if isinstance(c, kinds) and not isinstance(c, w.HTML)]
    assert len(controls) > 60
    for control in controls:
        assert control.description or control.tooltip, control


def _days():
    from datetime import date

    return date(2026, 1, 1), date(2026, 6, 30)


def below(widget):
    found = [widget]
    for child in getattr(widget, "children", ()):
        found += below(child)
    return found
