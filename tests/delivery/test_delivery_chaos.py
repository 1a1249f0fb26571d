"""Senders that are killed at random moments while Appboy fails at random: nobody twice, nobody lost.

Each run is a campaign of 2,000 customers, every third one of several messages, whose senders are killed with SIGKILL
and started again until nothing is left to send, against one sandbox with faults of every kind. OPTINB_CHAOS_RUNS sets
how many runs one sender gets (60), and two at once get a third of them on each database; OPTINB_CHAOS_SEED sets when
they are killed. In a third of them (a tenth on PostgreSQL) the database is put back to copies that were made while
senders were at work; in a tenth, on each database, senders are stopped with SIGSTOP, and go on while or after another
takes over.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import chaos_child
import polars as pl
import pytest
import several_child
from delivery_desk import NIGHT, audience
from postgres_server import dump, emptied, restore

from optinb.campaigns import Campaign, Schedule
from optinb.delivery import FrozenAudience, plan
from optinb.delivery.closing import DIED
from optinb.delivery.journal import Accepted, Store
from optinb.sandbox import Fault, Sandbox, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerProcess

    Messages = tuple[FrozenAudience, ...]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

RECIPIENTS = 2_000
RUNS = int(os.environ.get("OPTINB_CHAOS_RUNS", "60"))
SEED = os.environ.get("OPTINB_CHAOS_SEED", "1")
TTL_S = 3.0  # of a hold, where senders are stopped
MAX_KILLS = 3  # rounds of a run in which somebody is killed
# the first rule whose share a request's draw is under: 2 to 3 % of the requests each
FAULTS = (
    Fault("status", share=0.03, status=503),
    Fault("status", share=0.05, status=429, reset_in_s=1.0),
    Fault("reset", share=0.07),
    Fault("reset", share=0.09, after_taking=True),
    Fault("status", share=0.11, status=504, after_taking=True),
    Fault("status", share=0.12, status=504),
    Fault("truncate", share=0.14),
    Fault("delay", share=0.17, delay_s=0.05),
    Fault("double", share=0.19),
    Fault("double", share=0.21, delay_s=0.002),
    Fault("replay", share=0.24),
    Fault("replay", share=0.27, after_taking=True),
)


class Arena:
    """A sandbox with faults, a store, and campaigns of which each has templates of its own."""

    def __init__(self, root: Path, address: str, sandbox: Sandbox) -> None:
        self.root, self.address, self.sandbox = root, address, sandbox
        self.store = Store.open(address, root=root)
        self._is_file = not address.startswith("postgresql")
        self._group = sandbox.world.group("Shop")
        self._fork = multiprocessing.get_context("forkserver")
        self._usual_s, self._is_warm = 0.0, False

    def plan(self, number: int) -> Messages:
        """The messages of a campaign; every third has two variants, each with a template for either phone."""
        now, templates = datetime.now(UTC), [t.id for t in self._group.campaigns[4 * number : 4 * number + 4]]
        if number % 3 == 2:
            of, rows = several_child.campaign(f"Run {number}"), several_child.dealt(RECIPIENTS * 2 // 3)
        else:
            schedule = Schedule(at="18:30", every="day")
            of = Campaign(name=f"Run {number}", app_group="Shop", template="T", group="G", schedule=schedule)
            rows = audience(RECIPIENTS)
        plan(
            self.store,
            rows,
            campaign=of,
            run_date=NIGHT,
            app_group_id=self._group.id,
            template_id=templates[: len(of.messages)],
            send_at=now + timedelta(days=1),
            fingerprint="f" * 64,
            root=self.root,
            user="cron",
            now=now,
        )
        return self.store.deliveries.messages(of.id, NIGHT)

    def run(self, frozen: Messages, rng: random.Random, *, senders: int) -> int:
        """Starts senders until nothing is left, and kills some; returns how many."""
        kills, rounds, took_s = 0, 0, 0.0
        while self._is_open(frozen):
            # by now the hold of a dead one has ended
            children = [self._child(frozen, ahead_s=40.0 * rounds) for _ in range(senders)]
            begun = time.monotonic()
            for child in children:
                child.start()
            if rounds < MAX_KILLS and self._usual_s:
                for child in children:
                    child.join(rng.uniform(0.0, self._usual_s) - (time.monotonic() - begun))
                    child.kill()
            for child in children:
                child.join()
                assert child.exitcode in (0, -9)
                kills += child.exitcode == -9
            took_s = time.monotonic() - begun
            rounds += 1
            assert rounds < 30
        if rounds == 1 and not kills and self._is_warm:
            self._usual_s = min(self._usual_s or took_s, took_s)
        self._is_warm = True
        return kills

    def run_put_back(self, frozen: Messages, rng: random.Random) -> tuple[int, int]:
        """Runs senders of which some are killed, puts back what was copied meanwhile; returns kills and put-backs."""
        kills = rounds = put_back = 0
        copies = [self._copied(frozen, "before")]
        while self._is_open(frozen):
            child = self._child(frozen, ahead_s=40.0 * rounds)
            child.start()
            for n in range(rng.randint(1, 4)):
                child.join(rng.uniform(0.0, self._usual_s / 3))
                copies.append(self._copied(frozen, f"{rounds}-{n}"))
            if rounds < MAX_KILLS and rng.random() < 0.7:
                child.kill()
            child.join()
            assert child.exitcode in (0, -9)
            kills += child.exitcode == -9
            rounds += 1
            assert rounds < 30
            if rounds <= MAX_KILLS and rng.random() < 0.8:
                self._put_back(rng.choice(copies))
                put_back += 1
                for message in frozen:
                    if why := self.store.recovery.why_behind(*message.night):
                        now = datetime.now(UTC)
                        self.store.recovery.rebuild(*message.night, why=why, user="ops", now=now)
        return kills, put_back

    def _copied(self, frozen: Messages, name: str) -> Path:
        copy = self.root / f"{frozen[0].campaign_id}-{name}.copy"
        if self._is_file:
            with closing(sqlite3.connect(self.address)) as there, closing(sqlite3.connect(copy)) as here:
                there.backup(here)
        else:
            dump(self.address, copy)
        return copy

    def _put_back(self, copy: Path) -> None:
        self.store.close()
        if self._is_file:
            for file in self.root.glob("state.sqlite*"):
                file.unlink()
            shutil.copy(copy, self.address)
        else:
            restore(self.address, copy)
        self.store = Store.open(self.address, root=self.root)

    def run_with_stops(self, frozen: Messages, rng: random.Random) -> int:
        """Starts pairs of senders until nothing is left; the first is stopped, and goes on at any time after that."""
        stops, rounds = 0, 0
        while self._is_open(frozen):
            first, second = (self._child(frozen, ttl_s=TTL_S) for _ in range(2))
            first.start()
            begun = time.monotonic()
            first.join(rng.uniform(0.0, 2 * self._usual_s))
            if first.exitcode is None:
                stops += _signal(first, signal.SIGSTOP)
            elif not rounds:  # faster than the machine was before
                self._usual_s = min(self._usual_s, time.monotonic() - begun)
            second.start()
            # within its hold, as it ends, or when the other is done; one that was stopped in a transaction has to go on
            second.join(rng.uniform(0.0, 3 * TTL_S))
            _signal(first, signal.SIGCONT)
            for child in (first, second):
                child.join()
                assert child.exitcode == 0
            rounds += 1
            assert rounds < 30
        return stops

    def _child(self, frozen: Messages, *, ahead_s: float = 0.0, ttl_s: float | None = None) -> ForkServerProcess:
        key = self._group.keys[0].key
        arguments = (self.address, str(self.root), self.sandbox.url, key, *frozen[0].night, ahead_s, ttl_s)
        return self._fork.Process(target=chaos_child.run, args=arguments)

    def check(self, frozen: Messages, taken: dict[str, Counter[str]], kills: int) -> None:
        """Nobody twice, everybody accounted for, and unknown by a death at most a window a kill."""
        died = [self._checked(message, taken.get(message.template_id, Counter())) for message in frozen]
        assert sum(died) <= kills * chaos_child.WINDOW
        assert frozen[0].waterfall.recipients == (RECIPIENTS if len(frozen) == 1 else RECIPIENTS * 2 // 3)

    def _checked(self, frozen: FrozenAudience, taken: Counter[str]) -> int:
        """Checks a message, which bears one send_id; returns how many of its requests a death left unknown."""
        counts = self.store.deliveries.counts(*frozen.night)
        assert (counts.recipients, counts.pending) == (frozen.recipients, 0)
        assert set(taken.values()) <= {1}  # a death in a small message's only window leaves nobody taken
        users = pl.read_parquet(self.root / frozen.path).filter(pl.col("outcome") == "recipient")["external_user_id"]
        certain: set[str] = set()
        doubtful: set[str] = set()
        for batch in self.store.deliveries.batches(*frozen.night):
            rows = set(users[batch.first : batch.first + batch.size])
            (certain if isinstance(batch.state, Accepted) else doubtful).update(rows)
        assert certain <= set(taken) <= certain | doubtful
        assert len(doubtful) == counts.unknown
        there = self.store.deliveries.find(*frozen.night)
        mine = [d for d in self.sandbox.world.dispatches if d.campaign_id == frozen.template_id]
        assert there and {d.send_id for d in mine} == ({there.send_id} if taken else set())
        return counts.errors.get(DIED.message, 0)

    def _is_open(self, frozen: Messages) -> bool:
        return any(self.store.deliveries.counts(*message.night).pending for message in frozen)


def _signal(child: ForkServerProcess, what: signal.Signals) -> bool:
    """Whether a child was there to be told."""
    with suppress(ProcessLookupError):
        os.kill(child.pid or 0, what)
        return True
    return False


def taken_by_template(journal: Path) -> dict[str, Counter[str]]:
    """How often the sandbox took each customer, by template."""
    taken: dict[str, Counter[str]] = {}
    with journal.open() as lines:
        for line in map(json.loads, lines):
            users = [recipient["external_user_id"] for recipient in line["recipients"]]
            taken.setdefault(line["campaign_id"], Counter()).update(users)
    return taken


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "state.sqlite")
    return emptied(request.getfixturevalue("cluster"))


@pytest.fixture
def arena(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arena]:
    # the process that forks the senders has to find their module, to import it once for all
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    multiprocessing.get_context("forkserver").set_forkserver_preload(["chaos_child"])
    world = make_world(["Shop"], templates=[f"T{n}_iOS" for n in range(4 * (RUNS + 2))])
    with Sandbox(world, journal=tmp_path / "journal.jsonl", faults=FAULTS) as sandbox:
        arena = Arena(tmp_path, address, sandbox)
        yield arena
        arena.store.close()


@pytest.mark.parametrize(
    ("address", "senders", "share"),
    [("sqlite", 1, 1.0), ("sqlite", 2, 1 / 3), ("postgresql", 2, 1 / 3)],
    indirect=["address"],
    ids=["one sender", "two senders", "two senders on PostgreSQL"],
)
def test_whatever_fails_nobody_is_taken_twice_and_everybody_is_accounted_for(
    arena: Arena, tmp_path: Path, senders: int, share: float
) -> None:
    rng = random.Random(SEED)
    for number in (0, 1):
        arena.run(arena.plan(number), rng, senders=1)  # how long it takes when nobody is killed
    runs = []
    for number in range(2, max(1, round(RUNS * share)) + 2):
        frozen = arena.plan(number)
        runs.append((frozen, arena.run(frozen, rng, senders=senders)))
    taken = taken_by_template(tmp_path / "journal.jsonl")
    for frozen, kills in runs:
        arena.check(frozen, taken, kills)
    assert sum(kills for _, kills in runs) >= len(runs)
    assert any(dispatch.send_id for dispatch in arena.sandbox.world.dispatches)
    assert arena.store.audit.verify().problem is None


@pytest.mark.parametrize(("address", "share"), [("sqlite", 1 / 3), ("postgresql", 1 / 10)], indirect=["address"])
def test_killed_and_put_back_to_any_moment_nobody_is_taken_twice_and_what_is_scheduled_is_known(
    arena: Arena, tmp_path: Path, share: float
) -> None:
    rng = random.Random(f"put back {SEED}")
    for number in (0, 1):
        arena.run(arena.plan(number), rng, senders=1)
    runs = []
    for number in range(2, max(3, round(RUNS * share)) + 2):
        frozen = arena.plan(number)
        runs.append((frozen, *arena.run_put_back(frozen, rng)))
    taken = taken_by_template(tmp_path / "journal.jsonl")
    schedules = {d.schedule_id for d in arena.sandbox.world.dispatches}
    for frozen, kills, put_back in runs:
        # a put-back, too, leaves at most the window unknown that was under way when its copy was made
        arena.check(frozen, taken, kills + put_back)
        batches = [batch for message in frozen for batch in arena.store.deliveries.batches(*message.night)]
        known = [b.state for b in batches if isinstance(b.state, Accepted)]
        assert {state.schedule_id for state in known} <= schedules
    assert sum(put_back for _, _, put_back in runs) >= len(runs)
    assert arena.store.audit.verify().problem is None


@pytest.mark.parametrize("address", ["sqlite", "postgresql"], indirect=True)
def test_whoever_is_stopped_and_goes_on_sends_nobody_twice_and_loses_nobody(arena: Arena, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    for number in (0, 1):
        arena.run(arena.plan(number), rng, senders=1)  # how long it takes when nobody is stopped
    runs = []
    for number in range(2, max(3, round(RUNS / 10)) + 2):
        frozen = arena.plan(number)
        runs.append((frozen, arena.run_with_stops(frozen, rng)))
    taken = taken_by_template(tmp_path / "journal.jsonl")
    for frozen, stops in runs:
        arena.check(frozen, taken, stops)
    assert sum(stops for _, stops in runs) >= len(runs) / 2
    assert arena.store.audit.verify().problem is None
