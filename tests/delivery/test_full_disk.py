"""A disk that takes no more of the file of answers while the database goes on: they never contradict each other.

The limit of a process on the size of its files stands for the full disk: the file of answers is at it, the database
isn't. It is the system that refuses the write then, whoever runs the test.
"""

from __future__ import annotations

import resource
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from delivery_desk import Desk, Scripted
from msgspec.structs import replace

from optinb.appboy import Outcome, RequestAccepted, RequestLater, ScheduleRequest, Stopped
from optinb.base.settings import SendSection
from optinb.delivery import RecallTools, lease_name, reschedule
from optinb.delivery.journal import Accepted as Taken
from optinb.delivery.journal import Planned, Sending, replay, why_behind
from optinb.delivery.journal.recovering import _side_of
from optinb.delivery.recall import recall
from optinb.errors import Exit, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from optinb.appboy import RateLimit, WireSchedule
    from optinb.delivery.journal import Batch, FrozenAudience

BUSY = RequestLater(2.0, "Appboy is busy")
NO_KEY = Stopped(401, "Invalid API key", "check the key")
ROOM = 8 << 20  # more than the database and its log need


class Disk:
    """Fills up for the file of answers, and is cleaned up again."""

    def __init__(self, desk: Desk, frozen: FrozenAudience) -> None:
        self.file = desk.store.deliveries.answers.path(*frozen.night)
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.file.write_bytes(self.file.read_bytes()[:-1] + b" " * ROOM + b"\n")

    def fill(self, room: int = 0) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.file.stat().st_size + room, self._limit[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)


@contextmanager
def disk_of(desk: Desk, frozen: FrozenAudience) -> Iterator[Disk]:
    disk = Disk(desk, frozen)
    try:
        yield disk
    finally:
        disk.free()


def copied(desk: Desk, name: str) -> Path:
    path = desk.root / f"{name}.copy"
    with closing(sqlite3.connect(desk.root / "state.sqlite")) as one, closing(sqlite3.connect(path)) as other:
        one.backup(other)
    return path


