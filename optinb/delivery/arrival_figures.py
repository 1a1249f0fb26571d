"""Appboy's own figures of a night, where they can be told from another campaign's: the witness of what exports say."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from optinb.appboy.client import CallError
from optinb.appboy.outcome import RequestRefused
from optinb.appboy.wire import SERIES_DAYS
from optinb.base.clock import is_pretended
from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.delivery.arrival_alarm import arrival_alarm, series_speaks
from optinb.delivery.confirmation import LONGEST_WAIT
from optinb.delivery.filter_rules import losses
from optinb.delivery.request import last_moment
from optinb.errors import AppboyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    import polars as pl

    from optinb.appboy import AppboyClient
    from optinb.appboy.wire import SeriesDay
    from optinb.delivery.confirmation import TemplateNight
    from optinb.delivery.journal import ConfirmedCounts, FrozenAudience

CLOCK_AHEAD = timedelta(hours=1)
"""By how much this machine's clock may be ahead of Appboy's."""
BY_DAY = 10, 20  # hours of the clock in which messages don't wait for quiet hours to end


class AppboyCount(NamedTuple):
    """How many customers Appboy counts whom a night reached, and how many messages of it bounced."""

    reached: int
    bounced: int


class ArrivalFigures:
    """What one app group's Appboy says of its templates beside its exports, each read once."""

    def __init__(self, client: Callable[[FrozenAudience], AppboyClient], *, zone: ZoneInfo) -> None:
        """Args: `client`: of an audience's app group; `zone`: in which days are told."""
        self._client, self._zone = client, zone
        self._read: dict[tuple[str, str | None], tuple[SeriesDay, ...]] = {}
        self._doubts: dict[str, str | None] = {}

    def why_no_answer_counts(self, audience: FrozenAudience, now: datetime) -> str | None:
        """Why what Appboy would tell of a night's recipients can't be gone by, or None: it is asked for the template.

        An app group that doesn't have the template may have users of the same ids, who got nothing of it. With a clock
        that runs ahead a loss would be final while its message waits.

        Args:
            audience: of the night.
            now: by this machine's clock, in UTC.
        """
        if audience.template_id not in self._doubts:
            self._doubts[audience.template_id] = self._why_doubted(audience, now)
        return self._doubts[audience.template_id]

    def _why_doubted(self, audience: FrozenAudience, now: datetime) -> str | None:
        template, send_id = audience.template_id, audience.send_id
        with self._client(audience) as client:
            # of a key that may not ask for templates, the night's own send_id tells whether it is the right one
            asking: list[Callable[[], object]] = [lambda: client.campaign_details(template)]
            if send_id is not None and _is_told(audience, now):
                asking.append(lambda: client.send_series(template, send_id))
            for ask in asking:
                try:
                    ask()
                except CallError as error:
                    if isinstance(error.outcome, RequestRefused):
                        return (
                            f"the app group that the key opens doesn't have the template {template!r}, or no longer "
                            f"({error}); look in optinb.toml whether the key is that of {client.group.name!r}"
                        )
                    continue  # the questions themselves tell of an Appboy that doesn't answer
                break
            ahead = now - (client.answered_at or now)
        if ahead > CLOCK_AHEAD and not is_pretended():
            return (
                f"this machine's clock is {ahead / timedelta(hours=1):,.0f} hours ahead of Appboy's: messages that are "
                "still to come would be taken for lost; set the clock, then ask again"
            )
        return None

    def counted(self, audience: FrozenAudience, others: Iterable[FrozenAudience], now: datetime) -> AppboyCount | None:
        """How many customers a night reached, be it days later; None where that can't be told, or not any more.

        Args:
            audience: of that night.
            others: the other nights of the same template.
            now: in UTC.
        """
        if not _is_told(audience, now):
            return None
        send_id = audience.send_id
        days = _days(audience, self._zone)
        if send_id is None:
            beside = {other.campaign_id: 1 for other in others if not days.isdisjoint(_days(other, self._zone))}
            if not series_speaks(beside, audience.campaign_id) or audience.campaign_id in beside:
                return None  # another campaign's messages, or another night's, are among them
        try:
            series = self._series(audience, send_id)
        except AppboyError:
            return None
        told = [day for day in series if send_id is not None or _day(day.time) in days]
        return AppboyCount(reached(told), bounced(told)) if told else None

    def knows_nothing_of(self, audience: FrozenAudience) -> bool:
        """Whether nothing at all of a night's template was sent in two weeks, as by a sandbox that began later.

        Args:
            audience: of that night.
        """
        with suppress(AppboyError):
            return not reached(self._series(audience, None))
        return False

    def _series(self, audience: FrozenAudience, send_id: str | None) -> Sequence[SeriesDay]:
        key = (audience.template_id, send_id)
        if key not in self._read:
            with self._client(audience) as client:
                self._read[key] = (
                    client.campaign_series(audience.template_id)
                    if send_id is None
                    else client.send_series(audience.template_id, send_id)
                )
        return self._read[key]


