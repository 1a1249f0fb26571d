"""Closing the accounts of sends: what a dead sender left, and what is too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from optinb.delivery.batch import is_late
from optinb.delivery.journal import FrozenAudience, Planned, Sending, Store, send_lease
from optinb.delivery.machine import Interrupted, Passed, next_state
from optinb.errors import failure
from optinb.store import Lease, LeaseTaken

DIED = Interrupted("the sender died while the request was under way")


class Closed(Struct, frozen=True, kw_only=True):
    """The `audiences` whose accounts were closed; `problems` say of which that couldn't be done, and why."""

    audiences: tuple[FrozenAudience, ...]
    problems: tuple[str, ...]


def lease_name(audience: FrozenAudience) -> str:
    """The lease under which a campaign's night is sent."""
    return send_lease(*audience.night)


def close_past(
    store: Store,
    *,
    now: datetime,
    late_minutes: int,
    holder: str,
    lease_clock: Callable[[], datetime] | None = None,
) -> Closed:
    """Closes the accounts of sends that were given up: what is still planned after its time is expired.

    What a dead sender left as sending becomes unknown. One that a sender is at work on, by `lease_clock` or by `now`,
    is left to it, and one that can't be closed keeps no other from it. Raises StateError when the store fails.
    """
    closed, problems = [], []
    for audience in store.deliveries.list(having=("planned", "sending")):
        if not is_late(audience.send_at, now, late_minutes):
            continue
        try:
            with store.lease(lease_name(audience), holder=holder, clock=lease_clock or (lambda: now)) as lease:
                close_dead(store, audience, lease, now=now, late_minutes=late_minutes)
        except LeaseTaken:
            continue
        except Exception as error:  # whatever it is, it must not keep tonight's from being sent
            what = f"the send of {audience.campaign_name!r} for {audience.run_date}"
            problems.append(f"{what} can't be closed: {failure(error, doing=f'close {what}')}")
            continue
        closed.append(audience)
    return Closed(audiences=tuple(closed), problems=tuple(problems))


def close_dead(store: Store, audience: FrozenAudience, lease: Lease, *, now: datetime, late_minutes: int) -> None:
    """Calls unknown what an earlier, dead sender left as sending, and expired what is planned and too late.

    Under the lease nobody else is sending this night, so whoever marked a batch as sending is gone; what they learned
    is taken over first. Raises StateError, also for a database that was put back to an earlier state.
    """
    store.recovery.take_over(*audience.night, lease=lease, now=now)
    died = next_state(Sending(holder=""), DIED)
    store.deliveries.move(*audience.night, given="sending", to=died, lease=lease, now=now)
    if is_late(audience.send_at, now, late_minutes):
        zone = "," if audience.clock == "workspace" else " in the earliest time zone,"
        event = Passed(
            f"its time, {audience.send_at:%Y-%m-%d %H:%M} UTC{zone} had passed by more than {late_minutes} minutes"
        )
        late = next_state(Planned(), event)
        store.deliveries.move(*audience.night, given="planned", to=late, lease=lease, now=now)
