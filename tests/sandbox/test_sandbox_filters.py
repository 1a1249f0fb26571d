"""What the sandbox filters behind a 201: who is dropped by each rule, and who isn't."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args
from zoneinfo import ZoneInfo

import pytest
from calling import EVENING, MORNING, Caller
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.sandbox import (
    FrequencyCap,
    GlobalControl,
    MaxUsers,
    Members,
    QuietHours,
    Rates,
    User,
    World,
    make_world,
    push_campaign,
)
from optinb.sandbox.deliveries import FateState
from optinb.sandbox.filters import FILTERS, RULES, quiet_until
from optinb.sandbox.page import REASONS, page

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_S = 86_400
QUIET = Rates(opened=0.0, bounced=0.0, converted=0.0)
MANY = [str(n) for n in range(50)]


def caller(*, anytime: bool = False, **given: Any) -> Caller:
    """A world whose templates may be had again at any time, or as Appboy has it."""
    return Caller(make_world(rates=QUIET, re_eligible_after_s=0 if anytime else None, **given))


def drawn(seed: str, **fields: Any) -> Caller:
    """A caller of a world of a seed with one template, of these fields."""
    group = make_world(rates=QUIET, templates=()).group("Group 1")
    world = World([group], seed=seed)
    world.put_campaign("Group 1", push_campaign("T", **{"re_eligible_after_s": 0} | fields))
    return Caller(world)


def test_a_customer_gets_a_template_once_ever_and_the_second_request_is_a_success_all_the_same() -> None:
    one = caller()
    one.schedule("ann", "bob")
    one.now = EVENING
    assert one.fates() == [("ann", "delivered", ()), ("bob", "delivered", ())]
    one.now = EVENING + timedelta(days=400)
    one.send("ann", "cyd")
    assert one.fates()[2:] == [("ann", "filtered", ("re_eligibility",)), ("cyd", "delivered", ())]
    assert one.received("ann") == {"ann": "2026-11-23T18:30:00.000Z"}
    assert one.figures()["sent"] == one.figures()["unique_recipients"] == 1
    one.send("ann", campaign=1)
    assert one.fates(campaign=1) == [("ann", "delivered", ())]  # another template


@pytest.mark.parametrize(("seconds", "is_dropped"), [(DAY_S - 1, True), (DAY_S, False), (DAY_S + 1, False)])
def test_a_window_counts_seconds_from_the_last_receipt(seconds: int, is_dropped: bool) -> None:
    one = caller()
    one.edit(re_eligible_after_s=DAY_S)
    one.send("ann")
    one.now = MORNING + timedelta(seconds=seconds)
    one.send("ann")
    assert one.rules() == {"ann": ("re_eligibility",) if is_dropped else ()}


def test_a_message_that_was_dropped_does_not_begin_the_window_anew() -> None:
    one = caller()
    one.edit(re_eligible_after_s=DAY_S)
    for hours in (0, 12, 24):
        one.now = MORNING + timedelta(hours=hours)
        one.send("ann")
    assert [state for _, state, _ in one.fates()] == ["delivered", "filtered", "delivered"]


def test_the_setting_of_the_moment_decides_and_what_is_decided_stays() -> None:
    one = caller()
    one.send("ann")
    one.now += timedelta(hours=1)
    one.send("ann")
    one.now += timedelta(hours=1)
    one.edit(re_eligible_after_s=0)
    one.send("ann")
    assert [state for _, state, _ in one.fates()] == ["delivered", "filtered", "delivered"]


def test_whoever_is_outside_the_segment_of_a_template_gets_nothing() -> None:
    one = caller()
    one.edit(segment=Members(frozenset({"ann"})))
    one.send("ann", "bob")
    assert one.rules() == {"ann": (), "bob": ("segment",)}


def test_the_global_control_group_gets_no_campaign_unless_it_does_not_apply_to_triggered_ones() -> None:
    one = caller(anytime=True)
    control = GlobalControl(Members(frozenset({"ann"})))
    one.set(global_control=control)
    one.send("ann", "bob")
    assert one.rules() == {"ann": ("global_control",), "bob": ()}
    one.set(global_control=GlobalControl(control.members, applies_to_api_triggered=False))
    one.send("ann")
    assert one.rules() == {"ann": (), "bob": ()}
    assert one.world.control_group("Group 1") == ["ann"]


def test_a_drawn_control_group_is_a_share_that_stays_the_same_for_every_campaign_of_a_seed() -> None:
    users = [f"u{n}" for n in range(1000)]

    def dropped(seed: str, *, campaigns: int) -> list[set[str]]:
        one = drawn(seed)
        one.world.put_campaign("Group 1", push_campaign("U", number=1))
        one.set(global_control=GlobalControl(Members(share=0.1)))
        for campaign in range(campaigns):
            for start in range(0, 1000, 50):
                one.send(*users[start : start + 50], campaign=campaign)
        found = [{u for u, rules in one.rules(campaign).items() if rules} for campaign in range(campaigns)]
        assert one.world.control_group("Group 1") == sorted(found[0])
        return found

    first, second = dropped("a", campaigns=2)
    assert first == second
    assert 60 < len(first) < 140
    assert dropped("a", campaigns=1) == [first]
    assert dropped("b", campaigns=1) != [first]


def test_a_control_variation_holds_its_share_back_and_shows_in_the_details() -> None:
    users = [f"u{n}" for n in range(1000)]
    one = drawn("a", control_share=0.3)
    for start in range(0, 1000, 50):
        one.send(*users[start : start + 50])
    held = [user for user, rules in one.rules().items() if rules == ("control_variation",)]
    assert 240 < len(held) < 360
    assert one.figures()["sent"] == 1000 - len(held)
    messages = one.get("/campaigns/details", campaign_id=one.campaign)["messages"]
    assert [message.get("type") for message in messages.values()] == [None, "control"]
    with pytest.raises(ValueError, match="no control variation"):
        push_campaign("T", messages={}, control_share=0.1)


def test_a_cap_of_a_day_counts_calendar_days_on_the_customers_own_clock() -> None:
    one = caller(anytime=True, users={"berlin": User("Europe/Berlin"), "denver": User("America/Denver")})
    one.set(caps=(FrequencyCap(1),))
    one.now = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # 23:30 in Berlin, 15:30 in Denver
    one.send("berlin", "denver")
    one.now += timedelta(hours=1)  # the next day in Berlin
    one.send("berlin", "denver", campaign=1)
    assert one.rules(campaign=1) == {"berlin": (), "denver": ("frequency_cap",)}


def test_a_cap_of_a_week_counts_seven_days_on_the_customers_own_clock() -> None:
    one = caller(anytime=True, users={"auckland": User("Pacific/Auckland"), "berlin": User("Europe/Berlin")})
    one.set(caps=(FrequencyCap(2, "week"),))
    one.now = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)  # 23:30 of the 23rd in Auckland
    one.send("auckland", "berlin")
    one.now += timedelta(hours=1)  # the 24th in Auckland
    one.send("auckland", "berlin")
    one.now = datetime(2026, 11, 29, 10, 30, tzinfo=UTC)  # six days after the 23rd
    one.send("auckland", "berlin")
    assert one.rules() == {"auckland": ("frequency_cap",), "berlin": ("frequency_cap",)}
    one.now = datetime(2026, 11, 29, 11, 30, tzinfo=UTC)  # the 30th in Auckland, where only the 24th still counts
    one.send("auckland", "berlin")
    assert one.rules() == {"auckland": (), "berlin": ("frequency_cap",)}


def test_caps_go_by_tag_and_channel_and_spare_what_is_exempt() -> None:
    one = caller(anytime=True, templates=("A", "B", "C"))
    one.edit(0, tags=("sale",))
    one.edit(1, tags=("news",))
    one.edit(2, tags=("sale",), is_capped=False)
    one.set(caps=(FrequencyCap(1, tag="sale"), FrequencyCap(3, channel="push"), FrequencyCap(1, channel="email")))
    one.send("ann", campaign=2)  # exempt, and hence not counted
    one.send("ann", campaign=0)
    one.send("ann", campaign=0)
    assert [rules for *_, rules in one.fates(0)] == [(), ("frequency_cap",)]
    one.send("ann", campaign=2)
    for _ in range(3):
        one.send("ann", campaign=1)
    assert [rules for *_, rules in one.fates(1)] == [(), (), ("frequency_cap",)]  # three pushes a day
    assert [rules for *_, rules in one.fates(2)] == [(), ()]
    one.edit(2, counts_to_caps=True)
    one.send("bob", campaign=2)
    one.send("bob", campaign=0)
    assert one.rules(0)["bob"] == ("frequency_cap",)


def test_caps_that_are_set_later_count_what_arrived_before() -> None:
    one = caller(anytime=True)
    one.send("ann")
    one.set(caps=(FrequencyCap(1),))
    one.send("ann", "bob")
    assert one.rules() == {"ann": ("frequency_cap",), "bob": ()}


def test_a_speed_limit_sends_so_many_a_minute_and_nobody_early() -> None:
    one = caller()
    one.edit(messages_a_minute=20)
    one.schedule(*MANY)
    one.now = EVENING
    assert [state for _, state, _ in one.fates()].count("delivered") == 20
    one.now += timedelta(minutes=1)
    assert [state for _, state, _ in one.fates()].count("delivered") == 40
    one.now += timedelta(minutes=1)
    assert one.fates() == [(user, "delivered", ()) for user in MANY]
    assert one.received("0", "20", "49") == {
        "0": "2026-11-23T18:30:00.000Z",
        "20": "2026-11-23T18:31:00.000Z",
        "49": "2026-11-23T18:32:00.000Z",
    }


def test_what_a_speed_limit_has_not_sent_within_72_hours_is_aborted() -> None:
    one = caller()
    one.edit(messages_a_minute=1)
    late = 72 * 60 + 1  # the minutes of 72 hours, the first and the last one included
    users = [f"u{n}" for n in range(late + 10)]
    for start in range(0, len(users), 50):
        one.schedule(*users[start : start + 50])
    one.now = EVENING + timedelta(hours=72) - timedelta(seconds=1)
    assert not [rules for *_, rules in one.fates() if rules]
    one.now = EVENING + timedelta(hours=72)
    assert [user for user, rules in one.rules().items() if rules] == users[late:]
    assert set(one.rules().values()) == {(), ("speed_limit",)}
    assert [state for _, state, _ in one.fates()].count("delivered") == late


def test_a_recall_reaches_those_who_wait_for_their_minute() -> None:
    one = caller()
    one.edit(messages_a_minute=20)
    schedule_id = one.schedule(*MANY)
    one.now = EVENING + timedelta(seconds=30)
    one.change("delete", schedule_id)
    one.now += timedelta(days=4)
    assert [state for _, state, _ in one.fates()] == ["delivered"] * 20 + ["recalled"] * 30


@pytest.mark.parametrize(("per", "second_time"), [("total", 0), ("instance", 30)])
def test_a_maximum_of_users_is_ever_or_each_time_that_it_is_scheduled(per: Any, second_time: int) -> None:
    one = caller(anytime=True)
    one.edit(max_users=MaxUsers(60, per))
    for night in ("2026-11-23", "2026-11-24"):
        one.schedule(*MANY, time=f"{night}T18:30:00Z")
        one.schedule(*[f"{night}{user}" for user in MANY[:30]], time=f"{night}T18:30:00Z")
    one.now = EVENING
    states = [rules for _, _, rules in one.fates()[:80]]
    assert states == [()] * 60 + [("max_users",)] * 20
    one.now += timedelta(days=1)
    assert [rules for _, _, rules in one.fates()[80:]].count(()) == (60 if second_time else 0)


def test_quiet_hours_drop_a_message_or_send_it_at_their_end_on_the_customers_own_clock() -> None:
    hours = QuietHours(time(22), time(8), "drop")
    one = caller(users={"berlin": User("Europe/Berlin"), "denver": User("America/Denver")})
    one.set(quiet_hours=hours)
    one.now = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)  # 23:00 in Berlin, 15:00 in Denver
    one.send("berlin", "denver")
    assert one.rules() == {"berlin": ("quiet_hours",), "denver": ()}
    one.edit(1, quiet_hours=QuietHours(time(22), time(8), "send_later"))
    one.send("berlin", "denver", campaign=1)
    assert [state for _, state, _ in one.fates(1)] == ["scheduled", "delivered"]
    one.now = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    (berlin, _) = one.world.fates(one.world.group("Group 1").campaigns[1].id, one.now)
    assert (berlin.state, berlin.at) == ("delivered", one.now)


def test_a_campaign_that_ignores_quiet_hours_is_sent_at_night() -> None:
    one = caller()
    one.set(quiet_hours=QuietHours(time(0), time(23, 59), "drop"))
    one.send("ann")
    one.edit(ignores_quiet_hours=True)
    one.send("bob")
    assert one.rules() == {"ann": ("quiet_hours",), "bob": ()}


@given(
    start=st.times(),
    end=st.times(),
    zone=st.sampled_from(["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "UTC"]),
    at=st.integers(0, 366 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
)
@settings(max_examples=300, deadline=None)
def test_quiet_hours_end_later_and_within_a_day_and_it_is_not_quiet_then(
    start: time, end: time, zone: str, at: datetime
) -> None:
    until = quiet_until(QuietHours(start, end), zone, at)
    local = at.astimezone(ZoneInfo(zone)).time()
    if until is None:
        assert not (start <= local < end)
    else:
        assert at < until <= at + timedelta(hours=26)
        assert (start <= local) or (local < end)


def test_an_abort_is_rendered_with_the_recipients_own_properties() -> None:
    text = "{% if api_trigger_properties.${points} < 10 %}{% abort_message('too few') %}{% endif %}Hi"
    one = drawn("a", alert=text)
    one.schedule("ann", "bob", properties={"ann": {"points": 5}, "bob": {"points": 50}})
    one.now = EVENING
    assert one.rules() == {"ann": ("liquid_abort",), "bob": ()}
    assert one.figures()["sent"] == 1


def test_an_abort_on_one_platform_leaves_the_other() -> None:
    one = drawn("a", platforms=("ios", "android"))
    campaign = one.world.group("Group 1").campaigns[0]
    texts = ("{% abort_message %}", "Hi")
    messages = {
        variation: {**message, "alert": text}
        for (variation, message), text in zip(campaign.messages.items(), texts, strict=True)
    }
    one.edit(messages=messages)
    one.send("ann")
    assert one.fates() == [("ann", "delivered", ())]
    assert (one.figures(platform="ios")["sent"], one.figures(platform="android")["sent"]) == (0, 1)


def test_without_a_push_token_nothing_is_sent() -> None:
    one = caller(users={"ann": User(), "bob": User(push=()), "cyd": User(push=("android",))})
    one.send("ann", "bob", "cyd", "stranger")
    assert one.rules() == {
        "ann": (),
        "bob": ("no_push_token",),
        "cyd": ("no_push_token",),
        "stranger": ("unknown_user", "no_push_token"),
    }
    assert (one.figures()["sent"], one.figures()["bounces"]) == (1, 0)


def test_an_app_that_was_uninstalled_bounces_once_and_its_token_is_gone() -> None:
    one = caller(anytime=True, users={"ann": User(push=("ios", "android"), uninstalled=("ios",)), "bob": User()})
    fields = {"external_ids": ["ann"], "fields_to_export": ["push_tokens", "apps", "campaigns_received"]}
    assert len(one.post("/users/export/ids", fields)["users"][0]["push_tokens"]) == 2
    one.send("ann", "bob")
    assert one.rules() == {"ann": ("uninstalled",), "bob": ()}
    figures = one.figures()
    assert (figures["sent"], figures["bounces"], figures["unique_recipients"]) == (2, 1, 1)
    (ann,) = one.post("/users/export/ids", fields)["users"]
    assert [token["platform"] for token in ann["push_tokens"]] == ["Android"]
    assert (len(ann["apps"]), ann["campaigns_received"]) == (2, [])
    one.send("ann")
    assert one.rules()["ann"] == ("no_push_token",)
    assert one.figures()["bounces"] == 1


def test_all_rules_that_explain_a_loss_are_told_in_their_order() -> None:
    one = caller(users={"ann": User(), "bob": User(push=())})
    one.send("ann")
    one.now += timedelta(hours=1)
    one.set(caps=(FrequencyCap(1),), global_control=GlobalControl(Members(frozenset({"ann", "bob"}))))
    one.edit(segment=Members(frozenset({"ann"})), max_users=MaxUsers(1))
    one.send("ann", "bob")
    assert one.rules() == {
        "ann": ("global_control", "re_eligibility", "frequency_cap", "max_users"),
        "bob": ("segment", "global_control", "max_users", "no_push_token"),
    }
    assert [one.rule for one in FILTERS] == [rule for rule in RULES if rule != "campaign_gone"]


def test_a_campaign_that_is_gone_at_its_time_reaches_nobody() -> None:
    one = caller()
    one.schedule("ann")
    one.world.drop_campaign("Group 1", one.campaign, now=one.now)
    one.now = EVENING
    (fate,) = one.world.fates(one.campaign, one.now)
    assert fate.rules == ("campaign_gone",)


def test_an_edit_after_the_time_changes_nothing_that_was_due_before() -> None:
    one = caller()
    one.schedule("ann", "bob")
    one.now = EVENING
    one.edit(segment=Members(frozenset({"bob"})))  # nobody has asked yet
    one.schedule("cyd", time="2026-11-23T18:40:00Z")
    one.now += timedelta(hours=1)
    assert one.rules() == {"ann": (), "bob": (), "cyd": ("segment",)}


def test_an_update_after_the_first_zones_got_it_moves_only_the_others() -> None:
    one = caller(users={"auckland": User("Pacific/Auckland"), "denver": User("America/Denver"), "none": User()})
    schedule_id = one.schedule("auckland", "denver", "none", time="2026-11-24T09:00:00", in_local_time=True)
    one.now = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
    later = {"time": "2026-11-25T09:00:00", "in_local_time": True}
    one.change("update", schedule_id, schedule=later)
    assert [state for _, state, _ in one.fates()] == ["delivered", "scheduled", "scheduled"]
    one.now = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    assert [state for _, state, _ in one.fates()] == ["delivered", "scheduled", "scheduled"]
    one.now = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
    assert one.received("auckland", "denver", "none") == {
        "auckland": "2026-11-23T20:00:00.000Z",
        "denver": "2026-11-25T16:00:00.000Z",
        "none": "2026-11-25T09:00:00.000Z",
    }


def test_two_requests_of_one_moment_reach_a_customer_once() -> None:
    one = caller()
    one.schedule("ann", "bob", send_id=one.post("/sends/id/create", {"campaign_id": one.campaign})["send_id"])
    one.schedule("bob", "cyd")
    one.now = EVENING
    assert [rules for *_, rules in one.fates()] == [(), (), ("re_eligibility",), ()]
    (send_id,) = {d.send_id for d in one.world.dispatches if d.send_id}
    assert [user for user, *_ in one.fates(send_id=send_id)] == ["ann", "bob"]
    query = {"campaign_id": one.campaign, "send_id": send_id, "length": "1"}
    (day,) = one.get("/sends/data_series", **query)["data"]
    assert day["unique_recipients"] == 2


def test_the_page_shows_what_was_filtered_and_why() -> None:
    one = caller()
    one.set(global_control=GlobalControl(Members(frozenset({"zoe"}))))
    one.send("ann", "bob")
    one.send("ann", "zoe")
    shown = page(one.world, one.now)
    assert "Filtered: 1 got this template before; 1 in the Global Control Group" in shown
    assert "Group 1 has a Global Control Group" in shown
    assert f"/sandbox/fates?campaign_id={one.campaign}" in shown
    assert set(REASONS) == set(RULES)
    assert all(f".{state} {{" in shown and f"> {state}" in shown for state in get_args(FateState))


USERS = [f"u{n}" for n in range(8)]
ZONED = {user: User(zone) for user, zone in zip(USERS, [None, "Asia/Tokyo", "America/Lima", "UTC"] * 2, strict=True)}
requests = st.fixed_dictionaries(
    {
        "users": st.lists(st.sampled_from([*USERS, "stranger"]), min_size=1, max_size=6, unique=True),
        "campaign": st.integers(0, 1),
        "hours": st.integers(1, 60),
        "local": st.booleans(),
        "wait": st.integers(0, 20),
        "then": st.sampled_from(["nothing", "nothing", "ask", "recall", "update"]),
    }
)
worlds = st.fixed_dictionaries(
    {
        "re_eligible_after_s": st.sampled_from([None, 0, 3600, DAY_S, 3 * DAY_S]),
        "messages_a_minute": st.sampled_from([None, 1, 3]),
        "max_users": st.sampled_from([None, MaxUsers(3), MaxUsers(2, "instance")]),
        "quiet_hours": st.sampled_from([None, QuietHours(time(22), time(7)), QuietHours(time(1), time(5), "drop")]),
        "caps": st.sampled_from([(), (FrequencyCap(1),), (FrequencyCap(2, "week"),)]),
        "share": st.sampled_from([0.0, 0.3]),
    }
)


def rehearsed(setting: Mapping[str, Any], asked: list[dict[str, Any]], *, is_curious: bool) -> Caller:
    """A world after some requests; whether somebody asks questions in between mustn't matter."""
    world = World([make_world(users=ZONED).group("Group 1")], seed="s")
    one = Caller(world)
    fields = {name: setting[name] for name in ("messages_a_minute", "max_users", "re_eligible_after_s")}
    one.edit(0, **fields)
    one.edit(1, **fields)
    one.set(
        caps=setting["caps"],
        quiet_hours=setting["quiet_hours"],
        global_control=GlobalControl(Members(share=setting["share"])),
    )
    for request in asked:
        one.now += timedelta(hours=request["wait"])
        at = one.now + timedelta(hours=request["hours"])
        plan = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S}" + ("" if request["local"] else "Z"),
            "in_local_time": request["local"],
        }
        one.campaign = world.group("Group 1").campaigns[request["campaign"]].id
        schedule_id = one.schedule(*request["users"], campaign=request["campaign"], **plan)
        if request["then"] == "ask" and is_curious:
            one.fates()
        elif request["then"] in ("recall", "update"):
            one.now += timedelta(hours=request["hours"] / 2)
            verb, more = (
                ("delete", {})
                if request["then"] == "recall"
                else ("update", {"schedule": {"time": "2026-12-24T12:00:00Z"}})
            )
            one.change(verb, schedule_id, **more)
    return one


