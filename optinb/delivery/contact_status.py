"""What became of a contact, as one word, and what each reader makes of it: decided here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, assert_never

from msgspec import Struct

from optinb.delivery.journal import (
    BatchState,
    StateName,
    Verdict,
    state_name,
)

Role = Literal["recipient", "control", "excluded"]
Status = Literal[
    "planned",
    "accepted",
    "confirmed",
    "filtered",
    "missing",
    "unconfirmed",
    "untold",
    "unknown",
    "refused",
    "expired",
    "cancelled",
]


class Meaning(Struct, frozen=True, kw_only=True):
    """What a status means.

    A message counts as received once Appboy accepted its request, or said later that it arrived, for as long as it
    doesn't say that it was filtered: what isn't confirmed so far may have arrived all the same, and whoever took it for
    lost might write twice. For the same reason what was filtered still counts for the contact policy: Appboy's word may
    be early, or wrong, and nobody is to be written to again by it.

    `counts`: the contact policy takes it for a message, since it was sent, will be or may have been. `received`: rules
    and results take it for one that was sent. `in_doubt`: nobody knows whether Appboy took it. `said`: the same in
    words.
    """

    counts: bool
    received: bool
    in_doubt: bool = False
    said: str


# From the last to the first that speaks for a night as a whole.
MEANING: dict[Status, Meaning] = {
    "cancelled": Meaning(counts=False, received=False, said="a person stopped it before it reached anybody"),
    "expired": Meaning(counts=False, received=False, said="its time had passed before it could be sent"),
    "refused": Meaning(counts=False, received=False, said="Appboy refused the request"),
    "missing": Meaning(counts=False, received=False, said="nobody knew whether Appboy took it; nothing arrived"),
    "filtered": Meaning(counts=True, received=False, said="Appboy accepted the request, and says that nothing arrived"),
    "unknown": Meaning(counts=True, received=False, in_doubt=True, said="nobody knows whether Appboy took it"),
    "untold": Meaning(counts=True, received=False, in_doubt=True, said="Appboy was asked and can't tell any more"),
    "planned": Meaning(counts=True, received=False, said="it is on the list and still to be sent"),
    "accepted": Meaning(counts=True, received=True, said="Appboy accepted the request"),
    "unconfirmed": Meaning(counts=True, received=True, said="Appboy accepted the request, and says no more so far"),
    "confirmed": Meaning(counts=True, received=True, said="Appboy says that it arrived"),
}
COUNTING = tuple(status for status, meaning in MEANING.items() if meaning.counts)
# What Appboy's word makes of somebody whose request it accepted; the verdicts of a confirmation have no other.
WHEN_ASKED: tuple[Status, ...] = ("filtered", "unconfirmed", "confirmed")
RECEIVED = tuple(status for status, meaning in MEANING.items() if meaning.received)


def status_of(state: BatchState, verdict: Verdict | None = None) -> Status:
    """The status of a recipient whose batch is in a state; `verdict`: what Appboy said of them where that is unknown.

    A batch that is being sent is planned: until its request ends, it is neither known nor lost.
    """
    return status_named(state_name(state), verdict)


def status_named(name: StateName, verdict: Verdict | None = None) -> Status:
    """The same by the name of the state."""
    match name:
        case "planned" | "sending":
            return "planned"
        case "accepted" | "refused" | "expired" | "cancelled":
            return name
        case "unknown":
            return _asked(verdict)
        case _:
            assert_never(name)


def status_of_night(statuses: Iterable[Status]) -> Status:
    """The status of a night's control group: the furthest that any recipient came.

    A campaign that reached nobody has no control group to be measured against; one without recipients is as planned.
    """
    order: dict[Status, int] = {status: at for at, status in enumerate(MEANING)}
    found = tuple(statuses)
    return max(found, key=order.__getitem__) if found else "planned"


def _asked(verdict: Verdict | None) -> Status:
    match verdict:
        case None:
            return "unknown"
        case "received":
            return "confirmed"
        case "missing":
            return "missing"
        case "untold":
            return "untold"
        case _:
            assert_never(verdict)
