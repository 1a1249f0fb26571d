"""`ws.reach_samples`: asks Appboy each night about some customers of each app group, and keeps what it said."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from optinb.appboy import AppboyClient
from optinb.appboy.wire import MAX_EXPORTED
from optinb.delivery.appboy_reach import FIELDS, ReachSample, compared, draw
from optinb.delivery.budget import Budget
from optinb.delivery.reconcile import AN_HOUR, export
from optinb.errors import AppboyError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from optinb.appboy import Exported
    from optinb.base.context import Context
    from optinb.base.settings import AppGroupSettings
    from optinb.delivery.journal.samples import ReachSampleStore
    from optinb.warehouse import Snapshot


class ReachSamples:
    """How far the table of app users is from what Appboy knows, by app."""

    def __init__(
        self, context: Context, store: Callable[[], ReachSampleStore], *, published: Callable[[], Snapshot | None]
    ) -> None:
        """What it needs.

        Args:
            context: the workspace's settings and clock.
            store: where samples are kept; opened when something needs it.
            published: the published version; None before the first import.
        """
        self._context, self._settings, self._store, self._published = context, context.settings, store, published

    def take(self, night: date | None = None, *, app_group: str | None = None) -> tuple[ReachSample, ...]:
        """Asks Appboy about a sample of each app group's customers, and keeps what it said.

        How many are asked about is `reach_sample` under [send]; with 0 nobody is. An app group that can't be asked
        says why, and keeps no other from being asked.

        Args:
            night: under which it is kept; the date of the published delivery when left out.
            app_group: name or id of the only app group; all of them when left out.

        Returns:
            a sample for each app group; nothing before the first import.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        groups = self._settings.app_groups if app_group is None else (self._settings.app_group(app_group),)
        snapshot = self._published()
        if snapshot is None or not self._settings.send.reach_sample:
            return ()
        found = tuple(self._taken(group, snapshot, night or snapshot.import_date) for group in groups)
        for sample in found:
            if not sample.problem:
                self._store().keep(sample)
        return found

    def list(self, app_group: str | None = None) -> tuple[ReachSample, ...]:
        """The samples that were taken, the newest night first.

        Args:
            app_group: name or id of the only app group; all of them when left out.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        return self._store().list(self._settings.app_group(app_group).id if app_group else None)

    def newest(self, app_group: str | None = None) -> tuple[ReachSample, ...]:
        """The newest sample of each app group.

        Args:
            app_group: name or id of the only app group; all of them when left out.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        found: dict[str, ReachSample] = {}
        for sample in self.list(app_group):
            found.setdefault(sample.app_group_id, sample)
        return tuple(found.values())

    def _taken(self, group: AppGroupSettings, snapshot: Snapshot, night: date) -> ReachSample:
        seed = int.from_bytes(blake2b(f"{group.id}|{night}".encode(), digest_size=4).digest())
        drawn = draw(
            snapshot.table("customers"),
            snapshot.table("app_users"),
            group,
            most=self._settings.send.reach_sample,
            seed=seed,
        )
        budget, problem = Budget(an_hour=AN_HOUR, reserve=0.0), ""
        answers: list[Exported] = []
        try:
            with AppboyClient(group, timeout_s=self._settings.send.timeout_s) as client:
                for first in range(0, len(drawn.ids), MAX_EXPORTED):
                    answers += [export(client, drawn.ids[first : first + MAX_EXPORTED], FIELDS, budget)]
        except (AppboyError, SettingsError) as error:
            answers, problem = [], str(error)
        return ReachSample(
            app_group=group.name,
            app_group_id=group.id,
            night=night,
            taken_at=self._context.now(),
            apps=() if problem else compared(drawn, answers, group),
            problem=problem,
        )