def alarm_of(
    audience: FrozenAudience, template: str, night: TemplateNight
) -> Callable[[pl.DataFrame, ConfirmedCounts], str | None]:
    """What says, by the rows of a night (KNOWN) and its figures, that its template is wrongly set; None where it isn't.

    Args:
        audience: of that night.
        template: its template's name.
        night: what is known of it.
    """

    def told(rows: pl.DataFrame, counts: ConfirmedCounts) -> str | None:
        found = None if rows.is_empty() else losses(rows, night)
        if found is not None and not found.got and not counts.sent and is_by_day(night):
            found = replace(found, waiting=0)  # quiet hours begin later, and a speed limit would let some through
        of = f", variant {audience.variant}" if audience.variant else ""
        alarm = arrival_alarm(
            audience.campaign_name + of,
            template,
            night,
            accepted=counts.recipients,
            sent=counts.sent,
            losses=found,
        )
        return alarm.sentence if alarm else None

    return told


def is_by_day(night: TemplateNight) -> bool:
    """Whether a night's messages go out when nobody sets quiet hours: from 10:00 to 20:00 where most customers are.

    Args:
        night: what is known of it; its `time_zone` is the workspace's.
    """
    if night.clock == "optimal":
        return False
    wall = (
        night.send_at + EARLIEST_ZONE
        if night.clock == "local"
        else night.send_at.astimezone(ZoneInfo(night.time_zone or "UTC"))
    )
    return BY_DAY[0] <= wall.hour < BY_DAY[1]


def _days(audience: FrozenAudience, zone: ZoneInfo) -> frozenset[date]:
    """The days on which messages of a night arrive, those that wait among them."""
    latest = last_moment(audience) + LONGEST_WAIT
    first, last = (at.astimezone(zone).date() for at in (audience.send_at, latest))
    return frozenset(first + timedelta(days=n) for n in range((last - first).days + 1))


def _is_told(audience: FrozenAudience, now: datetime) -> bool:
    """Whether all days of a night are among those that Appboy still tells: of what is left it would count too few."""
    return (now.date() - audience.send_at.date()).days < SERIES_DAYS - 1


def bounced(series: Iterable[SeriesDay]) -> int:
    """How many messages of some days bounced.

    Args:
        series: the days.
    """
    return sum(figures.bounces for day in series for channel in day.messages for figures in day.push(channel))


def reached(series: Iterable[SeriesDay]) -> int:
    """How many customers the messages of some days reached; of one with several phones each has a message of its own.

    Args:
        series: the days.
    """
    return sum(
        day.unique_recipients
        or max((sum(figures.sent for figures in day.push(channel)) for channel in day.messages), default=0)
        for day in series
    )


def _day(text: str) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(text[:10])
    return None
