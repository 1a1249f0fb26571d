"""The sender with exact outcomes: what is sent again, what never is, and where everybody ends up."""

from __future__ import annotations

import signal
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pytest
from delivery_desk import NOW, Scripted

from optinb.appboy import (
    NotTied,
    Outcome,
    RequestAccepted,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    ScheduleRequest,
    Stopped,
)
from optinb.delivery import DeliveryCounts, close_past, lease_name
from optinb.delivery.journal import Planned, Sending
from optinb.errors import StateError
from optinb.store import LeaseTaken

if TYPE_CHECKING:
    from delivery_desk import Desk

    from optinb.campaigns.schedule import Clock

BUSY = RequestLater(0.0, "503 Service Unavailable: busy")


def test_every_recipient_is_sent_once_in_order_with_their_own_properties(desk: Desk) -> None:
    poster = Scripted()
    assert desk.send(poster, desk.plan(120)) == DeliveryCounts(batches=3, accepted=120)
    assert poster.users == [f"u{n:07}" for n in range(120)]
    request = poster.requests[2]
    assert request.campaign_id == "t"
    assert request.schedule.time == "2026-11-23T17:00:00Z"
    properties = request.recipients[7].trigger_properties
    assert isinstance(properties, msgspec.Raw)
    assert msgspec.json.decode(properties) == {"first_name": "Änn 107", "n": 107}


def test_the_same_night_twice_sends_nothing_twice(desk: Desk) -> None:
    poster = Scripted()
    first = desk.send(poster, desk.plan(120))
    frozen = desk.plan(500)
    (desk.root / frozen.path).unlink()
    assert desk.send(poster, frozen) == first
    assert len(poster.users) == 120


def test_an_audience_without_recipients_sends_nothing(desk: Desk) -> None:
    poster = Scripted()
    assert desk.send(poster, desk.plan(0)) == DeliveryCounts()
    assert poster.requests == []


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
def test_batches_are_journalled_as_sending_before_their_requests_and_at_most_a_window_of_them(
    desk: Desk, window: int
) -> None:
    frozen = desk.plan(500)

    def look(request: ScheduleRequest) -> Outcome:
        sending = desk.store.deliveries.batches(*frozen.night, state="sending")
        assert len(sending) <= window
        assert int(request.recipients[0].external_user_id[1:]) in {batch.first for batch in sending}
        return RequestAccepted()

    counts = desk.send(Scripted(*[look] * 10), frozen, window_batches=window, concurrency=2)
    assert counts == DeliveryCounts(batches=10, accepted=500)


def test_a_half_of_the_window_is_posted_while_the_other_is_journalled(desk: Desk) -> None:
    frozen = desk.plan(800)
    turn, journalled = desk.store.deliveries.turn, threading.Event()
    turns = 0

    def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal turns
        turns += 1
        if turns == 3:
            assert posted.wait(20)  # the second half goes out before the outcomes of the first are written
            journalled.set()
        return turn(*args, **kwargs)

    posted = threading.Event()

    def post(_request: ScheduleRequest) -> Outcome:
        posted.set()
        assert journalled.wait(20)
        return RequestAccepted()

    desk.store.deliveries.turn = slow
    assert desk.send(Scripted(RequestAccepted(), RequestAccepted(), post), frozen).accepted == 800


def test_a_refused_batch_is_not_sent_again_and_the_others_go_out(desk: Desk) -> None:
    frozen = desk.plan(120)
    counts = desk.send(Scripted(RequestAccepted(), RequestRefused(400, "400: bad time")), frozen)
    assert counts == DeliveryCounts(batches=3, accepted=70, refused=50, errors={"400: bad time": 1})
    poster = Scripted()
    desk.send(poster, frozen)
    assert poster.requests == []


def test_an_unknown_batch_is_never_sent_again(desk: Desk) -> None:
    frozen = desk.plan(120)
    counts = desk.send(Scripted(RequestUnknown("504")), frozen)
    assert counts == DeliveryCounts(batches=3, accepted=70, unknown=50, errors={"504": 1})
    poster = Scripted()
    assert desk.send(poster, frozen) == counts
    assert poster.requests == []


