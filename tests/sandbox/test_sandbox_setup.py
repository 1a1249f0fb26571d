"""Worlds to start from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from optinb.errors import UsageError
from optinb.sandbox import demo_world, load_world, make_world

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


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"app_groups": [{"id": 1, "name": "x"}]}', r"app_groups\[0\]\.id"),
        ('{"app_groups": [{"id": "1", "name": "x", "colour": "red"}]}', "colour"),
        (
            '{"app_groups": [{"id": "1", "name": "x", "users": {"7": {"time_zone": "Berlin"}}}]}',
            "'Berlin' is no time zone",
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
