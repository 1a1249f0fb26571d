"""When Appboy's word on who got nothing isn't gone by, and what optinb knows beforehand of whom Appboy filters."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from confirming_desk import ConfirmingDesk
from delivery_desk import KEY_NAME, NIGHT, NOW, Desk
from msgspec.structs import replace

from optinb.appboy import AppboyClient
from optinb.appboy.template_rules import TemplateRules, VendorCap
from optinb.delivery.send_ids import SendIds
from optinb.errors import Exit
from optinb.sandbox import FrequencyCap, GlobalControl, Members, Rates, Sandbox, World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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


def test_a_clock_that_runs_days_ahead_takes_nobody_for_lost(
    desk: ConfirmingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPTINB_NOW", raising=False)  # a pretended time is beside any sandbox's
    frozen = desk.night(60, over_since=timedelta(minutes=-10))  # before anything arrives
    before = desk.desk.now
    desk.desk.now = before + timedelta(days=5)
    (night,) = desk.confirming.confirm().nights
    assert night.problem is not None and "clock is 120 hours ahead of Appboy's" in night.problem
    assert set(desk.statuses(frozen).values()) == {"accepted"}
    desk.go(before + timedelta(hours=9))
    desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


def test_an_appboy_that_leaves_receipts_out_makes_nobody_filtered(
    desk: ConfirmingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = desk.night(60)
    whole = AppboyClient.export_users

    def forgetful(self: AppboyClient, ids: Iterable[str], fields: Iterable[str]) -> Any:
        told = whole(self, ids, fields)
        kept = [replace(u, campaigns_received=()) if u.external_id[-1] in "12345" else u for u in told.users]
        return replace(told, users=tuple(kept))

    desk.go(desk.desk.now + timedelta(days=5))
    with monkeypatch.context() as patch:
        patch.setattr(AppboyClient, "export_users", forgetful)
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


def _all_but(users: set[str], of: int) -> Members:
    return Members(ids=frozenset(f"u{n:07}" for n in range(of)) - users)


def with_send_id(desk: ConfirmingDesk, run_date: Any) -> Any:
    """A night of 60 whose messages Appboy counts by themselves."""
    send_at = desk.desk.now.replace(hour=17) + (run_date - desk.desk.now.date())
    frozen = desk.plan(60, run_date=run_date, send_at=send_at)
    with desk.client() as client:
        ids = SendIds(desk.desk.store, [frozen], clock=desk.desk.clock)
        desk.desk.send(client, frozen, identify=lambda there, lease: ids.identify(client, there, lease))
    desk.go(send_at + timedelta(hours=9))
    return desk.desk.store.deliveries.find(*frozen.night)


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
