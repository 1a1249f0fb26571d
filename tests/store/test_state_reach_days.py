"""Appboy's figures by day and platform, kept on either database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.delivery.journal import EVERYBODY, ReachDay

if TYPE_CHECKING:
    from optinb.delivery.journal import Store

DAY = date(2026, 11, 23)
READ = datetime(2026, 11, 25, 2, tzinfo=UTC)
IOS = ReachDay(
    app_group_id="g", template_id="t", send_id="s", day=DAY, platform="ios", campaign_id="c" * 12, run_date=DAY,
    sent=5, direct_opens=1, total_opens=2, bounces=0, read_at=READ,
)  # fmt: skip
PEOPLE = replace(
    IOS, platform=EVERYBODY, sent=None, direct_opens=None, total_opens=None, bounces=None, unique_recipients=5,
    conversions=1,
)  # fmt: skip


def test_what_was_read_is_kept_once_with_what_was_said_first(store: Store) -> None:
    assert store.reach_days.save([IOS, PEOPLE]) == 0
    assert store.reach_days.of_campaign("c" * 12) == (PEOPLE, IOS)
    later = READ + timedelta(days=1)
    assert store.reach_days.save([replace(IOS, sent=4, read_at=later), replace(PEOPLE, read_at=later)]) == 1
    people, ios = store.reach_days.of_campaign("c" * 12)
    assert (ios.sent, ios.said_first, ios.read_at) == (4, {"sent": 5}, later)
    assert (people.unique_recipients, people.said_first) == (5, None)
    assert store.reach_days.save([IOS]) == 0  # a reading that was overtaken
    assert store.reach_days.of_campaign("c" * 12)[1] == ios


def test_a_whole_template_is_kept_apart_from_its_send_ids_and_from_other_app_groups(store: Store) -> None:
    whole = replace(IOS, send_id="", campaign_id=None, run_date=None, sent=9)
    other = replace(whole, app_group_id="h", sent=7)
    store.reach_days.save([IOS, whole, other])
    assert store.reach_days.of_template("g", "t") == (whole,)
    assert store.reach_days.of_template("h", "t") == (other,)
    assert store.reach_days.of_campaign("c" * 12) == (IOS,)