def test_a_client_that_fails_leaves_its_batch_unknown(desk: Desk) -> None:
    def fail(_request: ScheduleRequest) -> Outcome:
        raise RuntimeError("a fault")

    counts = desk.send(Scripted(fail), desk.plan(70))
    assert counts == DeliveryCounts(
        batches=2, accepted=20, unknown=50, errors={"the client failed (RuntimeError: a fault)": 1}
    )


def test_what_appboy_asks_to_send_later_is_sent_later_and_once(desk: Desk) -> None:
    poster = Scripted(RequestAccepted(), BUSY, RequestLater(90.0, "429", "rate_limit"), RequestAccepted(), BUSY)
    assert desk.send(poster, desk.plan(300)) == DeliveryCounts(batches=6, accepted=300)
    assert desk.waits == [5.0] * 18 + [2.0]
    assert len(poster.requests) == 9


def test_waiting_batches_are_journalled_as_planned_so_that_a_crash_there_costs_nothing(desk: Desk) -> None:
    frozen = desk.plan(50)
    seen: list[object] = []
    desk.on_wait = lambda _s: seen.extend(
        b.state for b in desk.store.deliveries.batches(frozen.campaign_id, frozen.run_date)
    )
    desk.send(Scripted(BUSY), frozen)
    assert seen == [Planned(note=BUSY.message)]


def test_the_sender_gives_up_when_appboy_stays_busy_and_the_next_run_goes_on(desk: Desk) -> None:
    frozen = desk.plan(300)
    poster = Scripted(*[BUSY] * 12)
    counts = desk.send(poster, frozen)
    assert counts == DeliveryCounts(
        batches=6,
        pending=300,
        errors={BUSY.message: 4},
        stopped="Appboy asked 3 times to come later with 4 of 6 batches",
    )
    assert (len(poster.requests), desk.waits) == (12, [1.0, 2.0])
    assert desk.send(Scripted(), frozen) == DeliveryCounts(batches=6, accepted=300)


def test_one_batch_that_never_gets_through_does_not_hold_up_the_others(desk: Desk) -> None:
    frozen = desk.plan(1000)

    def poisoned(request: ScheduleRequest) -> Outcome:
        return BUSY if request.recipients[0].external_user_id == "u0000050" else RequestAccepted()

    counts = desk.send(Scripted(*[poisoned] * 100), frozen)
    assert (counts.accepted, counts.pending) == (950, 50)
    assert counts.stopped == "Appboy asked 3 times to come later with 1 of 20 batches"


def test_a_wrong_key_stops_the_campaign_and_a_mended_one_goes_on_the_same_night(desk: Desk) -> None:
    frozen = desk.plan(300)
    poster = Scripted(RequestAccepted(), Stopped(401, "401: Invalid API key: [key]", "check the key"))
    counts = desk.send(poster, frozen)
    assert counts.stopped == "401: Invalid API key: [key]; check the key"
    taken = [r.external_user_id for n, request in enumerate(poster.requests) if n != 1 for r in request.recipients]
    assert (counts.accepted, counts.refused, counts.pending) == (len(taken), 0, 300 - len(taken))
    mended = Scripted()
    assert desk.send(mended, frozen).accepted == 300
    assert sorted(taken + mended.users) == [f"u{n:07}" for n in range(300)]


def test_a_send_whose_time_has_passed_is_expired_and_needs_no_file(desk: Desk) -> None:
    frozen = desk.plan(120)
    (desk.root / frozen.path).unlink()
    desk.now = frozen.send_at + timedelta(minutes=16)
    poster = Scripted()
    counts = desk.send(poster, frozen)
    assert counts == DeliveryCounts(
        batches=3,
        expired=120,
        errors={"its time, 2026-11-23 17:00 UTC, had passed by more than 15 minutes": 3},
    )
    assert poster.requests == []


def test_a_send_that_becomes_late_while_it_waits_expires(desk: Desk) -> None:
    frozen = desk.plan(300)
    desk.now = frozen.send_at
    counts = desk.send(Scripted(*[RequestAccepted()] * 3, RequestLater(3_600.0, "429", "rate_limit")), frozen)
    assert (counts.accepted, counts.expired, counts.pending, counts.stopped) == (250, 50, 0, None)
    assert sum(desk.waits) == 15 * 60 + 1.0


