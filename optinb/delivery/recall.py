"""Changing what Appboy has taken already: recalling it, or moving it to another time."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from optinb.appboy import (
    WITHHELD,
    Outcome,
    RateLimit,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    Stopped,
    WireSchedule,
    posting_while,
)
from optinb.appboy import RequestAccepted as Done
from optinb.base.settings import SendSection
from optinb.delivery.batch import backoff_s
from optinb.delivery.budget import Budget, wait_while
from optinb.delivery.closing import close_dead
from optinb.delivery.frozen import check_planned
from optinb.delivery.journal import Accepted, Batch, Cancelled, FrozenAudience, Store
from optinb.delivery.machine import Event, Moved, Moving, Recalled, next_state
from optinb.delivery.request import last_moment, schedule_of
from optinb.errors import Exit

if TYPE_CHECKING:
    from optinb.store import Lease

SURE = timedelta(minutes=10)
"""How long before its time a recall is sure to reach everybody: Appboy promises nothing "close to the time"."""
OVER = "the time that this may take was over; ask again"
STEP = 40  # batches whose answers are journalled together


class Changer(Protocol):
    """What is needed of the Appboy client: each asks once, raises nothing, and may be repeated without harm."""

    rate_limit: RateLimit | None

    def unschedule(self, campaign_id: str, schedule_id: str) -> Outcome:
        """Deletes a schedule."""
        ...

    def reschedule(self, campaign_id: str, schedule_id: str, schedule: WireSchedule) -> Outcome:
        """Replaces a schedule."""
        ...


class Recall(Struct, frozen=True, kw_only=True):
    """What became of a recall, in recipients.

    Attributes:
        campaign: its name.
        run_date: the night, as YYYY-MM-DD.
        stopped: had not been sent; they certainly get nothing.
        recalled: were scheduled and recalled; they certainly get nothing.
        may_be_out: recalled close to the time or without an answer, or unknown before.
        out: sent already, or not recalled.
        left: those of `out` who may be recalled by asking again, because Appboy wasn't asked or couldn't do it.
        problems: what Appboy said, with the number of requests.
        untold: why the file of answers doesn't know of it; asking again tells it. None where it does.
    """

    campaign: str
    run_date: str
    stopped: int = 0
    recalled: int = 0
    may_be_out: int = 0
    out: int = 0
    left: int = 0
    problems: dict[str, int] = {}
    untold: str | None = None

    @property
    def exit_code(self) -> Exit:
        """1 where something is still scheduled, or the file of answers untold; 5 where nobody knows who gets it."""
        if self.left or self.untold or (self.out and self.problems):
            return Exit.FAILED
        return Exit.DELIVERIES_UNKNOWN if self.may_be_out else Exit.DONE


class SendMove(Struct, frozen=True, kw_only=True):
    """What became of moving a send to another time, in recipients.

    `moved` get it at `send_at`; `unmoved` may get it at `before`, and so may those who were `unknown` before, whom
    nobody can move; `to_come` had not been sent yet. `untold`: why the file of answers doesn't know of it; asking again
    tells it. `exit_code` is 5 where somebody may get it at the old time, and 1 where the file is untold.
    """

    campaign: str
    run_date: str
    before: datetime
    send_at: datetime
    moved: int = 0
    unmoved: int = 0
    unknown: int = 0
    to_come: int = 0
    problems: dict[str, int] = {}
    untold: str | None = None
    exit_code: int = 0


def _problems(messages: Sequence[Recall | SendMove]) -> dict[str, int]:
    """What Appboy said of all of them, with the number of requests."""
    found: Counter[str] = Counter()
    for message in messages:
        found.update(message.problems)
    return dict(found)


def together(messages: Sequence[Recall]) -> Recall:
    """What became of a recall of all messages of a campaign's night.

    Args:
        messages: of each of them, at least one.
    """
    first, *others = messages
    if not others:
        return first
    sums = ("stopped", "recalled", "may_be_out", "out", "left")
    return replace(
        first,
        **{name: sum(getattr(m, name) for m in messages) for name in sums},
        problems=_problems(messages),
        untold=next((m.untold for m in messages if m.untold), None),
    )


def moved_together(messages: Sequence[SendMove]) -> SendMove:
    """What became of moving all messages of a campaign's night to another time.

    Args:
        messages: of each of them, at least one.
    """
    first, *others = messages
    if not others:
        return first
    codes = {message.exit_code for message in messages}
    return replace(
        first,
        **{name: sum(getattr(m, name) for m in messages) for name in ("moved", "unmoved", "unknown", "to_come")},
        problems=_problems(messages),
        untold=next((m.untold for m in messages if m.untold), None),
        exit_code=int(Exit.FAILED) if int(Exit.FAILED) in codes else max(codes),
    )


class RecallTools(Struct, frozen=True):
    """What changing needs beside the journal: the client, its clock, its settings and its budget.

    `until`: when `ticks`, in seconds, have come so far, nothing more is asked.
    `may_ask`: whether the lease is held surely enough for one more request. `goes_on`: whether nobody has called off
    what is done.
    """

    client: Changer
    clock: Callable[[], datetime]
    settings: SendSection
    budget: Budget | None = None
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    until: float = math.inf
    ticks: Callable[[], float] = time.monotonic

    @property
    def left_s(self) -> float:
        """Seconds until nothing more is asked."""
        return max(0.0, self.until - self.ticks())

    may_ask: Callable[[], bool] = lambda: True
    goes_on: Callable[[], bool] = lambda: True


def recall(
    store: Store,
    audience: FrozenAudience,
    tools: RecallTools,
    *,
    lease: Lease,
    reason: str,
    progress: Callable[[int], object] = lambda _count: None,
) -> Recall:
    """Deletes every schedule that Appboy has accepted of a campaign's night, and journals what became of each.

    The lease is the sender's: nobody sends meanwhile. Asking again recalls what is left. `progress` is told of so many
    more recipients, again and again. Raises StateError.
    """
    close_dead(store, audience, lease, now=tools.clock(), late_minutes=tools.settings.late_minutes)
    found = Recall(campaign=audience.campaign_name, run_date=audience.run_date.isoformat())
    before = store.deliveries.counts(*audience.night)
    open_before = before.unknown - before.received - before.missing
    if tools.clock() >= last_moment(audience):
        untold = store.deliveries.answers.unwritten(*audience.night)
        return replace(found, out=before.accepted + before.received, may_be_out=open_before, untold=untold)
    message = f"recalled: {reason}"

    def event(state: Accepted, outcome: Outcome) -> Event:
        return Recalled(outcome, (state.before or audience.send_at) - tools.clock() >= SURE, message)

    problems: dict[str, int] = {}
    recalled, may_be_out, out, left = 0, open_before, before.received, 0
    for batch, outcome in _change(store, audience, tools, tools.client.unschedule, event=event, lease=lease):
        match batch.state:
            case Cancelled():
                recalled += batch.size
            case Accepted():
                out += batch.size
                left += 0 if isinstance(outcome, RequestRefused) else batch.size
            case _:
                may_be_out += batch.size
        _note(problems, outcome)
        progress(batch.size)
    untold = store.deliveries.answers.unwritten(*audience.night)
    return replace(
        found, recalled=recalled, may_be_out=may_be_out, out=out, left=left, problems=problems, untold=untold
    )


def reschedule(
    store: Store,
    audience: FrozenAudience,
    tools: RecallTools,
    *,
    lease: Lease,
    send_at: datetime,
    user: str,
    signature: str | None = None,
    progress: Callable[[int], object] = lambda _count: None,
) -> SendMove:
    """Moves a campaign's night to another time: what is still planned, and what Appboy has accepted.

    The lease is the sender's: nobody sends meanwhile. What couldn't be moved says so in the journal, and what Appboy
    has not confirmed keeps its earlier time there, also after a crash; asking again for the same time moves what is
    left. `signature` is that of the user, where approvers have keys. Raises StateError.
    """
    check_planned(store, audience)
    close_dead(store, audience, lease, now=tools.clock(), late_minutes=tools.settings.late_minutes)
    # must precede the move: what went out at the earlier time would look like something that never arrived
    for state in ("accepted", "unknown"):
        noted = [
            replace(batch, state=next_state(batch.state, Moving(audience.send_at)))
            for batch in store.deliveries.batches(*audience.night, state=state)
        ]
        store.deliveries.revise(noted, given=state, lease=lease, now=tools.clock())
    counts = store.deliveries.counts(*audience.night)
    moved_to = store.deliveries.reschedule(
        *audience.night, send_at=send_at, user=user, now=tools.clock(), signature=signature
    )
    schedule = schedule_of(moved_to)
    problems: dict[str, int] = {}
    sizes = {True: 0, False: 0}

    def is_wanted() -> bool:
        there = store.deliveries.find(*audience.night)
        return there is None or there.cancelled == audience.cancelled

    for batch, outcome in _change(
        store,
        audience,
        replace(tools, goes_on=is_wanted),  # who cancels it meanwhile mustn't wait for it
        lambda campaign_id, schedule_id: tools.client.reschedule(campaign_id, schedule_id, schedule),
        event=lambda _state, outcome: Moved(outcome, schedule.time),
        lease=lease,
        skip=lambda state: state.before is not None and tools.clock() >= state.before,
    ):
        sizes[isinstance(outcome, Done)] += batch.size
        _note(problems, outcome)
        progress(batch.size)
    unknown = counts.unknown - counts.received - counts.missing
    untold = store.deliveries.answers.unwritten(*audience.night)
    code = Exit.DELIVERIES_UNKNOWN if sizes[False] or unknown else Exit.DONE
    return SendMove(
        campaign=audience.campaign_name,
        run_date=audience.run_date.isoformat(),
        before=audience.send_at,
        send_at=send_at,
        moved=sizes[True],
        unmoved=sizes[False],
        unknown=unknown,
        to_come=counts.pending,
        problems=problems,
        untold=untold,
        exit_code=int(Exit.FAILED if untold else code),
    )


def _change(
    store: Store,
    audience: FrozenAudience,
    tools: RecallTools,
    ask: Callable[[str, str], Outcome],
    *,
    event: Callable[[Accepted, Outcome], Event],
    lease: Lease,
    skip: Callable[[Accepted], bool] = lambda _state: False,
) -> Iterator[tuple[Batch, Outcome | None]]:
    """Asks for a change of every accepted batch, and journals its state after it; None: nobody was asked."""
    after, is_stopped = -1, False
    with ThreadPoolExecutor(tools.settings.concurrency, thread_name_prefix="change") as pool:
        while step := store.deliveries.batches(*audience.night, state="accepted", after=after, limit=STEP):
            after = step[-1].number
            states = {b.number: b.state for b in step if isinstance(b.state, Accepted)}
            keys = {n: state.schedule_id for n, state in states.items() if state.schedule_id and not skip(state)}
            outcomes: dict[int, Outcome] = {}
            if not is_stopped and tools.left_s and tools.goes_on():
                outcomes = _ask_each(pool, {n: (audience.template_id, key) for n, key in keys.items()}, ask, tools)
                is_stopped = any(isinstance(outcome, Stopped) for outcome in outcomes.values())
            changed = [
                replace(batch, state=next_state(batch.state, event(states[batch.number], outcomes[batch.number])))
                if batch.number in outcomes
                else batch
                for batch in step
            ]
            store.deliveries.revise(changed, given="accepted", lease=lease, now=tools.clock())
            yield from ((batch, outcomes.get(batch.number)) for batch in changed)


def _ask_each(
    pool: ThreadPoolExecutor,
    keys: dict[int, tuple[str, str]],
    ask: Callable[[str, str], Outcome],
    tools: RecallTools,
) -> dict[int, Outcome]:
    """The outcome of each request, repeated while there is none, as these requests may be."""

    def one(key: tuple[str, str]) -> Outcome:
        is_over = not tools.left_s or not tools.goes_on()
        if is_over or (tools.budget and not tools.budget.enter(patience_s=tools.left_s, goes_on=tools.goes_on)):
            return RequestLater(0.0, OVER, "not_sent")
        try:
            if not tools.may_ask():
                return RequestLater(0.0, WITHHELD, "not_sent")
            with posting_while(tools.may_ask):
                return ask(*key)
        finally:
            if tools.budget:
                tools.budget.leave(tools.client.rate_limit)

    outcomes: dict[int, Outcome] = {}
    doubtful: set[int] = set()
    left: Sequence[int] = list(keys)
    for attempt in range(1, tools.settings.max_tries + 1):
        asked = dict(zip(left, pool.map(one, [keys[number] for number in left]), strict=True))
        for number, outcome in asked.items():
            if isinstance(outcome, RequestUnknown):
                doubtful.add(number)
            elif isinstance(outcome, RequestRefused) and number in doubtful:
                # refused perhaps because the earlier request, whose answer never came, had done it
                outcome = RequestUnknown(outcome.message)
            outcomes[number] = outcome
        left = [number for number, outcome in asked.items() if isinstance(outcome, RequestLater | RequestUnknown)]
        left = [number for number in left if not (number in doubtful and attempt > 2)]
        if not left or not tools.left_s or any(isinstance(outcome, Stopped) for outcome in asked.values()):
            break
        told = max((o.wait_s for o in asked.values() if isinstance(o, RequestLater)), default=0.0)
        wait_while(tools.goes_on, min(backoff_s(attempt, told_s=told, draw=tools.draw()), tools.left_s), tools.sleep)
    return outcomes


def _note(problems: dict[str, int], outcome: Outcome | None) -> None:
    if isinstance(outcome, RequestRefused | Stopped | RequestLater | RequestUnknown):
        problems[outcome.message] = problems.get(outcome.message, 0) + 1
