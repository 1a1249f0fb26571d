"""Moving a campaign to another day, and how large it is without counting."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import get_args

import pytest
from msgspec.structs import replace

from optinb.campaigns import Approval, CampaignRecord, CampaignState, SizeBand, campaign_from
from optinb.errors import CampaignError
from optinb.planning.calendar_moves import last_known, moved, what_a_move_does

AT, TODAY = datetime(2026, 11, 23, 9, tzinfo=UTC), date(2026, 11, 23)
ONCE = campaign_from(
    {
        "name": "W",
        "app_group": "S",
        "template": "T",
        "group": "G",
        "schedule": {"date": "2026-11-24", "at": "09:00", "clock": "local"},
    }
)
DAILY = replace(ONCE, schedule=replace(ONCE.schedule, date=None, every="day"))


def record(state: CampaignState, approved: int | None = None) -> CampaignRecord:
    band = None if approved is None else SizeBand.around(approved)
    approval = band and Approval(approver="Ann", approved_at=AT, fingerprint="", parts={}, band=band)
    return CampaignRecord(
        campaign=ONCE, state=state, author="Tom", submitted_at=AT, updated_at=AT, approval=approval or None
    )


class Nights:
    def list(self, *, campaign_id: str) -> tuple[()]:
        return ()


def test_only_the_day_of_a_moved_campaign_changes():
    there = moved(ONCE, date(2026, 12, 1), today=TODAY)
    assert replace(there, schedule=ONCE.schedule) == ONCE
    assert (there.schedule.date, there.schedule.at, there.schedule.clock) == (date(2026, 12, 1), "09:00", "local")


def test_what_recurs_or_would_lie_in_the_past_is_not_moved():
    with pytest.raises(CampaignError, match=r"every day .* open it in the planner"):
        moved(DAILY, date(2026, 12, 1), today=TODAY)
    with pytest.raises(CampaignError, match="has passed"):
        moved(ONCE, date(2026, 11, 22), today=TODAY)


@pytest.mark.parametrize("state", get_args(CampaignState))
def test_what_a_move_does_is_said_for_every_state(state):
    said = what_a_move_does(record(state), date(2026, 12, 1))
    assert ("must be approved again" in said) == (state in ("approved", "held", "running", "paused"))


@pytest.mark.parametrize("approved", [0, 7, 49, 50, 51, 60, 3_000])
def test_the_size_that_was_approved_is_known_from_its_band(approved):
    found = last_known(record("approved", approved), Nights())  # pyright: ignore[reportArgumentType]
    assert found is not None and (found.customers, found.whence, found.is_exact) == (approved, "approval", False)
    assert found.words() == f"about {approved:,}"
    assert last_known(record("submitted"), Nights()) is None  # pyright: ignore[reportArgumentType]
