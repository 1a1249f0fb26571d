"""Senders that are killed at random moments while Appboy fails at random: nobody twice, nobody lost.

Each run is a campaign of 2,000 customers whose senders are killed with SIGKILL and started again until nothing is left
to send, against one sandbox with faults of every kind. OPTINB_CHAOS_RUNS sets how many runs one
sender gets (60), and two at once get a third of them on each database; OPTINB_CHAOS_SEED sets when they are killed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import chaos_child
import pytest
from delivery_desk import NIGHT, audience
from postgres_server import emptied

from optinb.campaigns import Campaign, Schedule
from optinb.delivery import FrozenAudience, plan
from optinb.delivery.closing import DIED
from optinb.sandbox import Fault, Sandbox, make_world
from optinb.state import Accepted, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

RECIPIENTS = 2_000
RUNS = int(os.environ.get("OPTINB_CHAOS_RUNS", "60"))
SEED = os.environ.get("OPTINB_CHAOS_SEED", "1")
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
    """A sandbox with faults, a store, and campaigns of which each has a template of its own."""

    def __init__(self, root: Path, address: str, sandbox: Sandbox) -> None:
        self.root, self.address, self.sandbox = root, address, sandbox
        self.store = Store.open(address)
        self._group = sandbox.world.group("Shop")
        self._fork = multiprocessing.get_context("forkserver")
        self._usual_s, self._is_warm = 0.0, False

    def plan(self, number: int) -> FrozenAudience:
        now = datetime.now(UTC)
        return plan(
            self.store,
            audience(RECIPIENTS),
            campaign=Campaign(
                name=f"Run {number}",
                app_group="Shop",
                template="T",
                group="G",
                schedule=Schedule(at="18:30", every="day"),
            ),
            run_date=NIGHT,
            app_group_id=self._group.id,
            template_id=self._group.campaigns[number].id,
            send_at=now + timedelta(days=1),
            fingerprint="f" * 64,
            root=self.root,
            user="cron",
            now=now,
        )

    def run(self, frozen: FrozenAudience, rng: random.Random, *, senders: int) -> int:
        """Starts senders until nothing is left, and kills some; returns how many."""
        kills, rounds, took_s = 0, 0, 0.0
        while self._is_open(frozen):
            arguments = (
                self.address,
                str(self.root),
                self.sandbox.url,
                self._group.keys[0].key,
                *frozen.night,
                40.0 * rounds,  # by now the hold of a dead one has ended
            )
            children = [self._fork.Process(target=chaos_child.run, args=arguments) for _ in range(senders)]
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

    def check(self, frozen: FrozenAudience, taken: Counter[str], kills: int) -> None:
        """Nobody twice, everybody accounted for, and unknown by a death at most a window a kill."""
        counts = self.store.deliveries.counts(*frozen.night)
        assert (counts.recipients, counts.pending) == (RECIPIENTS, 0)
        assert counts.errors.get(DIED.message, 0) <= kills * chaos_child.WINDOW
        assert max(taken.values()) == 1
        certain: set[str] = set()
        doubtful: set[str] = set()
        for batch in self.store.deliveries.batches(*frozen.night):
            rows = {f"u{n:07}" for n in range(batch.first, batch.first + batch.size)}
            (certain if isinstance(batch.state, Accepted) else doubtful).update(rows)
        assert certain <= set(taken) <= certain | doubtful
        assert len(doubtful) == counts.unknown

    def _is_open(self, frozen: FrozenAudience) -> bool:
        return self.store.deliveries.counts(*frozen.night).pending > 0


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
    world = make_world(["Shop"], templates=[f"T{n}_iOS" for n in range(RUNS + 2)])
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
        arena.check(frozen, taken[frozen.template_id], kills)
    assert sum(kills for _, kills in runs) >= len(runs)
    assert arena.store.audit.verify().problem is None
