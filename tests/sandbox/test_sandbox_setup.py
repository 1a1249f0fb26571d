"""Worlds to start from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from optinb.demo import CAMPAIGNS
from optinb.errors import UsageError
from optinb.sandbox import AppGroup, DashboardCampaign, FrequencyCap, demo_world, load_world, make_world

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_has_the_app_groups_of_the_example_settings() -> None:
    world = demo_world()
    assert {group.id: group.name for group in world.app_groups.values()} == {
        "11111111-2222-3333-4444-555555555555": "Shop",
        "66666666-7777-8888-9999-000000000000": "Club",
    }
    assert [key.key for group in world.app_groups.values() for key in group.keys] == [
        "sandbox-shop-key",
        "sandbox-club-key",
    ]
    live = {
        group.name: {
            c.name
            for c in group.campaigns
            if c.schedule_type == "api_triggered" and c.enabled and c.messages and not c.archived and not c.draft
        }
        for group in world.app_groups.values()
    }
    assert live["Shop"] == {
        "Optimove_SummerSale_iOS",
        "Optimove_SummerSale_Android",
        "Optimove_WinBack_iOS",
        "Optimove_WinBack_Android",
    }
    assert live["Club"] == {
        "Optimove_ClubNight_iOS",
        "Optimove_ClubNight_Android",
        "Optimove_Points_iOS",
        "Optimove_Points_Android",
    }


def test_only_the_templates_of_the_demos_nightly_campaign_may_be_had_again() -> None:
    templates = [c for group in demo_world().app_groups.values() for c in group.campaigns]
    again = {c.name for c in templates if c.re_eligible_after_s is not None}
    assert again == {"Optimove_ClubNight_iOS", "Optimove_ClubNight_Android"}
    nightly = {c["template"] for c in CAMPAIGNS if "every" in c["schedule"]}
    assert nightly <= again
    assert make_world().group("Group 1").campaigns[0].re_eligible_after_s is None
    assert make_world(re_eligible_after_s=0).group("Group 1").campaigns[0].re_eligible_after_s == 0


def test_campaign_ids_stay_the_same_from_one_start_to_the_next() -> None:
    first, second = demo_world().group("Shop"), demo_world().group("Shop")
    assert [c.id for c in first.campaigns] == [c.id for c in second.campaigns]
    everywhere = [c.id for group in demo_world().app_groups.values() for c in group.campaigns]
    assert len(set(everywhere)) == len(everywhere)


def test_a_small_world_has_as_many_app_groups_as_asked_for() -> None:
    world = make_world(3, templates=("A_iOS", "B_Web", "C"))
    assert len(world.app_groups) == 3
    platforms = [campaign.platforms() for campaign in world.group("Group 2").campaigns]
    assert platforms == [("ios",), ("web",), ("ios", "android")]
    assert make_world(["Shop"]).group("Shop").keys[0].key == "sandbox-shop-key"


def test_campaigns_can_be_edited_added_and_dropped_as_in_the_dashboard() -> None:
    world = make_world()
    first, second = world.group("Group 1").campaigns
    world.drop_campaign("Group 1", first.id)
    assert [c.id for c in world.group("Group 1").campaigns] == [second.id]
    world.put_campaign("Group 1", first)
    assert [c.id for c in world.group("Group 1").campaigns] == [second.id, first.id]


def test_a_world_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    messages = {"v1": {"channel": "ios_push", "title": "Summer", "alert": "Hi!"}}
    campaign = {"id": "c1", "name": "Optimove_Summer_iOS", "channels": ["ios_push"], "messages": messages}
    group = {
        "id": "g1",
        "name": "Shop",
        "keys": [{"key": "secret", "permissions": ["campaigns.list"]}],
        "campaigns": [campaign],
        "users": {"007": {"time_zone": "Europe/Berlin", "push": ["ios"]}},
        "limits": {"an_hour": 100},
    }
    path.write_text(json.dumps({"app_groups": [group]}))
    world = load_world(path)
    assert world.group("Shop").campaigns[0].platforms() == ("ios",)
    assert world.group("Shop").limits.an_hour == 100
    assert world.group("Shop").user("8") is None


def test_a_world_file_sets_every_switch_behind_a_success(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    campaign = {
        "id": "c1",
        "name": "T",
        "messages": {"v1": {"channel": "ios_push"}, "v2": {"type": "control"}},
        "re_eligible_after_s": 86_400,
        "segment": {"ids": ["ann"], "share": 0.5},
        "control_share": 0.1,
        "is_capped": False,
        "counts_to_caps": True,
        "messages_a_minute": 500,
        "max_users": {"most": 1000, "per": "instance"},
        "quiet_hours": {"start": "22:00:00", "end": "08:00:00", "then": "drop"},
        "ignores_quiet_hours": True,
    }
    group = {
        "id": "g1",
        "name": "Shop",
        "campaigns": [campaign],
        "users": {"ann": {"push": ["ios"], "uninstalled": ["ios"]}},
        "global_control": {"members": {"share": 0.1}, "applies_to_api_triggered": False},
        "caps": [{"most": 3, "per": "week", "tag": "sale", "channel": "push"}],
        "quiet_hours": {"start": "22:00:00", "end": "08:00:00"},
    }
    path.write_text(json.dumps({"app_groups": [group], "seed": "s"}))
    shop = load_world(path).group("Shop")
    read = shop.campaigns[0]
    assert (read.re_eligible_after_s, read.control_share, read.messages_a_minute) == (86_400, 0.1, 500)
    assert read.platforms() == ("ios",)
    assert shop.caps == (FrequencyCap(3, "week", "sale", "push"),)
    fields = {f.name for kind in (AppGroup, DashboardCampaign) for f in msgspec.structs.fields(kind)}
    named = {"id", "name", "users", "campaigns", *campaign, *group}
    told = load_world.__doc__ or ""
    assert all(name in told for name in named & fields)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"app_groups": [{"id": 1, "name": "x"}]}', r"app_groups\[0\]\.id"),
        ('{"app_groups": [{"id": "1", "name": "x", "colour": "red"}]}', "colour"),
        (
            '{"app_groups": [{"id": "1", "name": "x", "users": {"7": {"time_zone": "Berlin"}}}]}',
            "'Berlin' is no time zone",
        ),
        (
            '{"app_groups": [{"id": "1", "name": "x", "campaigns": [{"id": "c", "name": "T", "control_share": 0.1}]}]}',
            "no control variation",
        ),
        (
            (
                '{"app_groups": [{"id": "1", "name": "x", "campaigns": '
                '[{"id": "c", "name": "T", "re_eligible_after_s": 62208001}]}]}'
            ),
            r"<= 62208000 - at `\$.app_groups\[0\].campaigns\[0\].re_eligible_after_s`",
        ),
        ("{", "doesn't fit"),
    ],
)
def test_a_wrong_world_file_is_refused_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "world.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        load_world(path)
    with pytest.raises(UsageError, match="can't be read"):
        load_world(tmp_path / "none.json")
