"""Campaigns in the store: every version kept, and no update lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from optinb.campaigns import Campaign, CampaignRecord, Property, Schedule, approve, cancel, submit
from optinb.errors import CampaignError, ConflictError

if TYPE_CHECKING:
    from optinb.delivery.journal import Store


def campaign(name: str = "Summer, lapsed") -> Campaign:
    return Campaign(
        name=name,
        app_group="Shop",
        template="Optimove_SummerSale_iOS",
        group="Lapsed buyers",
        control=0.1,
        schedule=Schedule(at="18:30", date=date(2026, 11, 24)),
        properties={"first_name": Property(attribute="first_name", default="there"), "n": Property(value=3)},
    )


def submitted(store: Store, now: datetime, name: str = "Summer, lapsed") -> CampaignRecord:
    record = submit(campaign(name), user="ann", now=now, earlier=None)
    return store.campaigns.put(record, expected=None, user="ann", action="submit", now=now)


def approved(record: CampaignRecord, now: datetime) -> CampaignRecord:
    return approve(
        record, user="bob", approvers=["bob"], approve_own=False, now=now, parts={"rule": "{}"}, recipients=120
    )


def test_a_campaign_comes_back_as_it_was_put(store: Store, now: datetime) -> None:
    record = submitted(store, now)
    assert store.campaigns.get("Summer, lapsed") == record
    assert store.campaigns.get("summer, LAPSED") == record
    assert store.campaigns.get(record.id) == record
    later = now + timedelta(minutes=3)
    second = store.campaigns.put(
        approved(record, later), expected=record.version, user="bob", action="approve", now=later
    )
    assert store.campaigns.get(record.id) == second
    assert second.approval is not None and second.approval.approved_at == later


def test_campaigns_are_listed_by_name_in_their_newest_version(store: Store, now: datetime) -> None:
    record = submitted(store, now, "b")
    submitted(store, now, "A")
    store.campaigns.put(
        cancel(record, comment="no", now=now), expected=record.version, user="ann", action="cancel", now=now
    )
    assert [(r.campaign.name, r.state) for r in store.campaigns.list()] == [("A", "submitted"), ("b", "cancelled")]


def test_a_lost_update_is_refused_and_names_who_was_first(store: Store, now: datetime) -> None:
    read = submitted(store, now)
    store.campaigns.put(approved(read, now), expected=read.version, user="bob", action="approve", now=now)
    with pytest.raises(
        ConflictError, match=r"was changed since you opened it, by bob at 2026-11-23 17:05 UTC \(approve\)"
    ):
        store.campaigns.put(
            cancel(read, comment="", now=now), expected=read.version, user="ann", action="cancel", now=now
        )
    assert store.campaigns.get(read.id).state == "approved"


def test_of_many_who_submit_one_name_at_once_one_is_first(store: Store, now: datetime) -> None:
    def attempt(user: str) -> str:
        record = submit(campaign(), user=user, now=now, earlier=None)
        try:
            store.campaigns.put(record, expected=None, user=user, action="submit", now=now)
        except ConflictError:
            return "late"
        return user

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, [f"user {n}" for n in range(8)]))
    assert results.count("late") == 7
    (winner,) = set(results) - {"late"}
    assert store.campaigns.get("Summer, lapsed").author == winner


def test_the_history_of_a_campaign_names_every_step(store: Store, now: datetime) -> None:
    record = submitted(store, now)
    store.campaigns.put(approved(record, now), expected=1, user="bob", action="approve", now=now)
    steps = [(c.action, c.changed_by, c.record.state) for c in store.campaigns.history("Summer, lapsed")]
    assert steps == [("submit", "ann", "submitted"), ("approve", "bob", "approved")]


def test_an_unknown_campaign_names_the_nearest_one(store: Store, now: datetime) -> None:
    with pytest.raises(CampaignError, match="'Sumer, lapsed' isn't known; submit it first"):
        store.campaigns.get("Sumer, lapsed")
    submitted(store, now)
    with pytest.raises(CampaignError, match="did you mean 'Summer, lapsed'"):
        store.campaigns.get("Sumer, lapsed")


def test_a_campaign_that_this_store_never_saw_cannot_be_changed(store: Store, now: datetime) -> None:
    record = submit(campaign(), user="ann", now=now, earlier=None)
    with pytest.raises(ConflictError, match="isn't in this store; submit it again"):
        store.campaigns.put(approved(record, now), expected=1, user="bob", action="approve", now=now)


def test_versions_cannot_be_skipped(store: Store, now: datetime) -> None:
    record = submitted(store, now)
    with pytest.raises(ValueError, match="version 1 of campaign 'Summer, lapsed' can't follow version 1"):
        store.campaigns.put(record, expected=1, user="ann", action="submit", now=now)
