"""The send_id that all requests of a campaign's night bear, so that Appboy counts what came of them apart.

Two campaigns on one template can't be told apart by the template's figures. An id is made before the first request of a
night and noted before it, and it follows from the plan: a run that was killed between Appboy's answer and its note
makes the same one again, hears that there is one, and knows it for its own. No send waits for an id: what Appboy
doesn't give or take is told, and the send goes without.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from optinb.appboy import CallError, Outcome, RequestLater, RequestRefused, RequestUnknown, Stopped
from optinb.errors import AppboyError, SettingsError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date
    from typing import Protocol

    from optinb.delivery.journal import FrozenAudience, Store
    from optinb.store import Lease

    class SendIdMaker(Protocol):
        """What is needed of the Appboy client."""

        def create_send_id(self, campaign_id: str, send_id: str | None = None) -> str:
            """Makes a send_id. Raises AppboyError."""
            ...

        def send_series(self, campaign_id: str, send_id: str, *, days: int = 14) -> object:
            """The figures of a send_id. Raises AppboyError."""
            ...


A_DAY = 100  # of Appboy's day, which is UTC's, for an app group
UNTOLD = "their figures can't be told from those of others on the same template"


def send_id_of(audience: FrozenAudience) -> str:
    """The send_id of a plan: always the same for the same, and another's in another workspace or for a new plan."""
    plan = f"{audience.app_group_id}|{audience.template_id}|{audience.planned_at.astimezone(UTC).isoformat()}"
    mark = sha256(plan.encode()).hexdigest()[:12]
    return f"optinb-{audience.campaign_id.replace('.', '-')}-{audience.run_date:%Y%m%d}-{mark}"


def largest(waiting: Iterable[FrozenAudience], *, left: int) -> frozenset[tuple[str, date]]:
    """The nights, as `FrozenAudience.night` has them, of those with the most recipients; of like ones by name."""
    by_size = sorted(waiting, key=lambda audience: (-audience.recipients, audience.campaign_name))
    return frozenset(audience.night for audience in by_size[: max(left, 0)])


