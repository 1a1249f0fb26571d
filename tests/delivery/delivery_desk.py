"""What the tests of the sender need at hand: a store, a clock, a campaign to send, and a scripted poster."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from optinb.appboy import Outcome, RateLimit, RequestAccepted, ScheduleRequest
from optinb.base.settings import SendSection
from optinb.campaigns import AUDIENCE_SCHEMA, Campaign, Schedule
from optinb.delivery import Budget, DeliveryCounts, FrozenAudience, plan, send
from optinb.delivery.journal import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optinb.campaigns.schedule import Clock
    from optinb.delivery.journal import Batch
    from optinb.store import Lease

NIGHT = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
KEY_NAME = "OPTINB_TEST_DELIVERY_KEY"


class Scripted:
    """A poster that gives the outcomes of a script, then accepts; it keeps what it was asked."""

    def __init__(self, *outcomes: Outcome | Callable[[ScheduleRequest], Outcome]) -> None:
        self.requests: list[ScheduleRequest] = []
        self.rate_limit: RateLimit | None = None
        self._outcomes = list(outcomes)

    def schedule(self, request: ScheduleRequest) -> Outcome:
        self.requests.append(request)
        outcome = self._outcomes.pop(0) if self._outcomes else RequestAccepted("d", f"s{len(self.requests)}")
        return outcome(request) if callable(outcome) else outcome

    @property
    def users(self) -> list[str]:
        return [r.external_user_id for request in self.requests for r in request.recipients]


def store_address(root: Path) -> str:
    """An SQLite file in the workspace."""
    return str(root / "state.sqlite")


class Desk:
    """What a test needs at hand: the store, a clock that it moves, and sending with small windows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store.open(store_address(root), root=root)
        self.now = NOW
        self.waits: list[float] = []
        self.on_wait: Callable[[float], None] = self.move

    def clock(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.on_wait(seconds)

    def when_marked(self, batches: int) -> threading.Event:
        """Happens once so many batches were marked as sending: the sender marks while its threads post already."""
        turn, event = self.store.deliveries.turn, threading.Event()
        marked: list[int] = []

        def told(*args: Any, **kwargs: Any) -> tuple[Batch, ...]:
            opened = turn(*args, **kwargs)
            marked.extend(batch.number for batch in opened)
            if len(marked) >= batches:
                event.set()
            return opened

        self.store.deliveries.turn = told
        return event

    def plan(
        self,
        recipients: int,
        *,
        template_id: str = "t",
        name: str = "Summer",
        clock: Clock = "workspace",
        batch_size: int = 50,
        send_at: datetime = NOW + timedelta(hours=15),
    ) -> FrozenAudience:
        return plan(
            self.store,
            audience(recipients),
            campaign=Campaign(
                name=name,
                app_group="Shop",
                template="T",
                group="G",
                schedule=Schedule(at="18:30", every="day", clock=clock),
            ),
            run_date=NIGHT,
            app_group_id="shop",
            template_id=template_id,
            send_at=send_at,
            fingerprint="f" * 64,
            root=self.root,
            user="cron",
            now=self.now,
            batch_size=batch_size,
        )

    def send(
        self,
        poster,
        frozen: FrozenAudience,
        *,
        holder: str = "box:1",
        budget: Budget | None = None,
        why_not: Callable[[FrozenAudience], str | None] = lambda _audience: None,
        identify: Callable[[FrozenAudience, Lease], FrozenAudience] = lambda audience, _lease: audience,
        **settings: Any,
    ) -> DeliveryCounts:
        given: dict[str, Any] = {"window_batches": 4, "concurrency": 1, "max_tries": 3} | settings
        counts = send(
            self.store,
            poster,
            frozen,
            root=self.root,
            clock=self.clock,
            settings=SendSection(**given),
            holder=holder,
            budget=budget,
            sleep=self.sleep,
            draw=lambda: 1.0,
            why_not=why_not,
            identify=identify,
        )
        assert counts.recipients == frozen.recipients
        return counts


def audience(recipients: int, *, code: bool = False) -> pl.DataFrame:
    """So many recipients, with a customer before them who is held out and one who is excluded.

    With `code`, their properties wait for a promotion code.
    """
    told = ',"promo":null' if code else ""
    rows = [
        ("c0 control", "u0 control", "control", None, "{}"),
        ("c0 excluded", "u0 excluded", "excluded", "test", None),
    ]
    rows += [
        (f"c{n:07}", f"u{n:07}", "recipient", None, f'{{"first_name":"Änn {n}","n":{n}{told}}}')
        for n in range(recipients)
    ]
    return pl.DataFrame(rows, schema=AUDIENCE_SCHEMA, orient="row").sort("customer_id")
