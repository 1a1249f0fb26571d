"""Nothing is chosen that nobody chose, what is missing stays in sight, and a test goes out from the planner."""

from __future__ import annotations

import asyncio
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
from optinb.views.plan.words import twins

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
    assert "an app group" in str(planner.submit.tooltip)


def test_submit_says_what_is_missing_until_everything_is_there(planner: Planner, ws: Workspace) -> None:
    fill(planner)
    assert missing(planner) == "Still missing: what promo_code says."
    planner.submit.click()
    assert text_of(planner.result.value) == "Still missing: what promo_code says."
    assert 'role="alert"' in planner.result.value
    assert [record.state for record in ws.campaigns.list()] == ["draft"]
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    assert missing(planner) == "Everything is there." and planner.submit.button_style == "primary"
    planner.schedule.at.value = None
    assert missing(planner) == "Still missing: a time." and planner.submit.button_style == ""
    planner.schedule.at.value = time(18, 30)
    planner.submit.click()
    assert [record.state for record in ws.campaigns.list()] == ["submitted"]


def test_what_is_wrong_is_said_in_the_label_of_its_field_and_goes_once_it_is_right(planner: Planner) -> None:
    fill(planner, day=date(2026, 11, 1)).properties.rows["promo_code"].value.value = "SUMMER"
    control = planner.schedule.date
    assert "has passed" in control.description and control.description.startswith("Date <span")
    assert "ob-wrong" in control._dom_classes and planner.submit.button_style == ""
    control.value = date(2026, 11, 24)
    assert control.description == "Date" and "ob-wrong" not in control._dom_classes
    assert planner.submit.button_style == "primary"


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


def test_a_double_click_sends_one_test(planner: Planner, ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(ws.campaigns, "test_send", sent.append)
    monkeypatch.setattr(planner.finish, "_tested", lambda _: None)

    async def double() -> None:
        planner.finish.test.click()
        planner.finish.test.click()
        while planner.finish._testing._is_busy:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(double(), 20))
    assert len(sent) == 1


def test_a_test_that_cannot_go_says_what_to_choose_first(planner: Planner) -> None:
    planner.finish.test.click()
    assert "needs an app group and a template and a target group; choose that first" in text_of(planner.result.value)
    fill(planner, at=time(9, 0))
    planner.finish.test.click()
    assert "needs the property 'promo_code'" in text_of(planner.result.value)


def test_offered_values_keep_their_own_names(planner: Planner) -> None:
    planner.app_group.value = "Shop"
    assert offered(planner.template)[0] is None and TEMPLATE in offered(planner.template)


def split(planner: Planner) -> None:
    """Chooses a template for each kind of phone, and what both need."""
    fill(planner)
    planner.by_platform.value = True
    planner.templates.choices["ios"].value = "Optimove_SummerSale_iOS"
    planner.templates.choices["android"].value = TEMPLATE
    planner.properties.rows["promo_code"].value.value = "SUMMER"


def test_templates_are_chosen_for_each_kind_of_phone_with_their_messages_shown(planner: Planner, ws: Workspace) -> None:
    split(planner)
    assert planner.fields()["templates"] == {"ios": "Optimove_SummerSale_iOS", "android": TEMPLATE}
    assert "template" not in planner.fields() and planner.template.layout.display == "none"
    shown = text_of(planner.about_template.value)
    assert "iPhone:" in shown and "Android" in shown and shown.count("Summer sale") == 2
    assert missing(planner) == "Everything is there."
    assert len(ws.campaigns.preview(planner.fields()).messages) == 2
    assert planner.templates.choices["kindle"].layout.display == "none"
    planner.by_platform.value = False
    assert planner.fields()["template"] == TEMPLATE and "templates" not in planner.fields()


def test_a_template_that_says_nothing_on_some_phones_offers_its_twin_there(planner: Planner, ws: Workspace) -> None:
    fill(planner)
    assert text_of(planner.twins.about.value) == "It has no message for iPhones."
    assert planner.twins.add.description == "Add Optimove_SummerSale_iOS for iPhones"
    planner.twins.add.click()
    assert planner.fields()["templates"] == {"android": TEMPLATE, "ios": "Optimove_SummerSale_iOS"}
    assert planner.twins.layout.display == "none"
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    found = ws.campaigns.preview(planner.fields(), samples=1)
    assert len(found.messages) == 2
    assert len(found.sample[0].messages) == 2, "the example is somebody who sees both"


