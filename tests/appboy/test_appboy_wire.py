"""Requests are checked when they are made."""

from __future__ import annotations

import msgspec
import pytest

from optinb.appboy import Recipient, ScheduleRequest, SendRequest, WireSchedule
from optinb.errors import AppboyError

EVENING = WireSchedule("2026-11-23T18:30:00Z")


def batch(count: int) -> tuple[Recipient, ...]:
    return tuple(Recipient(str(n)) for n in range(count))


@pytest.mark.parametrize("count", [0, 51])
def test_a_batch_has_1_to_50_recipients(count: int) -> None:
    with pytest.raises(AppboyError, match=f"1 to 50 recipients, this one has {count}"):
        ScheduleRequest("c", batch(count), EVENING)
    with pytest.raises(AppboyError):
        SendRequest("c", batch(count))


def test_a_recipient_stands_once_and_has_an_id() -> None:
    with pytest.raises(AppboyError, match="'1' stands twice"):
        ScheduleRequest("c", (Recipient("1"), Recipient("1")), EVENING)
    with pytest.raises(AppboyError, match="no external_user_id"):
        Recipient("")


@pytest.mark.parametrize(
    ("time", "local", "complaint"),
    [
        ("tomorrow", False, "ISO 8601"),
        ("2026-11-23T18:30:00", False, "needs an offset"),
        ("2026-11-23T18:30:00Z", True, "must not bear an offset"),
    ],
)
def test_a_schedule_fits_its_kind_of_time(time: str, local: bool, complaint: str) -> None:
    with pytest.raises(AppboyError, match=complaint):
        WireSchedule(time, in_local_time=local)


def test_a_send_id_has_at_most_64_characters() -> None:
    with pytest.raises(AppboyError, match="64"):
        ScheduleRequest("c", batch(1), EVENING, send_id="x" * 65)


def test_what_is_left_out_is_not_on_the_wire_and_a_broadcast_cannot_be_asked_for() -> None:
    request = ScheduleRequest("c", (Recipient("007", {"code": "X"}),), EVENING)
    assert msgspec.json.decode(msgspec.json.encode(request)) == {
        "campaign_id": "c",
        "recipients": [{"external_user_id": "007", "trigger_properties": {"code": "X"}}],
        "schedule": {"time": "2026-11-23T18:30:00Z"},
    }
    assert "broadcast" not in ScheduleRequest.__struct_fields__
