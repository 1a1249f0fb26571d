"""What Appboy fills into a template when it sends is named, since nobody can approve it, and can be refused."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import msgspec
import pytest

from optinb import show
from optinb.appboy import Message, Template, with_live_content
from optinb.appboy.live_content import live_content
from optinb.campaigns import campaign_from
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import CampaignError
from optinb.nightly import Night
from optinb.views.desk import ApprovalDesk
from optinb.views.plan.planner import Planner
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAMED = "Appboy fills this in when it sends; it can't be approved: content block “footer”"
NAME = CAMPAIGNS[0]["name"]


def template(**texts: str) -> Template:
    message = msgspec.structs.replace(Message(platform="ios", alert="Hello"), **texts)
    return Template(
        app_group_id="g",
        id="t",
        name="T",
        platforms=("ios",),
        messages=(message,),
        usable=True,
        problems=(),
        updated_at=None,
        content_hash="0",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{content_blocks.${footer}}}", [("content_blocks", "footer")]),
        ("{{ content_blocks.${ Big footer } | id: 'cb1' }}", [("content_blocks", "Big footer")]),
        ("{{ content_blocks['footer'] }}", [("content_blocks", "?")]),
        (
            "{% connected_content https://api.example.com/a?key=secret :save x %}{{x.price}}",
            [("connected_content", "api.example.com")],
        ),
        ("{%- connected_content {{url}}?key=secret -%}", [("connected_content", "{{url}}")]),
        ("{% connected_content http://[::1 %}", [("connected_content", "[::1")]),
        ("{% catalog_items games 1234 %}{{ items[0].title }}", [("catalogs", "games")]),
        ("{% catalog_selection_items games cheap %}", [("catalogs", "games")]),
        ("{{${first_name}}} {{custom_attribute.${tier}}}", [("profile", "first_name"), ("profile", "tier")]),
        ("{{campaign.${name}}}", [("profile", "campaign name")]),
        ("{{api_trigger_properties.${code}}} {{api_trigger_properties.${code} | default: 'x'}}", []),
        ("content_blocks.${footer} is no tag, and neither is connected_content", []),
        ("plain", []),
    ],
)
def test_what_only_appboy_knows_is_named_once(text: str, found: list[tuple[str, str]]) -> None:
    assert list(live_content(template(alert=f"{text}{text}"))) == found
    assert list(live_content(template(title=text, action=text, image_url=text))) == found


def test_a_key_in_an_address_is_never_shown() -> None:
    noted = with_live_content(template(alert="{% connected_content https://user:pass@a.example/?key=secret %}"))
    assert noted.usable
    assert "a.example" in noted.notes[0]
    assert "pass" not in noted.notes[0]
    assert "secret" not in noted.notes[0]


def test_only_what_is_refused_makes_a_template_unusable() -> None:
    made = template(alert="{{content_blocks.${footer}}} {{${first_name}}}")
    assert with_live_content(made, refused=("catalogs", "connected_content")).usable
    refused = with_live_content(made, refused=("content_blocks",))
    assert not refused.usable
    assert "content block “footer”" in refused.problems[0]
    assert "first_name" not in refused.problems[0]
    assert with_live_content(template(), refused=("content_blocks", "profile")) == template()


@pytest.fixture
def edited(ws: Workspace, sandbox: Sandbox) -> Workspace:
    """A workspace with a template that has a content block."""
    there = ws.templates.get("Shop", CAMPAIGNS[0]["template"])
    campaign = sandbox.world.group("Shop").campaign(there.id)
    assert campaign is not None
    messages = {k: {**m, "alert": m["alert"] + " {{content_blocks.${footer}}}"} for k, m in campaign.messages.items()}
    sandbox.world.put_campaign("Shop", msgspec.structs.replace(campaign, messages=messages))
    ws.templates.sync("Shop", fresh={there.id})
    return ws


def test_the_list_the_planner_the_desk_and_the_preview_name_it(edited: Workspace, folder: Path) -> None:
    assert NAMED in show.text(edited.templates.listing())
    assert NAMED in html.unescape(show.html(edited.templates.list()))
    planner = Planner(edited)
    planner.app_group.value = "Shop"
    planner.template.value = CAMPAIGNS[0]["template"]
    assert NAMED in html.unescape(planner.about_template.value)
    planner.app_group.value = "Club"
    assert "Appboy fills" not in planner.about_template.value
    assert NAMED in show.text(edited.campaigns.preview(CAMPAIGNS[0]))
    assert NAMED not in show.text(edited.campaigns.preview(CAMPAIGNS[1]))
    edited.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as boss:
        assert NAMED in html.unescape(ApprovalDesk(boss).detail.value)


def test_a_policy_refuses_it_before_an_approval_and_holds_what_was_approved_before(
    edited: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    edited.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
    file = folder / "optinb.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[policy]\n", '[policy]\nrefuse_live_content = ["content_blocks"]\n'), "utf-8")
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
        step()
    (held,) = night.report().campaigns
    night.close()
    assert "policy was none and is no template with content_blocks" in (held.held or "")
    assert not sandbox.world.dispatches
    with open_workspace(folder, user=APPROVER) as boss, pytest.raises(CampaignError, match="content block “footer”"):
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
    with open_workspace(folder, user=edited.user) as author:
        with pytest.raises(CampaignError, match="refused by refuse_live_content"):
            author.campaigns.submit({**CAMPAIGNS[0], "name": "Another"})
        assert author.campaigns.submit(campaign_from({**CAMPAIGNS[1], "name": "Without"})).state == "submitted"
