"""The planner says what is stated of the chosen template, and a person states more of it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from page_text import text_of
from planned import fill

import optinb
from optinb.appboy import TemplateRules
from optinb.appboy.template_rules import ALL_USERS, ONCE, READ
from optinb.demo import AUTHOR
from optinb.views.plan.planner import Planner
from optinb.views.plan.statement import RULES, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace

SUMMER = "Optimove_SummerSale_iOS"


@pytest.fixture
def ws(folder: Path) -> Iterator[Workspace]:
    """A workspace of whose templates nobody has stated anything."""
    with optinb.open_workspace(folder, user=AUTHOR) as workspace:
        workspace.templates.sync()
        yield workspace


@pytest.fixture
def planner(ws: Workspace) -> Planner:
    made = fill(Planner(ws), template=SUMMER)
    made.properties.rows["promo_code"].value.value = "SUMMER"
    return made


def about(statement: Statement) -> str:
    return text_of(statement.about.value)


def is_open(statement: Statement) -> bool:
    return statement.writing.layout.display != "none"


def test_every_rule_of_a_template_has_words_in_the_form() -> None:
    assert RULES.fields.keys() == READ.keys()


def test_a_campaign_that_recurs_is_refused_at_the_template_until_somebody_states_when_again(
    planner: Planner, ws: Workspace
) -> None:
    (statement,) = planner.statements.rows
    assert about(statement).startswith(f"Rules of the template: {ONCE}")
    assert ALL_USERS[1:] in text_of(planner.statements.reminder.value)
    assert planner.statements.refusal.value == ""
    planner.schedule.often.value = "day"
    assert "nobody has stated when customers may get its template" in text_of(planner.statements.refusal.value)
    assert "It can't go out like this:" in text_of(planner.audience.value)
    planner.name.value = "Summer, daily"
    planner.submit.click()
    assert "nobody has stated when" in text_of(planner.result.value)
    assert ws.campaigns.waiting() == []
    statement.begin.click()
    assert is_open(statement)
    statement.form.again_after_s.value = "after 1 day"
    statement.form.caps.value = "1 a day"
    statement.save.click()
    assert not is_open(statement) and "It is stated." in text_of(statement.result.value)
    assert f"again after 1 day; frequency caps 1 a day stated by {AUTHOR}, Mon 23 Nov 2026" in about(statement)
    assert "again after 1 day, counted from a receipt up to 30 minutes" in text_of(planner.statements.refusal.value)
    statement.form.again_after_s.value = "any time"
    statement.save.click()
    assert planner.statements.refusal.value == ""
    planner.submit.click()
    assert "is submitted" in text_of(planner.result.value)
    statement.form.max_users.value = "9,000"
    statement.save.click()
    told = "It is stated. Campaign 'Summer, daily' waits for approval: whoever saw it before looks at it again."
    assert told in text_of(statement.result.value)
    stated = ws.templates.rules("Shop", SUMMER)
    assert stated is not None and stated.rules.again_after_s == 0 and stated.rules.caps  # as it was stated before


def test_what_cannot_be_read_is_said_beside_the_form_and_nothing_is_stated(planner: Planner, ws: Workspace) -> None:
    (statement,) = planner.statements.rows
    statement.begin.click()
    statement.save.click()
    assert "nothing was stated" in text_of(statement.result.value)
    statement.form.again_after_s.value = "sometimes"
    statement.save.click()
    assert "write never, any time, or a time after" in text_of(statement.result.value)
    assert is_open(statement) and statement.form.again_after_s.value == "sometimes"
    statement.form.again_after_s.value = "never"
    statement.form.caps.value = "1 a day"
    statement.save.click()
    statement.begin.click()
    statement.form.again_after_s.value, statement.form.caps.value = "any time", ""
    statement.save.click()
    assert "an empty line takes nothing back (Frequency caps): write" in text_of(statement.result.value)
    assert is_open(statement)
    statement.withdraw.click()
    assert ws.templates.stated() == {}


def test_each_template_shows_its_own_rules_and_what_is_written_of_it_stays(planner: Planner, ws: Workspace) -> None:
    (statement,) = planner.statements.rows
    ws.templates.set_rules("Shop", "Optimove_WinBack_iOS", TemplateRules(again_after_s=None, segment=None))
    statement.begin.click()
    statement.form.max_users.value = "9,000"
    planner._ask_for_properties()  # as when templates are imported again
    assert statement.form.max_users.value == "9,000" and is_open(statement)
    planner.template.value = "Optimove_WinBack_iOS"
    assert "again never; segment All Users" in about(statement)
    assert planner.statements.reminder.value == ""
    assert (statement.form.again_after_s.value, statement.form.max_users.value) == ("never", "")
    assert not is_open(statement)
    statement.withdraw.click()
    assert ONCE in about(statement) and "taken back" in text_of(statement.result.value)
    assert ws.templates.stated() == {}


def test_each_of_several_templates_has_its_rules_and_its_form(planner: Planner, ws: Workspace) -> None:
    (alone,) = planner.statements.rows
    alone.begin.click()
    alone.form.caps.value = "1 a day"
    planner.by_platform.value = True
    for platform, phone in (("ios", "iOS"), ("android", "Android")):
        planner.templates.choices[platform].value = f"Optimove_WinBack_{phone}"
    first, second = planner.statements.rows
    assert about(first).startswith("Rules of Optimove_WinBack_iOS :") and ONCE in about(first)
    assert about(second).startswith("Rules of Optimove_WinBack_Android :")
    assert second.begin.description == "State the rules of Optimove_WinBack_Android …"
    assert not is_open(first) and not is_open(second) and first.form.caps.value == ""
    second.begin.click()
    second.form.again_after_s.value, second.form.segment.value = "any time", "all"
    second.save.click()
    assert "again any time" in about(second) and ONCE in about(first)
    assert planner.statements.reminder.value  # of the first nobody has stated whom it targets
    first.begin.click()
    first.form.segment.value = "all"
    first.save.click()
    assert planner.statements.reminder.value == ""
    assert {name for _, name in ws.templates.stated()} == {first.template.id, second.template.id}
    planner.schedule.often.value = "day"
    assert "Optimove_WinBack_iOS" in text_of(planner.statements.refusal.value)
    planner.by_platform.value = False  # the one of before is chosen again, and stands alone
    (row,) = planner.statements.rows
    assert row.template.name == SUMMER and about(row).startswith("Rules of the template: ")
    planner.template.value = None
    assert planner.statements.rows == ()


def test_what_somebody_else_states_shows_by_itself(planner: Planner, ws: Workspace) -> None:
    planner.schedule.often.value = "day"
    assert planner.statements.refusal.value
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=0))
    assert planner._look_again()
    assert "again any time" in about(planner.statements.rows[0])
    assert planner.statements.refusal.value == ""


def test_what_somebody_writes_stays_when_somebody_else_states_something(planner: Planner, ws: Workspace) -> None:
    (statement,) = planner.statements.rows
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(max_users=5))
    planner._look_again()
    statement.begin.click()
    statement.form.caps.value = "1 a day"
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(max_users=9))
    planner._look_again()
    assert "most customers 9" in about(statement)
    assert statement.form.caps.value == "1 a day"
    statement.save.click()
    assert "frequency caps 1 a day; most customers 9" in about(statement)
    assert statement.form.max_users.value == "9"
