"""What a batch asks of Appboy, and when the last recipients have got it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from delivery_desk import NOW, Scripted

from optinb.delivery import last_moment, request_for, schedule_of

if TYPE_CHECKING:
    from delivery_desk import Desk

    from optinb.campaigns.schedule import Clock


@pytest.mark.parametrize(
    ("clock", "schedule", "hours"),
    [
        ("workspace", {"time": "2026-11-23T17:00:00Z"}, 0),
        ("local", {"time": "2026-11-24T07:00:00", "in_local_time": True}, 26),
        ("optimal", {"time": "2026-11-24T07:00:00", "at_optimal_time": True}, 50),
    ],
)
def test_a_schedule_is_told_by_the_clock_of_the_campaign(
    desk: Desk, clock: Clock, schedule: dict[str, object], hours: int
) -> None:
    frozen = desk.plan(1, clock=clock)
    assert frozen.send_at == NOW + timedelta(hours=15)
    assert msgspec.to_builtins(schedule_of(frozen)) == schedule
    assert last_moment(frozen) == frozen.send_at + timedelta(hours=hours)
    assert desk.store.deliveries.find(*frozen.night) == frozen


def test_in_customers_own_times_the_earliest_zone_makes_a_send_late(desk: Desk) -> None:
    frozen = desk.plan(120, clock="local")
    desk.now = frozen.send_at + timedelta(minutes=16)
    poster = Scripted()
    counts = desk.send(poster, frozen)
    assert (counts.expired, poster.requests) == (120, [])
    assert "in the earliest time zone, had passed by more than 15 minutes" in next(iter(counts.errors))


def test_properties_go_out_as_they_were_frozen() -> None:
    properties = '{"n":1.10,"text":"Ä \\"x\\"","deep":{"a":[1,null]}}'
    request = request_for("t", schedule_of_now(), [("u1", properties), ("u2", "{}")])
    sent = msgspec.json.encode(request).decode()
    assert f'{{"external_user_id":"u1","trigger_properties":{properties}}}' in sent
    assert '"broadcast"' not in sent


def schedule_of_now():
    from optinb.appboy import WireSchedule

    return WireSchedule("2026-11-23T17:00:00Z")
