"""Whom Appboy would filter behind a success, as far as it can be told beforehand by what people state. Pure.

When a message arrives is known as a span: Appboy delivers up to half an hour after the scheduled time, later in quiet
hours and behind a speed limit, and at a time of its own choice where the schedule asks for it. Whatever a customer may
have got at the last moment of one span and at the first of another counts as too soon.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct

from optinb.appboy.template_rules import UNSTATED, TemplateRules, VendorCap, VendorQuietHours
from optinb.campaigns.eligibility import LATE
from optinb.campaigns.schedule import Clock

LONGEST_WAIT = timedelta(hours=72)  # behind a speed limit, after which Appboy gives a message up
DAYS_BACK = {"day": 0, "week": 6}


class ReceiptSpan(NamedTuple):
    """The first and the last moment, in UTC, at which a message may reach somebody."""

    first: datetime
    last: datetime

    def days(self, zone: str) -> tuple[date, date]:
        """The days of both in a time zone."""
        first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in self)
        return first, last


class TemplateSending(Struct, frozen=True, kw_only=True):
    """A campaign's messages of one night: as which template they go out, and when.

    `wall` is the day and time of day that a clock shows then: the workspace's, or each customer's own. `rules` are
    those that are stated of the template, and `recipients` counts them as far as they are known.
    """

    app_group_id: str
    template_id: str
    clock: Clock
    wall: datetime
    rules: TemplateRules = UNSTATED
    recipients: int = 0

    def span(self, zone: str, *, workspace: str) -> ReceiptSpan:
        """When it reaches customers of a time zone; `workspace` is the zone of the workspace."""
        match self.clock:
            case "workspace":
                first = _moment(self.wall, workspace)
                last = first
            case "local":
                first = _moment(self.wall, zone)
                last = first
            case "optimal":
                midnight = datetime.combine(self.wall.date(), time.min)
                first, last = _moment(midnight, zone), _moment(midnight + timedelta(days=1), zone)
            case _:
                assert_never(self.clock)
        last += LATE + self._waiting()
        quiet = self.rules.quiet_hours
        if isinstance(quiet, VendorQuietHours) and quiet.then == "later":
            first, last = _after_quiet(quiet, zone, first), _after_quiet(quiet, zone, last)
        return ReceiptSpan(first, last)

    def _waiting(self) -> timedelta:
        """How long its last message waits behind the speed limit."""
        limit = self.rules.messages_a_minute
        if not isinstance(limit, int):
            return timedelta(0)
        return min(timedelta(minutes=self.recipients // limit), LONGEST_WAIT)


def is_too_soon(one: ReceiptSpan, other: ReceiptSpan, window: timedelta | None) -> bool:
    """Whether Appboy may filter the later of two messages of one template to a customer.

    `window`: how long after a receipt the customer may get it again; None: never.
    """
    if window is None:
        return True
    return window > timedelta(0) and max(one.first - other.last, other.first - one.last) < window


def is_counted(cap: VendorCap, contact: ReceiptSpan, tonight: ReceiptSpan, zone: str) -> bool:
    """Whether a message counts against a cap for another of tonight, by the calendar of a time zone.

    A week is seven days that end with the day of either, so that none that was promised is crowded out by one before.
    """
    within = timedelta(days=DAYS_BACK[cap.per])
    (first, last), (begin, end) = contact.days(zone), tonight.days(zone)
    return first - within <= end and last + within >= begin


def is_exempt(rules: TemplateRules) -> bool:
    """Whether messages of a template don't count for frequency caps, since somebody states that it has none."""
    return rules.caps is not UNSET and not rules.caps


def why_too_many(rules: TemplateRules, template: str, recipients: int) -> str | None:
    """What follows where a template has more recipients than Appboy sends it to, or None."""
    most = rules.max_users
    if not isinstance(most, int) or recipients <= most:
        return None
    return (
        f"{recipients:,} recipients are more than the {most:,} customers that Appboy sends the template {template!r} "
        "to: the others get nothing, and nobody can tell beforehand who they are"
    )


def _moment(wall: datetime, zone: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _after_quiet(hours: VendorQuietHours, zone: str, at: datetime) -> datetime:
    """A moment, or the end of the quiet hours into which it falls."""
    local = at.astimezone(ZoneInfo(zone))
    now, over_midnight = local.time(), hours.start > hours.end
    if not (now >= hours.start or now < hours.end if over_midnight else hours.start <= now < hours.end):
        return at
    day = local.date() + timedelta(days=over_midnight and now >= hours.start)
    return max(at, _moment(datetime.combine(day, hours.end), zone))
