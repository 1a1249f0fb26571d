"""The view with tabs: what is made when, what an address opens, and what always stands above the tabs."""

from __future__ import annotations

import re
import shutil
from datetime import datetime

import pytest
from page_text import text_of
from stated_templates import state_any_time

from optinb import views
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, KEYS, RUN_DATE
from optinb.sandbox import Sandbox, demo_world
from optinb.views import arrivals
from optinb.views.places import TABS
from optinb.views.workbench_view import ORDER, READY, Workbench
from optinb.workspace import open_workspace

NAME = CAMPAIGNS[0]["name"]
DRAFT = "A draft, begun"
NOW = datetime.fromisoformat("2026-11-23T02:00:00+01:00")


@pytest.fixture(scope="module")
def planned(modelled, tmp_path_factory):
    """A workspace with a campaign that waits for a decision, and a draft; no test here changes it."""
    root = tmp_path_factory.mktemp("planned") / "ws"
    shutil.copytree(modelled, root)
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world(), now=NOW) as appboy:
        for name, value in {**KEYS, "OPTINB_NOW": NOW.isoformat()}.items():
            patch.setenv(name, value)
        file = root / "optinb.toml"
        file.write_text(re.sub(r"http://127\.0\.0\.1:\d+", appboy.url, file.read_text("utf-8")), "utf-8")
        with open_workspace(root, user=AUTHOR) as ws:
            ws.templates.sync()
            state_any_time(ws)
            ws.campaigns.submit(CAMPAIGNS[0])
            ws.drafts.keep({**CAMPAIGNS[1], "name": DRAFT}, seen=None)
    return root


@pytest.fixture
def waiting(planned):
    with open_workspace(planned, user=AUTHOR) as opened:
        yield opened


@pytest.fixture
def boss(planned):
    with open_workspace(planned, user=APPROVER) as opened:
        yield opened


def address_of(bench):
    return re.sub(r"&amp;", "&", re.search(r'data-query="([^"]*)"', bench.told.value)[1])


def said(bench):
    return text_of(bench.note.value)


def test_a_tab_is_made_when_it_is_opened_and_kept(waiting):
    bench = views.workbench(waiting, "")
    assert list(bench.content) == ["plan"]
    bench.content["plan"].notes.value = "begun"
    bench.tabs.selected_index = ORDER.index("groups")
    groups = bench.content["groups"]
    groups.editor.name.value = "Half written"
    bench.tabs.selected_index = ORDER.index("plan")
    assert bench.content["plan"].notes.value == "begun"
    bench.tabs.selected_index = ORDER.index("groups")
    assert bench.content["groups"] is groups
    assert groups.editor.name.value == "Half written"


def test_every_tab_shows_something_and_has_an_address(boss):
    bench = views.workbench(boss, "")
    for number, tab in enumerate(TABS):
        bench.tabs.selected_index = number
        assert bench.tabs.children[number].children[-1] is bench.content[tab]
        assert address_of(bench).startswith(f"?tab={tab}")
    bench.asked.value = READY
    assert bench.tab == ORDER[-1]


@pytest.mark.parametrize("name", [NAME, NAME.upper()])
def test_an_address_opens_a_campaign_in_the_approval_desk(boss, name):
    bench = views.workbench(boss, f"?tab=approve&campaign={name}")
    assert bench.content["approve"].waiting.value == NAME
    assert said(bench) == ""
    assert address_of(bench) == "?tab=approve&campaign=Summer%2C+lapsed"


def test_an_address_opens_a_campaign_in_the_plan_and_a_group_in_the_editor(waiting):
    bench = views.workbench(waiting, f"?tab=plan&campaign={DRAFT}")
    assert bench.content["plan"].name.value == DRAFT
    assert address_of(bench) == "?tab=plan&campaign=A+draft%2C+begun"
    bench.asked.value = "?tab=groups&group=Lapsed+buyers&at=1"
    assert bench.tab == "groups"
    assert "60 days" in text_of(bench.content["groups"].editor.sentence.value)
    assert address_of(bench) == "?tab=groups&group=Lapsed+buyers"


def test_a_group_that_is_saved_leads_to_a_new_campaign_for_it_and_leaves_the_open_one_alone(waiting):
    bench = views.workbench(waiting, f"?tab=plan&campaign={DRAFT}")
    bench.tabs.selected_index = ORDER.index("groups")
    editor = bench.content["groups"].editor
    assert editor.tree.lines[0].picker is not None and editor.go_on.layout.display == "none"
    editor.code.value = "attr('country') == 'DE'"
    editor.name.value = "Lapsed buyers"
    editor.save.click()
    editor.go_on.click()
    plan = bench.content["plan"]
    assert (bench.tab, plan.group.value, plan.campaign.value) == ("plan", "Lapsed buyers", "")
    assert address_of(bench) == "?tab=plan"
    assert waiting.campaigns.get(DRAFT).campaign.group != "Lapsed buyers"