def test_what_a_dead_sender_left_is_unknown_and_the_rest_is_sent(desk: Desk) -> None:
    frozen = desk.plan(300)
    dead = desk.store.leases.take(f"send {frozen.campaign_id} {frozen.run_date}", holder="dead:9", now=desk.now)
    desk.store.deliveries.turn(*frozen.night, lease=dead, size=4, now=desk.now)
    poster = Scripted()
    with pytest.raises(LeaseTaken, match="dead:9 is working on the send of 'Summer' for 2026-11-23"):
        desk.send(poster, frozen)
    desk.move(30)
    counts = desk.send(poster, frozen)
    assert counts == DeliveryCounts(
        batches=6, accepted=100, unknown=200, errors={"the sender died while the request was under way": 4}
    )
    assert poster.users == [f"u{n:07}" for n in range(200, 300)]


def test_a_sender_that_was_taken_for_dead_leaves_the_rest_to_the_other(desk: Desk) -> None:
    frozen = desk.plan(1000)
    other = Scripted()
    window_marked = desk.when_marked(4)

    def taken_over(_request: ScheduleRequest) -> Outcome:
        assert window_marked.wait(20)
        desk.move(31)
        desk.send(other, frozen, holder="box:2")
        return RequestAccepted()

    slow = Scripted(RequestAccepted(), taken_over)
    with pytest.raises(StateError, match=r"hold of box:1 on send .* had expired and box:2 has it now"):
        desk.send(slow, frozen)
    counts = desk.store.deliveries.counts(frozen.campaign_id, frozen.run_date)
    assert (counts.accepted, counts.unknown, counts.pending) == (800, 200, 0)
    users = slow.users + other.users
    assert len(users) == len(set(users)) == 1000


def test_a_second_sender_leaves_while_the_first_is_at_work(desk: Desk) -> None:
    frozen = desk.plan(50)
    complaints: list[str] = []

    def meanwhile(_request: ScheduleRequest) -> Outcome:
        with pytest.raises(LeaseTaken) as caught:
            desk.send(Scripted(), frozen, holder="box:2")
        complaints.append(str(caught.value))
        return RequestAccepted()

    assert desk.send(Scripted(meanwhile), frozen).accepted == 50
    assert complaints[0].startswith("box:1 is working on the send of 'Summer' for 2026-11-23 since")


def test_an_interrupt_journals_what_is_known_and_the_next_run_goes_on(desk: Desk) -> None:
    frozen = desk.plan(300)

    def interrupt(_request: ScheduleRequest) -> Outcome:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return RequestAccepted()

    first = Scripted(RequestAccepted(), interrupt)
    with pytest.raises(KeyboardInterrupt):
        desk.send(first, frozen)
    counts = desk.store.deliveries.counts(frozen.campaign_id, frozen.run_date)
    assert counts.accepted >= 100 and counts.unknown == 0 and counts.accepted == len(first.users)
    assert not desk.store.deliveries.batches(frozen.campaign_id, frozen.run_date, state="sending")
    second = Scripted()
    assert desk.send(second, frozen).accepted == 300
    assert sorted(first.users + second.users) == [f"u{n:07}" for n in range(300)]


def test_a_cancelled_send_stops_at_the_next_window(desk: Desk) -> None:
    frozen = desk.plan(1000)
    window_marked = desk.when_marked(4)

    def cancel(_request: ScheduleRequest) -> Outcome:
        assert window_marked.wait(20)
        desk.store.deliveries.cancel(frozen.campaign_id, frozen.run_date, reason="wrong text", user="ann", now=desk.now)
        return BUSY

    counts = desk.send(Scripted(RequestAccepted(), cancel), frozen)
    assert counts == DeliveryCounts(batches=20, accepted=150, cancelled=850, errors={"wrong text": 17})


def test_a_send_that_waits_for_an_hour_is_called_off_at_the_next_look(desk: Desk) -> None:
    frozen = desk.plan(300)

    def cancel_once(seconds: float) -> None:
        desk.move(seconds)
        if len(desk.waits) == 3:
            desk.store.deliveries.cancel(*frozen.night, reason="wrong", user="ann", now=desk.now)

    desk.on_wait = cancel_once
    counts = desk.send(Scripted(RequestAccepted(), RequestLater(3_600.0, "429", "rate_limit")), frozen)
    assert counts.accepted + counts.cancelled == 300 and counts.cancelled >= 50
    assert desk.waits == [5.0] * 3


