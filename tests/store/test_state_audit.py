"""The audit trail: written with each change, and whole or visibly not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from optinb.errors import StateError
from optinb.store import audit
from optinb.store.schema import audit_entries

if TYPE_CHECKING:
    from datetime import datetime

    from optinb.delivery.journal import Store


@pytest.fixture
def written(store: Store, now: datetime) -> Store:
    for n in range(3):
        store.groups.save("Größe", rule_json=f'{{"n":{n}}}', sentence="…", user="ann", now=now)
    return store


def tamper(store: Store, statement: sa.Executable) -> None:
    with store._database.writing() as con:
        con.execute(statement)


def test_every_change_has_its_entry_and_the_chain_is_whole(written: Store, now: datetime) -> None:
    third, second, first = written.audit.list()
    assert (third.who, third.action, third.subject, third.at) == ("ann", "group saved", "Größe", now)
    assert third.detail == {"version": 3, "rule": '{"n":2}'}
    assert (first.previous, second.previous, third.previous) == (audit.ORIGIN, first.hash, second.hash)
    verdict = written.audit.verify()
    assert (verdict.entries, verdict.head, verdict.problem) == (3, third.hash, None)
    assert written.audit.list(subject="Größe", limit=1) == (third,)


def test_an_empty_trail_is_whole(store: Store) -> None:
    assert store.audit.verify() == audit.AuditVerdict(entries=0, head=audit.ORIGIN, problem=None)


@pytest.mark.parametrize(
    ("column", "value"),
    [("who", "bob"), ("action", "x"), ("subject", "Other"), ("detail", '{"version":9}'), ("detail", "not JSON")],
)
def test_an_entry_that_was_edited_is_found(written: Store, column: str, value: str) -> None:
    tamper(written, sa.update(audit_entries).where(audit_entries.c.seq == 2).values({column: value}))
    assert "entry 2" in (problem := written.audit.verify().problem or "") and "was changed after" in problem


def test_a_moment_that_was_edited_is_found(written: Store, now: datetime) -> None:
    tamper(written, sa.update(audit_entries).where(audit_entries.c.seq == 2).values(at=now.replace(year=2025)))
    assert "was changed after" in (written.audit.verify().problem or "")


def test_an_entry_that_was_removed_is_found(written: Store) -> None:
    tamper(written, sa.delete(audit_entries).where(audit_entries.c.seq == 2))
    assert written.audit.verify().problem == "entry 2 is missing"


def test_an_entry_that_was_forged_with_a_fitting_hash_breaks_the_next(written: Store) -> None:
    from msgspec.structs import replace

    second = replace(written.audit.list()[1], who="bob")
    values = {"who": "bob", "hash": audit.digest(second)}
    tamper(written, sa.update(audit_entries).where(audit_entries.c.seq == 2).values(values))
    assert written.audit.verify().problem == "entry 3 doesn't follow the one before it"


def test_a_change_that_fails_leaves_no_entry(store: Store, now: datetime) -> None:
    with pytest.raises(StateError), store._database.writing() as con:
        audit.record(con, who="ann", action="a", subject="s", now=now)
        con.execute(sa.text("insert into no_such_table values (1)"))
    assert store.audit.list() == ()


def test_many_writers_make_one_chain(store: Store, now: datetime) -> None:
    def save(n: int) -> None:
        store.groups.save(f"group {n}", rule_json="{}", sentence="", user=f"user {n}", now=now)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(40)))
    assert store.audit.verify().entries == 40
    assert store.audit.verify().problem is None
