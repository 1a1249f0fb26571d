"""The life of a batch: every state with every event."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from optinb import appboy
from optinb.delivery.journal import Accepted, BatchState, Cancelled, Expired, Planned, Refused, Sending, Unknown
from optinb.delivery.machine import (
    TRANSITIONS,
    Answered,
    CalledOff,
    Event,
    Interrupted,
    Marked,
    Moved,
    Moving,
    NotBegun,
    Passed,
    Recalled,
    next_state,
)

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
EARLIER = AT - timedelta(hours=1)
STATES: tuple[BatchState, ...] = (
    Planned(note="503"),
    Sending(holder="box:1"),
    Accepted(dispatch_id="d", schedule_id="s", errors=("u7",)),
    Refused(status=400, message="no"),
    Unknown(message="504"),
    Expired(message="late"),
    Cancelled(message="wrong text"),
    Accepted(dispatch_id="d", schedule_id="s", errors=("u7", "couldn't be moved to 18:00: 503"), before=EARLIER),
    Unknown(message="504", since=EARLIER),
)
OUTCOMES: tuple[appboy.Outcome, ...] = (
    appboy.RequestAccepted("d2", "s2", ("e",)),
    appboy.RequestRefused(400, "400: no"),
    appboy.Stopped(401, "401: key", "check it"),
    appboy.RequestLater(3.0, "429", "rate_limit"),
    appboy.RequestUnknown("504"),
)
EVENTS: tuple[Event, ...] = (
    Marked("box:2"),
    *(Answered(outcome) for outcome in OUTCOMES),
    NotBegun(),
    Interrupted("died"),
    Passed("too late"),
    CalledOff("stop"),
    Moving(AT),
    *(Moved(outcome, "19:00") for outcome in OUTCOMES),
    *(Recalled(outcome, in_time, "recalled") for outcome in OUTCOMES for in_time in (True, False)),
)
CLOSE = "recalled, but so close to its time that some may have got it"
SILENT = "recalled, but no answer came: 504"
MOVES: dict[tuple[BatchState, Event], BatchState] = {
    (Planned(note="503"), Marked("box:2")): Sending(holder="box:2"),
    (Planned(note="503"), Passed("too late")): Expired(message="too late"),
    (Planned(note="503"), CalledOff("stop")): Cancelled(message="stop"),
    (STATES[1], Answered(OUTCOMES[0])): Accepted(dispatch_id="d2", schedule_id="s2", errors=("e",)),
    (STATES[1], Answered(OUTCOMES[1])): Refused(status=400, message="400: no"),
    (STATES[1], Answered(OUTCOMES[2])): Planned(note="401: key"),
    (STATES[1], Answered(OUTCOMES[3])): Planned(note="429"),
    (STATES[1], Answered(OUTCOMES[4])): Unknown(message="504"),
    (STATES[1], NotBegun()): Planned(),
    (STATES[1], Interrupted("died")): Unknown(message="died"),
    (STATES[2], Moving(AT)): Accepted(dispatch_id="d", schedule_id="s", errors=("u7",), before=AT),
    (STATES[4], Moving(AT)): Unknown(message="504", since=AT),
    # the earlier of two times counts
    (STATES[7], Moving(AT)): STATES[7],
    (STATES[8], Moving(AT)): STATES[8],
    (STATES[2], Moved(OUTCOMES[0], "19:00")): STATES[2],
    (STATES[7], Moved(OUTCOMES[0], "19:00")): STATES[2],
    **{
        (state, Moved(outcome, "19:00")): Accepted(
            dispatch_id="d",
            schedule_id="s",
            errors=("u7", f"couldn't be moved to 19:00: {outcome.message}"),
            before=before,
        )
        for state, before in ((STATES[2], None), (STATES[7], EARLIER))
        for outcome in OUTCOMES[1:]
        if not isinstance(outcome, appboy.RequestAccepted)
    },
    (STATES[7], Recalled(OUTCOMES[0], True, "recalled")): Cancelled(message="recalled", schedule_id="s"),
    (STATES[7], Recalled(OUTCOMES[0], False, "recalled")): Unknown(message=CLOSE, since=EARLIER),
    (STATES[7], Recalled(OUTCOMES[4], True, "recalled")): Unknown(message=SILENT, since=EARLIER),
    (STATES[7], Recalled(OUTCOMES[4], False, "recalled")): Unknown(message=SILENT, since=EARLIER),
    (STATES[2], Recalled(OUTCOMES[0], True, "recalled")): Cancelled(message="recalled", schedule_id="s"),
    (STATES[2], Recalled(OUTCOMES[0], False, "recalled")): Unknown(message=CLOSE),
    (STATES[2], Recalled(OUTCOMES[4], True, "recalled")): Unknown(message=SILENT),
    (STATES[2], Recalled(OUTCOMES[4], False, "recalled")): Unknown(message=SILENT),
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(STATES, EVENTS)), ids=repr)
def test_every_event_moves_every_state_as_the_table_says_and_no_other(state: BatchState, event: Event) -> None:
    assert next_state(state, event) == MOVES.get((state, event), state)


def test_no_state_event_or_outcome_is_left_out() -> None:
    assert {type(state) for state in STATES} == set(get_args(BatchState))
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert {type(outcome) for outcome in OUTCOMES} == set(get_args(appboy.Outcome))
    assert set(TRANSITIONS) == {(type(state), type(event)) for state, event in MOVES}


def test_nothing_that_may_have_been_sent_is_ever_planned_again() -> None:
    for state, event in itertools.product(STATES, EVENTS):
        if isinstance(state, Unknown | Accepted) or (isinstance(event, Answered) and event.outcome == OUTCOMES[4]):
            assert not isinstance(next_state(state, event), Planned | Sending) or isinstance(state, Planned | Sending)
