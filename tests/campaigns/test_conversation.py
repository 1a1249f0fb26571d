"""Who waits for whom, and who else has a campaign open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from optinb.campaigns import CampaignRecord, CampaignState, campaign_from
from optinb.campaigns.conversation import Visit, others, waits_for

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
CAMPAIGN = campaign_from(
    {"name": "W", "app_group": "S", "template": "T", "group": "G", "schedule": {"every": "day", "at": "09:00"}}
)


def record(state: CampaignState) -> CampaignRecord:
    return CampaignRecord(campaign=CAMPAIGN, state=state, author="Tom", submitted_at=AT, updated_at=AT)


def waiting(
    state: CampaignState, user: str, approvers: tuple[str, ...] = ("Ann", "Bob"), *, approve_own: bool = False
) -> Any:
    return waits_for(record(state), user=user, approvers=approvers, approve_own=approve_own)


@pytest.mark.parametrize("state", ["submitted", "held"])
def test_what_needs_a_decision_waits_for_the_approvers_by_name(state):
    assert waiting(state, "Tom").sentence() == "Waits for an approver (Ann, Bob)"
    assert waiting(state, "Ann").sentence() == "Waits for you"
    assert waiting(state, "Ann").since == AT


@pytest.mark.parametrize("state", ["draft", "rejected"])
def test_what_was_rejected_or_is_not_submitted_waits_for_its_author(state):
    assert waiting(state, "Tom").sentence() == "Waits for you"
    assert waiting(state, "Ann").sentence() == "Waits for its author (Tom)"


def test_an_author_who_may_approve_is_not_waited_for_unless_the_settings_let_them():
    assert waiting("submitted", "tom ", ("Tom", "Ann")).people == ("Ann",)
    alone = waiting("submitted", "Tom", ("Tom",))
    assert not alone.is_user and "nobody else may approve" in alone.sentence()
    assert waiting("submitted", "Tom", ("Tom",), approve_own=True).is_user


def test_every_other_state_waits_for_nobody():
    settled = set(get_args(CampaignState)) - {"submitted", "held", "draft", "rejected"}
    assert all(waiting(state, "Tom") is None for state in settled) and settled


def test_others_are_named_once_and_as_writing_where_any_of_their_views_is():
    visits = [Visit(who="Ann", is_writing=False), Visit(who="Ann", is_writing=True), Visit(who="TOM", is_writing=True)]
    assert others(visits, user="Tom") == (Visit(who="Ann", is_writing=True),)
    assert [one.who for one in others(visits, user="Bob")] == ["Ann", "TOM"]
