"""What the sandbox delivers, when, and the figures that follow from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from calling import EVENING, Caller
from msgspec.structs import replace

from optinb.sandbox import Rates, User, make_world

ZONES = {
    "auckland": User("Pacific/Auckland"),
    "berlin": User("Europe/Berlin"),
    "denver": User("America/Denver"),
    "no push": User("Europe/Berlin", push=()),
    "android": User(push=("android",)),
}


def test_a_message_is_received_at_its_time_and_not_before() -> None:
    caller = Caller(make_world())
    caller.schedule("1", "2")
    caller.now = EVENING - timedelta(seconds=1)
    assert caller.received("1", "2", "3") == {}
    caller.now = EVENING
    when = "2026-11-23T18:30:00.000Z"
    assert caller.received("1", "2", "3") == {"1": when, "2": when}


def test_a_time_that_has_passed_means_at_once() -> None:
    caller = Caller(make_world())
    caller.schedule("1", time="2026-11-23T02:00:00Z")
    assert caller.received("1") == {"1": "2026-11-23T03:00:00.000Z"}


def test_send_delivers_at_once_and_has_no_schedule_id() -> None:
    caller = Caller(make_world())
    body = {"campaign_id": caller.campaign, "recipients": [{"external_user_id": "1"}]}
    assert set(caller.post("/campaigns/trigger/send", body)) == {"dispatch_id", "message"}
    assert caller.received("1") == {"1": "2026-11-23T03:00:00.000Z"}


def test_a_recalled_message_is_not_received_and_cannot_be_recalled_twice() -> None:
    caller = Caller(make_world())
    schedule_id = caller.schedule("1")
    caller.change("delete", schedule_id)
    assert "deleted" in caller.change("delete", schedule_id, status=400)["message"]
    caller.now = EVENING + timedelta(days=1)
    assert caller.received("1") == {}


def test_a_recall_after_the_time_takes_nothing_back() -> None:
    caller = Caller(make_world())
    schedule_id = caller.schedule("1")
    caller.now = EVENING + timedelta(minutes=1)
    caller.change("delete", schedule_id)
    assert caller.received("1") == {"1": "2026-11-23T18:30:00.000Z"}


def test_in_local_time_every_zone_gets_it_at_its_own_hour_and_a_recall_reaches_the_later_ones() -> None:
    caller = Caller(make_world(users=ZONES))
    schedule_id = caller.schedule("auckland", "berlin", "denver", time="2026-11-24T09:00:00", in_local_time=True)
    caller.now = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert caller.received(*ZONES) == {"auckland": "2026-11-23T20:00:00.000Z", "berlin": "2026-11-24T08:00:00.000Z"}
    caller.change("delete", schedule_id)
    caller.now += timedelta(days=2)
    assert set(caller.received(*ZONES)) == {"auckland", "berlin"}


def test_an_update_replaces_the_time_for_those_who_have_not_got_it() -> None:
    caller = Caller(make_world())
    schedule_id = caller.schedule("1")
    caller.change("update", schedule_id, schedule={"time": "2026-11-23T20:00:00Z"})
    caller.now = EVENING
    assert caller.received("1") == {}
    caller.now = EVENING + timedelta(hours=2)
    assert caller.received("1") == {"1": "2026-11-23T20:00:00.000Z"}


def test_a_schedule_of_another_campaign_is_refused() -> None:
    caller = Caller(make_world())
    schedule_id = caller.schedule("1")
    other = caller.world.group("Group 1").campaigns[1].id
    body = {"campaign_id": other, "schedule_id": schedule_id}
    caller.post("/campaigns/trigger/schedule/delete", body, status=400)


def test_users_without_a_token_for_the_platform_and_unknown_ones_are_accepted_but_reached_by_nothing() -> None:
    caller = Caller(make_world(users=ZONES))
    caller.schedule("berlin", "no push", "android", "stranger")
    caller.now = EVENING
    assert set(caller.received(*ZONES)) == {"berlin"}
    body = {"external_ids": ["stranger", "berlin"], "fields_to_export": ["external_id", "push_tokens"]}
    answer = caller.post("/users/export/ids", body)
    assert answer["invalid_user_ids"] == ["stranger"]
    (user,) = answer["users"]
    assert set(user) == {"external_id", "push_tokens"}
    assert {token["platform"] for token in user["push_tokens"]} == {"iOS", "Android"}


def test_an_export_is_limited_to_50_and_has_every_field_unless_some_are_named() -> None:
    caller = Caller(make_world())
    many = {"external_ids": [str(n) for n in range(51)], "fields_to_export": ["external_id"]}
    assert "max number" in caller.post("/users/export/ids", many, status=400)["message"]
    (user,) = caller.post("/users/export/ids", {"external_ids": ["1"]})["users"]
    assert {"external_id", "push_tokens", "apps", "campaigns_received"} <= set(user)


def test_figures_follow_from_what_was_delivered_and_grow_for_days() -> None:
    caller = Caller(make_world(rates=Rates(opened=0.5, bounced=0.0, converted=0.2)))
    users = [str(n) for n in range(1000)]
    for start in range(0, 1000, 50):
        caller.schedule(*users[start : start + 50])

    def figures(days_later: int) -> tuple[int, int, int]:
        caller.now = EVENING + timedelta(days=days_later, hours=1)
        days = caller.get("/campaigns/data_series", campaign_id=caller.campaign, length="14")["data"]
        assert len(days) == 14
        rows = [row for day in days for row in day["messages"]["ios_push"]]
        return (
            sum(row["sent"] for row in rows),
            sum(row["direct_opens"] for row in rows),
            sum(day["conversions"] for day in days),
        )

    sent, first_opens, first_conversions = figures(0)
    _, opens, conversions = figures(4)
    assert sent == 1000
    assert first_opens < opens
    assert first_conversions < conversions
    assert 400 < opens < 600
    assert 150 < conversions < 250


def test_figures_that_were_asked_for_before_follow_what_changes() -> None:
    caller = Caller(make_world(rates=Rates(opened=0.0, bounced=0.0, converted=0.0)))
    caller.schedule("1", "2")
    recalled = caller.schedule("3")

    def figures() -> tuple[int, int]:
        (day,) = caller.get("/campaigns/data_series", campaign_id=caller.campaign, length="1")["data"]
        (row,) = day["messages"]["ios_push"]
        return row["sent"], row["bounces"]

    assert figures() == (0, 0)
    caller.change("delete", recalled)
    caller.now = EVENING
    assert figures() == (2, 0)
    group = caller.world.group("Group 1")
    caller.world.put(replace(group, rates=Rates(opened=0.0, bounced=1.0, converted=0.0)))
    assert figures() == (2, 2)


def test_the_figures_of_a_send_id_are_its_own() -> None:
    caller = Caller(make_world())
    caller.post("/sends/id/create", {"campaign_id": caller.campaign, "send_id": "night"})
    caller.schedule("1", "2")
    body = {
        "campaign_id": caller.campaign,
        "recipients": [{"external_user_id": "3"}],
        "schedule": {"time": "2026-11-23T18:30:00Z"},
        "send_id": "night",
    }
    caller.post("/campaigns/trigger/schedule/create", body)
    caller.now = EVENING
    days = caller.get("/sends/data_series", campaign_id=caller.campaign, send_id="night", length="1")["data"]
    assert [row["sent"] for row in days[0]["messages"]["ios_push"]] == [1]
