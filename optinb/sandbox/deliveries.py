"""What becomes of every message: decided once, in the order of time, and from then on a fact.

Whatever is due by the moment of a question, or of a change, is decided with the settings and the state of then, because
a template's re-eligibility and an app group's caps depend on what arrived before. Figures, exports and the page all
follow from it. The order doesn't depend on when somebody asks, so that neither does what comes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, assert_never

from msgspec import Struct

from optinb.sandbox.dispatches import Dispatch, Memory, Receipt, moment, next_slot
from optinb.sandbox.filters import (
    LONGEST_WAIT,
    Case,
    Filter,
    Rule,
    Turn,
    dropping,
    filters_of,
    quiet_hours_of,
    quiet_until,
)

if TYPE_CHECKING:
    from optinb.sandbox.dashboard import AppGroup

FateState = Literal["scheduled", "delivered", "filtered", "recalled"]
# Appboy counts a message that it only gives up while rendering among those that it sent
_AFTER_DISPATCH = frozenset[Rule](("uninstalled", "liquid_abort"))


class Decided(Struct, frozen=True, gc=False):
    """What became of some recipients of a dispatch at a moment; `rules` are those that filtered them.

    `platforms` are those on which the message arrived, `bounced` those on which the app turned out to be gone.
    """

    at: datetime
    state: FateState
    users: Sequence[str]
    rules: tuple[Rule, ...] = ()
    platforms: tuple[str, ...] = ()
    bounced: tuple[str, ...] = ()


class Fate(Struct, frozen=True, gc=False):
    """What became of one recipient of one request: when, and dropped by which rules."""

    external_user_id: str
    dispatch_id: str
    send_id: str | None
    state: FateState
    at: datetime | None = None
    rules: tuple[Rule, ...] = ()


class Part(NamedTuple):
    """Recipients of a dispatch whose turn comes at the same moment."""

    dispatch: Dispatch
    users: Sequence[str]
    turn: Turn = "first"


class Wait(NamedTuple):
    """A verdict: it isn't decided yet, but will be at a moment."""

    until: datetime
    turn: Turn


class Outcome(NamedTuple):
    """A verdict: dropped by rules, or arrived on platforms; `bounced` are those on which the app is gone."""

    rules: tuple[Rule, ...]
    platforms: tuple[str, ...] = ()
    bounced: tuple[str, ...] = ()


