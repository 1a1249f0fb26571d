"""When Appboy's word on who got nothing isn't gone by, and what optinb knows beforehand of whom Appboy filters."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from confirming_desk import ConfirmingDesk
from delivery_desk import KEY_NAME, NIGHT, NOW, Desk
from msgspec.structs import replace

from optinb.appboy import AppboyClient, Recipient, ScheduleRequest, WireSchedule
from optinb.appboy.template_rules import TemplateRules, VendorCap
from optinb.delivery.arrival_figures import bounced
from optinb.delivery.send_ids import SendIds
from optinb.errors import Exit
from optinb.sandbox import (
    Fault,
    FrequencyCap,
    GlobalControl,
    Key,
    Members,
    QuietHours,
    Rates,
    Sandbox,
    User,
    World,
    make_world,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from optinb.delivery import FrozenAudience

TOMORROW = NIGHT + timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_world(["Shop", "Outlet"], templates=["Often", "Other"], rates=Rates(bounced=0))


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfirmingDesk]:
    monkeypatch.setenv(KEY_NAME, world.group("Shop").keys[0].key)
    plain = Desk(tmp_path)
    there = ConfirmingDesk(plain, sandbox, world)
    for template in world.group("Shop").campaigns:
        world.put_campaign("Shop", replace(template, re_eligible_after_s=0))
        there.templates.set_rules("Shop", template.id, TemplateRules(again_after_s=0))
    yield there
    plain.store.close()


def test_the_key_of_another_app_group_with_the_same_customers_concludes_nothing(
    desk: ConfirmingDesk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = desk.night(60)
    outlet = world.group("Outlet")
    world.put(replace(outlet, campaigns=tuple(replace(c, id=f"outlet-{c.name}") for c in outlet.campaigns)))
    monkeypatch.setenv(KEY_NAME, outlet.keys[0].key)
    done = desk.confirming.confirm()
    (night,) = done.nights
    assert night.problem is not None and "doesn't have the template" in night.problem and "'Shop'" in night.problem
    assert done.exit_code == Exit.FAILED and night.counts is None
    assert set(desk.statuses(frozen).values()) == {"accepted"}
    monkeypatch.setenv(KEY_NAME, world.group("Shop").keys[0].key)
    desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


@pytest.mark.parametrize("fault", [None, 403])
def test_a_clock_that_runs_days_ahead_takes_nobody_for_lost(
    desk: ConfirmingDesk, monkeypatch: pytest.MonkeyPatch, fault: int | None
) -> None:
    monkeypatch.delenv("OPTINB_NOW", raising=False)  # a pretended time is beside any sandbox's
    frozen = desk.night(60, over_since=timedelta(minutes=-10))  # before anything arrives
    before = desk.desk.now
    desk.desk.now = before + timedelta(days=5)
    if fault:
        desk.sandbox.set_faults([Fault("status", endpoint="/campaigns/details", status=fault)])
    (night,) = desk.confirming.confirm().nights
    assert night.problem is not None and "clock is 120 hours ahead of Appboy's" in night.problem
    assert set(desk.statuses(frozen).values()) == {"accepted"}
    desk.go(before + timedelta(hours=9))
    desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


def leaves_out(patch: pytest.MonkeyPatch, digits: str) -> None:
    """Has exports leave out what customers received whose ids end with one of some digits."""
    whole = AppboyClient.export_users

    def forgetful(self: AppboyClient, ids: Iterable[str], fields: Iterable[str]) -> Any:
        told = whole(self, ids, fields)
        kept = [replace(u, campaigns_received=()) if u.external_id[-1] in digits else u for u in told.users]
        return replace(told, users=tuple(kept))

    patch.setattr(AppboyClient, "export_users", forgetful)


def test_an_appboy_that_leaves_receipts_out_makes_nobody_filtered(
    desk: ConfirmingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = desk.night(60)
    desk.go(desk.desk.now + timedelta(days=5))
    with monkeypatch.context() as patch:
        leaves_out(patch, "12345")
        (night,) = desk.confirming.confirm().nights
    assert sorted(set(desk.statuses(frozen).values())) == ["confirmed", "unconfirmed"]
    assert night.note == (
        "Appboy counts 60 people reached and names 30 of them so far, so that nothing is said of the other 30 yet"
    )
    desk.go(desk.desk.now + timedelta(days=1))
    (night,) = desk.confirming.confirm().nights
    assert night.note is None and set(desk.statuses(frozen).values()) == {"confirmed"}


def test_whom_a_recurring_template_missed_is_filtered_only_when_appboys_count_bears_it_out(
    desk: ConfirmingDesk, world: World
) -> None:
    missed = {f"u{n:07}" for n in range(10)}
    group = world.group("Shop")
    world.put(
        replace(group, campaigns=(replace(group.campaigns[0], segment=_all_but(missed, 60)), *group.campaigns[1:]))
    )
    desk.templates.set_rules("Shop", group.campaigns[0].id, TemplateRules(again_after_s=0, segment="opted in"))
    first = with_send_id(desk, NIGHT)
    desk.confirming.confirm()
    assert {user for user, status in desk.statuses(first).items() if status == "unconfirmed"} == missed
    world.put(replace(group, campaigns=(replace(group.campaigns[0], re_eligible_after_s=0), *group.campaigns[1:])))
    desk.go(NOW + timedelta(days=1, hours=1))
    with_send_id(desk, TOMORROW)  # everybody gets this one, so that no receipt tells of the first any more
    desk.go(NOW + timedelta(days=6))
    desk.confirming.confirm()
    assert {user for user, status in desk.statuses(first).items() if status == "filtered"} == missed


def test_the_count_of_a_night_is_no_witness_any_more_once_its_days_are_gone(
    desk: ConfirmingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = with_send_id(desk, NIGHT)
    leaves_out(monkeypatch, "12345")
    for days in (5, 12, 13):
        desk.go(NOW + timedelta(days=days, hours=20))
        desk.confirming.confirm()
        assert sorted(set(desk.statuses(frozen).values())) == ["confirmed", "unconfirmed"]


def test_a_count_that_could_not_be_read_is_read_again_and_codes_wait_for_it(
    desk: ConfirmingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = with_send_id(desk, NIGHT)
    desk.go(desk.desk.now + timedelta(days=5))
    desk.sandbox.set_faults([Fault("status", endpoint="/sends/data_series", status=403)])
    with monkeypatch.context() as patch:
        leaves_out(patch, "12345")
        desk.confirming.confirm()
    desk.sandbox.set_faults([])
    for _ in range(2):  # one for the count, one for those whom it leaves open
        desk.go(desk.desk.now + timedelta(days=1))
        desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


def test_a_receipt_that_may_be_an_earlier_nights_confirms_nobody_whom_appboy_does_not_count(
    desk: ConfirmingDesk, world: World
) -> None:
    (often, *others), at = world.group("Shop").campaigns, NOW.replace(hour=17)
    slow = {"re_eligible_after_s": 86_400, "messages_a_minute": 1}
    world.put(replace(world.group("Shop"), campaigns=(replace(often, **slow), *others)))
    desk.templates.set_rules("Shop", often.id, TemplateRules(again_after_s=86_400, messages_a_minute=1))
    first = with_send_id(desk, NIGHT, over=None)
    second = with_send_id(desk, NIGHT, name="Winter", send_at=at + timedelta(minutes=30))
    for days in (4, 8):
        desk.go(NOW + timedelta(days=days))
        desk.confirming.confirm()
    truth = {fate.external_user_id for fate in world.fates(often.id, desk.desk.now, send_id=second.send_id)}
    assert len(truth) == 60 and set(desk.statuses(first).values()) == {"confirmed"}
    assert set(desk.statuses(second).values()) == {"filtered", "unconfirmed"}


def test_two_campaigns_on_one_template_in_one_evening_are_both_confirmed_by_their_counts(desk: ConfirmingDesk) -> None:
    first = with_send_id(desk, NIGHT, over=None)
    second = with_send_id(desk, NIGHT, name="Winter", send_at=NOW.replace(hour=17, minute=30))
    asked = [night.asked_now for night in desk.confirming.confirm().nights]
    assert asked == [60, 60]
    for night in (first, second):
        assert set(desk.statuses(night).values()) == {"confirmed"}
    desk.go(desk.desk.now + timedelta(days=1))
    assert not sum(night.asked_now for night in desk.confirming.confirm().nights)


def test_a_send_of_somebody_else_after_all_was_over_confirms_nobody(desk: ConfirmingDesk, world: World) -> None:
    lost, group = [f"u{n:07}" for n in range(10)], world.group("Shop")
    world.put(replace(group, global_control=GlobalControl(Members(ids=frozenset(lost)))))
    frozen = with_send_id(desk, NIGHT)
    desk.go(desk.desk.now + timedelta(days=4, hours=10))
    world.put(group)
    later = WireSchedule(f"{desk.desk.now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
    with desk.client() as client:
        client.schedule(ScheduleRequest(frozen.template_id, tuple(map(Recipient, lost)), later))
    desk.go(desk.desk.now + timedelta(hours=8))
    desk.confirming.confirm()
    statuses = desk.statuses(frozen)
    assert {user for user, status in statuses.items() if status == "unconfirmed"} == set(lost)


def test_a_list_of_appboys_control_group_that_is_of_another_day_makes_nobody_filtered_at_once(
    desk: ConfirmingDesk, world: World
) -> None:
    users = {f"u{n:07}": User(time_zone="Asia/Tokyo" if n < 10 else "UTC") for n in range(60)}
    world.put(replace(world.group("Shop"), users=users, quiet_hours=QuietHours(time(22), time(8))))  # nobody said so
    desk.confirming.control = lambda _group: pl.DataFrame({"external_user_id": sorted(users)})
    frozen = with_send_id(desk, NIGHT, over=timedelta(hours=3))
    desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed", "unconfirmed"}
    desk.go(desk.desk.now + timedelta(days=1))
    desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


def test_messages_that_bounced_are_counted_by_appboy_and_keep_no_loss_open(
    desk: ConfirmingDesk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = User(uninstalled=("ios", "android"))
    world.put(replace(world.group("Shop"), users={f"u{n:07}": gone if n < 10 else User() for n in range(60)}))
    whole = AppboyClient.send_series

    def with_bounces(self: AppboyClient, *given: Any) -> Any:
        days = whole(self, *given)
        return tuple(replace(day, unique_recipients=day.unique_recipients + bounced([day]) // 2) for day in days)

    monkeypatch.setattr(AppboyClient, "send_series", with_bounces)
    with_send_id(desk, NIGHT)
    (night,) = desk.confirming.confirm().nights
    assert night.counts is not None and night.counts.filtered == {"no_push_token": 10} and night.counts.is_final
    # what Appboy counted is remembered once it doesn't tell it any more
    desk.go(desk.desk.now + timedelta(days=15))
    (night,) = desk.confirming.confirm(NIGHT).nights
    assert night.asked_now >= 10 and night.counts is not None and night.counts.filtered == {"no_push_token": 10}


@pytest.mark.parametrize("permissions", [("users.export.ids",), ("users.export.ids", "sends.data_series")])
def test_another_app_groups_key_that_may_not_ask_for_templates_concludes_nothing(
    desk: ConfirmingDesk, world: World, monkeypatch: pytest.MonkeyPatch, permissions: tuple[str, ...]
) -> None:
    frozen = with_send_id(desk, NIGHT)
    outlet = world.group("Outlet")
    (key, *_), others = outlet.keys, tuple(replace(c, id=f"outlet-{c.name}") for c in outlet.campaigns)
    world.put(replace(outlet, keys=(Key(key.key, permissions=permissions),), campaigns=others))
    monkeypatch.setenv(KEY_NAME, key.key)
    desk.go(desk.desk.now + timedelta(days=5))
    done = desk.confirming.confirm()
    assert "filtered" not in desk.statuses(frozen).values()
    assert bool(done.problems) == ("sends.data_series" in permissions)


def _all_but(users: set[str], of: int) -> Members:
    return Members(ids=frozenset(f"u{n:07}" for n in range(of)) - users)


def with_send_id(
    desk: ConfirmingDesk,
    run_date: date,
    *,
    name: str = "Summer",
    send_at: datetime | None = None,
    over: timedelta | None = timedelta(hours=9),
) -> FrozenAudience:
    """A night of 60 whose messages Appboy counts by themselves; it is over since some hours, or still to come."""
    send_at = send_at or desk.desk.now.replace(hour=17) + (run_date - desk.desk.now.date())
    frozen = desk.plan(60, run_date=run_date, send_at=send_at, name=name)
    with desk.client() as client:
        ids = SendIds(desk.desk.store, [frozen], clock=desk.desk.clock)
        desk.desk.send(client, frozen, identify=lambda there, lease: ids.identify(client, there, lease))
    if over is not None:
        desk.go(send_at + over)
    sent = desk.desk.store.deliveries.find(*frozen.night)
    assert sent is not None and sent.send_id is not None
    return sent


@pytest.mark.parametrize("is_listed", [True, False])
def test_appboys_control_group_is_named_where_a_list_says_who_is_in_it(
    desk: ConfirmingDesk, world: World, is_listed: bool
) -> None:
    some = [f"u{n:07}" for n in range(10)]
    world.put(replace(world.group("Shop"), global_control=GlobalControl(Members(ids=frozenset(some)))))
    desk.confirming.control = lambda _group: pl.DataFrame({"external_user_id": some}) if is_listed else None
    desk.night(60)
    (night,) = desk.confirming.confirm().nights
    assert night.counts is not None
    assert night.counts.filtered == ({"global_control": 10} if is_listed else {})
    desk.go(NOW + timedelta(days=5))
    (night,) = desk.confirming.confirm().nights
    assert night.counts is not None and night.counts.filtered == {"global_control" if is_listed else "untold": 10}


@pytest.mark.parametrize("stated", [1, 5])
def test_a_full_cap_is_named_where_it_is_stated_truly(desk: ConfirmingDesk, world: World, stated: int) -> None:
    world.put(replace(world.group("Shop"), caps=(FrequencyCap(1, "week"),)))
    rules = TemplateRules(again_after_s=0, caps=(VendorCap(stated, "week"),))
    desk.templates.set_rules("Shop", world.group("Shop").campaigns[0].id, rules)
    desk.night(20, template=1, name="Others")
    desk.confirming.confirm()
    desk.go(NOW + timedelta(days=1, hours=1))
    desk.night(23, run_date=TOMORROW)
    desk.go(NOW + timedelta(days=6))
    newest = desk.confirming.confirm().nights[0]
    assert newest.run_date == TOMORROW and newest.counts is not None and newest.counts.confirmed == 3
    assert newest.counts.filtered == {"frequency_cap": 20}, "of one that is stated wrongly the night shows it"


@pytest.mark.parametrize(("most", "named"), [(100_000, "untold"), (50, "max_users")])
def test_a_maximum_of_users_is_named_only_where_it_can_have_been_reached(
    desk: ConfirmingDesk, world: World, most: int, named: str
) -> None:
    group = world.group("Shop")
    lost = frozenset(f"u{n:07}" for n in range(10))
    world.put(replace(group, global_control=GlobalControl(Members(ids=lost))))
    desk.templates.set_rules("Shop", group.campaigns[0].id, TemplateRules(again_after_s=0, max_users=most))
    desk.night(60)
    desk.go(NOW + timedelta(days=5))
    (night,) = desk.confirming.confirm().nights
    assert night.counts is not None and night.counts.filtered == {named: 10}
