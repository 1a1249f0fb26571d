"""What the sandbox answers, without a server: the world is a value and so is the request."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.sandbox import (
    ENDPOINTS,
    AppGroup,
    Handled,
    Key,
    Limits,
    SandboxRequest,
    World,
    apply,
    demo_world,
    handle,
    make_world,
    push_campaign,
)
from optinb.sandbox.journal import journal_line

NOW = datetime(2026, 11, 23, 3, 20, tzinfo=UTC)
CREATE = "/campaigns/trigger/schedule/create"
EVENING = {"time": "2026-11-23T18:30:00Z"}


def ask(
    world: World,
    path: str,
    payload: Any = None,
    *,
    key: str | None = "sandbox-group-1-key",
    now: datetime = NOW,
    headers: dict[str, str] | None = None,
    client: str = "127.0.0.1",
    **query: str,
) -> Handled:
    """One request, whose changes are made."""
    given = {"authorization": f"Bearer {key}"} if key is not None else {}
    if payload is not None:
        given["content-type"] = "application/json"
    body = payload if isinstance(payload, bytes) else b"" if payload is None else json.dumps(payload).encode()
    method = "GET" if payload is None else "POST"
    request = SandboxRequest(method, path, query, given | (headers or {}), body, client)
    handled = handle(world, request, now)
    for change in handled.changes:
        apply(world, change)
    return handled


def told(handled: Handled) -> Any:
    return json.loads(handled.reply.body)


def create(world: World, *users: str, now: datetime = NOW, **fields: Any) -> Handled:
    group = next(iter(world.app_groups.values()))
    body = {
        "campaign_id": group.campaigns[0].id,
        "recipients": [{"external_user_id": user} for user in users],
        "schedule": EVENING,
    }
    return ask(world, CREATE, body | fields, now=now)


def test_a_batch_is_accepted_with_its_ids_and_its_properties_are_merged() -> None:
    world = make_world()
    handled = create(
        world,
        trigger_properties={"code": "ALL", "shop": "Shop"},
        recipients=[
            {"external_user_id": "007", "trigger_properties": {"code": "OWN"}},
            {"external_user_id": "8"},
            {"external_user_id": "007", "trigger_properties": {"code": "SECOND"}},
        ],
    )
    reply = told(handled)
    assert handled.reply.status == 201
    assert reply["message"] == "success"
    assert len(reply["dispatch_id"]) == 32
    assert len(reply["schedule_id"]) == 36
    (line,) = [json.loads(line) for change in handled.changes if (line := journal_line(change))]
    assert line["recipients"] == [
        {"external_user_id": "007", "trigger_properties": {"code": "OWN", "shop": "Shop"}},
        {"external_user_id": "8", "trigger_properties": {"code": "ALL", "shop": "Shop"}},
    ]
    assert line["endpoint"] == CREATE
    assert line["taken_at"] == "2026-11-23T03:20:00.000Z"
    assert (line["dispatch_id"], line["schedule_id"]) == (reply["dispatch_id"], reply["schedule_id"])


def test_handling_changes_nothing_by_itself() -> None:
    world = make_world()
    campaign = next(iter(world.app_groups.values())).campaigns[0]
    body = {"campaign_id": campaign.id, "recipients": [{"external_user_id": "1"}], "schedule": EVENING}
    headers = {"authorization": "Bearer sandbox-group-1-key", "content-type": "application/json"}
    request = SandboxRequest("POST", CREATE, {}, headers, json.dumps(body).encode())
    first, second = handle(world, request, NOW), handle(world, request, NOW)
    assert first == second
    assert world.dispatches == []
    assert world.counts == {}


def test_the_same_customer_in_two_requests_is_taken_twice() -> None:
    world = make_world()
    create(world, "1")
    create(world, "1")
    campaign = next(iter(world.app_groups.values())).campaigns[0]
    assert world.recipients(campaign.id) == ["1", "1"]
    assert len({d.schedule_id for d in world.dispatches}) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"recipients": []}, "No Recipients"),
        (
            {"recipients": [{"external_user_id": str(n)} for n in range(51)]},
            "The max number of external_ids and aliases",
        ),
        ({"recipients": [{"trigger_properties": {}}]}, "exactly one identifier"),
        ({"recipients": [{"external_user_id": "1", "user_alias": {"alias_name": "a"}}]}, "exactly one identifier"),
        ({"recipients": [{"external_user_id": 7}]}, "external_user_id must be a string"),
        ({"campaign_id": "nope"}, "Invalid Campaign ID"),
        ({"campaign_id": None}, "campaign_id is required"),
        ({"broadcast": True}, "broadcast may not be true"),
        ({"send_id": "unheard"}, "send_id"),
        ({"schedule": None}, "schedule is required"),
        ({"schedule": {"time": "tomorrow"}}, "Cannot parse send_at"),
        ({"schedule": {"time": "2026-11-23T18:30:00"}}, "Cannot parse send_at"),
        ({"schedule": {"time": "2026-11-23T18:30:00Z", "in_local_time": True}}, "must not bear an offset"),
        ({"schedule": {"time": "2026-11-23T03:00:00", "in_local_time": True}}, "time has passed"),
        ({"schedule": {"time": "0001-01-01T00:00:00+14:00"}}, "Cannot parse send_at"),
        ({"schedule": {"time": "9999-12-31T23:00:00-10:00"}}, "Cannot parse send_at"),
        ({"schedule": {"time": "9998-12-31T23:00:00", "at_optimal_time": True}}, "90 days"),
        ({"schedule": {"time": "2027-02-23T03:00:00Z"}}, "90 days"),
    ],
)
def test_a_wrong_body_is_a_400_that_says_why_and_takes_nothing(fields: dict[str, Any], message: str) -> None:
    world = make_world()
    handled = create(world, "1", **fields)
    assert handled.reply.status == 400
    assert message in told(handled)["message"]
    assert world.dispatches == []


def test_unparsable_json_is_told_in_the_vendors_words() -> None:
    handled = ask(make_world(), CREATE, b'{"campaign_id": ')
    assert handled.reply.status == 400
    assert told(handled) == {"message": "Error while parsing request body. Please check your syntax."}


@pytest.mark.parametrize("flag", [{"draft": True}, {"archived": True}, {"enabled": False}, {"messages": {}}])
def test_a_campaign_that_is_not_live_takes_nothing(flag: dict[str, Any]) -> None:
    world = make_world()
    group = world.group("Group 1")
    world.put_campaign("Group 1", msgspec.structs.replace(group.campaigns[0], **flag))
    assert create(world, "1").reply.status == 400


def test_an_unknown_key_is_echoed_with_empty_rate_headers() -> None:
    handled = ask(make_world(), "/campaigns/list", key="secret-1")
    assert handled.reply.status == 401
    assert told(handled) == {"message": "Invalid API key: secret-1"}
    assert handled.reply.headers["X-RateLimit-Limit"] == ""
    assert handled.changes == ()


def test_the_way_of_2015_is_an_app_group_id_in_the_body_or_the_query() -> None:
    world = make_world(auth="app_group_id")
    group = world.group("Group 1")
    body = {"campaign_id": group.campaigns[0].id, "recipients": [{"external_user_id": "1"}], "schedule": EVENING}
    assert ask(world, CREATE, body | {"app_group_id": group.id}, key=None).reply.status == 201
    assert ask(world, "/campaigns/list", key=None, app_group_id=group.id).reply.status == 200
    wrong = ask(world, CREATE, body | {"app_group_id": "other"}, key=None)
    assert wrong.reply.status == 401
    assert told(wrong) == {"message": "Invalid or missing App Group API Identifier: other"}
    assert ask(world, CREATE, body).reply.status == 401, "a key is no way in there"


def test_a_key_without_the_permission_is_denied() -> None:
    world = make_world(permissions=("campaigns.list",))
    assert ask(world, "/campaigns/list").reply.status == 200
    denied = create(world, "1")
    assert denied.reply.status == 403
    assert "campaigns.trigger.schedule.create" in told(denied)["message"]


def test_a_caller_off_the_allow_list_is_denied() -> None:
    group = AppGroup("g", "G", (Key("k", allowed_addresses=("10.0.0.1",)),))
    assert ask(World([group]), "/campaigns/list", key="k", client="10.0.0.2").reply.status == 403
    assert ask(World([group]), "/campaigns/list", key="k", client="10.0.0.1").reply.status == 200


def test_wrong_addresses_methods_and_content_types() -> None:
    world = make_world()
    assert ask(world, "/campaigns/lists").reply.status == 404
    assert ask(world, CREATE).reply.status == 404
    assert ask(world, CREATE, {}, headers={"content-type": "text/plain"}).reply.status == 415


def test_the_rate_limit_counts_by_clock_hour_and_app_group() -> None:
    world = make_world(["A", "B"], limits=Limits(an_hour=2))
    replies = [ask(world, "/campaigns/list", key="sandbox-a-key").reply for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == ["1", "0", "0"]
    reset = datetime.fromtimestamp(int(replies[-1].headers["X-RateLimit-Reset"]), UTC)
    assert reset == datetime(2026, 11, 23, 4, tzinfo=UTC)
    assert ask(world, "/campaigns/list", key="sandbox-b-key").reply.status == 200
    assert ask(world, "/campaigns/list", key="sandbox-a-key", now=reset).reply.status == 200


def test_an_hour_can_be_made_shorter_for_tests_of_pacing() -> None:
    world = make_world(limits=Limits(an_hour=1, hour_s=2))
    even = NOW.replace(second=0)
    assert ask(world, "/campaigns/list", now=even).reply.status == 200
    late = ask(world, "/campaigns/list", now=even + timedelta(seconds=1)).reply
    assert (late.status, int(late.headers["X-RateLimit-Reset"])) == (429, int(even.timestamp()) + 2)
    assert ask(world, "/campaigns/list", now=even + timedelta(seconds=2)).reply.status == 200


def test_refused_requests_count_and_exports_have_a_limit_of_their_own() -> None:
    world = make_world(limits=Limits(an_hour=1, export_a_minute=1))
    body = {"external_ids": ["1"], "fields_to_export": ["external_id"]}
    assert ask(world, CREATE, {}).reply.status == 400
    assert ask(world, "/campaigns/list").reply.status == 429
    assert ask(world, "/users/export/ids", body).reply.status == 201
    assert ask(world, "/users/export/ids", body).reply.status == 429
    assert ask(world, "/users/export/ids", body, now=NOW + timedelta(minutes=1)).reply.status == 201


def test_campaigns_come_in_pages_of_100_by_creation_and_archived_ones_on_demand() -> None:
    campaigns = tuple(push_campaign(f"C{n:03}", number=n, archived=n == 0) for n in range(230))
    world = World([AppGroup("g", "G", (Key("k"),), campaigns=campaigns)])

    def names(**query: str) -> list[str]:
        return [c["name"] for c in told(ask(world, "/campaigns/list", key="k", **query))["campaigns"]]

    assert names() == [f"C{n:03}" for n in range(1, 101)]
    assert names(page="2") == [f"C{n:03}" for n in range(201, 230)]
    assert names(page="3") == []
    assert names(include_archived="true")[0] == "C000"
    assert names(sort_direction="desc")[0] == "C229"
    assert ask(world, "/campaigns/list", key="k", page="-1").reply.status == 400


def test_details_tell_what_decides_whether_a_campaign_is_usable() -> None:
    world = demo_world()
    campaign = world.group("Shop").campaigns[0]
    details = told(ask(world, "/campaigns/details", key="sandbox-shop-key", campaign_id=campaign.id))
    assert details["schedule_type"] == "api_triggered"
    assert (details["draft"], details["archived"], details["enabled"]) == (False, False, True)
    (message,) = details["messages"].values()
    assert message["channel"] == "ios_push"
    assert "{{api_trigger_properties.${promo_code}}}" in message["alert"]
    unknown = ask(world, "/campaigns/details", key="sandbox-shop-key", campaign_id="x")
    assert unknown.reply.status == 400


def test_send_ids_are_unique_and_100_a_day() -> None:
    world = make_world(limits=Limits(send_ids_a_day=2))
    campaign = world.group("Group 1").campaigns[0].id
    made = ask(world, "/sends/id/create", {"campaign_id": campaign, "send_id": "night-1"})
    assert told(made) == {"message": "success", "send_id": "night-1"}
    assert create(world, "1", send_id="night-1").reply.status == 201
    assert ask(world, "/sends/id/create", {"campaign_id": campaign, "send_id": "night-1"}).reply.status == 400
    assert ask(world, "/sends/id/create", {"campaign_id": campaign}).reply.status == 429
    tomorrow = ask(world, "/sends/id/create", {"campaign_id": campaign}, now=NOW + timedelta(days=1))
    assert tomorrow.reply.status == 201
    assert told(tomorrow)["send_id"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("campaign_id", "recipients", "schedule", "schedule_id", "send_id", "external_ids", "trigger_properties")


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(sorted(ENDPOINTS)), body=st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
def test_no_body_brings_the_sandbox_down(path: str, body: Any) -> None:
    world = make_world()
    if isinstance(body, dict) and "campaign_id" in body:
        body["campaign_id"] = world.group("Group 1").campaigns[0].id
    payload = None if ENDPOINTS[path].method == "GET" else msgspec.json.encode(body)
    assert ask(world, path, payload).reply.status in (200, 201, 400)


def test_every_endpoint_of_the_page_is_served() -> None:
    assert set(ENDPOINTS) == {
        "/campaigns/list",
        "/campaigns/details",
        "/campaigns/trigger/schedule/create",
        "/campaigns/trigger/schedule/update",
        "/campaigns/trigger/schedule/delete",
        "/campaigns/trigger/send",
        "/sends/id/create",
        "/campaigns/data_series",
        "/sends/data_series",
        "/users/export/ids",
    }
