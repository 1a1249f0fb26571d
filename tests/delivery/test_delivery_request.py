"""What a batch asks of Appboy, and when the last recipients have got it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest
from delivery_desk import NOW, Scripted
from msgspec.structs import replace

from optinb.appboy import RequestAccepted, RequestLater, RequestRefused, RequestUnknown
from optinb.delivery import last_moment, request_for, schedule_of
from optinb.delivery.request import Failed, ask_after, may_be_stopped, read_as_set, why_refused

if TYPE_CHECKING:
    from delivery_desk import Desk

    from optinb.campaigns.schedule import Clock
    from optinb.delivery import FrozenAudience


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


def test_a_schedule_is_told_in_utc_wherever_the_machine_stands(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = desk.plan(1)
    there = replace(frozen, send_at=frozen.send_at.astimezone(ZoneInfo("Asia/Tokyo")))
    with monkeypatch.context() as machine:
        machine.setenv("TZ", "America/New_York")
        time.tzset()
        told = schedule_of(there)
    time.tzset()
    assert told == schedule_of(frozen)


def test_in_customers_own_times_the_earliest_zone_makes_a_send_late(desk: Desk) -> None:
    frozen = desk.plan(120, clock="local")
    desk.now = frozen.send_at + timedelta(minutes=16)
    poster = Scripted()
    counts = desk.send(poster, frozen)
    assert (counts.expired, poster.requests) == (120, [])
    assert "in the earliest time zone, had passed by more than 15 minutes" in next(iter(counts.errors))


def test_what_may_be_stopped_and_when_appboy_is_asked_hang_on_the_last_moment_and_the_grace(desk: Desk) -> None:
    def may(frozen: FrozenAudience, minutes: float, *, pending: bool) -> bool:
        now = frozen.send_at + timedelta(minutes=minutes)
        return may_be_stopped(frozen, pending=pending, now=now, late_minutes=15)

    at_once, local = desk.plan(1), desk.plan(1, clock="local", name="Local")
    for pending in (True, False):
        assert may(at_once, -1, pending=pending)
        assert may(local, 26 * 60 - 1, pending=pending)
        assert not may(local, 26 * 60, pending=pending)
    assert (may(at_once, 0, pending=False), may(at_once, 15, pending=False)) == (False, False)
    assert (may(at_once, 15, pending=True), may(at_once, 15.1, pending=True)) == (True, False)
    # five minutes after the later of both, as Appboy's pages advise
    assert ask_after(at_once, 15) == at_once.send_at + timedelta(minutes=15 + 5)
    assert ask_after(local, 15) == local.send_at + timedelta(hours=26, minutes=5)


def test_only_a_failure_of_the_server_is_unknown_where_the_settings_say_so() -> None:
    outcomes = [
        RequestAccepted("d", "s"),
        RequestRefused(400, "400"),
        RequestLater(1.0, "500", "server"),
        RequestLater(1.0, "429", "rate_limit"),
        RequestUnknown("504"),
    ]
    assert [read_as_set(outcome, "again") for outcome in outcomes] == outcomes
    told = [read_as_set(outcome, "unknown") for outcome in outcomes]
    assert [now is before for now, before in zip(told, outcomes, strict=True)] == [True, True, False, True, True]
    assert (type(told[2]), told[2].message) == (Failed, "500")  # pyright: ignore[reportAttributeAccessIssue]


def test_why_a_sender_gives_up_is_told_by_what_happened_last() -> None:
    assert why_refused(5, RequestRefused(400, "400: no")) == (
        "Appboy refused 5 requests in a row, the last with: 400: no; look at the template and the campaign's "
        "properties, then run the night again"
    )
    mended = "in a row, the last with: 504; when that is mended, run the night again"
    assert why_refused(5, Failed("504")) == f"Appboy failed 5 requests {mended}"
    assert why_refused(5, RequestUnknown("504")) == f"nobody knows what became of 5 requests {mended}"


def test_properties_go_out_as_they_were_frozen() -> None:
    properties = '{"n":1.10,"text":"Ä \\"x\\"","deep":{"a":[1,null]}}'
    request = request_for("t", schedule_of_now(), [("u1", properties), ("u2", "{}")])
    assert (request.campaign_id, request.schedule) == ("t", schedule_of_now())
    sent = msgspec.json.encode(request).decode()
    assert f'{{"external_user_id":"u1","trigger_properties":{properties}}}' in sent
    assert '"broadcast"' not in sent


def schedule_of_now():
    from optinb.appboy import WireSchedule

    return WireSchedule("2026-11-23T17:00:00Z")