def test_only_one_template_of_the_same_name_is_a_twin(ws: Workspace) -> None:
    named = {one.name: one for one in ws.templates.list("Shop") if one.usable}
    first = named[TEMPLATE]
    assert twins(TEMPLATE, named, ["ios", "android"]) == {"ios": "Optimove_SummerSale_iOS"}
    assert twins(TEMPLATE, {TEMPLATE: first, "X": named["Optimove_SummerSale_iOS"]}, ["ios"]) == {}
    two = {"a iOS": named["Optimove_SummerSale_iOS"], "a-ios": named["Optimove_SummerSale_iOS"], "A Android": first}
    assert twins("A Android", two, ["ios"]) == {"ios": "a iOS"}
    assert twins("A Android", {**two, "A IOS": two["a iOS"]}, ["ios"]) == {}
    assert twins(None, named, ["ios"]) == twins("unknown", named, ["ios"]) == {}


def test_a_kind_of_phone_may_get_nothing_but_one_of_them_is_needed(planner: Planner) -> None:
    split(planner)
    planner.templates.choices["android"].value = None
    assert missing(planner) == "Everything is there."
    planner.templates.choices["ios"].value = None
    assert "a template" in missing(planner)


def test_variants_come_as_two_with_their_shares_and_their_own_words(planner: Planner, ws: Workspace) -> None:
    split(planner)
    editor = planner.variants
    assert "Everybody gets the same message" in text_of(editor.about.value)
    editor.add.click()
    assert "A 50.0%, B 50.0%" in text_of(editor.about.value)
    editor.rows[1].share.value = 3
    assert "A 25.0%, B 75.0%" in text_of(editor.about.value)
    origin = editor.rows[1].properties.rows["promo_code"].origin
    assert origin.label == "As the campaign has it"
    origin.value = "fixed"
    editor.rows[1].properties.rows["promo_code"].value.value = "WINTER"
    fields = planner.fields()["variants"]
    assert fields[0] == {"name": "A", "share": 1.0}
    assert fields[1] == {"name": "B", "share": 3.0, "properties": {"promo_code": {"value": "WINTER"}}}
    assert missing(planner) == "Everything is there."
    preview = ws.campaigns.preview(planner.fields())
    assert preview.campaign.shares == {"A": 0.25, "B": 0.75}
    assert "SUMMER" in text_of(planner.message.value)


def test_a_variant_has_its_own_template_a_name_of_its_own_and_can_be_removed(planner: Planner) -> None:
    split(planner)
    planner.variants.add.click()
    first, second = planner.variants.rows
    second.template.value = "Optimove_WinBack_iOS"
    assert planner.fields()["variants"][1]["template"] == "Optimove_WinBack_iOS"
    assert "nobody could compare" in missing(planner)
    second.template.value = None
    second.name.value = "a"
    assert "two variants are called 'a'" in missing(planner)
    second.name.value = ""
    assert "a name for each variant" in missing(planner)
    second.remove.click()
    first.remove.click()
    assert "variants" not in planner.fields() and missing(planner) == "Everything is there."


def test_what_is_saved_with_variants_opens_as_it_was(planner: Planner, ws: Workspace) -> None:
    split(planner)
    planner.variants.add.click()
    planner.variants.rows[0].template.value = ""
    planner.variants.rows[0].templates.choices["ios"].value = "Optimove_WinBack_iOS"
    planner.variants.rows[0].templates.choices["android"].value = "Optimove_WinBack_Android"
    planner.name.value = "With variants"
    saved = ws.campaigns.get("With variants").campaign
    assert saved.variants[0].templates["android"] == "Optimove_WinBack_Android"
    again = Planner(ws)
    again.show_campaign("With variants")
    assert again.fields() == planner.fields() and not again.keeper.is_dirty
    assert missing(again) == "Everything is there."  # its name is no other one's
    assert again.by_platform.value and again.variants.rows[0].templates.read() == dict(saved.variants[0].templates)


def test_shares_move_only_where_there_are_variants_and_somebody_chose_it(planner: Planner) -> None:
    split(planner)
    learning = planner.learning
    assert learning.layout.display == "none" and "learning" not in planner.fields()
    planner.variants.add.click()
    assert learning.layout.display == "" and "learning" not in planner.fields()
    learning.figure.value = "spend"
    assert planner.fields()["learning"] == {"figure": "spend"}
    assert "let it recur, or take [learning] out" in missing(planner)
    learning.winner.value, learning.floor.value = "0.99", 20
    assert planner.fields()["learning"] == {"figure": "spend", "floor": 0.2, "winner": 0.99}
    learning.figure.value = None
    assert "learning" not in planner.fields()
    learning.figure.value = "orders"
    while planner.variants.rows:
        planner.variants.rows[0].remove.click()
    assert "learning" not in planner.fields() and learning.layout.display == "none"
