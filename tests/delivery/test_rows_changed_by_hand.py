"""Rows of a planned send that somebody changed by SQL: nobody is written to by them, and what decides nothing doesn't.

The night's own look at the approval and at the trail comes before; here stands what the sender itself sees.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from delivery_desk import NIGHT, NOW, Desk, Scripted, store_address

from optinb.errors import StateError
from optinb.store.audit import AuditEntry, digest
from optinb.store.schema import audiences, batches

if TYPE_CHECKING:
    from optinb.delivery import FrozenAudience

RECIPIENTS = 120
AUDIENCES: dict[str, tuple[Any, str]] = {
    "campaign_id": ("cafecafecafe", "doesn't know"),
    "run_date": ("2026-11-24", "doesn't know"),
    "campaign_name": ("Winter", "name of the campaign"),
    "app_group_id": ("club", "app group"),
    "template_id": ("another", "template"),
    "path": ("elsewhere.parquet", "file"),
    "sha256": ("0" * 64, "seal of the file"),
    "send_at": (str(NOW.replace(tzinfo=None) + timedelta(hours=9)), "send time"),
    "recipients": (119, "recipients"),
    "fingerprint": ("0" * 64, "approval"),
    "clock": ("local", "clock"),
    "codes": ("drinks", "promotion codes"),
    "variant": ("B", "variant"),
    # a later one would let the file of answers pass for that of an earlier plan
    "planned_at": (str(NOW.replace(tzinfo=None) + timedelta(days=1)), "time of planning"),
}
# what is stopped by hand is stopped, and by another send_id Appboy counts elsewhere
IDLE_IN_AUDIENCES = {"waterfall", "cancelled", "send_id"}
BATCHES: dict[str, str] = {
    "number": "update batches set number = 7 where number = 2",
    "first": "update batches set first = 0 where number = 1",
    "size": "update batches set size = 20 where number = 0",
    "one more": "insert into batches select campaign_id, run_date, 9, 0, 50, state, detail, why, token, changed_at, "
    "settlement from batches where number = 0",
    "one less": "delete from batches where number = 1",
}
IDLE_IN_BATCHES = {"why", "changed_at", "settlement"}
# of these the journal of answers beside the audience tells
JOURNAL = {"campaign_id", "run_date", "state", "detail", "token"}


def by_hand(desk: Desk, *statements: str, values: tuple[Any, ...] = ()) -> None:
    """As somebody with the database's file changes it: no foreign key is checked."""
    with closing(sqlite3.connect(store_address(desk.root))) as con:
        for statement in statements:
            con.execute(statement, values)
        con.commit()


def refused(desk: Desk, frozen: FrozenAudience, why: str) -> None:
    """Nothing of it is sent, and nothing is lost: all of it is still to come."""
    poster = Scripted()
    there = desk.store.deliveries.list(run_date=None)[0]
    with pytest.raises(StateError, match=why):
        desk.send(poster, there)
    assert poster.requests == []
    assert desk.store.deliveries.counts(*there.night).pending == sum(
        batch.size for batch in desk.store.deliveries.batches(*there.night, state="planned")
    )


def as_of_0_1(desk: Desk) -> None:
    """Takes out of the trail what release 0.1 didn't write, and seals it anew."""
    kept = {"run_date", "send_at", "recipients", "batches", "sha256", "fingerprint"}
    rewrite(desk, lambda e: {k: v for k, v in e.detail.items() if e.action != "delivery planned" or k in kept})


def rewrite(desk: Desk, change) -> None:
    head = "0" * 64
    with closing(sqlite3.connect(store_address(desk.root))) as con:
        for entry in reversed(desk.store.audit.list()):
            entry = msgspec.structs.replace(entry, detail=change(entry), previous=head)
            head = digest(entry)
            values = (msgspec.json.encode(entry.detail, order="sorted").decode(), entry.previous, head, entry.seq)
            con.execute("update audit_entries set detail = ?, previous = ?, hash = ? where seq = ?", values)
        con.commit()
    assert desk.store.audit.verify().problem is None


def test_every_column_is_looked_at() -> None:
    assert {c.name for c in audiences.columns} == {*AUDIENCES, *IDLE_IN_AUDIENCES}
    named = {"number", "first", "size", *IDLE_IN_BATCHES, *JOURNAL}
    assert {c.name for c in batches.columns} == named


@pytest.mark.parametrize("column", AUDIENCES)
def test_an_audience_whose_row_was_changed_is_not_sent(desk: Desk, column: str) -> None:
    frozen = desk.plan(RECIPIENTS)
    value, why = AUDIENCES[column]
    also = [f"update batches set {column} = ?"] if column in JOURNAL else []
    by_hand(desk, f"update audiences set {column} = ?", *also, values=(value,))
    refused(desk, frozen, why)


@pytest.mark.parametrize("change", BATCHES)
def test_batches_that_were_changed_are_not_sent(desk: Desk, change: str) -> None:
    frozen = desk.plan(RECIPIENTS)
    by_hand(desk, BATCHES[change])
    refused(desk, frozen, "batches|recipients of each request")


