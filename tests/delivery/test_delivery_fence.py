"""A sender that is stopped, and goes on when others have taken its place: it posts nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery_desk import NOW
from stopping_child import CALLS

from optinb.appboy import RequestAccepted, RequestLater, RequestUnknown, posting_while
from optinb.base.settings import SendSection
from optinb.delivery import Budget, RecallTools, ask_after, lease_name, may_be_stopped, request_for, schedule_of, send
from optinb.delivery.recall import recall
from optinb.delivery.reconcile import reconcile
from optinb.store.leases import elapsed_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from delivery_desk import Desk

    from optinb.appboy import AppboyClient
    from optinb.delivery import FrozenAudience
    from optinb.sandbox import Sandbox
    from optinb.store import HeldLease

TTL_S = 2.0
RECIPIENTS = 1_000
CREATE = "/campaigns/trigger/schedule/create"
SETTINGS = SendSection(window_batches=8, concurrency=4)
CHILD = str(Path(__file__).with_name("stopping_child.py"))


class Stopped:
    """A sender in a process of its own that has stopped itself, and may go on."""

    def __init__(self, desk: Desk, sandbox: Sandbox, client: AppboyClient, frozen: FrozenAudience, place: str) -> None:
        self.desk, self.sandbox, self.client, self.frozen = desk, sandbox, client, frozen
        self.ahead = NOW - datetime.now(UTC)
        arguments = [str(desk.root), client.group.api, client.group.id, str(self.ahead.total_seconds()), place]
        self._child = subprocess.Popen([sys.executable, CHILD, *arguments, str(TTL_S)], env=dict(os.environ))
        until = time.monotonic() + 60
        while self._state() != "T":
            assert self._child.poll() is None and time.monotonic() < until
            time.sleep(0.01)

    def _state(self) -> str:
        return Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def on_the_wire(self) -> list[str]:
        return [user for dispatch in self.sandbox.world.dispatches for user in dispatch.ids]

    def held(self) -> HeldLease:
        """The night's lease, once the stopped sender's has ended."""
        store = self.desk.store
        return store.lease(lease_name(self.frozen), holder="box:2", clock=store.clock, ttl_s=TTL_S, wait_s=30)

    def taken_over(self) -> None:
        """Another sender sends the rest."""
        send(
            self.desk.store,
            self.client,
            self.frozen,
            root=self.desk.root,
            clock=self.clock,
            lease_clock=self.desk.store.clock,
            ttl_s=TTL_S,
            settings=SETTINGS,
            holder="box:2",
            wait_s=30,
        )

    def go_on(self) -> None:
        """Lets the stopped one go on to its end."""
        os.kill(self._child.pid, signal.SIGCONT)
        assert self._child.wait(60) == 3

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()


@pytest.fixture
def stopped(desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str) -> Iterator[Callable[[str], Stopped]]:
    begun: list[Stopped] = []

    def start(place: str) -> Stopped:
        begun.append(Stopped(desk, sandbox, client, desk.plan(RECIPIENTS, template_id=template_id), place))
        return begun[-1]

    yield start
    for one in begun:
        one.kill()


@pytest.mark.parametrize("place", CALLS)
def test_a_sender_that_was_stopped_posts_nothing_once_another_has_taken_over(
    stopped: Callable[[str], Stopped], place: str
) -> None:
    sender = stopped(place)
    sender.taken_over()
    before = sender.on_the_wire()
    counts = sender.desk.store.deliveries.counts(*sender.frozen.night)
    assert counts.pending == 0 and 0 < counts.unknown <= 8 * 50 and counts.recipients == RECIPIENTS
    sender.go_on()
    assert sender.on_the_wire() == before and len(set(before)) == len(before)
    assert sender.desk.store.deliveries.counts(*sender.frozen.night) == counts


@pytest.mark.parametrize("place", CALLS)
def test_nothing_is_posted_once_a_cancel_has_returned(stopped: Callable[[str], Stopped], place: str) -> None:
    sender = stopped(place)
    store, frozen = sender.desk.store, sender.frozen
    store.deliveries.cancel(*frozen.night, reason="wrong text", user="ann", now=sender.clock())
    held = sender.held()
    with held as lease:
        tools = RecallTools(sender.client, sender.clock, SETTINGS, may_ask=held.is_safe)
        done = recall(store, frozen, tools, lease=lease, reason="wrong text")
    before = sender.on_the_wire()
    sender.go_on()
    assert sender.on_the_wire() == before
    counts = store.deliveries.counts(*frozen.night)
    assert (counts.accepted, counts.pending, counts.recipients) == (0, 0, RECIPIENTS)
    assert (counts.recalled, counts.unknown) == (done.recalled, done.may_be_out)


@pytest.mark.parametrize("place", CALLS)
def test_whom_reconcile_calls_missing_gets_nothing_later(stopped: Callable[[str], Stopped], place: str) -> None:
    sender = stopped(place)
    sender.taken_over()
    desk, frozen = sender.desk, sender.frozen
    now = ask_after(frozen, SETTINGS.late_minutes)
    sender.sandbox.move_clock(to=now)
    found = reconcile(
        desk.store,
        sender.client,
        frozen,
        root=desk.root,
        clock=lambda: now,
        user="ann",
        late_minutes=SETTINGS.late_minutes,
        budget=Budget(an_hour=15_000, reserve=0.0),
    )
    assert found.missing > 0 and found.untold == 0
    sender.go_on()
    assert not set(found.missing_ids) & set(sender.on_the_wire())


def test_a_sender_that_was_stopped_for_a_while_goes_on_when_nobody_took_its_place(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(RECIPIENTS, template_id=template_id)
    # a clock that jumps ahead looks like a stop, until the hold is renewed
    jumped = iter([False] * 40 + [True] * 40)
    looks = time.time

    def wall() -> float:
        return looks() + (3_600 if next(jumped, False) else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optinb.store.leases.time.time", wall)
        counts = send(
            desk.store,
            client,
            frozen,
            root=desk.root,
            clock=desk.clock,
            lease_clock=desk.store.clock,
            ttl_s=TTL_S,
            settings=SETTINGS,
            holder="box:1",
        )
    # a jump between a request's head and its body leaves half a request, of which nobody knows what becomes
    assert counts.accepted + counts.unknown == RECIPIENTS and counts.unknown <= SETTINGS.concurrency * 50
    assert len(sandbox.world.dispatches) == counts.accepted / 50


@pytest.mark.parametrize(
    ("answers", "outcome", "arrived"),
    [([False], RequestLater, 0), ([True, False], RequestUnknown, 0), ([True, True], None, 1)],
    ids=["before its head", "before its body", "not at all"],
)
def test_a_request_is_held_back_with_its_connection_open(
    client: AppboyClient, sandbox: Sandbox, template_id: str, desk: Desk, answers: list[bool], outcome, arrived: int
) -> None:
    frozen = desk.plan(50)
    request = request_for(template_id, schedule_of(frozen), [("u1", "{}")])
    looks = iter(answers)
    with posting_while(lambda: next(looks)):
        found = client.schedule(request)
    assert outcome is None or isinstance(found, outcome)
    assert len(sandbox.world.dispatches) == arrived
    with posting_while(lambda: True):
        client.schedule(request)
    client.schedule(request)  # nobody asks any more
    assert len(sandbox.world.dispatches) == arrived + 2


@pytest.mark.parametrize("halted_before_head", [True, False])
def test_a_request_whose_head_is_written_is_ended_although_the_send_is_halted(
    client: AppboyClient, sandbox: Sandbox, template_id: str, desk: Desk, halted_before_head: bool
) -> None:
    request = request_for(template_id, schedule_of(desk.plan(50)), [("u1", "{}")])
    looks = iter([not halted_before_head])  # a second look would raise
    with posting_while(lambda: True, may_begin=lambda: next(looks)):
        outcome = client.schedule(request)
    assert isinstance(outcome, RequestLater if halted_before_head else RequestAccepted)
    assert len(sandbox.world.dispatches) == (0 if halted_before_head else 1)


def test_no_clock_that_is_set_back_or_stands_still_hides_that_time_has_passed() -> None:
    assert elapsed_s((10.0, 1_000.0, 50.0), (11.0, 400.0, 51.0)) == 1.0  # set back
    assert elapsed_s((10.0, 1_000.0, 50.0), (11.0, 1_900.0, 950.0)) == 900.0  # suspended
    assert elapsed_s((10.0, 1_000.0), (70.0, 1_060.0)) == 60.0  # stopped


def test_what_waits_may_be_stopped_as_long_as_it_may_be_posted(desk: Desk) -> None:
    frozen = desk.plan(50)
    at = frozen.send_at

    def open_at(now: datetime, *, pending: bool) -> bool:
        return may_be_stopped(frozen, pending=pending, now=now, late_minutes=15)

    assert open_at(at - timedelta(seconds=1), pending=False) and not open_at(at, pending=False)
    late = at + timedelta(minutes=15)
    assert open_at(late, pending=True) and not open_at(late + timedelta(seconds=1), pending=True)
