"""Values of an attribute that are clicked become conditions; Enter takes the first match; members go as CSV."""

from __future__ import annotations

import csv
import io
import re
from base64 import b64decode
from typing import Any

import ipywidgets as w
import polars as pl
import pytest
from page_text import text_of

from optinb import views
from optinb.demo import AUTHOR
from optinb.errors import UsageError
from optinb.rules import attr, attributes_of
from optinb.segments import members
from optinb.segments.export import csv_of
from optinb.segments.profile import UNKNOWN, Band, can_be_chosen
from optinb.views.controls import first_match, take_first
from optinb.views.editor import editor as editor_module
from optinb.views.editor.clicked import is_chosen, with_band, with_value
from optinb.views.editor.document import NEW, WHERE, build, condition, document_of, group_of
from optinb.views.editor.holes import write
from optinb.views.group_desk import GroupDesk

UNSET = condition(write("attribute", "x"), "eq", "number")


def bands(*spans: tuple[Any, Any]) -> tuple[Band, ...]:
    return tuple(Band(label=f"{low}", low=low, high=high, inside=0, outside=1) for low, high in spans)


NUMBERS = (*bands((1, 3), (4, 9), (10, 10), (11, 90)), Band(label=UNKNOWN, low=None, high=None, inside=0, outside=1))
IS_DE, IS_AT = attr("x") == "DE", attr("x") == "AT"
TEXTS = bands(("DE", "DE"), ("AT", "AT"), (" odd ", " odd "))


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        (0, attr("x") <= 3),
        (1, (attr("x") >= 4) & (attr("x") <= 9)),
        (2, attr("x") == 10),
        (3, attr("x") >= 11),
        (4, attr("x").is_missing()),
    ],
)
def test_a_bar_becomes_a_condition_on_its_span_whatever_was_clicked_before(place, rule):
    for before in range(len(NUMBERS)):
        document = with_band(group_of("all", [UNSET]), (0,), NUMBERS, before, "number")
        document = with_band(document, (0,), NUMBERS, place, "number")
        if place == before == 2:  # the same value again takes it away
            assert build(document).rule is None
            continue
        assert build(document).rule == rule
        marks = [is_chosen(document, (0,), NUMBERS, at, "number") for at in range(len(NUMBERS))]
        assert marks == [at == place for at in range(len(NUMBERS))]


def test_a_span_stands_in_a_group_of_which_all_hold():
    document = group_of("any", [UNSET, UNSET])
    document = with_band(document, (1,), NUMBERS, 1, "number")
    assert document["rules"][0] == UNSET
    assert build(document["rules"][1]).rule == (attr("x") >= 4) & (attr("x") <= 9)


@pytest.mark.parametrize(
    ("before", "rule"),
    [
        (group_of("all", [NEW["attribute"]]), IS_DE),
        (document_of(IS_AT), attr("x").one_of(["AT", "DE"])),
        (document_of((attr("y") == 1) & ~IS_AT), (attr("y") == 1) & ~IS_AT & IS_DE),
        (document_of((attr("y") == 1) | IS_AT), ((attr("y") == 1) | IS_AT) & IS_DE),
    ],
)
def test_a_value_that_is_compared_becomes_a_condition_beside_what_the_rule_says(before, rule):
    assert build(with_value(before, "x", TEXTS, 0, "text")).rule == rule


def test_the_comparison_below_the_editor_adds_what_is_clicked_to_its_rule(ws):
    desk = GroupDesk(ws)
    desk.more.value = "Compare"
    view = desk.other.children[0]
    view.group.value = "Lapsed buyers"
    found = ws.profile("Lapsed buyers").telling[0]
    at = next(at for at, band in enumerate(found.bands) if can_be_chosen(band))
    number = re.findall(r'data-pick="(\d+) 0 \d+"', view.answer.value)[0]
    view.picked.value = f"{number} 0 {at}"
    rule = desk.editor.rule
    assert rule is not None and found.attribute in attributes_of(rule)
    assert f"now asks about {found.label}: {found.bands[at].label}" in text_of(view.result.value)
    assert view.picked.value == "" and "data-pick" not in views.compare(ws).answer.value


def test_other_lines_about_the_attribute_stay():
    rule = (attr("x") >= 4) & (attr("y") <= 9) & (attr("x") <= 50)
    document = with_band(document_of(rule), (0,), NUMBERS, 0, "number")
    assert build(document).rule == (attr("x") <= 3) & (attr("y") <= 9) & (attr("x") <= 50)


def test_texts_are_added_and_taken_away_and_what_no_blank_holds_is_code():
    document = group_of("all", [condition("x", "contains", "text", ("y",))])
    for place, rule in [
        (0, attr("x") == "DE"),
        (1, attr("x").one_of(["DE", "AT"])),
        (0, attr("x") == "AT"),
        (2, attr("x").one_of(["AT", " odd "])),
    ]:
        document = with_band(document, (0,), TEXTS, place, "text")
        assert build(document).rule == rule
    assert document["rules"][0]["is"] == "code" and WHERE < 0


def test_the_first_match_begins_with_what_was_written_before_it_has_it_within():
    options = ("Landau", "Germany", "England", "German")
    assert first_match("german", options) == "Germany"
    assert first_match("German", options) == "German"
    assert first_match("land", options) == "Landau"
    assert first_match("ngl", options) == "England"
    assert first_match("x", options) == first_match(" ", options) == ""


