"""Nothing is chosen that nobody chose, what is missing stays in sight, and a test goes out from the planner."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

import pytest
from page_text import text_of
from planned import TEMPLATE, fill

import optinb
from optinb.demo import AUTHOR, KEYS
from optinb.sandbox import Sandbox, demo_world
from optinb.views.controls import offered
from optinb.views.plan.planner import Planner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace


@pytest.fixture(scope="module")
def ws(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One workspace for all of these, which save nothing that another one reads."""
    root, now = tmp_path_factory.mktemp("choosing"), datetime(2026, 11, 23, 11, tzinfo=UTC)
    shutil.copytree(modelled, root / "ws")
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world(), journal=root / "j.jsonl", now=now) as appboy:
        for name, value in {**KEYS, "OPTINB_NOW": now.isoformat()}.items():
            patch.setenv(name, value)
        settings = root / "ws" / "optinb.toml"
        settings.write_text(re.sub(r'api = "http://[^"]+"', f'api = "{appboy.url}"', settings.read_text()))
        with optinb.open_workspace(root / "ws", user=AUTHOR) as opened:
            opened.templates.sync()
            yield opened


@pytest.fixture
def planner(ws: Workspace) -> Planner:
    made = Planner(ws)
    made.campaign.value = ""
    return made


def missing(planner: Planner) -> str:
    return text_of(planner.finish.about.value)


def test_a_new_campaign_begins_with_nothing_chosen_and_says_what_it_needs(planner: Planner) -> None:
    chosen = (planner.app_group, planner.template, planner.group, planner.schedule.date, planner.schedule.at)
    assert [control.value for control in chosen] == [None] * 5
    assert planner.app_group.label == "Choose an app group …"
    assert missing(planner) == "Still missing: an app group, a template, a target group, a date, a time, a name."
    assert planner.submit.disabled and "an app group" in str(planner.submit.tooltip)


def test_submit_opens_once_everything_is_there_and_closes_again(planner: Planner) -> None:
    fill(planner)
    assert missing(planner) == "Still missing: what promo_code says."
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    assert missing(planner) == "Everything is there." and not planner.submit.disabled
    planner.schedule.at.value = None
    assert missing(planner) == "Still missing: a time." and planner.submit.disabled


def test_what_is_wrong_is_said_in_the_label_of_its_field_and_goes_once_it_is_right(planner: Planner) -> None:
    fill(planner, day=date(2026, 11, 1)).properties.rows["promo_code"].value.value = "SUMMER"
    control = planner.schedule.date
    assert "has passed" in control.description and control.description.startswith("Date <span")
    assert "ob-wrong" in control._dom_classes and planner.submit.disabled
    control.value = date(2026, 11, 24)
    assert control.description == "Date" and "ob-wrong" not in control._dom_classes
    assert not planner.submit.disabled


def test_a_template_that_was_chosen_is_chosen_again_when_its_app_group_comes_back(planner: Planner) -> None:
    fill(planner)
    planner.app_group.value = "Club"
    assert planner.template.value is None and "a template" in missing(planner)
    planner.app_group.value = "Shop"
    assert planner.template.value == TEMPLATE


def test_the_only_template_there_is_is_chosen_and_said_to_be_so(planner: Planner) -> None:
    planner.app_group.value = "Shop"
    planner.form.choices("template", [TEMPLATE])
    assert planner.template.value == TEMPLATE
    assert "Chosen because there is no other one" in text_of(planner.about_template.value)
    planner.form.choices("template", [TEMPLATE, "Another"])
    assert planner.template.value == TEMPLATE


def test_a_text_that_is_still_missing_shows_as_a_hole_in_the_message_not_as_nothing(planner: Planner) -> None:
    fill(planner)
    assert "[promo_code]" in text_of(planner.message.value)
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    shown = text_of(planner.message.value)
    assert "SUMMER" in shown and "[promo_code]" not in shown


def test_a_test_goes_out_of_what_nobody_saved_and_says_who_got_it(planner: Planner, ws: Workspace) -> None:
    fill(planner)
    planner.schedule.at.value, planner.name.value = None, ""
    planner.properties.rows["promo_code"].value.value = "WINTER"
    planner.finish.test.click()
    said = text_of(planner.result.value)
    assert "Sent to" in said and "WINTER" in said and not planner.finish.test.disabled
    assert ws.store.audit.list(limit=1)[0].action == "test send answered"


def test_a_test_that_cannot_go_says_what_to_choose_first(planner: Planner) -> None:
    planner.finish.test.click()
    assert "needs an app group and a template and a target group; choose that first" in text_of(planner.result.value)
    fill(planner, at=time(9, 0))
    planner.finish.test.click()
    assert "needs the property 'promo_code'" in text_of(planner.result.value)


def test_offered_values_keep_their_own_names(planner: Planner) -> None:
    planner.app_group.value = "Shop"
    assert offered(planner.template)[0] is None and TEMPLATE in offered(planner.template)