def test_the_address_follows_what_is_chosen(waiting):
    bench = views.workbench(waiting, "")
    plan = bench.content["plan"]
    plan.campaign.value = next(value for label, value in plan.campaign.options if label.startswith(DRAFT))
    assert address_of(bench) == "?tab=plan&campaign=A+draft%2C+begun"
    bench.go_to("?tab=groups")
    bench.content["groups"].group.value = "Club regulars"
    assert address_of(bench) == "?tab=groups&group=Club+regulars"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?tab=aprove", "There is no tab 'aprove'; did you mean 'approve'?"),
        ("?tab=approve&campaign=Summmer, lapsed", "campaign 'Summmer, lapsed' isn't known; did you mean"),
        (f"?tab=approve&campaign={DRAFT}", f"“{DRAFT}” doesn't wait for a decision: it is draft."),
        ("?tab=plan&campaign=<b>x</b>", "campaign '<b>x</b>' isn't known"),
        ("?tab=groups&group=Lapsed", "target group 'Lapsed' isn't known"),
    ],
)
def test_what_an_address_names_and_nobody_knows_is_said(boss, query, sentence):
    bench = views.workbench(boss, query)
    assert sentence in said(bench)
    assert "<b>x" not in bench.note.value
    if "tab=approve" in query:
        assert bench.content["approve"].waiting.value is None, "a click would decide on a campaign nobody asked for"
    bench.tabs.selected_index = ORDER.index("calendar")
    assert said(bench) == ""


def test_an_approved_campaign_is_no_longer_waiting_at_its_address(planned, tmp_path):
    shutil.copytree(planned, tmp_path / "ws")
    with open_workspace(tmp_path / "ws", user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
        bench = views.workbench(boss, f"?tab=approve&campaign={NAME}")
        assert said(bench) == f"“{NAME}” doesn't wait for a decision: it is approved."


def test_who_where_and_what_for_stand_above_every_tab(waiting):
    bench = views.workbench(waiting, "?tab=sends")
    shown = text_of(bench.where.value)
    assert f"You are {AUTHOR}" in shown
    assert f"Workspace {waiting.root.name}" in shown
    assert "Rehearsal no message reaches a customer" in shown
    assert shown.endswith("Customer data of Mon 23 Nov 2026")


@pytest.mark.parametrize(
    ("real", "shown"),
    [
        ({"Shop", "Club"}, "Real approved campaigns reach customers"),
        ({"Club"}, "Partly real Club sends to customers; Shop rehearses"),
    ],
)
def test_what_reaches_customers_is_told_from_a_rehearsal(planned, tmp_path, monkeypatch, real, shown):
    folder = tmp_path / "ws"
    shutil.copytree(planned, folder)
    file = folder / "optinb.toml"
    parts = re.split(r"(?=\[\[app_groups\]\])", file.read_text("utf-8"))
    parts = [
        re.sub(r"http://127\.0\.0\.1:\d+", "https://rest.iad-01.braze.com", part)
        if any(f'name = "{name}"' in part for name in real)
        else part
        for part in parts
    ]
    file.write_text("".join(parts), "utf-8")
    monkeypatch.delenv("OPTINB_NOW")
    with open_workspace(folder, user=AUTHOR) as opened:
        said = text_of(views.workbench(opened, "?tab=calendar").where.value)
        age = (opened.today() - RUN_DATE).days
    assert shown in said
    assert (f"{age} days old" in said) is (age > 1)


def test_a_workspace_without_data_opens_every_tab(planned, tmp_path):
    folder = tmp_path / "ws"
    shutil.copytree(planned, folder)
    (folder / "warehouse" / "CURRENT").unlink()
    with open_workspace(folder, user=AUTHOR) as opened:
        bench = views.workbench(opened, "")
        assert "No data yet" in text_of(bench.where.value)
        for number in range(len(TABS)):
            bench.tabs.selected_index = number
            assert bench.tabs.children[number].children
        groups = bench.content["groups"]
        assert "No customer data is imported yet" in text_of(groups.result.value)
        assert groups.editor.tree.lines[0].picker is None


@pytest.fixture
def held(waiting, monkeypatch):
    """A view that waits for its visitor, as in a kernel that the server holds ready."""
    monkeypatch.setenv("VOILA_PREHEAT", "True")
    monkeypatch.setattr(arrivals, "_waiting", [])
    monkeypatch.setattr(arrivals, "_told", [])
    return lambda: Workbench(waiting)


def test_a_view_that_waits_has_nothing_of_a_visitor_until_one_arrives_and_only_one_does(held):
    bench = held()
    assert bench.content == {}
    assert bench.told.value == ""
    arrivals.arrived("?tab=groups&group=Lapsed+buyers")
    # nothing yet that would keep the kernel from answering the browser, but the page is where it will be
    assert (bench.tab, bench.content) == ("groups", {})
    assert address_of(bench) == "?tab=groups&group=Lapsed+buyers"
    bench.asked.value = READY
    assert list(bench.content) == ["groups"]
    assert bench.content["groups"].chosen == "Lapsed buyers"
    other = held()
    assert other.content == {}, "the next view knows what the visitor before opened"
    assert other.told.value == ""


def test_a_visitor_who_comes_before_the_view_is_made_is_taken_where_they_want(held):
    arrivals.arrived("?tab=sends")
    bench = held()
    assert list(bench.content) == ["sends"]
    assert held().content == {}