def test_what_decides_nothing_may_differ_and_all_get_it_once(desk: Desk) -> None:
    frozen = desk.plan(RECIPIENTS)
    by_hand(desk, "update batches set why = 'x', changed_at = '2020-01-01 00:00:00.000000'")
    poster = Scripted()
    assert desk.send(poster, frozen).accepted == RECIPIENTS
    assert len(set(poster.users)) == len(poster.users) == RECIPIENTS


@pytest.mark.parametrize("stamp", ["", ", cancelled = null"], ids=["batches", "batches and stamp"])
def test_what_was_stopped_is_not_planned_again_by_hand(desk: Desk, stamp: str) -> None:
    frozen = desk.plan(RECIPIENTS)
    desk.store.deliveries.cancel(*frozen.night, reason="no", user="ann", now=desk.now)
    by_hand(desk, "update batches set state = 'planned', detail = '{\"state\":\"planned\"}'")
    by_hand(desk, f"update audiences set template_id = template_id{stamp}")
    if stamp:
        refused(desk, frozen, "whether it was stopped")
    else:
        refused(desk, frozen, "batches that were cancelled")


def test_an_audience_that_is_gone_is_not_planned_a_second_time(desk: Desk) -> None:
    desk.send(Scripted(), desk.plan(RECIPIENTS))
    by_hand(desk, "delete from batches", "delete from audiences")
    with pytest.raises(StateError, match="was planned for 2026-11-23 already, by entry 1"):
        desk.plan(RECIPIENTS)


def test_the_trail_that_a_send_goes_by_must_be_whole_from_its_planning_on(desk: Desk) -> None:
    frozen = desk.plan(RECIPIENTS)
    detail = desk.store.audit.list()[0].detail
    forged = json.dumps({**detail, "template_id": "another"})
    by_hand(desk, "update audit_entries set detail = ?", values=(forged,))
    by_hand(desk, "update audiences set template_id = 'another'")
    refused(desk, frozen, "isn't whole: entry 1")


def test_what_is_moved_and_sealed_anew_on_the_record_is_sent_as_it_is_then(desk: Desk) -> None:
    frozen = desk.plan(RECIPIENTS)
    later = frozen.send_at + timedelta(minutes=30)
    moved = desk.store.deliveries.reschedule(*frozen.night, send_at=later, user="bea", now=desk.now)
    path = desk.root / moved.path
    renamed = path.with_name("anew.parquet")
    path.rename(renamed)
    content = sha256(renamed.read_bytes()).hexdigest()
    elsewhere = renamed.relative_to(desk.root).as_posix()
    sealed = desk.store.seals.renew(
        moved, path=elsewhere, sha256=content, renamed={}, why="forgotten", user="bea", now=desk.now
    )
    poster = Scripted()
    assert desk.send(poster, sealed).accepted == RECIPIENTS
    assert {request.schedule.time for request in poster.requests} == {f"{later:%Y-%m-%dT%H:%M:%SZ}"}


@pytest.mark.parametrize("change", [None, "sha256", "send_at", "recipients", "fingerprint", *BATCHES])
def test_a_night_that_release_0_1_planned_is_finished_and_what_its_entry_has_is_compared(
    desk: Desk, change: str | None
) -> None:
    frozen = desk.plan(RECIPIENTS)
    as_of_0_1(desk)
    if change is None:
        assert desk.send(Scripted(), frozen).accepted == RECIPIENTS
    elif change in BATCHES:
        by_hand(desk, BATCHES[change])
        refused(desk, frozen, "batches|recipients of each request")
    else:
        value, why = AUDIENCES[change]
        by_hand(desk, f"update audiences set {change} = ?", values=(value,))
        refused(desk, frozen, why)


def test_what_was_changed_since_it_was_looked_at_is_looked_at_once_more_under_the_lease(desk: Desk) -> None:
    frozen, poster = desk.plan(RECIPIENTS), Scripted()
    later = frozen.send_at + timedelta(hours=1)
    moved = desk.store.deliveries.reschedule(*frozen.night, send_at=later, user="eve", now=NOW)
    with pytest.raises(StateError, match="was changed while its sender waited: 'eve' may not move it; nothing is sent"):
        desk.send(poster, frozen, why_not=lambda one: "'eve' may not move it" if one == moved else None)
    assert poster.requests == []
    assert desk.send(poster, moved, why_not=lambda _: "not asked").accepted == RECIPIENTS


def test_the_check_reads_what_it_compares_once_a_send(desk: Desk) -> None:
    asked: list[FrozenAudience] = []
    look = desk.store.deliveries.why_unlike_planned
    desk.store.deliveries.why_unlike_planned = lambda audience: asked.append(audience) or look(audience)  # type: ignore[method-assign]
    frozen = desk.plan(1_000)
    desk.send(Scripted(), frozen)
    desk.send(Scripted(), frozen)
    assert [one.night for one in asked] == [(frozen.campaign_id, NIGHT)]
    assert isinstance(desk.store.audit.list()[0], AuditEntry)
