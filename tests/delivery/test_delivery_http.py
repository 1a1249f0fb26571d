"""The sender against the sandbox over HTTP, in processes that die: nobody twice, everybody accounted for."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from delivery_desk import KEY_NAME, NIGHT, Desk, audience
from sending_child import WINDOW

from optinb.appboy import AppboyClient
from optinb.base.settings import AppGroupSettings
from optinb.campaigns import Campaign, Schedule
from optinb.delivery import BATCH_SIZE, DeliveryCounts, FrozenAudience, plan
from optinb.delivery.journal import Accepted
from optinb.delivery.send_ids import send_id_of
from optinb.errors import CampaignError
from optinb.sandbox import Fault, Key, Limits, Sandbox, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHILD = str(Path(__file__).with_name("sending_child.py"))


def journal(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / "journal.jsonl").read_text().splitlines()]


def taken(root: Path) -> list[str]:
    return [r["external_user_id"] for line in journal(root) for r in line["recipients"]]


def test_the_sandbox_took_exactly_the_frozen_audience(desk: Desk, client: AppboyClient, template_id: str) -> None:
    frozen = desk.plan(520, template_id=template_id)
    assert desk.send(client, frozen, concurrency=4) == DeliveryCounts(batches=11, accepted=520)
    lines = journal(desk.root)
    expected = {f"u{n:07}": {"first_name": f"Änn {n}", "n": n} for n in range(520)}
    assert len(taken(desk.root)) == 520
    assert {r["external_user_id"]: r["trigger_properties"] for line in lines for r in line["recipients"]} == expected
    assert {(line["campaign_id"], line["schedule"]["time"]) for line in lines} == {
        (template_id, "2026-11-23T17:00:00Z")
    }
    kept = {b.state.schedule_id for b in batches(desk, frozen) if isinstance(b.state, Accepted)}
    assert kept == {line["schedule_id"] for line in lines}
    assert desk.send(client, frozen).accepted == 520
    assert len(taken(desk.root)) == 520


def batches(desk: Desk, frozen: FrozenAudience):
    return desk.store.deliveries.batches(frozen.campaign_id, frozen.run_date)


def test_what_the_sandbox_refuses_is_refused_with_its_words(desk: Desk, client: AppboyClient) -> None:
    counts = desk.send(client, desk.plan(70, template_id="no such campaign"))
    assert (counts.refused, counts.pending, counts.stopped) == (70, 0, None)
    assert [count for message, count in counts.errors.items() if message.startswith("400")] == [2]


def test_a_proxy_that_doubles_and_replays_answers_costs_certainty_and_neither_twice_nor_lost(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    sandbox.set_faults(
        [
            Fault("double", share=0.1),
            Fault("double", share=0.2, delay_s=0.002),
            Fault("replay", share=0.3),
            Fault("replay", share=0.4, after_taking=True),
            Fault("status", share=0.45, status=503),
        ]
    )
    frozen = desk.plan(10_000, template_id=template_id)
    counts = desk.send(client, frozen, concurrency=8, window_batches=40, max_tries=20, max_refusals=1_000)
    assert counts.accepted + counts.unknown == 10_000 and 0 < counts.unknown < 5_000
    ids: dict[str | None, set[str]] = {
        line["schedule_id"]: {r["external_user_id"] for r in line["recipients"]} for line in journal(desk.root)
    }
    assert len(taken(desk.root)) == len(set(taken(desk.root)))
    for batch in batches(desk, frozen):
        if isinstance(batch.state, Accepted):
            # under its own schedule, so that a recall of it recalls these and nobody else
            assert ids[batch.state.schedule_id] == {f"u{n:07}" for n in range(batch.first, batch.first + batch.size)}


def test_large_properties_make_more_requests_and_none_that_is_too_large(
    desk: Desk, client: AppboyClient, template_id: str
) -> None:
    rows = audience(300)
    large = pl.concat_str(pl.lit('{"text":"'), pl.col("customer_id").str.pad_end(3_000, "x"), pl.lit('"}'))
    rows = rows.with_columns(properties=pl.when(pl.col("outcome") == "recipient").then(large).otherwise("properties"))
    frozen = planned(desk, rows, template_id)
    assert frozen.batches == 19  # of 16: 50 kB
    assert desk.send(client, frozen).accepted == 300
    lines = journal(desk.root)
    assert len(taken(desk.root)) == len(set(taken(desk.root))) == 300
    sizes = [sum(len(json.dumps(r["trigger_properties"])) for r in line["recipients"]) for line in lines]
    assert len(lines) == 19 and max(sizes) <= 50_500
    huge = rows.with_columns(
        properties=pl.when(pl.col("customer_id") == "c0000007").then(pl.lit("x" * 50_001)).otherwise("properties")
    )
    with pytest.raises(CampaignError, match=r"properties of 1 recipients are too large: up to 50,001 bytes"):
        planned(desk, huge, template_id, name="Huge")


def planned(desk: Desk, rows: pl.DataFrame, template_id: str, *, name: str = "Summer") -> FrozenAudience:
    return plan(
        desk.store,
        rows,
        campaign=Campaign(
            name=name, app_group="Shop", template="T", group="G", schedule=Schedule(at="18:30", every="day")
        ),
        run_date=NIGHT,
        app_group_id="shop",
        template_id=template_id,
        send_at=desk.now + timedelta(hours=15),
        fingerprint="f" * 64,
        root=desk.root,
        user="cron",
        now=desk.now,
    )


def test_a_wrong_key_sends_nothing_and_a_mended_one_goes_on(
    desk: Desk, world: World, sandbox: Sandbox, template_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = world.group("Shop")
    settings = AppGroupSettings(id=group.id, name="Shop", api=sandbox.url, key=f"env:{KEY_NAME}")
    monkeypatch.setenv(KEY_NAME, "a-key-that-was-revoked")
    frozen = desk.plan(300, template_id=template_id)
    with AppboyClient(settings) as client:
        counts = desk.send(client, frozen, concurrency=4)
    assert (counts.accepted, counts.pending) == (0, 300), counts.errors
    assert counts.stopped is not None and "check the app group's key" in counts.stopped
    assert "revoked" not in counts.stopped + "".join(counts.errors)
    monkeypatch.setenv(KEY_NAME, group.keys[0].key)
    with AppboyClient(settings) as client:
        assert desk.send(client, frozen, concurrency=4) == DeliveryCounts(batches=6, accepted=300)
    assert len(taken(desk.root)) == len(set(taken(desk.root))) == 300


def test_a_key_without_the_permission_stops_with_advice(
    desk: Desk, world: World, client: AppboyClient, template_id: str
) -> None:
    group = world.group("Shop")
    world.put(msgspec.structs.replace(group, keys=(Key(group.keys[0].key, ("campaigns.list",)),)))
    counts = desk.send(client, desk.plan(70, template_id=template_id))
    assert counts.pending == 70
    assert counts.stopped is not None and "permission" in counts.stopped


def test_an_hourly_limit_is_waited_out(
    desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    world.put(msgspec.structs.replace(world.group("Shop"), limits=Limits(an_hour=3)))

    def both_clocks(seconds: float) -> None:
        desk.move(seconds)
        sandbox.move_clock(to=desk.now)

    desk.on_wait = both_clocks
    counts = desk.send(client, desk.plan(400, template_id=template_id))
    assert counts == DeliveryCounts(batches=8, accepted=400)
    assert len(taken(desk.root)) == len(set(taken(desk.root))) == 400
    assert 2 * 3_500 < sum(desk.waits) <= 2 * 3_600


def test_a_sandbox_that_is_not_there_leaves_everything_planned(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(300, template_id=template_id)
    sandbox.__exit__(None, None, None)
    counts = desk.send(client, frozen, concurrency=4)
    assert (counts.pending, counts.unknown) == (300, 0)
    assert counts.stopped is not None and "asked 3 times to come later" in counts.stopped
    assert any("can't be reached" in message for message in counts.errors)
    sandbox.__enter__()


class Site:
    """A planned night on real time, a sandbox, and senders in processes of their own."""

    def __init__(self, root: Path, world: World, sandbox: Sandbox, desk: Desk, recipients: int) -> None:
        group = world.group("Shop")
        now = datetime.now(UTC)
        self.frozen = plan(
            desk.store,
            audience(recipients),
            campaign=Campaign(
                name="Summer", app_group="Shop", template="T", group="G", schedule=Schedule(at="18:30", every="day")
            ),
            run_date=NIGHT,
            app_group_id=group.id,
            template_id=group.campaigns[0].id,
            send_at=now + timedelta(days=1),
            fingerprint="f" * 64,
            root=root,
            user="cron",
            now=now,
        )
        self.root, self.store = root, desk.store
        self._arguments = [str(root), sandbox.url, group.id]
        self._environment = {**os.environ, KEY_NAME: group.keys[0].key}

    def start(
        self,
        *,
        ahead_s: float,
        where: str = "nowhere",
        at: int = 0,
        wait_s: float = 0,
        prepare: Callable[[], None] | None = None,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, CHILD, *self._arguments, str(ahead_s), where, str(at), str(wait_s)],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )

    def check(self, *, kills: int) -> DeliveryCounts:
        """Nobody twice, everybody accounted for, unknown at most a window a kill, and the audit trail whole."""
        counts = self.store.deliveries.counts(self.frozen.campaign_id, self.frozen.run_date)
        assert (counts.recipients, counts.pending) == (self.frozen.recipients, 0)
        assert counts.unknown <= kills * WINDOW * BATCH_SIZE
        users = Counter(taken(self.root))
        assert not users or max(users.values()) == 1
        certain, doubtful = set(), set()
        for batch in self.store.deliveries.batches(self.frozen.campaign_id, self.frozen.run_date):
            rows = {f"u{n:07}" for n in range(batch.first, batch.first + batch.size)}
            (certain if isinstance(batch.state, Accepted) else doubtful).update(rows)
        assert certain <= set(users) <= certain | doubtful
        assert self.store.audit.verify().problem is None
        return counts


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, desk: Desk, world: World) -> Iterator[Site]:
    with Sandbox(world, journal=tmp_path / "journal.jsonl") as sandbox:
        yield Site(tmp_path, world, sandbox, desk, getattr(request, "param", 1_620))


def test_a_sender_killed_at_its_worst_moments_sends_nobody_twice_and_loses_nobody(site: Site) -> None:
    moments = [
        ("after a turn", 1, 100, 100),  # half a window marked, and nothing posted
        ("after a turn", 2, 200, 200),  # the other half too
        ("before a turn", 3, 200, 200),  # half of it posted, and nothing of it known
        ("after a turn", 3, 200, 200),  # that half known, and the next one marked
        ("before a request", 6, 100, 200),
        ("after a request", 1, 100, 200),
    ]
    least = most = 0
    for n, (where, at, low, high) in enumerate(moments):
        child = site.start(ahead_s=40 * n, where=where, at=at)
        _, complaint = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, complaint
        least, most = least + low, most + high
    child = site.start(ahead_s=40 * len(moments))
    told, complaint = child.communicate(timeout=60)
    assert child.returncode == 0, complaint
    counts = site.check(kills=len(moments))
    assert msgspec.json.decode(told, type=DeliveryCounts) == counts
    assert least <= counts.unknown <= most


def test_a_night_killed_around_its_send_id_finds_it_again_and_every_request_bears_it(site: Site) -> None:
    for n, where in enumerate(("before an id", "after an id", "before its note", "after its note", "after a turn")):
        child = site.start(ahead_s=40 * n, where=where, at=1)
        _, complaint = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, complaint
        assert taken(site.root) == []
    for n in (5, 6):  # and another sender takes over from one that was killed while it sent
        child = site.start(ahead_s=40 * n, where="after a request" if n == 5 else "nowhere", at=2)
        _, complaint = child.communicate(timeout=60)
        assert child.returncode == (-signal.SIGKILL if n == 5 else 0), complaint
    site.check(kills=2)
    audience = site.store.deliveries.find(*site.frozen.night)
    assert audience and audience.send_id == send_id_of(site.frozen)
    assert {line["send_id"] for line in journal(site.root)} == {audience.send_id}


def test_two_senders_started_at_once_send_nobody_twice(site: Site) -> None:
    senders = [site.start(ahead_s=0, wait_s=60) for _ in range(2)]
    for sender in senders:
        told, complaint = sender.communicate(timeout=90)
        assert sender.returncode == 0, complaint
        assert msgspec.json.decode(told, type=DeliveryCounts).accepted == 1_620
    assert site.check(kills=0).accepted == 1_620


def test_a_disk_that_is_full_stops_the_sender_with_a_sentence_and_the_next_one_goes_on(site: Site) -> None:
    files = list(site.root.glob("state.sqlite*"))
    room = max(file.stat().st_size for file in files) + 60_000  # bytes that no file may outgrow

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    child = site.start(ahead_s=0, prepare=fill)
    _, complaint = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "StateError: the state store" in complaint and "check the space and the rights" in complaint
    assert 0 < len(taken(site.root)) < site.frozen.recipients
    child = site.start(ahead_s=40)
    _, complaint = child.communicate(timeout=60)
    assert child.returncode == 0, complaint
    assert site.check(kills=1).accepted > 0


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(2))
def test_two_senders_killed_at_random_moments_send_nobody_twice(site: Site, seed: int) -> None:
    rng = random.Random(seed)
    places = ["before a turn", "after a turn", "before a request", "after a request", "after an id", "after its note"]
    kills, rounds = 0, 0
    while site.store.deliveries.list(having=("planned", "sending")):
        rounds += 1
        where = [rng.choice(places) if rounds <= 6 else "nowhere" for _ in range(2)]
        pair = [site.start(ahead_s=40 * rounds, where=place, at=rng.randint(1, 12), wait_s=2) for place in where]
        for child in pair:
            if rng.random() < 0.3:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(rng.uniform(0.5, 1.2))
                child.kill()
            _, complaint = child.communicate(timeout=90)
            assert child.returncode in (0, -signal.SIGKILL) or "LeaseTaken" in complaint, complaint
            kills += child.returncode == -signal.SIGKILL
        assert rounds < 30
    assert site.check(kills=kills).pending == 0