@given(setting=worlds, asked=st.lists(requests, min_size=1, max_size=8), after_h=st.integers(0, 1500))
@settings(max_examples=120, deadline=None)
def test_everybody_is_accounted_for_and_nobody_gets_a_template_again_within_its_window(
    setting: dict[str, Any], asked: list[dict[str, Any]], after_h: int
) -> None:
    curious, quiet = (rehearsed(setting, asked, is_curious=flag) for flag in (True, False))
    for one in (curious, quiet):
        one.now += timedelta(hours=after_h)
    for campaign in curious.world.group("Group 1").campaigns:
        fates = curious.world.fates(campaign.id, curious.now)
        assert fates == quiet.world.fates(campaign.id, quiet.now)
        assert [fate.external_user_id for fate in fates] == curious.world.recipients(campaign.id)
        assert {fate.state for fate in fates} <= set(get_args(FateState))
        assert all((fate.state == "filtered") == bool(fate.rules) for fate in fates)
        assert all((fate.state == "scheduled") == (fate.at is None) for fate in fates)
        received: dict[str, list[datetime]] = {}
        for fate in fates:
            if fate.state == "delivered" and fate.at is not None:
                received.setdefault(fate.external_user_id, []).append(fate.at)
        for times in map(sorted, received.values()):
            window = setting["re_eligible_after_s"]
            assert window is not None or len(times) == 1
            gaps = [(later - first).total_seconds() for first, later in pairwise(times)]
            assert all(gap >= (window or 0) for gap in gaps)
        days = curious.get("/campaigns/data_series", campaign_id=campaign.id, length="100")["data"]
        delivered = sum(fate.state == "delivered" for fate in fates)
        assert sum(day["messages"][name][0]["sent"] for day in days for name in day["messages"]) == delivered


def test_a_recall_of_what_has_waited_for_the_end_of_quiet_hours_reaches_nobody() -> None:
    one = caller()
    one.set(quiet_hours=QuietHours(time(18), time(8)))
    schedule_id = one.schedule("ann")
    one.now = EVENING + timedelta(hours=1)
    one.change("delete", schedule_id)
    one.now += timedelta(days=2)
    assert one.fates() == [("ann", "recalled", ())]
