"""Frozen audiences that are sealed anew: both hashes on record, and nobody's seal broken unseen."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from optinb.campaigns import Waterfall
from optinb.delivery.journal import Batch, FrozenAudience, Planned, Settlement, Unknown
from optinb.errors import ConflictError

if TYPE_CHECKING:
    from optinb.delivery.journal import Store

NIGHT = date(2026, 11, 23)


def settled(store: Store, now: datetime) -> FrozenAudience:
    audience = FrozenAudience(
        campaign_id="c1",
        campaign_name="Summer",
        run_date=NIGHT,
        app_group_id="shop",
        template_id="t",
        path="audiences/old.parquet",
        sha256="0" * 64,
        send_at=now + timedelta(hours=15),
        recipients=3,
        batches=1,
        waterfall=Waterfall(target=3, excluded={}, control=0, recipients=3),
        fingerprint="f" * 64,
        planned_at=now,
    )
    batch = Batch(campaign_id="c1", run_date=NIGHT, number=0, first=0, size=3, state=Planned())
    store.deliveries.plan(audience, [batch], user="cron", now=now)
    lease = store.leases.take("send", holder="box", now=now)
    store.deliveries.turn("c1", NIGHT, lease=lease, now=now, size=1)
    store.deliveries.move("c1", NIGHT, given="sending", to=Unknown(message="?"), lease=lease, now=now)
    said = Settlement(received=("u1",), missing=("u2",), untold=("u3",), asked_at=now, asked_by="ann")
    store.deliveries.settle(batch, said)
    return audience


def seal(store: Store, audience: FrozenAudience, digit: str, now: datetime) -> FrozenAudience:
    path = f"audiences/{digit}.parquet"
    return store.seals.renew(
        audience, path=path, sha256=digit * 64, renamed={"u2": "x"}, why="forgotten", user="ann", now=now
    )


def test_a_new_seal_stands_beside_the_old_one_in_the_trail(store: Store, now: datetime) -> None:
    audience = settled(store, now)
    renewed = seal(store, audience, "1", now)
    assert store.deliveries.find("c1", NIGHT) == renewed
    assert (renewed.path, renewed.sha256) == ("audiences/1.parquet", "1" * 64)
    (entry,) = store.audit.list(subject="Summer", limit=1)
    assert (entry.action, entry.detail["sha256"], entry.detail["sha256_before"]) == (
        "audience sealed anew",
        "1" * 64,
        "0" * 64,
    )
    (batch,) = store.deliveries.batches("c1", NIGHT)
    assert batch.settlement is not None
    assert (batch.settlement.received, batch.settlement.missing, batch.settlement.untold) == (("u1",), ("x",), ("u3",))
    assert store.deliveries.counts("c1", NIGHT).missing == 1
    assert store.audit.verify().problem is None


def test_a_seal_that_was_renewed_meanwhile_is_not_renewed_again(store: Store, now: datetime) -> None:
    audience = settled(store, now)
    seal(store, audience, "1", now)
    with pytest.raises(ConflictError, match="'Summer' of 2026-11-23 was changed meanwhile; try again"):
        seal(store, audience, "2", now)
    found = store.deliveries.find("c1", NIGHT)
    assert found is not None
    assert found.sha256 == "1" * 64


def test_entries_that_name_somebody_are_counted(store: Store, now: datetime) -> None:
    store.audit.note(who="ann", action="test send", subject="c1", now=now, customers=["42", "a_c"])
    store.audit.note(who="ann", action="test send", subject="c1", now=now, customers=["1042", "abc"])
    assert [store.audit.naming(name) for name in ("42", "a_c", "1042", "nobody")] == [1, 1, 1, 0]
