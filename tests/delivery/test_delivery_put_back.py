"""A database that is put back to an earlier moment: nobody twice, nobody lost, and what is scheduled can be recalled.

Databases are copied at every turn of a sender, also of one that Appboy fails, and each copy is put back afterwards.
OPTINB_CHAOS_RUNS sets how many sends are made (2), of which four copies each are put back.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from delivery_desk import Desk, Scripted, store_address

from optinb.appboy import AppboyClient
from optinb.appboy import RequestAccepted as Taken
from optinb.base.settings import SendSection
from optinb.delivery import RecallTools, lease_name, reschedule
from optinb.delivery.journal import Accepted, DeliveryCounts, FrozenAudience, Store, Unknown, replay
from optinb.delivery.journal.answers import AnswerLine, Pen
from optinb.delivery.recall import recall
from optinb.errors import StateError
from optinb.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAKEN = Taken("d", "s of the first")
RUNS = int(os.environ.get("OPTINB_CHAOS_RUNS", "2"))
FAULTS = (
    Fault("status", share=0.05, status=503),
    Fault("reset", share=0.10, after_taking=True),
    Fault("status", share=0.15, status=504),
)


def copied(desk: Desk, name: str) -> Path:
    """A consistent copy of the database as it is, its write-ahead log and all."""
    copy = desk.root / f"{name}.copy"
    with closing(sqlite3.connect(store_address(desk.root))) as there, closing(sqlite3.connect(copy)) as here:
        there.backup(here)
    return copy


def put_back(desk: Desk, copy: Path) -> None:
    desk.store.close()
    for file in desk.root.glob("state.sqlite*"):
        file.unlink()
    (desk.root / "state.sqlite").write_bytes(copy.read_bytes())
    desk.store = Store.open(store_address(desk.root), root=desk.root)


def before_each_turn(desk: Desk, then: Callable[[], Any]) -> None:
    turn = desk.store.deliveries.turn

    def told(*args: Any, **kwargs: Any) -> Any:
        then()
        return turn(*args, **kwargs)

    desk.store.deliveries.turn = told


def rebuild(desk: Desk, frozen: FrozenAudience, *, dry_run: bool = False):
    problem = desk.store.recovery.why_behind(*frozen.night)
    assert problem is not None
    return desk.store.recovery.rebuild(*frozen.night, why=problem, user="ops", now=desk.now, dry_run=dry_run)


def taken(root: Path) -> Counter[str]:
    lines = map(json.loads, (root / "journal.jsonl").read_text().splitlines())
    creates = [line for line in lines if line["endpoint"].endswith("schedule/create")]
    return Counter(f"{line['campaign_id']}/{r['external_user_id']}" for line in creates for r in line["recipients"])


def recall_all(desk: Desk, client: AppboyClient, frozen: FrozenAudience):
    tools = RecallTools(client, desk.clock, SendSection(concurrency=2), sleep=desk.sleep)
    with desk.store.lease(lease_name(frozen), holder="ops", clock=desk.clock) as lease:
        return recall(desk.store, frozen, tools, lease=lease, reason="wrong")


@pytest.mark.parametrize("run", range(RUNS))
def test_put_back_to_any_moment_of_a_send_nobody_is_sent_to_twice_and_nobody_is_lost(
    desk: Desk, client: AppboyClient, sandbox: Sandbox, template_id: str, run: int
) -> None:
    rng = random.Random(run)
    sandbox.set_faults(FAULTS if run % 2 else ())
    copies = [copied(desk, "before")]
    frozen = desk.plan(1_620, template_id=template_id)
    before_each_turn(desk, lambda: copies.append(copied(desk, str(len(copies)))))
    desk.send(client, frozen, concurrency=4, max_tries=8)
    copies.append(copied(desk, "after"))
    answers = desk.store.deliveries.answers.path(*frozen.night)
    for copy in rng.sample(copies, 4):
        put_back(desk, copy)
        desk.move(60)  # the hold of whoever had it then has ended
        if desk.store.recovery.why_behind(*frozen.night):
            if desk.store.deliveries.find(*frozen.night):
                with pytest.raises(StateError, match=r"was put back to an earlier state.*optinb recover"):
                    desk.send(client, frozen)
            rebuild(desk, frozen)
        assert desk.store.recovery.why_behind(*frozen.night) is None
        counts = desk.send(client, frozen, concurrency=4, max_tries=8)
        assert (counts.recipients, counts.pending) == (1_620, 0)
        users = taken(desk.root)
        assert max(users.values()) == 1
        certain, doubtful = set(), set()
        for batch in desk.store.deliveries.batches(*frozen.night):
            rows = {f"{template_id}/u{n:07}" for n in range(batch.first, batch.first + batch.size)}
            (certain if isinstance(batch.state, Accepted) else doubtful).update(rows)
        assert certain <= set(users) <= certain | doubtful
        assert desk.store.audit.verify().problem is None
    assert replay(answers.read_bytes()).damaged == []
    sandbox.set_faults(())
    accepted = desk.store.deliveries.counts(*frozen.night).accepted
    assert accepted > 0
    done = recall_all(desk, client, frozen)
    assert (done.recalled, done.out, done.problems) == (accepted, 0, {})
    kept = {d.schedule_id for d in sandbox.world.dispatches if d.plans[-1].until is None}
    assert len(kept) <= sum(isinstance(b.state, Unknown) for b in desk.store.deliveries.batches(*frozen.night))


def test_what_was_recalled_or_moved_since_is_so_again(desk: Desk, client: AppboyClient, template_id: str) -> None:
    frozen = desk.plan(320, template_id=template_id)
    desk.send(client, frozen)
    sent = copied(desk, "sent")
    moved_to = frozen.send_at + timedelta(hours=1)
    tools = RecallTools(client, desk.clock, SendSection(concurrency=2), sleep=desk.sleep)
    with desk.store.lease(lease_name(frozen), holder="ops", clock=desk.clock) as lease:
        assert reschedule(desk.store, frozen, tools, lease=lease, send_at=moved_to, user="ops").moved == 320
    moved = copied(desk, "moved")
    desk.store.deliveries.cancel(*frozen.night, reason="wrong", user="ops", now=desk.now)
    recall_all(desk, client, desk.store.deliveries.find(*frozen.night) or frozen)
    for copy, why in ((sent, "cancelled since"), (moved, "cancelled since")):
        put_back(desk, copy)
        desk.move(60)
        problem = desk.store.recovery.why_behind(*frozen.night)
        assert problem is not None
        rebuilt = rebuild(desk, frozen)
        assert rebuilt.recipients == {"cancelled": 320}
        there = desk.store.deliveries.find(*frozen.night)
        assert there is not None
        assert (there.send_at, there.cancelled) == (moved_to, "wrong")
        assert why


def test_a_dry_run_changes_nothing_and_says_what_a_real_one_does(desk: Desk) -> None:
    empty = copied(desk, "empty")
    frozen = desk.plan(120)
    desk.send(Scripted(), frozen)
    put_back(desk, empty)
    told = rebuild(desk, frozen, dry_run=True)
    assert desk.store.deliveries.list() == ()
    assert desk.store.audit.list() == ()
    assert told == rebuild(desk, frozen)
    assert told.recipients == {"accepted": 120}
    assert desk.store.recovery.why_behind(*frozen.night) is None


def test_a_database_that_fails_leaves_what_appboy_took_to_the_next_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = desk.plan(200)
    broken = threading.Event()
    writing = desk.store._database.writing

    def failing():
        if broken.is_set():
            raise StateError("the state store has been locked by another program")
        return writing()

    def breaking(_request: object):
        broken.set()
        return TAKEN

    monkeypatch.setattr(desk.store._database, "writing", failing)
    poster = Scripted(breaking)
    with pytest.raises(StateError, match="locked"):
        desk.send(poster, frozen)
    broken.clear()
    assert desk.store.deliveries.counts(*frozen.night).accepted == 0
    desk.move(60)
    rest = Scripted()
    counts = desk.send(rest, frozen)
    # none is unknown: what was answered stands in the file, and what was not begun too
    assert counts == DeliveryCounts(batches=4, accepted=200)
    assert sorted(poster.users + rest.users) == [f"u{n:07}" for n in range(200)]
    assert "answers taken over" in [entry.action for entry in desk.store.audit.list()]


def test_a_file_that_cannot_be_written_stops_the_sender_before_anything_is_posted(desk: Desk) -> None:
    frozen = desk.plan(120)
    file = desk.store.deliveries.answers.path(*frozen.night)
    kept = file.read_bytes()
    file.unlink()
    file.mkdir()
    poster = Scripted()
    with pytest.raises(StateError, match="the answers file"):
        desk.send(poster, frozen)
    assert poster.requests == []
    file.rmdir()
    file.write_bytes(kept)
    desk.move(60)
    assert desk.send(poster, frozen) == DeliveryCounts(batches=3, accepted=120)


def test_a_file_that_can_be_written_no_longer_leaves_what_is_known_to_the_database(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = desk.plan(300)
    full = threading.Event()
    append = Pen._append

    def appended(pen: Pen, path: Path, line: AnswerLine) -> None:
        if full.is_set():
            raise OSError(28, "No space left on device")
        append(pen, path, line)

    def filling(_request: object):
        full.set()
        return TAKEN

    monkeypatch.setattr(Pen, "_append", appended)
    poster = Scripted(filling)
    with pytest.raises(StateError, match="No space left on device"):
        desk.send(poster, frozen)
    counts = desk.store.deliveries.counts(*frozen.night)
    assert (counts.accepted, counts.unknown, counts.pending) == (len(poster.users), 0, 300 - len(poster.users))
    full.clear()
    desk.move(60)
    assert desk.send(poster, frozen) == DeliveryCounts(batches=6, accepted=300)
    assert sorted(poster.users) == [f"u{n:07}" for n in range(300)]


def test_a_night_that_has_no_file_yet_gets_one_and_is_sent(desk: Desk) -> None:
    frozen = desk.plan(120)
    file = desk.store.deliveries.answers.path(*frozen.night)
    file.unlink()
    assert desk.store.recovery.why_behind(*frozen.night) is None
    assert desk.send(Scripted(), frozen) == DeliveryCounts(batches=3, accepted=120)
    account = replay(file.read_bytes())
    assert account.audience == frozen
    assert all(isinstance(state, Accepted) for state in account.states.values()) and len(account.states) == 3
    if os.name != "nt":
        assert file.stat().st_mode & 0o077 == 0


def test_the_older_file_of_another_machine_holds_nobody_up_and_brings_nothing_back(desk: Desk) -> None:
    frozen = desk.plan(120)
    file = desk.store.deliveries.answers.path(*frozen.night)
    early = file.read_bytes()
    desk.send(Scripted(), frozen)
    file.write_bytes(early)
    assert desk.store.recovery.why_behind(*frozen.night) is None
    poster = Scripted()
    assert desk.send(poster, frozen).accepted == 120
    assert poster.requests == []