def test_whoever_recalls_gets_the_hold_of_a_sender_that_waits_for_an_hour_and_of_one_whose_appboy_hangs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("budget", "sender"):
        monkeypatch.setattr(f"optinb.delivery.{module}.SLICE_S", 0.1)
    desk.on_wait = time.sleep
    begun = threading.Event()

    def slow(_request: ScheduleRequest) -> Outcome:
        begun.set()
        time.sleep(0.5)
        return RequestAccepted("d", str(time.monotonic()))

    for name, poster, most in (
        ("Waits", Scripted(lambda _r: (begun.set(), RequestLater(3_600.0, "429", "rate_limit"))[1]), 50),
        ("Hangs", Scripted(*[slow] * 200), 250),
    ):
        begun.clear()
        frozen = desk.plan(5_000, name=name)
        sender = threading.Thread(
            target=desk.send, args=(poster, frozen), kwargs={"window_batches": 100 if name == "Hangs" else 1}
        )
        sender.start()
        assert begun.wait(20)
        desk.store.deliveries.cancel(*frozen.night, reason="wrong", user="ann", now=desk.now)
        with desk.store.lease(f"send {frozen.campaign_id} {frozen.run_date}", holder="ann", clock=desk.clock, wait_s=8):
            counts = desk.store.deliveries.counts(*frozen.night)
        sender.join()
        assert counts.pending == 0 and counts.accepted <= most and counts.cancelled == 5_000 - counts.accepted


def test_a_changed_frozen_file_sends_nothing(desk: Desk) -> None:
    frozen = desk.plan(120)
    with (desk.root / frozen.path).open("ab") as file:
        file.write(b" ")
    poster = Scripted()
    with pytest.raises(StateError, match="was changed since it was planned"):
        desk.send(poster, frozen)
    assert poster.requests == []
    assert desk.store.deliveries.counts(frozen.campaign_id, frozen.run_date).pending == 120


def test_progress_counts_every_recipient_once(desk: Desk) -> None:
    from optinb.base.settings import SendSection
    from optinb.delivery import send

    steps: list[int] = []
    frozen = desk.plan(520)
    send(
        desk.store,
        Scripted(RequestAccepted(), BUSY, RequestUnknown("504"), RequestRefused(400, "no")),
        frozen,
        root=desk.root,
        clock=desk.clock,
        settings=SendSection(window_batches=4, concurrency=1),
        holder="box:1",
        sleep=desk.sleep,
        progress=steps.append,
    )
    assert (len(steps), sum(steps)) == (6, 520)


def test_nights_that_were_given_up_are_closed_once_their_time_has_passed(desk: Desk) -> None:
    given_up, done = desk.plan(300, name="Given up"), desk.plan(50, name="Done")
    desk.send(Scripted(), done)
    lease = desk.store.leases.take(f"send {given_up.campaign_id} {given_up.run_date}", holder="dead:9", now=desk.now)
    desk.store.deliveries.turn(*given_up.night, lease=lease, size=2, now=desk.now)
    assert close_past(desk.store, now=desk.now, late_minutes=15, holder="box:2").audiences == ()
    tomorrow = NOW + timedelta(days=1)
    closed = close_past(desk.store, now=tomorrow, late_minutes=15, holder="box:2")
    assert [a.campaign_name for a in closed.audiences] == ["Given up"] and closed.problems == ()
    counts = desk.store.deliveries.counts(given_up.campaign_id, given_up.run_date)
    assert (counts.expired, counts.unknown, counts.pending) == (200, 100, 0)
    assert close_past(desk.store, now=tomorrow, late_minutes=15, holder="box:2").audiences == ()


def test_a_night_of_which_a_dead_sender_left_all_as_sending_is_closed_too(desk: Desk) -> None:
    frozen = desk.plan(100)
    lease = desk.store.leases.take(f"send {frozen.campaign_id} {frozen.run_date}", holder="dead:9", now=desk.now)
    desk.store.deliveries.turn(*frozen.night, lease=lease, size=2, now=desk.now)
    at_its_end, hour = frozen.send_at + timedelta(minutes=15), timedelta(hours=1)
    assert close_past(desk.store, now=at_its_end, late_minutes=15, holder="box:2").audiences == ()
    # the sender still lives by the clock that leases go by
    living = close_past(desk.store, now=at_its_end + hour, late_minutes=15, holder="box:2", lease_clock=lambda: NOW)
    assert living.audiences == living.problems == ()
    closed = close_past(desk.store, now=at_its_end + hour, late_minutes=15, holder="box:2")
    assert [audience.night for audience in closed.audiences] == [frozen.night]
    counts = desk.store.deliveries.counts(*frozen.night)
    assert (counts.unknown, counts.expired, counts.pending) == (100, 0, 0)
    assert counts.errors == {"the sender died while the request was under way": 2}


