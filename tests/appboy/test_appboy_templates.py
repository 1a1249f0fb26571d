"""Templates as the sandbox's dashboard holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from optinb.appboy import (
    AppboyClient,
    CampaignDetails,
    Needed,
    Template,
    fetch_templates,
    needed_properties,
    render,
    template_from_details,
)
from optinb.errors import AppboyError
from optinb.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from optinb.base.settings import AppGroupSettings

DETAILS = "/campaigns/details"


def details(*channels: str, **fields: Any) -> CampaignDetails:
    messages = {
        f"v{n}": {"channel": channel, "title": "T", "alert": "Hi {{api_trigger_properties.${name}}}"}
        for n, channel in enumerate(channels or ("ios_push",))
    }
    given: dict[str, Any] = {"name": "C", "schedule_type": "api_triggered", "messages": messages, **fields}
    return CampaignDetails(**given)


def of(*channels: str, **fields: Any) -> Template:
    return template_from_details("g", "c", details(*channels, **fields))


def by_name(templates: list[Template]) -> dict[str, Template]:
    return {template.name: template for template in templates}


def fetched(shop: AppGroupSettings, known: list[Template] | None = None) -> list[Template]:
    with AppboyClient(shop, sleep=lambda _: None) as client:
        return fetch_templates(client, shop, known={template.id: template for template in known or []})


def test_the_demo_has_four_usable_templates_and_says_why_the_others_are_not(shop: AppGroupSettings) -> None:
    templates = by_name(fetched(shop))
    assert {name: t.platforms for name, t in templates.items() if t.usable} == {
        "Optimove_SummerSale_iOS": ("ios",),
        "Optimove_SummerSale_Android": ("android",),
        "Optimove_WinBack_iOS": ("ios",),
        "Optimove_WinBack_Android": ("android",),
    }
    why = {name: " ".join(t.problems) for name, t in templates.items() if not t.usable}
    assert "only email" in why["Shop_Newsletter"]
    assert "draft" in why["Optimove_Autumn_Draft"]
    assert "archived" in why["Optimove_LastYear_iOS"]
    assert "times set in the dashboard" in why["Shop_MondayPush"]
    assert "no push message" in why["Optimove_Empty_iOS"]
    assert "stopped" in why["Optimove_Paused_Android"]
    assert all(t.app_group_id == shop.id for t in templates.values())


def test_details_are_read_again_only_for_what_was_edited_and_what_vanished_is_gone(
    sandbox: Sandbox, shop: AppGroupSettings
) -> None:
    first = fetched(shop)
    sandbox.set_faults([Fault("status", status=500, nth=(9999,))])
    again = fetched(shop, first)
    assert again == first
    assert DETAILS not in sandbox.requests

    campaign = sandbox.world.group("Shop").campaigns[0]
    edited = msgspec.structs.replace(campaign, name="Renamed", updated_at=campaign.updated_at.replace(minute=59))
    sandbox.world.put_campaign("Shop", edited)
    sandbox.world.drop_campaign("Shop", sandbox.world.group("Shop").campaigns[1].id)
    third = fetched(shop, again)
    assert sandbox.requests[DETAILS] == 1
    assert len(third) == len(first) - 1
    renamed = by_name(third)["Renamed"]
    assert renamed.id == campaign.id
    assert renamed.content_hash == first[0].content_hash, "a name isn't what goes out"


def test_what_is_about_to_be_sent_is_read_again_even_if_the_list_says_unedited(
    sandbox: Sandbox, shop: AppGroupSettings
) -> None:
    first = fetched(shop)
    campaign = sandbox.world.group("Shop").campaigns[0]
    sandbox.world.put_campaign("Shop", msgspec.structs.replace(campaign, enabled=False))
    known = {template.id: template for template in first}
    with AppboyClient(shop) as client:
        assert by_name(fetch_templates(client, shop, known=known))[campaign.name].usable
        assert not by_name(fetch_templates(client, shop, known=known, fresh={campaign.id}))[campaign.name].usable


def test_a_campaign_that_vanishes_between_list_and_details_is_one_line_not_the_end(
    sandbox: Sandbox, shop: AppGroupSettings
) -> None:
    gone = Fault("status", status=400, body='{"message":"Invalid Campaign ID"}', endpoint=DETAILS, nth=(1,))
    sandbox.set_faults([gone])
    templates = fetched(shop)
    assert [t.problems for t in templates if t.last_edited is None] == [
        ("its details can't be read: 400 Bad Request: Invalid Campaign ID",)
    ]
    assert sum(t.usable for t in templates) == 3
    assert sum(t.usable for t in fetched(shop, templates)) == 4, "read again the next time"


def test_an_outage_is_raised_so_that_no_template_seems_to_have_vanished(
    sandbox: Sandbox, shop: AppGroupSettings
) -> None:
    sandbox.set_faults([Fault("status", status=503, endpoint=DETAILS)])
    with pytest.raises(AppboyError):
        fetched(shop)


def test_what_goes_out_or_decides_on_usability_changes_the_hash_and_nothing_else_does() -> None:
    same = of(name="Other", description="x", tags=("a",), updated_at="2026-11-23T00:00:00Z")
    assert same.content_hash == of().content_hash
    changed = [
        of("android_push"),
        of(archived=True),
        of(enabled=False),
        of(schedule_type="time_based"),
        of(messages={"v0": {"channel": "ios_push", "title": "T", "alert": "Bye"}}),
    ]
    assert len({of().content_hash, *(template.content_hash for template in changed)}) == 6


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"messages": {"v": {"channel": "ios_push", "alert": "{{ a"}}}, "Liquid of its message for ios can't be read"),
        ({"messages": {"v": {"channel": "ios_push", "alert": " "}}}, "message for ios has no text"),
        ({"messages": {"v": {"channel": "ios_push", "extras": {"u": "{% x %}"}, "alert": "a"}}}, "Liquid"),
        ({"schedule_type": "action_based"}, "when customers do something"),
        ({"schedule_type": None}, "an unknown delivery"),
        ({"channels": ("email",), "messages": {}}, "only email"),
    ],
)
def test_why_not_in_plain_words(fields: dict[str, Any], told: str) -> None:
    template = of(**fields)
    assert not template.usable
    assert told in " ".join(template.problems)


def test_push_beside_another_channel_is_refused_because_that_would_go_out_too() -> None:
    template = of("ios_push", "email")
    assert template.problems == ("besides push it also sends email; keep push messages only",)
    assert of("ios_push", "android_push").platforms == ("ios", "android")


def test_a_control_variation_and_several_variations_are_noted() -> None:
    messages = {
        "a": {"channel": "ios_push", "alert": "A"},
        "b": {"channel": "ios_push", "alert": "B"},
        "c": {"type": "control"},
    }
    template = of(messages=messages)
    assert template.usable
    assert [message.alert for message in template.messages] == ["A", "B"]
    assert len(template.notes) == 2


def test_needed_properties_are_collected_over_every_text() -> None:
    messages = {
        "a": {
            "channel": "ios_push",
            "title": "{{api_trigger_properties.${name} | default: 'you'}}",
            "alert": "{{api_trigger_properties.${code}}}",
            "action": "shop://{{api_trigger_properties.${link}}}",
            "extras": {"k": ["{{api_trigger_properties.${deep}}}"]},
        },
        "b": {"channel": "android_push", "alert": "{{api_trigger_properties.${name}}}"},
    }
    assert needed_properties(of(messages=messages)) == (
        Needed("code", False),
        Needed("deep", False),
        Needed("link", False),
        Needed("name", False),
    )


def test_a_message_reads_as_the_customer_reads_it_and_bad_liquid_is_a_sentence() -> None:
    (message,) = of().messages
    shown = render(message, {"name": "Ann"})
    assert (shown.platform, shown.title, shown.alert, shown.aborted) == ("ios", "T", "Hi Ann", False)
    (broken,) = of(messages={"v": {"channel": "ios_push", "alert": "{{ a"}}).messages
    with pytest.raises(AppboyError, match="mend its Liquid"):
        render(broken, {})
    (aborting,) = of(messages={"v": {"channel": "ios_push", "alert": "{% abort_message() %}"}}).messages
    assert render(aborting, {}).aborted


@pytest.mark.parametrize(
    ("channel", "platform", "limit"), [("ios_push", "ios", 1_912), ("android_push", "android", 4_000)]
)
def test_a_message_that_is_too_large_for_its_platform_says_so_and_by_how_much(
    channel: str, platform: str, limit: int
) -> None:
    (message,) = of(channel).messages
    frame = len(b'{"title":"T","alert":"Hi "}')
    assert render(message, {"name": "x" * (limit - frame)}).note == ""
    note = render(message, {"name": "x" * (limit - frame + 1)}).note
    assert (
        note == f"too long for {platform}: {limit + 1:,} bytes of at most {limit:,}; shorten the text or its properties"
    )
    # umlauts have two bytes each
    assert render(message, {"name": "ä" * (limit // 2)}).note.startswith("too long")


def test_a_template_survives_a_round_trip_through_json() -> None:
    template = of("ios_push", "android_push")
    assert msgspec.json.decode(msgspec.json.encode(template), type=Template) == template