def put_back(desk: Desk, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as one, closing(sqlite3.connect(desk.root / "state.sqlite")) as other:
        one.backup(other)


def then(act: Callable[[], object], outcome: Outcome) -> Callable[[ScheduleRequest], Outcome]:
    def answer(_request: ScheduleRequest) -> Outcome:
        act()
        return outcome

    return answer


class Recaller:
    """Deletes and moves schedules as Appboy does."""

    def __init__(self) -> None:
        self.rate_limit: RateLimit | None = None
        self.deleted: list[str] = []

    def unschedule(self, campaign_id: str, schedule_id: str) -> Outcome:
        self.deleted.append(schedule_id)
        return RequestAccepted()

    def reschedule(self, campaign_id: str, schedule_id: str, schedule: WireSchedule) -> Outcome:
        return RequestAccepted()


@pytest.mark.parametrize("room", [0, 20, 60])
@pytest.mark.parametrize("last", [BUSY, NO_KEY])
def test_who_was_certainly_not_sent_to_before_the_disk_was_full_is_sent_to_afterwards_and_nobody_twice(
    desk: Desk, last: Outcome, room: int
) -> None:
    frozen = desk.plan(400)
    with disk_of(desk, frozen) as disk:
        poster = Scripted(RequestAccepted("d1", "s1"), then(lambda: disk.fill(room), last))
        with pytest.raises(StateError, match=r"answers file .* can't be written .*check the space"):
            desk.send(poster, frozen)
        counts = desk.store.deliveries.counts(*frozen.night)
        assert counts.unknown == 0 and counts.accepted >= 50 and counts.pending >= 50
        assert desk.store.recovery.why_behind(*frozen.night) is None, "the database isn't taken for one put back"
        with pytest.raises(StateError, match="can't be written"):
            desk.send(Scripted(), frozen)
        assert desk.store.recovery.why_behind(*frozen.night) is None
    again = Scripted()
    assert desk.send(again, frozen).accepted == 400
    refused = Counter(user.external_user_id for user in poster.requests[1].recipients)
    assert Counter(poster.users) + Counter(again.users) - refused == Counter({f"u{n:07}": 1 for n in range(400)})
    account = replay(disk.file.read_bytes())
    assert {type(state) for state in account.states.values()} == {Taken} and not account.damaged


def test_a_rebuilt_night_knows_too_who_was_certainly_not_sent_to(desk: Desk) -> None:
    frozen = desk.plan(200)
    with disk_of(desk, frozen) as disk, pytest.raises(StateError):
        desk.send(Scripted(then(disk.fill, BUSY)), frozen, window_batches=2)
    rebuilt = desk.store.recovery.rebuild(*frozen.night, why="asked", user="ops", now=desk.now)
    assert rebuilt.recipients.get("unknown") is None and rebuilt.recipients["planned"] >= 50


def test_a_database_put_back_to_the_moment_of_the_full_disk_is_noticed(desk: Desk) -> None:
    frozen = desk.plan(200)
    with disk_of(desk, frozen) as disk, pytest.raises(StateError):
        desk.send(Scripted(then(disk.fill, BUSY)), frozen, window_batches=2)
    full = copied(desk, "full")
    assert desk.send(Scripted(), frozen).accepted == 200
    put_back(desk, full)
    assert "which are planned there" in (desk.store.recovery.why_behind(*frozen.night) or "")


def test_a_try_that_began_after_the_full_disk_outweighs_what_the_database_said_then(desk: Desk) -> None:
    frozen = desk.plan(50)
    night, lease = frozen.night, desk.store.leases.take(lease_name(frozen), holder="box:1", now=desk.now)
    with disk_of(desk, frozen) as disk:
        (batch,) = desk.store.deliveries.turn(*night, lease=lease, now=desk.now, size=1)
        disk.fill()
        with pytest.raises(StateError):
            desk.store.deliveries.turn(*night, lease=lease, now=desk.now, settled=[_planned(batch)])
        disk.free()
        (kept,) = desk.store.deliveries.batches(*night)
        assert kept.state == Planned(untold=lease.token)
        later = desk.store.leases.take(lease_name(frozen), holder="box:2", now=desk.now.replace(hour=3))
        account = desk.store.recovery.account(*night)
        with desk.store._database.reading() as con:
            there = _side_of(con, account, *night)
        assert account is not None and why_behind(account, there) is None
        assert isinstance(account.states[0], Sending)
        account.tokens[0] = later.token
        account.token = later.token
        assert "1 of its 1 requests" in (why_behind(account, there) or "")


def _planned(batch: Batch) -> Batch:
    return replace(batch, state=Planned())


def test_on_a_full_disk_what_is_scheduled_is_recalled_and_what_is_planned_is_stopped(desk: Desk) -> None:
    frozen, recaller = desk.plan(400), Recaller()
    tools = RecallTools(recaller, desk.clock, SendSection(concurrency=2), sleep=desk.sleep)
    with disk_of(desk, frozen) as disk:
        with pytest.raises(StateError):
            desk.send(Scripted(RequestAccepted("d1", "s1"), RequestAccepted("d2", "s2"), then(disk.fill, BUSY)), frozen)
        accepted = desk.store.deliveries.counts(*frozen.night).accepted
        for _ in range(2):
            desk.store.deliveries.cancel(*frozen.night, reason="wrong", user="ann", now=desk.now)
        with desk.store.lease(lease_name(frozen), holder="ann", clock=desk.clock) as lease:
            done = recall(desk.store, frozen, tools, lease=lease, reason="wrong")
        assert (done.recalled, done.out, len(recaller.deleted)) == (accepted, 0, len(set(recaller.deleted)))
        assert done.exit_code == Exit.FAILED and "can't be written" in (done.untold or "")
        assert desk.store.deliveries.counts(*frozen.night).cancelled == 400
        assert desk.store.recovery.why_behind(*frozen.night) is None
    with desk.store.lease(lease_name(frozen), holder="ann", clock=desk.clock) as lease:
        done = recall(desk.store, frozen, tools, lease=lease, reason="wrong")
    assert (done.exit_code, done.untold) == (Exit.DONE, None)
    account = replay(disk.file.read_bytes())
    assert account.audience is not None and account.audience.cancelled == "wrong", "the file has caught up"
    assert len(account.states) == 8


def test_a_night_that_was_planned_anew_while_the_disk_was_full_is_sent_once_there_is_room(desk: Desk) -> None:
    first = desk.plan(100)
    desk.store.deliveries.cancel(*first.night, reason="wrong", user="ann", now=desk.now)
    desk.move(60)
    with disk_of(desk, first) as disk:
        disk.fill()
        with pytest.raises(StateError, match="can't be written"):
            desk.plan(100)
        again, poster = desk.plan(100), Scripted()
        assert again.planned_at > first.planned_at and desk.store.recovery.why_behind(*first.night) is None
        with pytest.raises(StateError, match="can't be written"):
            desk.send(poster, again)
    assert desk.send(poster, again).accepted == 100 == len(set(poster.users)) == len(poster.users)
    account = replay(disk.file.read_bytes())
    assert account.audience == again and not account.damaged


def test_on_a_full_disk_a_night_is_moved_and_says_that_the_file_does_not_know(desk: Desk) -> None:
    frozen = desk.plan(100)
    desk.send(Scripted(), frozen)
    tools = RecallTools(Recaller(), desk.clock, SendSection(concurrency=2), sleep=desk.sleep)
    to = frozen.send_at.replace(hour=18)
    with disk_of(desk, frozen) as disk, desk.store.lease(lease_name(frozen), holder="a", clock=desk.clock) as lease:
        disk.fill()
        moved = reschedule(desk.store, frozen, tools, lease=lease, send_at=to, user="ann")
    assert (moved.moved, moved.unmoved, moved.exit_code) == (100, 0, Exit.FAILED)
    assert "can't be written" in (moved.untold or "")