class SendIds:
    """Gives the sends of a night their ids: the largest of each app group, as many as Appboy makes a day.

    Attributes:
        notes: which campaigns go without one and why, in sentences.
    """

    def __init__(self, store: Store, tonight: Sequence[FrozenAudience], *, clock: Callable[[], datetime]) -> None:
        """Args: `tonight`: everything that is sent in this run."""
        self._store, self._clock = store, clock
        self._wanted: frozenset[tuple[str, date]] = frozenset()
        self._given: set[tuple[str, date]] = set()
        self._without: dict[str, tuple[str, list[str]]] = {}
        self._failed: dict[str, str] = {}
        midnight = clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for app_group_id in {audience.app_group_id for audience in tonight}:
            waiting = [a for a in tonight if a.app_group_id == app_group_id and self._may_get(a)]
            left = A_DAY - store.deliveries.send_ids_since(app_group_id, midnight)
            self._wanted |= largest(waiting, left=left)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which campaigns go without an id and why, a sentence for each reason."""
        return tuple(
            f"{', '.join(map(repr, sorted(set(names))))} went without a send_id, because {why}; {UNTOLD}"
            for why, names in self._without.values()
        )

    def identify(self, client: SendIdMaker, audience: FrozenAudience, lease: Lease) -> FrozenAudience:
        """Makes the id of a night and notes it, unless it has one, or requests of it were made without.

        Args:
            client: of the app group.
            audience: as the journal has it.
            lease: under which it is sent.

        Raises:
            StateError: when the lease is lost, or the note can't be written.
        """
        if audience.send_id is not None:
            self._given.add(audience.night)
        if not self._may_get(audience):
            return audience
        group = audience.app_group_id
        if audience.night not in self._wanted:
            return self._goes_without(
                audience, f"Appboy makes {A_DAY} a day for each app group, and the largest campaigns have them"
            )
        if group in self._failed:
            return self._goes_without(audience, self._failed[group])
        send_id = send_id_of(audience)
        if problem := self._problem(client, audience, send_id):
            return self._goes_without(audience, problem)
        self._given.add(audience.night)
        return self._store.deliveries.bear(*audience.night, send_id=send_id, lease=lease, now=self._clock())

    def look_again(self, audience: FrozenAudience) -> None:
        """Notes of a night that was sent whether Appboy has refused its id meanwhile.

        Args:
            audience: as it was before it was sent.
        """
        there = self._store.deliveries.find(*audience.night)
        if there and there.send_id is None and audience.night in self._given:
            self._goes_without(audience, "Appboy refused requests that bore it")

    def _may_get(self, audience: FrozenAudience) -> bool:
        """Whether nothing of a night was sent yet: all its requests bear an id, or none."""
        key, night = audience.night
        states = self._store.deliveries.states(since=night, until=night, campaign_id=key).get(audience.night, {})
        return audience.send_id is None and states.keys() == {"planned"}

    def _problem(self, client: SendIdMaker, audience: FrozenAudience, send_id: str) -> str | None:
        """Makes an id; returns why there is none, or None."""
        try:
            told = client.create_send_id(audience.template_id, send_id)
        except CallError as error:
            # No page says how Appboy refuses one that exists, as after a kill; whether it does, its figures tell.
            is_spent = isinstance(error.outcome, RequestLater) and error.outcome.cause == "rate_limit"
            may_exist = is_spent or isinstance(error.outcome, RequestRefused | RequestUnknown)
            if may_exist and _is_there(client, audience.template_id, send_id):
                return None
            if isinstance(error.outcome, Stopped | RequestLater):  # asked for the others, it would say the same
                self._failed[audience.app_group_id] = str(error)
            return str(error)
        except (AppboyError, SettingsError) as error:
            return str(error)
        return None if told == send_id else f"Appboy made {told!r} where it was asked for {send_id!r}"

    def _goes_without(self, audience: FrozenAudience, why: str) -> FrozenAudience:
        _, names = self._without.setdefault(why, (why, []))
        names.append(audience.campaign_name)
        return audience


def _is_there(client: SendIdMaker, template_id: str, send_id: str) -> bool:
    try:
        client.send_series(template_id, send_id, days=1)
    except AppboyError:
        return False
    return True


class BorneSendId:
    """The send_id of the requests of one sender: the night's own, until Appboy refuses a request because of it.

    A refused batch is never sent again, so that an id that Appboy doesn't know, as it may for minutes after it was
    made, would cost people their message: from then on the night has none, and the request is made without.
    """

    def __init__(self, store: Store, audience: FrozenAudience, lease: Lease, *, clock: Callable[[], datetime]) -> None:
        self._store, self._audience, self._lease, self._clock = store, audience, lease, clock
        self._send_id = audience.send_id
        self._lock = threading.Lock()

    def post(self, schedule: Callable[[str | None], Outcome]) -> Outcome:
        """What comes of a request that bears the id, or of the same one without, where it was refused for its id.

        Args:
            schedule: makes the request with a send_id, or with none.
        """
        borne = self._send_id
        outcome = schedule(borne)
        if borne is None or not is_refused_for_send_id(outcome):
            return outcome
        try:
            self._take_back()
        except StateError as error:
            # certainly not sent: another run goes on with it
            return RequestLater(0.0, f"the send_id was refused, and that can't be noted: {error}", "not_sent")
        return schedule(None)

    def _take_back(self) -> None:
        with self._lock:
            if self._send_id is not None:
                self._store.deliveries.bear(*self._audience.night, send_id=None, lease=self._lease, now=self._clock())
                self._send_id = None


def is_refused_for_send_id(outcome: Outcome) -> bool:
    """Whether Appboy refused a request because of its send_id; nothing of it was sent."""
    if not isinstance(outcome, RequestRefused):
        return False
    words = outcome.message.casefold().replace("_", " ").replace("-", " ")
    return "send id" in words or "send identifier" in words