def test_nights_that_are_left_alone_keep_no_other_from_being_closed(desk: Desk) -> None:
    to_come, at_work, given_up = (NOW + timedelta(hours=hours) for hours in (30, 2, 1))
    whens = {"A": to_come, "B": at_work, "C": given_up, "D": at_work, "E": to_come}
    sends = {name: desk.plan(50, name=name, send_at=at) for name, at in whens.items()}
    now = NOW + timedelta(hours=10)
    for name in "BD":
        desk.store.leases.take(lease_name(sends[name]), holder="box:1", now=now)
    closed = close_past(desk.store, now=now, late_minutes=15, holder="box:2")
    assert [audience.campaign_name for audience in closed.audiences] == ["C"]
    assert closed.problems == ()


@pytest.mark.parametrize(("clock", "zone"), [("workspace", ","), ("local", " in the earliest time zone,")])
def test_what_is_too_late_says_by_which_clock_its_time_had_passed(desk: Desk, clock: Clock, zone: str) -> None:
    frozen = desk.plan(50, clock=clock)
    desk.now = frozen.send_at + timedelta(minutes=8)
    assert close_past(desk.store, now=desk.now, late_minutes=7, holder="box:2").problems == ()
    errors = desk.store.deliveries.counts(*frozen.night).errors
    assert errors == {f"its time, {frozen.send_at:%Y-%m-%d %H:%M} UTC{zone} had passed by more than 7 minutes": 1}


def test_a_night_that_cannot_be_closed_is_told_and_keeps_no_other_from_being_closed(desk: Desk) -> None:
    bad, other = desk.plan(300, name="Bad"), desk.plan(50, name="Other")
    file = desk.store.deliveries.answers.path(*bad.night)
    file.unlink()
    file.mkdir()
    closed = close_past(desk.store, now=NOW + timedelta(days=1), late_minutes=15, holder="box:2")
    assert [a.campaign_name for a in closed.audiences] == ["Other"]
    assert [text.split(": ")[0] for text in closed.problems] == ["the send of 'Bad' for 2026-11-23 can't be closed"]
    assert desk.store.deliveries.counts(*other.night).expired == 50


def test_closing_leaves_a_night_alone_that_a_sender_is_at_work_on(desk: Desk) -> None:
    frozen = desk.plan(50)
    desk.now = frozen.send_at + timedelta(hours=1)
    desk.store.leases.take(f"send {frozen.campaign_id} {frozen.run_date}", holder="box:1", now=desk.now)
    assert close_past(desk.store, now=desk.now, late_minutes=15, holder="box:2").audiences == ()
    assert Sending not in {type(b.state) for b in desk.store.deliveries.batches(frozen.campaign_id, frozen.run_date)}


def test_repeated_refusals_stop_the_campaign_and_what_was_not_asked_for_stays_planned(desk: Desk) -> None:
    frozen = desk.plan(1000)
    refused = [RequestRefused(400, f"400 Bad Request: no {n}") for n in range(9)]
    poster = Scripted(RequestAccepted(), refused[0], RequestAccepted(), *refused[1:])
    counts = desk.send(poster, frozen, max_refusals=3)
    assert counts.stopped is not None and "Appboy refused 3 requests in a row, the last with: 400" in counts.stopped
    assert "run the night again" in counts.stopped
    assert counts.accepted == 100
    # what was under way when the third came is at most the rest of its window
    assert 200 <= counts.refused <= 300 and counts.refused + 100 == 50 * len(poster.requests)
    assert counts.pending == 1000 - 100 - counts.refused
    again = Scripted()
    assert desk.send(again, frozen, max_refusals=3).accepted == 1000 - counts.refused
    assert len(poster.users + again.users) == len(set(poster.users + again.users)) == 1000


