"""The crash-safe sender: journalled before it is posted, so that nobody gets a message twice and nobody is lost.

Each window of batches is marked as sending in one transaction, posted by a few threads, and its outcomes are written in
one transaction. A crash in between leaves at most one window whose batches may have been sent; the next run calls them
unknown and never sends them again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from datetime import UTC
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from optinb.appboy import Later, Outcome, Recipient, Schedule, ScheduleRequest, Stopped
from optinb.delivery.batch import backoff_s, deadline, is_late, next_state
from optinb.delivery.frozen import read_recipients
from optinb.errors import StateError
from optinb.state import BatchState, Expired, LeaseTaken, Planned, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from optinb.settings import SendSection
    from optinb.state import Batch, DeliveryCounts, FrozenAudience, Lease, Store

GRACE_S = 5.0  # for requests that are under way when a person interrupts


class Poster(Protocol):
    """What the sender needs of the Appboy client: one request, no repetition, no exception."""

    def schedule(self, request: ScheduleRequest) -> Outcome:
        """Posts a batch and says what became of it."""
        ...


def send(
    store: Store,
    client: Poster,
    audience: FrozenAudience,
    *,
    root: Path,
    clock: Callable[[], datetime],
    settings: SendSection,
    holder: str,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
    wait_s: float = 0.0,
    lease_clock: Callable[[], datetime] | None = None,
    progress: Callable[[int], None] | None = None,
) -> DeliveryCounts:
    """Sends what is still planned of a campaign's night, and says where all its recipients are.

    What was left as sending by a run that died is called unknown first. Sending the same night again sends nothing
    twice. If Appboy's answer stops the campaign, or keeps asking to come later, the rest stays `pending`: certainly not
    sent, and the next run of the night goes on with it until its time has passed.

    Args:
        store: with the journal.
        client: of the campaign's app group.
        audience: as `plan` returned it.
        root: the workspace that `audience.path` is relative to.
        clock: the time in UTC.
        settings: window, concurrency, lateness and tries.
        holder: who sends, for people: host and process.
        sleep: waits so many seconds.
        draw: random numbers from 0 to 1, which spread the waits.
        wait_s: how long to wait for another sender of the same night to end.
        lease_clock: the clock by which a dead sender's hold ends, where `clock` is a pretended one.
        progress: called with the number of recipients that have come to an end, after each window.

    Raises:
        LeaseTaken when another sender is at work on this night; StateError when the frozen audience was changed, or
        when the store fails.
    """
    held = store.lease(
        lease_name(audience),
        holder=holder,
        clock=lease_clock or clock,
        wait_s=wait_s,
        sleep=sleep,
        what=f"the send of {audience.campaign_name!r} for {audience.run_date}",
    )
    with held as lease:
        _close_dead(store, audience, lease, now=clock(), late_minutes=settings.late_minutes)
        stopped = None
        # What has no request to come needs no file: a night that is done can be asked for again at any time.
        if store.deliveries.counts(audience.campaign_id, audience.run_date).pending:
            recipients = _recipients(audience, root)
            sender = _Sender(store, client, audience, recipients, lease, clock=clock, settings=settings)
            stopped = sender.run(sleep=sleep, draw=draw, progress=progress)
    return replace(store.deliveries.counts(audience.campaign_id, audience.run_date), stopped=stopped)


def close_past(store: Store, *, now: datetime, late_minutes: int, holder: str) -> tuple[FrozenAudience, ...]:
    """Closes the accounts of sends that were given up: what is still planned after its time is expired.

    What a dead sender left as sending becomes unknown. Returns the audiences that were closed; one that a sender is at
    work on is left to it. Raises StateError when the store fails.
    """
    closed = []
    for audience in store.deliveries.list(open_only=True):
        if not is_late(audience.send_at, now, late_minutes):
            continue
        try:
            lease = store.leases.take(lease_name(audience), holder=holder, now=now)
        except LeaseTaken:
            continue
        _close_dead(store, audience, lease, now=now, late_minutes=late_minutes)
        store.leases.release(lease)
        closed.append(audience)
    return tuple(closed)


def lease_name(audience: FrozenAudience) -> str:
    """The lease under which a campaign's night is sent."""
    return f"send {audience.campaign_id} {audience.run_date}"


def _close_dead(store: Store, audience: FrozenAudience, lease: Lease, *, now: datetime, late_minutes: int) -> None:
    """Calls unknown what an earlier, dead sender left as sending, and expired what is planned and too late.

    Under the lease nobody else is sending this night, so whoever marked a batch as sending is gone.
    """
    night = (audience.campaign_id, audience.run_date)
    died = Unknown(message="the sender died while the request was under way")
    store.deliveries.move(*night, given="sending", to=died, lease=lease, now=now)
    if is_late(audience.send_at, now, late_minutes):
        late = Expired(
            message=f"its time, {audience.send_at:%Y-%m-%d %H:%M} UTC, had passed by more than {late_minutes} minutes"
        )
        store.deliveries.move(*night, given="planned", to=late, lease=lease, now=now)


def _recipients(audience: FrozenAudience, root: Path) -> pl.DataFrame:
    recipients = read_recipients(root / audience.path, audience.sha256)
    if recipients.height != audience.recipients:
        raise StateError(
            f"the frozen audience of {audience.campaign_name!r} has {recipients.height:,} recipients, but "
            f"{audience.recipients:,} were planned; nothing of it is sent"
        )
    return recipients


