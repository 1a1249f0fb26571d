"""What the tests of confirming need: a store, a real sandbox over HTTP, and the service that asks it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from delivery_desk import KEY_NAME, NIGHT, Desk, audience

from optinb.appboy import AppboyClient
from optinb.appboy.template_import import Templates
from optinb.base.context import Context
from optinb.base.settings import AppGroupSettings, AppSettings, Settings
from optinb.campaigns import Campaign, Offer, Property, Schedule
from optinb.delivery import AuditCheckpoints, ContactHistory, plan
from optinb.delivery.asking import Ticking
from optinb.delivery.confirming import Confirming

if TYPE_CHECKING:
    from datetime import date, datetime

    from optinb.delivery import FrozenAudience
    from optinb.sandbox import Sandbox, World

APPS = tuple(AppSettings(id=f"app-{platform}", name=platform, platform=platform) for platform in ("ios", "android"))


class ConfirmingDesk:
    """A workspace's service over HTTP: nights are planned and sent at their time, and asked about afterwards."""

    def __init__(self, desk: Desk, sandbox: Sandbox, world: World) -> None:
        group = world.group("Shop")
        self.desk, self.sandbox, self.world = desk, sandbox, world
        self.group = AppGroupSettings(id=group.id, name="Shop", api=sandbox.url, key=f"env:{KEY_NAME}", apps=APPS)
        settings = Settings(app_groups=(self.group,))
        self.context = Context(desk.root, settings, now=desk.clock, user="ann")
        self.history = ContactHistory(desk.root, desk.store)
        self.waits: list[float] = []
        self.ahead = 0.0
        self.confirming = Confirming(
            self.context,
            desk.store,
            contacts=self.history,
            checkpoints=AuditCheckpoints(self.context, desk.store),
            client=self.client,
            ticks=Ticking(clock=lambda: time.time() + self.ahead, sleep=self.sleep),
        )
        self.templates = Templates(self.context, desk.store.templates, desk.store.statements, desk.store.runs)
        self.templates.sync()

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.ahead += seconds
        self.sandbox.move_clock(to=self.sandbox.clock.now() + timedelta(seconds=max(seconds, 1.0)))

    def client(self, _audience: FrozenAudience | None = None) -> AppboyClient:
        return AppboyClient(self.group, timeout_s=10)

    def night(
        self,
        recipients: int,
        *,
        template: int = 0,
        name: str = "Summer",
        run_date: date = NIGHT,
        codes: str | None = None,
        over_since: timedelta = timedelta(hours=9),
    ) -> FrozenAudience:
        """A night that is sent to so many, and over since some hours."""
        send_at = self.desk.now.replace(hour=17) + (run_date - self.desk.now.date())
        frozen = self.plan(recipients, template=template, name=name, run_date=run_date, send_at=send_at, codes=codes)
        with self.client() as client:
            assert self.desk.send(client, frozen, concurrency=4).accepted == recipients
        self.go(send_at + over_since)
        return frozen

    def plan(
        self,
        recipients: int,
        *,
        send_at: datetime,
        template: int = 0,
        name: str = "Summer",
        run_date: date = NIGHT,
        codes: str | None = None,
    ) -> FrozenAudience:
        """A night that is frozen and still to be sent."""
        return plan(
            self.desk.store,
            audience(recipients, code=codes is not None),
            campaign=Campaign(
                name=name,
                app_group="Shop",
                template="T",
                group="G",
                schedule=Schedule(at="18:30", every="day"),
                offer=Offer(name="Ten", kind="discount", codes=codes) if codes else None,
                properties={"promo": Property(offer="code")} if codes else {},
            ),
            run_date=run_date,
            app_group_id=self.group.id,
            template_id=self.world.group("Shop").campaigns[template].id,
            send_at=send_at,
            fingerprint="f" * 64,
            root=self.desk.root,
            user="cron",
            now=self.desk.now,
        )

    def go(self, to: datetime) -> None:
        """Lets the time come, here and there."""
        self.desk.now = to
        self.sandbox.move_clock(to=to)

    def fates(self, frozen: FrozenAudience) -> dict[str, str]:
        """What really became of everybody in the newest request that named them, by the sandbox."""
        found = self.world.fates(frozen.template_id, self.desk.now)
        return {fate.external_user_id: fate.state for fate in found}

    def statuses(self, frozen: FrozenAudience) -> dict[str, str]:
        """What the contact history says of each recipient."""
        rows = self.history.rows(frozen, ("external_user_id", "role", "status"))
        return {user: status for user, role, status in rows.iter_rows() if role == "recipient"}
