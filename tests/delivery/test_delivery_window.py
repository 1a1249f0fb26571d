"""What is known of requests that threads make, at any moment of them."""

from __future__ import annotations

import threading
import time

import pytest
from delivery_desk import NIGHT

from optinb.appboy import Outcome, RequestAccepted
from optinb.delivery.journal import Accepted, Batch, Planned, Sending, Unknown
from optinb.delivery.machine import Answered, Event, Interrupted, NotBegun
from optinb.delivery.window import BatchRequest, Half, Posters

TAKEN = RequestAccepted("d", "s")


def request(number: int = 0) -> BatchRequest:
    batch = Batch(campaign_id="c", run_date=NIGHT, number=number, first=0, size=1, state=Sending(holder="box"))
    return BatchRequest(batch, [("u", "{}")])


def begin(request: BatchRequest) -> Outcome:
    request.begun = True
    return TAKEN


@pytest.mark.parametrize(
    ("known", "event"),
    [
        ({}, NotBegun()),
        ({"ended": True, "outcome": TAKEN}, NotBegun()),
        ({"begun": True}, Interrupted("the sender was interrupted while the request was under way")),
        ({"begun": True, "ended": True, "error": ValueError("x")}, Interrupted("the client failed (ValueError: x)")),
        ({"begun": True, "ended": True}, NotBegun()),
        ({"begun": True, "ended": True, "outcome": TAKEN}, Answered(TAKEN)),
    ],
)
def test_what_is_known_of_a_request_says_what_happened_to_its_batch(known: dict[str, object], event: Event) -> None:
    one = request()
    for name, value in known.items():
        setattr(one, name, value)
    assert one.event() == event


def test_a_client_that_fails_ends_its_request_and_the_next_one_of_its_thread_is_made() -> None:
    def post(request: BatchRequest) -> Outcome:
        begin(request)
        if request.batch.number == 0:
            raise ValueError("x")
        return TAKEN

    half = Half([request(0), request(1)])
    posters = Posters(1, post)
    posters.take(half)
    assert half.wait(10)
    posters.stop()
    assert [batch.state for batch in half.settled()] == [
        Unknown(message="the client failed (ValueError: x)"),
        Accepted(dispatch_id="d", schedule_id="s"),
    ]


def test_a_half_has_ended_when_the_last_of_its_requests_has() -> None:
    half = Half([request(), request()])
    half.made()
    assert not half.wait(0)
    half.made()
    assert half.wait(0)


def test_threads_that_are_stopped_end_what_they_have_begun_and_begin_nothing_else() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def post(request: BatchRequest) -> Outcome:
        begin(request)
        begun.set()
        go_on.wait(10)
        return TAKEN

    before = set(threading.enumerate())
    posters, half = Posters(1, post), Half([request(0), request(1)])
    (thread,) = set(threading.enumerate()) - before
    assert (thread.name, thread.daemon) == ("send 0", True), "a process that ends waits for no request"
    posters.take(half)
    assert begun.wait(10)
    posters.stop()
    assert type(half.settled()[0].state) is Unknown, "what is under way may have been taken"
    go_on.set()
    thread.join(10)
    assert not thread.is_alive()
    assert [batch.state for batch in half.settled()] == [Accepted(dispatch_id="d", schedule_id="s"), Planned()]
    assert not half.wait(0)


def test_giving_up_waits_for_what_is_under_way_alone_and_not_for_longer_than_the_grace() -> None:
    waiting, under_way, done = request(0), request(1), request(2)
    done.begun = done.ended = True
    begun = time.monotonic()
    Half([waiting, done]).give_up(grace_s=60)
    assert time.monotonic() - begun < 30
    under_way.begun = True
    begun = time.monotonic()
    Half([waiting, under_way]).give_up(grace_s=0.2)
    assert 0.2 <= time.monotonic() - begun < 30
    threading.Timer(0.1, lambda: setattr(under_way, "ended", True)).start()
    begun = time.monotonic()
    Half([under_way]).give_up(grace_s=60)
    assert time.monotonic() - begun < 30
    assert under_way.ended
