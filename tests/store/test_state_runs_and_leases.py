"""Runs of a night, and who may work on it."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from optinb.errors import StateError
from optinb.store import LeaseTaken

if TYPE_CHECKING:
    from optinb.delivery.journal import Store

NIGHT = date(2026, 11, 23)


def test_each_attempt_at_a_night_is_a_row(store: Store, now: datetime) -> None:
    first = store.runs.start(NIGHT, user="cron", now=now)
    store.runs.finish(first, exit_code=1, summary={"campaigns": []}, now=now + timedelta(minutes=2))
    second = store.runs.start(NIGHT, user="ann", now=now + timedelta(minutes=5))
    assert (first.attempt, second.attempt) == (1, 2)
    assert store.runs.get(NIGHT) == second
    done = store.runs.finish(second, exit_code=0, summary={"campaigns": [{"name": "Summer"}]}, now=now)
    assert store.runs.get(NIGHT) == done
    other = store.runs.start(date(2026, 11, 24), user="cron", now=now)
    assert [(run.run_date, run.attempt) for run in store.runs.list()] == [(other.run_date, 1), (NIGHT, 2), (NIGHT, 1)]
    assert [run.exit_code for run in store.runs.list(run_date=NIGHT)] == [0, 1]
    assert store.runs.get(date(2026, 1, 1)) is None


def test_a_run_that_was_never_started_cannot_finish(store: Store, now: datetime) -> None:
    run = store.runs.start(NIGHT, user="cron", now=now)
    from msgspec.structs import replace

    with pytest.raises(StateError, match="attempt 7 at 2026-11-23 was never started"):
        store.runs.finish(replace(run, attempt=7), exit_code=0, summary={}, now=now)


def test_a_second_holder_is_told_who_has_the_lease_and_until_when(store: Store, now: datetime) -> None:
    store.leases.take("night", holder="box:17", now=now)
    with pytest.raises(
        LeaseTaken, match=r"box:17 is working on the night of 2026-11-23 since 2026-11-23 17:05:09 UTC; .* 17:05:39 UTC"
    ):
        store.leases.take("night", holder="box:18", now=now + timedelta(seconds=29), what="the night of 2026-11-23")


def test_the_lease_of_a_dead_holder_expires_and_fences_it_off(store: Store, now: datetime) -> None:
    dead = store.leases.take("night", holder="box:17", now=now)
    mine = store.leases.take("night", holder="box:18", now=now + timedelta(seconds=30))
    assert mine.token > dead.token
    with pytest.raises(StateError, match="hold of box:17 on night had expired and box:18 has it now"):
        store.leases.renew(dead, now=now)
    store.leases.release(dead)
    with pytest.raises(LeaseTaken):
        store.leases.take("night", holder="box:19", now=now + timedelta(seconds=31))


def test_a_released_lease_is_free_at_once(store: Store, now: datetime) -> None:
    store.leases.release(store.leases.take("night", holder="a", now=now))
    assert store.leases.take("night", holder="b", now=now).holder == "b"


def test_of_two_leases_each_thing_has_its_own(store: Store, now: datetime) -> None:
    store.leases.take("one", holder="a", now=now)
    assert store.leases.take("two", holder="b", now=now).holder == "b"


def test_a_held_lease_is_renewed_in_the_background_until_it_is_released(store: Store, now: datetime) -> None:
    beats = threading.Semaphore(0)
    ticks = iter(range(1_000))

    def clock() -> datetime:
        beats.release()
        return now + timedelta(seconds=30 * next(ticks))

    with store.lease("night", holder="a", clock=clock, ttl_s=0.06) as lease:
        for _ in range(4):
            assert beats.acquire(timeout=20)
        assert lease.holder == "a"
        with pytest.raises(LeaseTaken):
            store.leases.take("night", holder="b", now=now + timedelta(seconds=59))
    assert store.leases.take("night", holder="b", now=now).holder == "b"


def test_a_second_holder_may_wait_for_the_first_to_end(store: Store, now: datetime) -> None:
    first = store.leases.take("night", holder="a", now=now)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            store.leases.release(first)

    with store.lease("night", holder="b", clock=lambda: now, wait_s=10, sleep=sleep) as lease:
        assert (lease.holder, len(waits)) == ("b", 3)
        with pytest.raises(LeaseTaken, match="b is working on night"):
            store.lease("night", holder="c", clock=lambda: now, wait_s=2, sleep=waits.append)
    assert len(waits) == 5