class DecidedMessages:
    """Decides the messages of a world's dispatches. `dispatches` and `app_groups` are the world's own."""

    def __init__(self, dispatches: list[Dispatch], app_groups: Mapping[str, AppGroup], *, seed: str) -> None:
        self._dispatches, self._app_groups, self._seed = dispatches, app_groups, seed
        self.memory: Memory = Memory()
        self.decided: defaultdict[int, list[Decided]] = defaultdict(list)
        self._queued = 0
        self._queue: list[tuple[datetime, int, int, int, Part]] = []
        self._tie = count()

    def settle(self, until: datetime) -> None:
        """Decides everything that is due by a moment; nothing happens for one that has been looked at already."""
        # taken in when somebody asks, so that a sender's requests don't pay for it
        for dispatch in self._dispatches[self._queued :]:
            self._plan(dispatch, dispatch.ids)
        self._queued = len(self._dispatches)
        while self._queue and self._queue[0][0] <= until:
            at, *_, part = heappop(self._queue)
            if self._is_valid(part):
                self._decide(part, at)

    def next_at(self) -> datetime | None:
        """When the next message is due, of those that were there when it was last settled."""
        while self._queue and not self._is_valid(self._queue[0][-1]):
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def replan(self, dispatch: Dispatch, at: datetime) -> None:
        """Takes a changed plan for those of a dispatch who haven't got it; it must be settled until then."""
        over = {user for decided in self.decided[dispatch.number] for user in decided.users}
        left = dispatch.ids if not over else tuple(user for user in dispatch.ids if user not in over)
        if dispatch.plans[-1].until is None:
            self._plan(dispatch, left)
        elif left:
            self.decided[dispatch.number].append(Decided(at, "recalled", left))

    def waiting(self, dispatch: Dispatch) -> int:
        """How many recipients of a dispatch nothing has come of yet."""
        return len(dispatch.ids) - sum(len(decided.users) for decided in self.decided.get(dispatch.number, ()))

    def fates(self, dispatch: Dispatch) -> Iterator[Fate]:
        """What became of each recipient of a dispatch, in the order of the request."""
        there = {user: decided for decided in self.decided.get(dispatch.number, ()) for user in decided.users}
        for user in dispatch.ids:
            found = there.get(user)
            known = (found.state, found.at, found.rules) if found else ("scheduled", None, ())
            yield Fate(user, dispatch.dispatch_id, dispatch.send_id, *known)

    def _is_valid(self, part: Part) -> bool:
        """Whether a part still goes by the plan that its dispatch has."""
        return self._dispatches[part.dispatch.number] is part.dispatch

    def _plan(self, dispatch: Dispatch, users: Sequence[str]) -> None:
        """Queues recipients for the moment that the dispatch's plan means for each; the zone is that of now."""
        plan, group = dispatch.plans[-1], self._app_groups[dispatch.app_group_id]
        if plan.at.tzinfo is not None or group.users is None:
            self._push(max(moment(plan.at, group.time_zone), plan.since), Part(dispatch, users))
            return
        for zone, some in _by(users, group.zone_of).items():
            self._push(max(moment(plan.at, zone), plan.since), Part(dispatch, some))

    def _push(self, at: datetime, part: Part) -> None:
        # equal moments go by dispatch and place in it, which is the same whenever somebody asks
        if part.users:
            place = part.dispatch.ids.index(part.users[0])
            heappush(self._queue, (at, part.dispatch.number, place, next(self._tie), part))

    def _decide(self, part: Part, at: datetime) -> None:
        dispatch = part.dispatch
        group = self._app_groups[dispatch.app_group_id]
        campaign = group.campaign(dispatch.campaign_id)
        if campaign is None:
            self.decided[dispatch.number].append(Decided(at, "filtered", part.users, ("campaign_gone",)))
            return
        case = Case(dispatch, group, campaign, at, self.memory, seed=self._seed, turn=part.turn)
        for verdict, users in self._verdicts(case, self._awake(part, case)).items():
            match verdict:
                case Wait(until, turn):
                    self._push(until, Part(dispatch, users, turn))
                case Outcome():
                    self._note(case, verdict, users)
                case _:
                    assert_never(verdict)

    def _awake(self, part: Part, case: Case) -> Sequence[str]:
        """The recipients whose quiet hours it isn't; the others are queued for their end."""
        hours = quiet_hours_of(case.group, case.campaign)
        if hours is None or hours.then == "drop" or part.turn == "given up":
            return part.users
        awake: list[str] = []
        for zone, some in _by(part.users, case.group.zone_of).items():
            end = quiet_until(hours, zone, case.at)
            if end is None:
                awake += some
            else:
                self._push(end, Part(part.dispatch, some))
        return awake

    def _verdicts(self, case: Case, users: Sequence[str]) -> Mapping[Wait | Outcome, Sequence[str]]:
        """What becomes of recipients now, one after the other."""
        filters = filters_of(case)
        if case.is_alike and {one.rule for one in filters} <= {"re_eligibility"} and case.last.keys().isdisjoint(users):
            # as with most messages, there is nobody to look at alone
            self.memory.count(case.dispatch, len(users))
            return {Outcome((), case.platforms): users} if users else {}
        found: defaultdict[Wait | Outcome, list[str]] = defaultdict(list)
        for user in users:
            found[self._verdict(case, user, filters)].append(user)
        return found

    def _verdict(self, case: Case, user: str, filters: Sequence[Filter]) -> Wait | Outcome:
        rules = dropping(case, user, filters)
        if rules == ("speed_limit",) and case.turn != "given up":
            return Wait(case.at + LONGEST_WAIT, "given up")
        if not _AFTER_DISPATCH.issuperset(rules):
            return Outcome(rules)
        limit, key = case.campaign.messages_a_minute, case.dispatch.key
        if limit is not None and case.turn == "first":
            slot = self.memory.slots[key] = next_slot(self.memory.slots.get(key), case.at, limit)
            if slot.minute > case.at:
                return Wait(slot.minute, "minute")
        self.memory.count(case.dispatch, 1)
        return Outcome(rules, () if rules else case.reached(user), case.bounced(user))

    def _note(self, case: Case, outcome: Outcome, users: Sequence[str]) -> None:
        dispatch = case.dispatch
        # all recipients of a dispatch, as most often, take no memory of their own
        kept = dispatch.ids if len(users) == len(dispatch.ids) else tuple(users)
        state = "filtered" if outcome.rules else "delivered"
        self.decided[dispatch.number].append(Decided(case.at, state, kept, *outcome))
        for platform in outcome.bounced:
            self.memory.tokens_gone.update((dispatch.app_group_id, user, platform) for user in users)
        if not outcome.rules:
            self.memory.note(dispatch.key, Receipt(dispatch.campaign_id, dispatch.number, case.at), kept)


def _by(users: Iterable[str], zone_of: Callable[[str], str]) -> dict[str, list[str]]:
    zones: defaultdict[str, list[str]] = defaultdict(list)
    for user in users:
        zones[zone_of(user)].append(user)
    return zones
