"""What Appboy counted of campaigns: messages sent, opened and bounced, by night, day and platform.

Appboy keeps the figures of a send_id for 14 days and goes on changing them, so that a night reads the last 14 days
again. What it never read of them is a gap and is shown as one; what Appboy says otherwise than at first is shown with
what it said.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.appboy import AppboyClient, CallError, RequestLater, RequestRefused, Stopped
from optinb.appboy.wire import SERIES_DAYS
from optinb.base.settings import RehearsedGroup
from optinb.campaigns import id_of
from optinb.delivery.journal import EVERYBODY, FrozenAudience, ReachDay
from optinb.errors import OptinbError, SettingsError, failure
from optinb.measure.campaign_figures import CampaignFigures, FiguresRead, NightFigures, unread_days
from optinb.measure.reach_reading import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optinb.appboy import SeriesDay
    from optinb.base.context import Context
    from optinb.base.settings import AppGroupSettings
    from optinb.delivery.journal import Store

BEGUN = ("accepted", "unknown", "sending")


class ReachFigures:
    """`ws.reach_figures`: reads what Appboy counted, and tells it by campaign."""

    def __init__(
        self, context: Context, store: Store, *, client: Callable[[AppGroupSettings], AppboyClient] | None = None
    ) -> None:
        """Args: `client`: makes the client of an app group; one by the settings when left out."""
        self._context, self._store = context, store
        timeout_s = context.settings.send.timeout_s
        self._client = client or (lambda group: AppboyClient(group, timeout_s=timeout_s))

    def read(self) -> FiguresRead:
        """Asks Appboy for the figures of the last 14 days, of every send_id and of every template that was used.

        What can't be read is told and leaves what was read before; nothing else depends on it.

        Raises:
            StateError: when the store fails.
        """
        audiences = self._lately()
        done: list[tuple[ReachDay, ...]] = []
        problems: list[str] = []
        without_sandbox: list[str] = []
        unknown: list[str] = []
        restated = 0
        for app_group_id in sorted({audience.app_group_id for audience in audiences}):
            mine = [audience for audience in audiences if audience.app_group_id == app_group_id]
            try:
                group = self._context.settings.app_group(app_group_id)
                with self._client(group) as client:
                    for rows in self._series(client, mine, problems, unknown):
                        restated += self._store.reach_days.save(rows)
                        done.append(rows)
            except _NoAppboyError as nobody:
                if nobody.group.is_loopback and not isinstance(nobody.group, RehearsedGroup):
                    without_sandbox.append(nobody.group.name)
                else:
                    problems.append(f"the figures of {nobody.group.name!r} couldn't be read: {nobody}")
            except OptinbError as error:
                problems.append(failure(error, doing="read the figures"))
        if without_sandbox:
            problems.append(
                f"there are no figures of {', '.join(without_sandbox)}, since no sandbox with their keys answers here; "
                "`optinb figures read --rehearse` asks in a rehearsal"
            )
        days = sum(row.platform == EVERYBODY for rows in done for row in rows)
        return FiguresRead(
            series=len(done),
            days=days,
            restated=restated,
            problems=tuple(dict.fromkeys(problems)),
            notes=(f"the sandbox has no figures of {', '.join(unknown)}: it began later",) if unknown else (),
        )

    def of(self, campaign: str) -> CampaignFigures:
        """What Appboy counted of a campaign, as it was read last.

        Args:
            campaign: its name.

        Raises:
            CampaignError: for one that isn't known and has sent nothing.
        """
        known = self._store.campaigns.find(campaign)
        campaign_id = known.id if known else id_of(campaign)
        audiences = self._store.deliveries.list(campaign_id=campaign_id, having=BEGUN)
        name = known.campaign.name if known else (audiences[0].campaign_name if audiences else None)
        if name is None:
            name = self._store.campaigns.get(campaign).campaign.name
        return self._told(name, audiences)

    def lately(self) -> tuple[CampaignFigures, ...]:
        """The figures of each campaign that was sent in the last 14 days, of these nights, by name."""
        audiences = self._lately()
        names = {audience.of_campaign: audience.campaign_name for audience in audiences}
        by_name = sorted(names.items(), key=lambda item: item[1])
        return tuple(self._told(name, [a for a in audiences if a.of_campaign == key]) for key, name in by_name)

    def _lately(self) -> tuple[FrozenAudience, ...]:
        """What was sent, and may have arrived, in the last 14 days."""
        now = self._context.now()
        since = (now - timedelta(days=SERIES_DAYS + 1)).date()
        found = self._store.deliveries.list(since=since, having=BEGUN)
        return tuple(audience for audience in found if audience.send_at <= now and _is_lately(audience, now))

    def _series(
        self, client: AppboyClient, audiences: Sequence[FrozenAudience], problems: list[str], unknown: list[str]
    ) -> Iterator[tuple[ReachDay, ...]]:
        """The rows of each series of an app group; what can't be read becomes a problem.

        Nights that the sandbox of a rehearsal doesn't know, since it began later, are `unknown`; of their templates it
        would tell days on which it counted nothing, because it wasn't there.

        Raises _NoAppboyError where nobody can be asked at all.
        """
        beyond: set[str] = set()
        nights = [
            (_row_of(a, send_id=a.send_id, read_at=self._context.now()), _reader(client.send_series, a.send_id))
            for a in audiences
            if a.send_id
        ]
        templates = {a.template_id: a for a in audiences}.values()
        whole = [
            (_row_of(a, read_at=self._context.now()), lambda template: client.campaign_series(template))
            for a in templates
        ]
        for asked in (nights, whole):
            for of, read in asked:
                if not of.send_id and of.template_id in beyond:
                    continue
                try:
                    yield rows_of(read(of.template_id), of=of)
                except OptinbError as error:
                    if _is_nobody(error):
                        raise _NoAppboyError(str(error), client.group) from error
                    if of.send_id and isinstance(client.group, RehearsedGroup) and _is_refused(error):
                        beyond.add(of.template_id)
                        unknown.append(self._named(of))
                        continue
                    problems.append(f"the figures of {self._named(of)} couldn't be read: {error}")
                    # what stops one of a kind stops all of it
                    if isinstance(error, CallError) and isinstance(error.outcome, Stopped | RequestLater):
                        break

    def _named(self, of: ReachDay) -> str:
        if of.campaign_id is None or of.run_date is None:
            return f"the template {self._store.templates.names().get(of.template_id, of.template_id)!r}"
        audience = self._store.deliveries.find(of.campaign_id, of.run_date)
        return f"{audience.campaign_name!r}, night of {of.run_date}" if audience else f"{of.send_id}"

    def _told(self, name: str, audiences: Sequence[FrozenAudience]) -> CampaignFigures:
        now, names = self._context.now(), self._store.templates.names()
        begun = [audience for audience in audiences if audience.send_at <= now]
        own = [audience for audience in begun if audience.send_id]
        rows = self._store.reach_days.of_campaign(own[0].of_campaign) if own else ()
        by_id: defaultdict[str, list[ReachDay]] = defaultdict(list)
        for row in rows:
            by_id[row.send_id].append(row)
        nights = [self._night(a, by_id[a.send_id or ""], names=names, now=now) for a in own]
        shared = [audience for audience in begun if not audience.send_id]
        templates = {(a.app_group_id, a.template_id): [] for a in shared}
        for audience in shared:
            templates[audience.app_group_id, audience.template_id].append(audience)
        whole = [self._whole(*key, of, names=names, now=now) for key, of in templates.items()]
        return CampaignFigures(campaign=name, nights=tuple(nights), templates=tuple(whole))

    def _night(
        self, audience: FrozenAudience, rows: Sequence[ReachDay], *, names: Mapping[str, str], now: datetime
    ) -> NightFigures:
        return NightFigures(
            template=names.get(audience.template_id, audience.template_id),
            variant=audience.variant,
            run_date=audience.run_date,
            accepted=self._store.deliveries.counts(*audience.night).accepted,
            days=tuple(rows),
            unread=unread_days([audience], rows, now=now),
            can_be_read=_is_lately(audience, now),
        )

    def _whole(
        self,
        app_group_id: str,
        template_id: str,
        audiences: Sequence[FrozenAudience],
        *,
        names: Mapping[str, str],
        now: datetime,
    ) -> NightFigures:
        first = min(audience.send_at for audience in audiences).astimezone(UTC).date()
        everything = self._store.reach_days.of_template(app_group_id, template_id)
        rows = [row for row in everything if row.day >= first]
        return NightFigures(
            template=names.get(template_id, template_id),
            accepted=sum(self._store.deliveries.counts(*audience.night).accepted for audience in audiences),
            days=tuple(rows),
            unread=unread_days(audiences, rows, now=now),
            can_be_read=any(_is_lately(audience, now) for audience in audiences),
        )


class _NoAppboyError(OptinbError):
    """Nobody can be asked about an app group: there is no key, or nothing answers at its address."""

    def __init__(self, message: str, group: AppGroupSettings) -> None:
        super().__init__(message)
        self.group = group


def _is_nobody(error: OptinbError) -> bool:
    """Whether an error says that nobody can be asked about this app group, whatever it is asked."""
    if isinstance(error, CallError):
        return isinstance(error.outcome, RequestLater) and error.outcome.cause == "not_sent"
    return isinstance(error, SettingsError)


def _is_refused(error: OptinbError) -> bool:
    return isinstance(error, CallError) and isinstance(error.outcome, RequestRefused)


def _reader(send_series: Callable[..., tuple[SeriesDay, ...]], send_id: str) -> Callable[[str], tuple[SeriesDay, ...]]:
    return lambda template: send_series(template, send_id)


def _is_lately(audience: FrozenAudience, now: datetime) -> bool:
    """Whether Appboy is asked about what went out then."""
    return now - timedelta(days=SERIES_DAYS) <= audience.send_at


def _row_of(audience: FrozenAudience, *, send_id: str | None = None, read_at: datetime) -> ReachDay:
    """An empty row that says what the figures of a series are of."""
    of = ReachDay(
        app_group_id=audience.app_group_id,
        template_id=audience.template_id,
        day=audience.run_date,
        platform=EVERYBODY,
        read_at=read_at,
    )
    if send_id is None:
        return of
    return replace(of, send_id=send_id, campaign_id=audience.campaign_id, run_date=audience.run_date)
