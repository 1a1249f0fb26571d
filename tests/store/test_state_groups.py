"""Target groups in the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from optinb.errors import CampaignError, ConflictError
from optinb.segments import GroupRecord

if TYPE_CHECKING:
    from optinb.delivery.journal import Store


def save(store: Store, name: str, rule: str, now: datetime, *, user: str = "ann", expected: int | None = None):
    return store.groups.save(name, rule_json=rule, sentence=f"says {rule}", user=user, now=now, expected=expected)


def test_a_changed_rule_is_a_new_version_and_the_old_one_is_kept(store: Store, now: datetime) -> None:
    save(store, "Lapsed buyers", '{"a":1}', now)
    later = now + timedelta(hours=1)
    second = save(store, "Lapsed buyers", '{"a":2}', later, user="bob")
    assert second == GroupRecord(
        name="Lapsed buyers", rule_json='{"a":2}', sentence='says {"a":2}', version=2, author="bob", updated_at=later
    )
    assert store.groups.get("Lapsed buyers") == second
    assert [group.rule_json for group in store.groups.versions("lapsed buyers")] == ['{"a":1}', '{"a":2}']
    assert store.groups.list() == (second,)


def test_the_same_rule_again_changes_nothing(store: Store, now: datetime) -> None:
    first = save(store, "Lapsed buyers", '{"a":1}', now)
    assert save(store, "Lapsed buyers", '{"a":1}', now + timedelta(days=1), user="bob") == first
    assert len(store.audit.list()) == 1


def test_a_group_is_found_whatever_the_case_of_its_name(store: Store, now: datetime) -> None:
    save(store, "Lapsed buyers", "{}", now)
    assert store.groups.get("LAPSED Buyers").name == "Lapsed buyers"


def test_an_unknown_group_names_the_nearest_one(store: Store, now: datetime) -> None:
    with pytest.raises(CampaignError, match="'Laspd buyers' isn't known; save it first"):
        store.groups.get("Laspd buyers")
    save(store, "Lapsed buyers", "{}", now)
    with pytest.raises(CampaignError, match="did you mean 'Lapsed buyers'"):
        store.groups.get("Laspd buyers")


def test_a_group_that_changed_since_it_was_read_is_not_overwritten(store: Store, now: datetime) -> None:
    read = save(store, "Lapsed buyers", '{"a":1}', now)
    save(store, "Lapsed buyers", '{"a":2}', now, user="bob", expected=read.version)
    with pytest.raises(ConflictError, match="was changed by bob at 2026-11-23 17:05 UTC; open it again"):
        save(store, "Lapsed buyers", '{"a":3}', now, expected=read.version)
    assert store.groups.get("Lapsed buyers").rule_json == '{"a":2}'


@pytest.mark.parametrize("name", ["", " Lapsed", "Lapsed\n", "x" * 121])
def test_a_name_that_people_cannot_read_is_refused(store: Store, now: datetime, name: str) -> None:
    with pytest.raises(CampaignError, match="can't be the name of a group"):
        save(store, name, "{}", now)
