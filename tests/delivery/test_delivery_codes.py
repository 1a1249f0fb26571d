"""Promotion codes of a night: each to one customer, whatever dies, runs twice or at once, on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from coding_child import POOL, planned
from delivery_desk import NOW, Desk, Scripted
from msgspec import Raw

from optinb.appboy import Recipient, RequestAccepted, RequestRefused, RequestUnknown
from optinb.delivery import read_frozen
from optinb.delivery.journal import CodePool, FrozenAudience, Store
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILD = str(Path(__file__).with_name("coding_child.py"))


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store.open(address) as store:
        yield store


def fill(store: Store, count: int) -> list[str]:
    codes = [f"CODE-{n:05}" for n in range(count)]
    assert isinstance(store.codes.add(POOL, codes, user="ann", now=NOW), CodePool)
    return codes


def child(address: str, root: Path, name: str, recipients: int, place: str = "nowhere") -> subprocess.Popen[str]:
    command = [sys.executable, CHILD, address, str(root), name, str(recipients), place]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def codes_of(root: Path, audience: FrozenAudience) -> dict[str, str]:
    rows = read_frozen(root / audience.path, audience.sha256).filter(pl.col("outcome") == "recipient")
    return {user: json.loads(text)["promo"] for user, text in rows.select("external_user_id", "properties").iter_rows()}


@pytest.mark.parametrize("place", ["frozen, not registered", "taken, not committed", "registered, not sent"])
def test_a_run_that_is_killed_and_run_again_gives_each_customer_one_code(
    store: Store, address: str, tmp_path: Path, place: str
) -> None:
    codes = fill(store, 150)
    dying = child(address, tmp_path, "Summer", 120, place)
    dying.communicate("go\n", timeout=60)
    assert dying.returncode == -9
    there = store.deliveries.list()
    assert len(there) == (place == "registered, not sent")
    assert store.codes.get(POOL).left == (30 if there else 150)
    earlier = codes_of(tmp_path, there[0]) if there else None
    audience = planned(store, tmp_path, "Summer", 120)
    mine = codes_of(tmp_path, audience)
    assert earlier in (None, mine)
    assert list(mine.values()) == [store.codes.code_of(audience, n) for n in range(120)] == codes[:120]
    assert planned(store, tmp_path, "Summer", 120) == audience
    assert store.codes.get(POOL).left == 30


def test_processes_that_plan_at_once_never_share_a_code(store: Store, address: str, tmp_path: Path) -> None:
    fill(store, 1_000)
    names = ["A", "B", "C", "C"]  # the last two are the same night, run twice
    children = [child(address, tmp_path, name, 250) for name in names]
    for one in children:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in children:
        _, complaint = one.communicate(timeout=100)
        assert one.returncode == 0, complaint
    audiences = store.deliveries.list()
    assert [audience.campaign_name for audience in audiences] == ["A", "B", "C"]
    given = [code for audience in audiences for code in codes_of(tmp_path, audience).values()]
    assert len(given) == len(set(given)) == 750
    held = [store.codes.code_of(audience, place) for audience in audiences for place in range(250)]
    assert held == given
    assert store.codes.get(POOL).left == 250


def test_what_is_sent_has_the_codes_and_what_is_refused_gives_them_back(desk: Desk) -> None:
    codes = fill(desk.store, 150)
    audience = planned(desk.store, desk.root, "Summer", 150)
    poster = Scripted(RequestAccepted("d", "s"), RequestRefused(400, "bad"), RequestUnknown("no answer"))
    counts = desk.send(poster, audience)
    assert (counts.accepted, counts.refused, counts.unknown) == (50, 50, 50)
    sent = [_promo(r) for q in poster.requests for r in q.recipients]
    assert sent == codes
    assert desk.store.codes.get(POOL).left == 50
    assert desk.store.codes.draw(POOL, 150).codes == tuple(codes[50:100])


def _promo(recipient: Recipient) -> str:
    assert isinstance(recipient.trigger_properties, Raw)
    return json.loads(bytes(recipient.trigger_properties))["promo"]


def test_a_pool_that_does_not_suffice_freezes_nothing_and_says_how_many_are_missing(desk: Desk) -> None:
    fill(desk.store, 100)
    complaint = "20 promotion codes are missing: 120 recipients, and 100 codes are left in the pool 'Summer'; import"
    with pytest.raises(CampaignError, match=complaint):
        planned(desk.store, desk.root, "Summer", 120)
    assert desk.store.deliveries.list() == ()
    assert not (desk.root / "audiences").exists()
    assert desk.store.codes.get(POOL).left == 100


def test_an_audience_of_nobody_needs_no_code(desk: Desk) -> None:
    fill(desk.store, 1)
    audience = planned(desk.store, desk.root, "Summer", 0)
    assert (audience.recipients, desk.store.codes.get(POOL).left) == (0, 1)