def request_for(audience: FrozenAudience, batch: Batch, recipients: pl.DataFrame) -> ScheduleRequest:
    """The body for a batch; `recipients` has external_user_id and properties (JSON text) in the file's order.

    It names customers one by one and never broadcasts. `send_to_existing_only` is left out: its documented default is
    true, so that Appboy doesn't make a user of an id that it doesn't know.
    """
    rows = recipients.slice(batch.first, batch.size).iter_rows()
    return ScheduleRequest(
        campaign_id=audience.template_id,
        recipients=tuple(Recipient(user, msgspec.json.decode(properties)) for user, properties in rows),
        schedule=Schedule(time=audience.send_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    )


class _Sender:
    """One run over what is planned of a campaign's night, under its lease."""

    def __init__(
        self,
        store: Store,
        client: Poster,
        audience: FrozenAudience,
        recipients: pl.DataFrame,
        lease: Lease,
        *,
        clock: Callable[[], datetime],
        settings: SendSection,
    ) -> None:
        self._store = store
        self._journal = store.deliveries
        self._client = client
        self._audience = audience
        self._recipients = recipients
        self._lease = lease
        self._clock = clock
        self._settings = settings
        self._night = (audience.campaign_id, audience.run_date)

    def run(
        self, *, sleep: Callable[[float], None], draw: Callable[[], float], progress: Callable[[int], None] | None
    ) -> str | None:
        """Works through the planned batches. Returns why it gave up, or None."""
        tries: Counter[int] = Counter()
        fruitless = 0
        most = self._settings.max_tries
        # Not in a with statement, which would wait for the threads: after an interrupt that could be long.
        pool = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="send")
        try:
            while window := self._open([number for number, count in tries.items() if count >= most]):
                outcomes = self._post(pool, window)
                again = {number: o for number, o in outcomes.items() if isinstance(o, Later)}
                tries.update(again.keys())
                if progress:
                    progress(sum(batch.size for batch in window if _settles(outcomes.get(batch.number))))
                for outcome in outcomes.values():
                    if isinstance(outcome, Stopped):
                        return f"{outcome.message}; {outcome.advice}"
                fruitless = fruitless + 1 if len(again) == len(window) else 0
                if fruitless >= most:
                    break
                if again:
                    told = max(outcome.wait_s for outcome in again.values())
                    self._wait(backoff_s(min(tries[n] for n in again), told_s=told, draw=draw()), sleep)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        exhausted = [number for number, count in tries.items() if count >= most]
        if self._journal.counts(*self._night).pending and exhausted:
            return f"Appboy asked {most} times to come later with {len(exhausted)} of {self._audience.batches} batches"
        return None

    def _open(self, skip: Sequence[int]) -> tuple[Batch, ...]:
        """The next window, journalled as sending; empty when there is none, or when it's too late for any."""
        now, grace = self._clock(), self._settings.late_minutes
        if is_late(self._audience.send_at, now, grace):
            _close_dead(self._store, self._audience, self._lease, now=now, late_minutes=grace)
            return ()
        size = self._settings.window_batches
        return self._journal.open_window(*self._night, lease=self._lease, size=size, now=now, skip=skip)

    def _post(self, pool: ThreadPoolExecutor, window: Sequence[Batch]) -> dict[int, Outcome]:
        """Posts a window and journals what became of it, whatever happens. Returns the outcomes by batch number."""
        posted: dict[int, Future[Outcome]] = {}
        try:
            for batch in window:
                request = request_for(self._audience, batch, self._recipients)
                posted[batch.number] = pool.submit(self._client.schedule, request)
            for future in as_completed(posted.values()):
                if not future.cancelled() and not future.exception() and isinstance(future.result(), Stopped):
                    _cancel(posted)
        except BaseException:
            _cancel(posted)
            wait(posted.values(), timeout=GRACE_S)
            raise
        finally:
            settled = [replace(batch, state=_state_of(posted.get(batch.number))) for batch in window]
            self._journal.close_window(settled, lease=self._lease, now=self._clock())
        return {n: future.result() for n, future in posted.items() if not future.cancelled() and not future.exception()}

    def _wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Waits, but not beyond the moment at which the send is too late anyway."""
        left = (deadline(self._audience.send_at, self._settings.late_minutes) - self._clock()).total_seconds()
        sleep(max(0.0, min(seconds, left + 1.0)))


def _cancel(posted: dict[int, Future[Outcome]]) -> None:
    """Takes back what no thread has begun with."""
    for future in posted.values():
        future.cancel()


def _settles(outcome: Outcome | None) -> bool:
    return outcome is not None and not isinstance(outcome, Later | Stopped)


def _state_of(future: Future[Outcome] | None) -> BatchState:
    """What is known of a batch in the window: one whose request no thread began with was certainly not sent."""
    if future is None or future.cancelled():
        return Planned()
    if not future.done():
        return Unknown(message="the sender was interrupted while the request was under way")
    error = future.exception()
    if error is not None:
        return Unknown(message=f"the client failed ({type(error).__name__}: {error})")
    return next_state(future.result())
