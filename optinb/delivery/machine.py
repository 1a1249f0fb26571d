"""The life of a batch: what each event makes of each state. Pure.

    planned ── marked ──► sending ── answered ──► accepted ── recalled ──► cancelled
       ▲  │                  │  │                     │                        ▲
       │  ├─ called off ─────┼──┼─────────────────────┼────────────────────────┘
       │  └─ passed ──► expired │                     │
       └── not begun, later ─┘  ├─► refused           │
                                └─► unknown ◄─────────┘ recalled too late to be sure

An event that a state doesn't know changes nothing: whoever comes too late with it has been overtaken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from optinb import appboy
from optinb.appboy import Outcome
from optinb.delivery.journal import Accepted, BatchState, Cancelled, Expired, Planned, Refused, Sending, Unknown


class Marked(Struct, frozen=True):
    """It was journalled, and its request may go out from now on."""

    holder: str


class Answered(Struct, frozen=True):
    """Its request was made, with this outcome."""

    outcome: Outcome


class NotBegun(Struct, frozen=True):
    """The sender ended, or had to wait, before it began with the request."""


class Interrupted(Struct, frozen=True):
    """The sender ended while the request was under way, or died; `message` says how."""

    message: str


class Passed(Struct, frozen=True):
    """Its time has passed."""

    message: str


class CalledOff(Struct, frozen=True):
    """A person stopped the send."""

    message: str


class Recalled(Struct, frozen=True):
    """Appboy was asked to delete its schedule, with this outcome; `in_time`: so early that it can't have gone out."""

    outcome: Outcome
    in_time: bool
    message: str


class Moving(Struct, frozen=True):
    """Its night is about to be moved to a later time than this one."""

    before: datetime


class Moved(Struct, frozen=True):
    """Appboy was asked to send it at another time, with this outcome."""

    outcome: Outcome
    to: str


Event = Marked | Answered | NotBegun | Interrupted | Passed | CalledOff | Recalled | Moving | Moved
UNMOVED = "couldn't be moved to "


def _answered(state: Sending, event: Answered) -> BatchState:
    """What an outcome makes of a batch.

    Only what Appboy refused about this very request is refused. After an outcome that stops the campaign (key,
    permission, address) or asks to come later, nothing was sent and the same request may well be taken: the batch is
    planned again, so that a mended key can go on in the same night; if nobody mends it, it expires.
    """
    outcome = event.outcome
    match outcome:
        case appboy.RequestAccepted():
            return Accepted(
                dispatch_id=outcome.dispatch_id, schedule_id=outcome.schedule_id, errors=tuple(outcome.errors)
            )
        case appboy.RequestRefused():
            return Refused(status=outcome.status, message=outcome.message)
        case appboy.Stopped() | appboy.RequestLater():
            return Planned(note=outcome.message)
        case appboy.RequestUnknown():
            return Unknown(message=outcome.message)
        case _:
            assert_never(outcome)


def _recalled(state: Accepted, event: Recalled) -> BatchState:
    """What a recall makes of a batch that Appboy had accepted.

    Close to its time Appboy may recall it from all, some or none of the recipients, and a recall without an answer may
    have been taken: in both cases nobody knows who gets it.
    """
    outcome = event.outcome
    match outcome:
        case appboy.RequestAccepted() if event.in_time:
            return Cancelled(message=event.message, schedule_id=state.schedule_id)
        case appboy.RequestAccepted():
            text = f"{event.message}, but so close to its time that some may have got it"
            return Unknown(message=text, since=state.before)
        case appboy.RequestUnknown():
            return Unknown(message=f"{event.message}, but no answer came: {outcome.message}", since=state.before)
        case appboy.RequestRefused() | appboy.Stopped() | appboy.RequestLater():
            return state
        case _:
            assert_never(outcome)


def _moved(state: Accepted, event: Moved) -> BatchState:
    """A batch that was moved, or that says why it may go out at its old time."""
    outcome = event.outcome
    others = tuple(error for error in state.errors if not error.startswith(UNMOVED))
    if isinstance(outcome, appboy.RequestAccepted):
        return replace(state, before=None, errors=others)
    return replace(state, errors=(*others, f"{UNMOVED}{event.to}: {outcome.message}"))


TRANSITIONS: Mapping[tuple[type[BatchState], type[Event]], Callable[[Any, Any], BatchState]] = {
    (Planned, Marked): lambda _, event: Sending(holder=event.holder),
    (Planned, Passed): lambda _, event: Expired(message=event.message),
    (Planned, CalledOff): lambda _, event: Cancelled(message=event.message),
    (Sending, Answered): _answered,
    (Sending, NotBegun): lambda _, __: Planned(),
    (Sending, Interrupted): lambda _, event: Unknown(message=event.message),
    (Accepted, Recalled): _recalled,
    (Accepted, Moving): lambda state, event: replace(state, before=state.before or event.before),
    (Accepted, Moved): _moved,
    (Unknown, Moving): lambda state, event: replace(state, since=state.since or event.before),
}


def next_state(state: BatchState, event: Event) -> BatchState:
    """The state of a batch after an event; the same one where the event doesn't concern it."""
    move = TRANSITIONS.get((type(state), type(event)))
    return move(state, event) if move else state