FAILED = RequestLater(0.0, "500 Internal Server Error: no", "server")


def test_what_failed_with_a_500_is_sent_again_unless_the_settings_call_it_unknown(desk: Desk) -> None:
    poster = Scripted(RequestAccepted(), FAILED)
    assert desk.send(poster, desk.plan(120, name="Again")) == DeliveryCounts(batches=3, accepted=120)
    assert len(poster.requests) == 4
    poster, frozen = Scripted(RequestAccepted(), FAILED), desk.plan(120)
    counts = desk.send(poster, frozen, after_500="unknown")
    assert counts == DeliveryCounts(batches=3, accepted=70, unknown=50, errors={FAILED.message: 1})
    assert desk.send(poster, frozen, after_500="unknown") == counts
    assert len(poster.users) == len(set(poster.users)) == 120


@pytest.mark.parametrize("cause", ["rate_limit", "not_sent"])
def test_what_was_certainly_not_taken_is_sent_again_whatever_the_settings_say_of_a_500(
    desk: Desk, cause: Literal["rate_limit", "not_sent"]
) -> None:
    poster = Scripted(RequestAccepted(), RequestLater(0.0, "later", cause))
    assert desk.send(poster, desk.plan(120), after_500="unknown").accepted == 120


def test_an_appboy_that_keeps_failing_does_not_make_a_whole_night_unknown(desk: Desk) -> None:
    counts = desk.send(Scripted(*[FAILED] * 20), desk.plan(1000), after_500="unknown", max_refusals=3)
    assert counts.stopped is not None and counts.stopped.startswith("Appboy failed 3 requests in a row")
    assert 150 <= counts.unknown <= 300 and counts.pending == 1000 - counts.unknown


def test_a_proxy_that_gives_others_answers_does_not_make_a_whole_night_unknown(desk: Desk) -> None:
    cached = NotTied("the answer comes out of a cache")
    frozen = desk.plan(1000)
    counts = desk.send(Scripted(*[cached] * 20), frozen, max_refusals=3)
    assert counts.stopped is not None and counts.stopped.startswith("nobody knows what became of 3 requests in a row")
    assert 150 <= counts.unknown <= 300 and counts.pending == 1000 - counts.unknown
    assert desk.send(Scripted(), frozen).accepted == 1000 - counts.unknown


def test_refusals_with_takings_between_them_stop_nothing(desk: Desk) -> None:
    answers = [
        RequestAccepted(),
        RequestAccepted(),
        RequestRefused(400, "no"),
        RequestAccepted(),
        RequestUnknown("504"),
        RequestRefused(400, "no"),
    ] * 4
    counts = desk.send(Scripted(*answers), desk.plan(1200), max_refusals=2)
    assert (counts.stopped, counts.pending, counts.refused, counts.unknown) == (None, 0, 400, 200)


def test_each_window_is_one_line_of_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="optinb.delivery")
    desk.send(Scripted(RequestAccepted(), RequestRefused(400, "no"), RequestUnknown("504")), desk.plan(520))
    lines = [record.__dict__ for record in caplog.records if record.getMessage() == "window"]
    told = [{name: line.get(name) for name in ("accepted", "refused", "unknown")} for line in lines]
    assert [sum(filter(None, states.values())) for states in told] == [4, 4, 3]
    assert told[0] == {"accepted": 2, "refused": 1, "unknown": 1}
    assert {(line["campaign"], line["night"]) for line in lines} == {("Summer", "2026-11-23")}
    assert all(line["seconds"] > 0 and line["recipients_a_second"] > 0 for line in lines)


@pytest.mark.parametrize("jump_s", [-86_400, -3_600, 3_600, 13 * 3_600])
def test_a_clock_that_jumps_while_it_sends_loses_nobody_and_sends_nobody_twice(desk: Desk, jump_s: float) -> None:
    def jump(_request: ScheduleRequest) -> Outcome:
        desk.move(jump_s)
        return RequestAccepted()

    frozen = desk.plan(1000)
    poster = Scripted(RequestAccepted(), RequestAccepted(), RequestAccepted(), jump)
    assert desk.send(poster, frozen) == DeliveryCounts(batches=20, accepted=1000)
    assert len(poster.users) == len(set(poster.users)) == 1000