def press_enter(control: Any) -> None:
    control._handle_custom_msg({"event": "submit"}, [])


def test_enter_takes_the_first_match_also_where_it_is_offered_only_afterwards():
    control = w.Combobox()
    take_first(control)
    control.value = "d"
    press_enter(control)
    control.options = ("AT", "DE")
    assert control.value == "DE"
    control.options, control.value = (), "a"
    press_enter(control)
    control.value = "ax"  # whoever goes on writing means that
    control.options = ("AX", "AT")
    assert control.value == "ax"


def test_enter_takes_the_first_attribute_by_its_label_and_the_first_value(ws):
    editor = views.rule_editor(ws)
    line = editor.tree.lines[0]
    line.attribute.click()
    line.picker.search.value = "days since the last"
    assert line.picker.list.options == (("days since the last purchase (number)", "recency_days"),)
    press_enter(line.picker.search)
    assert line.attribute.description == "days since the last purchase ▾"
    line.picker.search.value = "recency_days"
    assert [name for _, name in line.picker.list.options] == ["recency_days"]
    line.picker.search.value = "count"
    press_enter(line.picker.search)
    assert line.attribute.description == "country ▾"
    line.value.value = "d"
    press_enter(line.value)
    assert editor.rule == (attr("country") == "DE")


def test_each_bar_counts_just_whom_its_condition_finds(ws):
    tables = ws.tables()
    for name in ("country", "recency_days", "registered_at", "churn_risk", "is_test"):
        found = ws.distribution(name)
        for place in (0, 1, len(found.bands) - 1):
            if can_be_chosen(found.bands[place]):
                document = group_of("all", [condition(name, "missing", found.kind)])
                rule = build(with_band(document, (0,), found.bands, place, found.kind)).rule
                assert rule is not None
                counted = members(rule, tables).collect(backend="polars").to_native()
                assert counted.height == found.bands[place].outside, (name, place)


def test_a_click_marks_the_values_and_their_customers_are_counted(ws):
    editor = views.rule_editor(ws)
    line = editor.tree.lines[0]
    line.attribute.click()
    line.picker.list.value = "country"
    first, second, *_ = line.picker.values.rows
    first.button.click()
    second.button.click()
    assert editor.rule == attr("country").one_of([first.button.description, second.button.description])
    assert [row.button.icon for row in (first, second)] == ["check", "check"]
    assert editor.preview is not None
    assert editor.preview.customers == sum(band.outside for band in ws.distribution("country").bands[:2])


def test_a_click_on_values_of_another_attribute_changes_nothing(ws):
    editor = views.rule_editor(ws)
    line = editor.tree.lines[0]
    line.attribute.click()
    line.picker.list.value = "country"
    late = line.picker.values.rows[0].button
    line.picker.list.value = "city"
    late.click()
    assert editor.rule is None and line.attribute.description == "city ▾"


def exported(ws: Any) -> list[Any]:
    return [entry for entry in ws.store.audit.list() if entry.action == "members exported"]


def test_members_are_downloaded_and_the_audit_trail_keeps_by_whom(ws, monkeypatch):
    editor = views.rule_editor(ws, group="Lapsed buyers")
    editor.export.click()
    assert 'download="Lapsed buyers 2026-11-23.csv"' in editor.exported.value
    content = editor.exported.value.split("base64,")[1].split('"')[0]
    rows = list(csv.DictReader(io.StringIO(b64decode(content).decode())))
    assert [row["customer_id"] for row in rows] == ws.members("Lapsed buyers")["customer_id"].to_list()
    (entry,) = exported(ws)
    assert (entry.who, entry.subject, entry.detail["customers"]) == (AUTHOR, "Lapsed buyers", len(rows))
    editor.tree.lines[0].value.value = "3"
    assert editor.exported.value == ""
    editor.export.click()
    assert exported(ws)[0].subject == "a rule"
    monkeypatch.setattr(editor_module, "MOST_EXPORTED", 1)
    editor.export.click()
    assert "optinb groups export 'Lapsed buyers' --file members.csv" in text_of(editor.exported.value)
    assert len(exported(ws)) == 2


def test_a_file_of_members_is_its_owners_and_a_wrong_place_is_named(ws, tmp_path):
    made = ws.groups.export("Lapsed buyers", file=tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().count("\n") == made.customers + 1
    assert (tmp_path / "a.csv").stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="can't be written"):
        ws.groups.export("Lapsed buyers", file=tmp_path / "none" / "a.csv")
    assert [entry.subject for entry in exported(ws)] == ["Lapsed buyers"] * 2  # nothing leaves before it is noted


def test_no_id_is_a_formula_for_a_spreadsheet():
    ids = ["=1+1", "+1", "-1", "@SUM(1)", "\tx", "\rx", 'a"=1', "plain, and more", "7"]
    text = csv_of(pl.DataFrame({"customer_id": ids, "external_user_id": [None, *ids[1:]]}))
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[0] for row in rows] == [*(f"'{one}" for one in ids[:6]), *ids[6:]]
    assert rows[0][1] == "" and rows[1][1] == "'+1"
