"""The crash-safe sender: journalled before it is posted, so that nobody gets a message twice and nobody is lost.

A window of batches is marked as sending before its requests, in two halves that take turns: while one is posted by a
few threads, one transaction writes the outcomes of the other and marks the batches that follow. Posting hence never
waits for the journal, and a crash leaves at most one window whose batches may have been sent; the next run calls them
unknown and never sends them again.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from optinb.appboy import (
    WITHHELD,
    NotTied,
    Outcome,
    RateLimit,
    RequestAccepted,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    ScheduleRequest,
    Stopped,
    posting_while,
)
from optinb.delivery.batch import backoff_s, deadline, is_late
from optinb.delivery.budget import SLICE_S, Budget, wait_while
from optinb.delivery.closing import close_dead, lease_name
from optinb.delivery.elsewhere import must_be_here
from optinb.delivery.frozen import Recipients, check_planned
from optinb.delivery.journal import Batch, DeliveryCounts, FrozenAudience, Planned, Store
from optinb.delivery.machine import NotBegun, next_state
from optinb.delivery.request import Failed, read_as_set, request_for, schedule_of, why_refused
from optinb.delivery.send_ids import BorneSendId
from optinb.delivery.window import BatchRequest, Half, Posters
from optinb.delivery.window_log import WindowLog
from optinb.errors import StateError
from optinb.store import TTL_S, HeldLease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from optinb.base.settings import SendSection
    from optinb.store import Lease

GRACE_S = 5.0  # for requests that are under way when a person interrupts


class Poster(Protocol):
    """What the sender needs of the Appboy client: one request, no repetition, no exception; and the limit told last."""

    rate_limit: RateLimit | None

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
    budget: Budget | None = None,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
    wait_s: float = 0.0,
    lease_clock: Callable[[], datetime] | None = None,
    ttl_s: float = TTL_S,
    progress: Callable[[int], None] | None = None,
    why_not: Callable[[FrozenAudience], str | None] = lambda _audience: None,
    identify: Callable[[FrozenAudience, Lease], FrozenAudience] = lambda audience, _lease: audience,
) -> DeliveryCounts:
    """Sends what is still planned of a campaign's night, and says where all its recipients are.

    What was left as sending by a run that died is called unknown first. Sending the same night again sends nothing
    twice. If Appboy's answer stops the campaign, or keeps refusing or asking to come later, the rest stays `pending`:
    certainly not sent, and the next run of the night goes on with it until its time has passed.

    Args:
        store: with the journal.
        client: of the campaign's app group.
        audience: as `plan` returned it.
        root: the workspace that `audience.path` is relative to.
        clock: the time in UTC.
        settings: window, concurrency, lateness, tries and refusals.
        holder: who sends, for people: host and process.
        budget: the app group's requests, shared with its other campaigns; None: as fast as it goes.
        sleep: waits so many seconds.
        draw: random numbers from 0 to 1, which spread the waits.
        wait_s: how long to wait for another sender of the same night to end.
        lease_clock: the clock by which a dead sender's hold ends: `store.clock`, unless `clock` counts for all.
        ttl_s: how long a dead sender's hold lasts.
        progress: called with the number of recipients that have come to an end, again and again.
        why_not: why an audience may not be sent, or None; asked where it was changed since it was given.
        identify: called under the lease before any request, and returns the audience with the send_id that its requests
            are to bear, if they may have one; `SendIds.identify` makes it.

    Raises:
        LeaseTaken when another sender is at work on this night; StateError when the frozen audience was changed, or
        isn't what the audit trail recorded, or when the store fails.
    """
    held = store.lease(
        lease_name(audience),
        holder=holder,
        clock=lease_clock or clock,
        ttl_s=ttl_s,
        wait_s=wait_s,
        sleep=sleep,
        what=f"the send of {audience.campaign_name!r} for {audience.run_date}",
    )
    with held as lease:
        check_planned(store, audience)
        close_dead(store, audience, lease, now=clock(), late_minutes=settings.late_minutes)
        # whoever had the lease before may have moved the send to another time
        before, audience = audience, store.deliveries.find(*audience.night) or audience
        stopped = None
        # What has no request to come needs no file: a night that is done can be asked for again at any time.
        if store.deliveries.counts(*audience.night).pending:
            if audience != before and (why := why_not(audience)):
                raise StateError(
                    f"{audience.campaign_name!r} was changed while its sender waited: {why}; nothing is sent"
                )
            if problem := store.deliveries.answers.unwritten(*audience.night):
                raise StateError(problem)
            recipients = _recipients(store, audience, root)
            if not is_late(audience.send_at, clock(), settings.late_minutes):
                audience = identify(audience, lease)
            sender = _Sender(store, client, audience, recipients, held, clock=clock, settings=settings, budget=budget)
            stopped = sender.run(sleep=sleep, draw=draw, progress=progress or (lambda _count: None))
    return replace(store.deliveries.counts(*audience.night), stopped=stopped)


def _recipients(store: Store, audience: FrozenAudience, root: Path) -> Recipients:
    must_be_here(store, audience, root)
    recipients = Recipients(root / audience.path, audience.sha256)
    if len(recipients) != audience.recipients:
        raise StateError(
            f"the frozen audience of {audience.campaign_name!r} has {len(recipients):,} recipients, but "
            f"{audience.recipients:,} were planned; nothing of it is sent"
        )
    return recipients


class _Stop(Struct, frozen=True):
    """The campaign goes no further in this run."""

    why: str


class _Pause(Struct, frozen=True):
    """Nothing more is posted for so many seconds."""

    seconds: float


class _Sender:
    """One run over what is planned of a campaign's night, under its lease."""

    def __init__(
        self,
        store: Store,
        client: Poster,
        audience: FrozenAudience,
        recipients: Recipients,
        held: HeldLease,
        *,
        clock: Callable[[], datetime],
        settings: SendSection,
        budget: Budget | None,
    ) -> None:
        self._store, self._client, self._held, self._lease = store, client, held, held.lease
        self._audience, self._recipients = audience, recipients
        self._clock, self._settings, self._budget = clock, settings, budget
        self._schedule = schedule_of(audience)
        self._borne = BorneSendId(store, audience, held.lease, clock=clock)
        self._halt = threading.Event()
        # interrupts reach the main thread only: in one of its own, no transaction is left half open
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._going: deque[Half] = deque()
        self._settled: list[Batch] = []
        self._tries: Counter[int] = Counter()
        self._refusals = 0
        self._log = WindowLog(audience, settings.window_batches)

    def run(
        self, *, sleep: Callable[[float], None], draw: Callable[[], float], progress: Callable[[int], None]
    ) -> str | None:
        """Works through the planned batches. Returns why it gave up, or None."""
        most, fruitless = self._settings.max_tries, 0
        # Not in a with statement, which would wait for the threads: after an interrupt that could be long.
        posters = Posters(self._settings.concurrency, self._request)
        try:
            while True:
                before = self._tries.total()
                settled, verdict = self._stretch(posters, draw=draw, progress=progress)
                if isinstance(verdict, _Stop):
                    return verdict.why
                asked_again = self._tries.total() > before
                fruitless = fruitless + 1 if asked_again and not settled else 0
                if verdict is None or fruitless >= most:
                    break
                self._wait(verdict.seconds, sleep)
        except BaseException:
            self._break_off()
            raise
        finally:
            posters.stop()
            self._scribe.shutdown(wait=False)
        if self._is_late():
            late_minutes = self._settings.late_minutes
            close_dead(self._store, self._audience, self._lease, now=self._clock(), late_minutes=late_minutes)
        exhausted = len(self._exhausted())
        if exhausted and self._store.deliveries.counts(*self._audience.night).pending:
            return f"Appboy asked {most} times to come later with {exhausted} of {self._audience.batches} batches"
        return None

    def _stretch(
        self, posters: Posters, *, draw: Callable[[], float], progress: Callable[[int], None]
    ) -> tuple[int, _Stop | _Pause | None]:
        """Posts window after window until none is left, or until it must pause or stop; nothing is under way then.

        Returns how many recipients came to an end, and why it must pause or stop.
        """
        verdict: _Stop | _Pause | None = None
        done = 0
        while True:
            opened = self._turn(wanted=verdict is None)
            if opened:
                self._post(posters, opened)
                if len(self._going) < 2:
                    continue
            if not self._going:
                self._log.write()
                return done, verdict
            half = self._going[0]
            while not half.wait(SLICE_S):
                if self._is_called_off():
                    self._halt.set()
            self._settled = half.settled()
            self._going.popleft()
            verdict = _sterner(verdict, self._judge(half.requests, draw))
            ended = sum(batch.size for batch in self._settled if not isinstance(batch.state, Planned))
            done += ended
            progress(ended)
            self._log.note(self._settled)

    def _turn(self, *, wanted: bool) -> tuple[Batch, ...]:
        """Journals what is settled, and marks the next half a window; nothing of a send that is too late."""
        window, going = self._settings.window_batches, sum(len(half.requests) for half in self._going)
        size = min((window + 1) // 2, window - going) if wanted and not self._is_late() else 0
        if not size and not self._settled:
            return ()
        opened = self._scribe.submit(
            self._store.deliveries.turn,
            *self._audience.night,
            lease=self._lease,
            now=self._clock(),
            settled=self._settled,
            size=size,
            skip=self._exhausted(),
        ).result()
        self._settled = []
        return opened

    def _post(self, posters: Posters, batches: Sequence[Batch]) -> None:
        half = Half(BatchRequest(batch, self._recipients.rows(batch.first, batch.size)) for batch in batches)
        # must precede the posting: what isn't here was never posted
        self._going.append(half)
        posters.take(half)

    def _request(self, request: BatchRequest) -> Outcome | None:
        """Posts one request, in a thread; None if it wasn't begun with."""
        if self._halt.is_set() or (self._budget and not self._budget.enter()):
            return None
        try:
            # must precede the look at the halt: who halts looks at it afterwards
            request.begun = True
            if self._halt.is_set() or self._is_late():
                return None
            if not self._held.is_safe():
                return RequestLater(0.0, WITHHELD, "not_sent")
            with posting_while(self._may_post, may_begin=lambda: not self._halt.is_set()):
                rows = tuple(request.rows)
                outcome = self._borne.post(lambda send_id: self._schedule_with(rows, send_id))
            outcome = read_as_set(outcome, self._settings.after_500)
            if isinstance(outcome, Stopped):
                self._halt.set()
            return outcome
        finally:
            if self._budget:
                self._budget.leave(self._client.rate_limit)

    def _schedule_with(self, rows: Sequence[tuple[str, str]], send_id: str | None) -> Outcome:
        body = request_for(self._audience.template_id, self._schedule, rows, send_id=send_id)
        return self._client.schedule(body)

    def _may_post(self) -> bool:
        """Whether a request may still go out that was begun with: it may have waited since, or been stopped."""
        return not self._is_late() and self._held.is_safe()

    def _judge(self, requests: Sequence[BatchRequest], draw: Callable[[], float]) -> _Stop | _Pause | None:
        """Whether to go on after half a window."""
        for request in requests:
            outcome = request.outcome
            if isinstance(outcome, Stopped):
                return _Stop(f"{outcome.message}; {outcome.advice}")
            if isinstance(outcome, RequestRefused | Failed | NotTied):
                self._refusals += 1
                if self._refusals >= self._settings.max_refusals:
                    self._halt.set()
                    return _Stop(why_refused(self._refusals, outcome))
            elif isinstance(outcome, RequestAccepted | RequestUnknown):
                self._refusals = 0
        again = {r.batch.number: r.outcome for r in requests if isinstance(r.outcome, RequestLater)}
        self._tries.update(again.keys())
        if again:
            told = max(outcome.wait_s for outcome in again.values())
            seconds = backoff_s(min(self._tries[number] for number in again), told_s=told, draw=draw())
            if self._budget:
                self._budget.hold(seconds)
            return _Pause(seconds)
        if self._budget and any(r.outcome is None and r.error is None for r in requests):
            return _Pause(self._budget.pause_s())
        return None

    def _exhausted(self) -> list[int]:
        """The batches that are not tried again in this run."""
        return [number for number, count in self._tries.items() if count >= self._settings.max_tries]

    def _is_late(self) -> bool:
        return is_late(self._audience.send_at, self._clock(), self._settings.late_minutes)

    def _wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Waits, but not beyond the moment at which the send is too late anyway, nor when it is called off."""
        left = (deadline(self._audience.send_at, self._settings.late_minutes) - self._clock()).total_seconds()
        wait_while(lambda: not self._is_called_off(), min(seconds, left + 1.0), sleep)

    def _is_called_off(self) -> bool:
        """Whether a person has stopped this send, who waits for its end."""
        with suppress(StateError):  # a database that is busy for once may answer at the next look
            there = self._store.deliveries.find(*self._audience.night)
            return there is not None and there.cancelled is not None
        return False

    def _break_off(self) -> None:
        """Journals what is known of the requests under way when the run ends before its time."""
        self._halt.set()
        self._scribe.shutdown(wait=True)
        for half in self._going:
            half.give_up(grace_s=GRACE_S)
        known = {batch.number: batch for half in self._going for batch in half.settled()}
        known |= {batch.number: batch for batch in self._settled}
        night, journal = self._audience.night, self._store.deliveries
        with suppress(StateError):  # the database may be why the run ends, or the file: the other one is told then
            journal.keep(*night, list(known.values()), lease=self._lease, now=self._clock())
        settled = [
            # what was marked and isn't known here was never posted
            known.get(batch.number) or replace(batch, state=next_state(batch.state, NotBegun()))
            for batch in journal.batches(*night, state="sending")
        ]
        journal.turn(*night, lease=self._lease, now=self._clock(), settled=settled)


def _sterner(one: _Stop | _Pause | None, other: _Stop | _Pause | None) -> _Stop | _Pause | None:
    """Of two reasons not to go on at once, the one that holds up more."""
    match one, other:
        case (_Stop(), _) | (_, None):
            return one
        case (_Pause(seconds=seconds), _Pause(seconds=longer)) if seconds > longer:
            return one
        case _:
            return other
