"""The journal of deliveries: plans, windows, and counts that close."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from optinb.campaigns import Waterfall
from optinb.delivery.journal import (
    Accepted,
    Batch,
    DeliveryCounts,
    Expired,
    FrozenAudience,
    Planned,
    Refused,
    Sending,
    Store,
    Unknown,
)
from optinb.errors import StateError

if TYPE_CHECKING:
    from optinb.store import Lease

NIGHT = date(2026, 11, 23)
ID = "0123456789ab"
KEY = (ID, NIGHT)


def audience(now: datetime, *, run_date: date = NIGHT, sizes: tuple[int, ...] = (50, 50, 20)) -> FrozenAudience:
    return FrozenAudience(
        campaign_id=ID,
        campaign_name="Summer",
        run_date=run_date,
        app_group_id="shop",
        template_id="t",
        path="audiences/2026-11-23/summer.parquet",
        sha256="0" * 64,
        send_at=now + timedelta(hours=1),
        recipients=sum(sizes),
        batches=len(sizes),
        waterfall=Waterfall(target=150, excluded={"push_off": 20}, control=10, recipients=sum(sizes)),
        fingerprint="f" * 64,
        planned_at=now,
    )


def cut(sizes: tuple[int, ...] = (50, 50, 20), *, run_date: date = NIGHT) -> list[Batch]:
    return [
        Batch(campaign_id=ID, run_date=run_date, number=n, first=50 * n, size=size, state=Planned())
        for n, size in enumerate(sizes)
    ]


@pytest.fixture
def planned(store: Store, now: datetime) -> Store:
    store.deliveries.plan(audience(now), cut(), user="cron", now=now)
    return store


@pytest.fixture
def lease(store: Store, now: datetime) -> Lease:
    return store.leases.take("send", holder="box:1", now=now)


def test_a_plan_comes_back_as_it_was_registered(planned: Store, now: datetime) -> None:
    assert planned.deliveries.find(*KEY) == audience(now)
    assert planned.deliveries.batches(*KEY) == tuple(cut())
    assert planned.deliveries.counts(*KEY) == DeliveryCounts(batches=3, pending=120)
    assert planned.deliveries.find(ID, date(2026, 11, 24)) is None


def test_there_is_never_a_second_plan_for_a_night(planned: Store, now: datetime) -> None:
    other = replace(audience(now, sizes=(50,)), sha256="1" * 64)
    assert planned.deliveries.plan(other, cut((50,)), user="cron", now=now) == audience(now)
    assert len(planned.deliveries.batches(*KEY)) == 3
    assert len(planned.audit.list()) == 1


def test_plans_are_listed_by_night(planned: Store, now: datetime, lease: Lease) -> None:
    tomorrow = audience(now, run_date=date(2026, 11, 24), sizes=())
    planned.deliveries.plan(tomorrow, [], user="cron", now=now)
    assert [a.run_date.day for a in planned.deliveries.list()] == [24, 23]
    assert planned.deliveries.list(run_date=tomorrow.run_date) == (tomorrow,)
    assert [a.run_date.day for a in planned.deliveries.list(having=("planned", "sending"))] == [23]
    planned.deliveries.move(*KEY, given="planned", to=Expired(message="late"), lease=lease, now=now)
    assert planned.deliveries.list(having=("planned", "sending")) == ()


def test_a_window_is_marked_before_and_settled_after(planned: Store, lease: Lease, now: datetime) -> None:
    window = planned.deliveries.turn(*KEY, lease=lease, size=2, now=now)
    assert [(b.number, b.state) for b in window] == [(0, Sending(holder="box:1")), (1, Sending(holder="box:1"))]
    assert planned.deliveries.batches(*KEY, state="sending") == window
    accepted = Accepted(dispatch_id="d", schedule_id="s", errors=("u7 is no user",))
    refused = Refused(status=400, message="400 Bad Request: No Recipients")
    settled = [replace(window[0], state=accepted), replace(window[1], state=refused)]
    planned.deliveries.turn(*KEY, settled=settled, lease=lease, now=now)
    assert planned.deliveries.batches(*KEY) == (*settled, cut()[2])
    assert planned.deliveries.counts(*KEY) == DeliveryCounts(
        batches=3,
        accepted=50,
        refused=50,
        pending=20,
        errors={"u7 is no user": 1, "400 Bad Request: No Recipients": 1},
    )


def test_windows_go_on_where_the_last_one_ended_and_can_skip(planned: Store, lease: Lease, now: datetime) -> None:
    taken = [
        [b.number for b in planned.deliveries.turn(*KEY, lease=lease, size=1, now=now, skip=[0])] for _ in range(3)
    ]
    assert taken == [[1], [2], []]


def test_a_lost_lease_opens_no_window(planned: Store, lease: Lease, now: datetime) -> None:
    planned.leases.take("send", holder="box:2", now=now + timedelta(minutes=1))
    with pytest.raises(StateError, match="had expired and box:2 has it now"):
        planned.deliveries.turn(*KEY, lease=lease, size=2, now=now)
    with pytest.raises(StateError, match="had expired"):
        planned.deliveries.move(*KEY, given="planned", to=Expired(message="late"), lease=lease, now=now)
    assert planned.deliveries.counts(*KEY).pending == 120


def test_a_sender_that_was_taken_for_dead_does_not_overrule_what_was_said(
    planned: Store, lease: Lease, now: datetime
) -> None:
    window = planned.deliveries.turn(*KEY, lease=lease, size=2, now=now)
    other = planned.leases.take("send", holder="box:2", now=now + timedelta(minutes=1))
    planned.deliveries.move(*KEY, given="sending", to=Unknown(message="died"), lease=other, now=now)
    late = [replace(batch, state=Planned(note="again")) for batch in window]
    planned.deliveries.turn(*KEY, settled=late, lease=lease, now=now)
    assert planned.deliveries.counts(*KEY) == DeliveryCounts(batches=3, unknown=100, pending=20, errors={"died": 2})


def test_a_cancelled_send_leaves_nothing_planned_even_what_comes_back(
    planned: Store, lease: Lease, now: datetime
) -> None:
    window = planned.deliveries.turn(*KEY, lease=lease, size=1, now=now)
    assert planned.deliveries.cancel(*KEY, reason="wrong text", user="ann", now=now) == 70
    planned.deliveries.turn(*KEY, settled=[replace(window[0], state=Planned(note="503"))], lease=lease, now=now)
    assert planned.deliveries.turn(*KEY, lease=lease, size=5, now=now) == ()
    assert planned.deliveries.counts(*KEY) == DeliveryCounts(batches=3, cancelled=120, errors={"wrong text": 3})
    found = planned.deliveries.find(*KEY)
    assert found is not None and found.cancelled == "wrong text"
    assert [e.who for e in planned.audit.list() if e.action == "batches cancelled"] == ["box:1", "ann"]


def test_what_was_never_planned_cannot_be_cancelled(store: Store, now: datetime) -> None:
    with pytest.raises(StateError, match="campaign 0123456789ab has no plan for 2026-11-23"):
        store.deliveries.cancel(*KEY, reason="", user="ann", now=now)
