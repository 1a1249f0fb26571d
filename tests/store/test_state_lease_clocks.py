"""Leases of machines whose clocks differ, of holders that are dead, and of holders that were stopped."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from optinb.delivery.journal import Store
from optinb.errors import StateError
from optinb.store import LeaseTaken
from optinb.store.leases import APART_S, LeaseLost, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTES, AN_HOUR = timedelta(minutes=4), timedelta(hours=1)


@pytest.fixture
def elsewhere(address: str) -> Iterator[Store]:
    """The same store on another machine."""
    with Store.open(address) as store:
        yield store


def set_clock(store: Store, by: timedelta) -> None:
    """Sets a machine's clock, which nobody asks who has a server's."""
    if not store._database.tells_time:
        store._database.now = lambda: datetime.now(UTC) + by


def test_all_machines_go_by_the_clock_of_a_server(store: Store, address: str) -> None:
    before = datetime.now(UTC)
    told = store.clock()
    assert told.tzinfo is UTC and abs(told - before) < timedelta(seconds=5)
    assert store.clock.margin_s == (APART_S if address.endswith(".sqlite") else 0.0)


@pytest.mark.parametrize("by", [-AN_HOUR, -MINUTES, MINUTES])
def test_nobody_takes_what_is_renewed_by_a_clock_that_is_minutes_away(
    store: Store, elsewhere: Store, by: timedelta
) -> None:
    set_clock(elsewhere, by)
    with (
        store.lease("night", holder="a", clock=store.clock, ttl_s=1.5),
        pytest.raises(LeaseTaken, match="a is working on night"),
    ):
        elsewhere.lease("night", holder="b", clock=elsewhere.clock, ttl_s=1.5, wait_s=3)


@pytest.mark.parametrize("by", [-AN_HOUR, -MINUTES, MINUTES, AN_HOUR])
def test_a_dead_holder_whose_clock_was_away_blocks_nobody_for_longer_than_its_hold_lasts(
    store: Store, elsewhere: Store, by: timedelta
) -> None:
    set_clock(elsewhere, by)
    dead = elsewhere.leases.take("night", holder="dead", now=elsewhere.clock(), ttl_s=1.5)
    begun = time.monotonic()
    with store.lease("night", holder="b", clock=store.clock, ttl_s=1.5, wait_s=20) as mine:
        assert mine.token > dead.token
    assert time.monotonic() - begun < 15
    other = store.lease("night", holder="c", clock=store.clock)
    with pytest.raises(LeaseLost, match="hold of dead on night had expired and c has it now"):
        elsewhere.leases.renew(dead, now=datetime.now(UTC))
    other.release()


def test_what_is_watched_counts_from_its_last_renewal(now: datetime) -> None:
    watch = Watch()
    assert watch.unrenewed_s(1, now, ticks=100.0) == 0.0
    assert watch.unrenewed_s(1, now, ticks=129.0) == 29.0
    assert watch.unrenewed_s(1, now + timedelta(seconds=10), ticks=130.0) == 0.0
    assert watch.unrenewed_s(2, now + timedelta(seconds=10), ticks=131.0) == 0.0
    assert watch.unrenewed_s(2, now + timedelta(seconds=10), ticks=161.0) == 30.0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_hold_is_safe_while_it_is_renewed_and_no_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    held = store.lease("night", holder="a", clock=store.clock, ttl_s=3.0)
    renew = store.leases.renew
    assert held.is_safe()

    def failing(*_args: object, **_more: object) -> None:
        raise StateError("the store is busy")

    monkeypatch.setattr(store.leases, "renew", failing)
    until(lambda: not held.is_safe())
    monkeypatch.setattr(store.leases, "renew", renew)
    until(held.is_safe)
    held.release()
    assert not held.is_safe()


@pytest.mark.parametrize("clock", ["time.time", "time.monotonic"])
def test_a_hold_is_not_safe_once_any_clock_has_gone_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    held = store.lease("night", holder="a", clock=store.clock, ttl_s=600.0)
    real = getattr(time, clock.removeprefix("time."))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"optinb.store.leases.{clock}", lambda: real() - 3_600)
        assert held.is_safe()  # set back, which the others contradict
        patch.setattr(f"optinb.store.leases.{clock}", lambda: real() + 299)
        assert held.is_safe()
        patch.setattr(f"optinb.store.leases.{clock}", lambda: real() + 301)
        assert not held.is_safe()
    held.release()


def test_a_hold_that_another_took_is_never_safe_again(store: Store) -> None:
    held = store.lease("night", holder="a", clock=store.clock, ttl_s=0.9)
    store.leases.take("night", holder="b", now=datetime.now(UTC) + timedelta(days=1))
    until(lambda: not held._thread.is_alive())
    assert not held.is_safe()


def test_a_server_ends_a_transaction_in_which_a_process_was_stopped(cluster: sa.URL) -> None:
    with Store.open(cluster.render_as_string(hide_password=False)) as store, store._database.reading() as con:
        assert con.execute(sa.text("show idle_in_transaction_session_timeout")).scalar() == "1min"


def test_a_moment_that_has_been_is_known_from_what_came_after(store: Store, now: datetime) -> None:
    def note(action: str, subject: str, hours: float) -> None:
        store.audit.note(who="ann", action=action, subject=subject, now=now + timedelta(hours=hours))

    assert store.audit.latest_since("approve", subject="A") is None
    note("run", "A", 900)  # by a clock that was ahead: what is approved afterwards holds all the same
    note("approve", "A", 0)
    assert store.audit.latest_since("approve", subject="A") is None
    note("approve", "B", 5)
    note("run", "B", 2)
    assert store.audit.latest_since("approve", subject="A") == now + timedelta(hours=5)
    assert store.audit.latest_since("approve", subject="B") == now + timedelta(hours=2)
