"""Pools of promotion codes: imported whole or not at all, and each code one person's at a time."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from optinb.campaigns import Waterfall
from optinb.delivery.journal import (
    Accepted,
    Batch,
    Cancelled,
    Clash,
    CodePool,
    CodesTaken,
    Expired,
    FrozenAudience,
    Planned,
    Refused,
    Unknown,
)
from optinb.errors import CampaignError, StateError

if TYPE_CHECKING:
    from optinb.delivery.journal import BatchState, Store
    from optinb.store import Lease

NIGHT = date(2026, 11, 23)
SIZE = 5


def codes(count: int, *, since: int = 0) -> list[str]:
    return [f"CODE-{n:04}" for n in range(since, since + count)]


def add(store: Store, now: datetime, count: int, *, since: int = 0, name: str = "Summer") -> CodePool:
    added = store.codes.add(name, codes(count, since=since), user="ann", now=now)
    assert isinstance(added, CodePool)
    return added


def plan(store: Store, now: datetime, batches: int, *, campaign: str = "c1", draw: int | None = None) -> FrozenAudience:
    audience = FrozenAudience(
        campaign_id=campaign,
        campaign_name=f"Campaign {campaign}",
        run_date=NIGHT,
        app_group_id="shop",
        template_id="t",
        path="audiences/x.parquet",
        sha256="0" * 64,
        send_at=now + timedelta(hours=15),
        recipients=batches * SIZE,
        batches=batches,
        waterfall=Waterfall(target=batches * SIZE, excluded={}, control=0, recipients=batches * SIZE),
        fingerprint="f" * 64,
        planned_at=now,
        codes="summer",
    )
    planned = [
        Batch(campaign_id=campaign, run_date=NIGHT, number=n, first=n * SIZE, size=SIZE, state=Planned())
        for n in range(batches)
    ]
    drawn = store.codes.draw("summer", batches * SIZE if draw is None else draw)
    return store.deliveries.plan(audience, planned, user="cron", now=now, draw=drawn)


def lease(store: Store, now: datetime) -> Lease:
    return store.leases.take("send", holder="box:1", now=now)


def held_by(store: Store, audience: FrozenAudience) -> list[str | None]:
    return [store.codes.code_of(audience, place) for place in range(audience.recipients)]


def settle(store: Store, audience: FrozenAudience, now: datetime, *states: BatchState) -> None:
    held = lease(store, now)
    opened = store.deliveries.turn(*audience.night, lease=held, now=now, size=len(states))
    settled = [
        Batch(campaign_id=b.campaign_id, run_date=b.run_date, number=b.number, first=b.first, size=b.size, state=state)
        for b, state in zip(opened, states, strict=True)
    ]
    store.deliveries.turn(*audience.night, lease=held, now=now, settled=settled)
    store.leases.release(held)


def test_an_import_is_counted_listed_and_recorded(store: Store, now: datetime) -> None:
    first = add(store, now, 20)
    assert (first.name, first.codes, first.left) == ("Summer", 20, 20)
    more = store.codes.add("SUMMER", codes(5, since=20), user="bob", now=now)
    assert isinstance(more, CodePool)
    assert (more.name, more.codes, more.left, more.changed_by) == ("Summer", 25, 25, "bob")
    assert store.codes.list() == (more,)
    assert store.codes.draw("summer", 99).codes == tuple(codes(25))
    entry = store.audit.list(subject="Summer")[0]
    assert (entry.action, entry.detail["codes"]) == ("codes imported", 20)
    assert not any("CODE-" in str(e.detail) for e in store.audit.list())
    with pytest.raises(CampaignError, match=r"no pool of promotion codes 'Sumer'; did you mean 'Summer'"):
        store.codes.get("Sumer")


def test_a_code_that_any_pool_has_already_is_refused_with_all_of_its_file(store: Store, now: datetime) -> None:
    add(store, now, 20)
    new = [*codes(3, since=100), "CODE-0007", *codes(3, since=200), "CODE-0001"]
    for name in ("Summer", "Winter"):
        assert store.codes.add(name, new, user="ann", now=now) == (Clash(3, "Summer"), Clash(7, "Summer"))
    assert [pool.codes for pool in store.codes.list()] == [20]


def test_recipients_get_codes_in_order_with_the_plan(store: Store, now: datetime) -> None:
    add(store, now, 30)
    first, second = plan(store, now, 2), plan(store, now, 3, campaign="c2")
    assert held_by(store, first) == codes(10)
    assert held_by(store, second) == codes(15, since=10)
    assert store.codes.get("summer").left == 5
    assert plan(store, now, 2) == first
    assert held_by(store, first) == codes(10)


def test_codes_that_somebody_else_got_meanwhile_are_not_given_again(store: Store, now: datetime) -> None:
    add(store, now, 30)
    drawn = store.codes.draw("summer", 10)
    plan(store, now, 1)
    audience = FrozenAudience(
        campaign_id="c2",
        campaign_name="Second",
        run_date=NIGHT,
        app_group_id="shop",
        template_id="t",
        path="p",
        sha256="0" * 64,
        send_at=now,
        recipients=10,
        batches=0,
        waterfall=Waterfall(target=10, excluded={}, control=0, recipients=10),
        fingerprint="f" * 64,
        planned_at=now,
        codes="summer",
    )
    with pytest.raises(CodesTaken, match="given to another campaign meanwhile"):
        store.deliveries.plan(audience, [], user="cron", now=now, draw=drawn)
    assert store.deliveries.find("c2", NIGHT) is None
    assert store.codes.get("summer").left == 25


def test_only_what_certainly_reached_nobody_goes_back_to_the_pool(store: Store, now: datetime) -> None:
    add(store, now, 40)
    audience = plan(store, now, 6)
    before = held_by(store, audience)
    settle(
        store,
        audience,
        now,
        Accepted(dispatch_id="d", schedule_id="s"),
        Refused(status=400, message="no"),
        Unknown(message="?"),
        Planned(note="later"),
    )
    kept = [n for n in range(30) if n // SIZE != 1]
    assert held_by(store, audience) == [before[n] if n in kept else None for n in range(30)]
    assert store.codes.get("summer").left == 15
    store.deliveries.cancel(*audience.night, reason="stop", user="ann", now=now)
    assert [n for n, code in enumerate(held_by(store, audience)) if code] == [*range(5), *range(10, 15)]
    # what was given back is given to others, once each
    other = plan(store, now, 6, campaign="c2")
    theirs = held_by(store, other)
    assert len(set(theirs)) == 30
    assert not set(theirs) & set(held_by(store, audience)) - {None}


def test_what_expires_goes_back_and_what_a_dead_sender_left_does_not(store: Store, now: datetime) -> None:
    add(store, now, 20)
    audience = plan(store, now, 3)
    held = lease(store, now)
    store.deliveries.turn(*audience.night, lease=held, now=now, size=1)
    store.deliveries.move(*audience.night, given="sending", to=Unknown(message="died"), lease=held, now=now)
    store.deliveries.move(*audience.night, given="planned", to=Expired(message="late"), lease=held, now=now)
    assert held_by(store, audience) == codes(5) + [None] * 10


def test_a_recall_gives_codes_back_only_where_it_is_certain(store: Store, now: datetime) -> None:
    add(store, now, 20)
    audience = plan(store, now, 2)
    settle(store, audience, now, *[Accepted(dispatch_id="d", schedule_id=f"s{n}") for n in range(2)])
    first, second = store.deliveries.batches(*audience.night)
    held = lease(store, now)
    changed = [
        Batch(campaign_id=b.campaign_id, run_date=b.run_date, number=b.number, first=b.first, size=b.size, state=state)
        for b, state in (
            (first, Cancelled(message="recalled", schedule_id="s0")),
            (second, Unknown(message="recalled so late that some may have got it")),
        )
    ]
    store.deliveries.revise(changed, given="accepted", lease=held, now=now)
    assert held_by(store, audience) == [None] * 5 + codes(5, since=5)


def test_a_stale_sender_that_calls_a_batch_refused_gives_nothing_back(store: Store, now: datetime) -> None:
    add(store, now, 20)
    audience = plan(store, now, 1)
    stale = store.leases.take("send", holder="box:1", now=now, ttl_s=1)
    (batch,) = store.deliveries.turn(*audience.night, lease=stale, now=now, size=1)
    later = now + timedelta(minutes=1)
    fresh = store.leases.take("send", holder="box:2", now=later)
    store.deliveries.move(*audience.night, given="sending", to=Unknown(message="died"), lease=fresh, now=later)
    refused = Batch(
        campaign_id=batch.campaign_id,
        run_date=batch.run_date,
        number=batch.number,
        first=batch.first,
        size=batch.size,
        state=Refused(status=400, message="no"),
    )
    store.deliveries.turn(*audience.night, lease=stale, now=later, settled=[refused])
    assert held_by(store, audience) == codes(5)


def test_a_plan_that_replaces_a_stopped_one_draws_anew(store: Store, now: datetime) -> None:
    add(store, now, 10)
    audience = plan(store, now, 2)
    store.deliveries.cancel(*audience.night, reason="stop", user="ann", now=now)
    again = plan(store, now, 2)
    assert held_by(store, again) == codes(10)
    assert store.codes.get("summer").left == 0


def by_hand(store: Store, statement: str) -> None:
    with store._database.writing() as con:
        con.exec_driver_sql(statement)


def test_codes_that_were_changed_by_hand_are_given_to_nobody(store: Store, now: datetime) -> None:
    add(store, now, 20)
    add(store, now, 20, since=20)
    by_hand(store, "update codes set code = 'STOLEN' where number = 25")
    assert store.codes.draw("Summer", 20).codes == tuple(codes(20))  # those of the other import
    with pytest.raises(StateError, match="'Summer' aren't those that 'ann' imported by entry 2"):
        store.codes.draw("Summer", 21)


def test_codes_whose_owners_were_removed_by_hand_are_not_given_a_second_time(store: Store, now: datetime) -> None:
    add(store, now, 20)
    settle(store, plan(store, now, 2), now, Accepted(dispatch_id=None, schedule_id=None))
    by_hand(store, "delete from code_grants")
    with pytest.raises(StateError, match="entry 2 of the audit trail gave them to recipients of 'Campaign c1'"):
        plan(store, now, 1, campaign="c2")
    assert store.deliveries.find("c2", NIGHT) is None


def test_codes_that_came_back_are_given_again(store: Store, now: datetime) -> None:
    add(store, now, 10)
    settle(store, plan(store, now, 2), now, *[Refused(status=400, message="no")] * 2)
    assert store.codes.get("Summer").left == 10
    plan(store, now, 1, campaign="c2")
    assert store.codes.get("Summer").left == 5
