"""What Appboy counted of campaigns, as values: by night, day and platform, with gaps and what was said first. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy.wire import SERIES_DAYS
from optinb.delivery.journal import EVERYBODY, ReachDay, end_of
from optinb.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.delivery.journal import FrozenAudience


class FiguresRead(Struct, frozen=True, kw_only=True):
    """What a reading of figures brought.

    Attributes:
        series: how many answers were read, of send_ids and of templates.
        days: how many days they told of.
        restated: how many figures of days that were over Appboy tells otherwise than at the last reading.
        problems: what couldn't be read and why, in sentences.
        notes: of which nights there are no figures, as in a rehearsal whose sandbox began later, in sentences.
    """

    series: int = 0
    days: int = 0
    restated: int = 0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where something couldn't be read."""
        return int(Exit.FAILED if self.problems else Exit.DONE)


class NightFigures(Struct, frozen=True, kw_only=True):
    """What Appboy counted of one message of a campaign's night, by its send_id, or of a whole template.

    Attributes:
        template: its name, or its id where the workspace doesn't know it.
        variant: that of the campaign whose message it was; None where it has none, and for a whole template.
        run_date: the night; None for a whole template, which other campaigns may share.
        accepted: the customers whose requests Appboy took: of the night, or of all this campaign's with the template.
        days: a row for each day and platform.
        unread: the days whose figures were never read after they were over.
        can_be_read: whether a reading may still bring some, which Appboy keeps for 14 days.
    """

    template: str
    run_date: date | None = None
    accepted: int = 0
    days: tuple[ReachDay, ...] = ()
    unread: tuple[date, ...] = ()
    can_be_read: bool = True
    variant: str | None = None

    @property
    def by_platform(self) -> tuple[ReachDay, ...]:
        """The rows that count messages."""
        return tuple(row for row in self.days if row.platform != EVERYBODY)

    def total(self, figure: str) -> int | None:
        """The sum of a figure over days and platforms, such as `sent`; None while nobody has read any.

        Args:
            figure: a field of `ReachDay`.
        """
        if not self.days:
            return None
        return sum(getattr(row, figure) or 0 for row in self.days)

    @property
    def restated(self) -> int:
        """How many figures Appboy tells otherwise than it did first."""
        return sum(len(row.said_first or ()) for row in self.days)


class CampaignFigures(Struct, frozen=True, kw_only=True):
    """What Appboy counted of a campaign.

    Attributes:
        campaign: its name.
        nights: those whose figures are its own, the newest first.
        templates: the whole templates that its other nights went out with, whose figures aren't its own alone.
    """

    campaign: str
    nights: tuple[NightFigures, ...] = ()
    templates: tuple[NightFigures, ...] = ()

    def message_of(self, night: NightFigures) -> str:
        """Which of several messages of its night figures are of, as the end of a title; nothing where it had one.

        Args:
            night: one of `nights`.
        """
        if night.variant is None and sum(other.run_date == night.run_date for other in self.nights) < 2:
            return ""
        return f", {night.template}" + (f", variant {night.variant}" if night.variant else "")


class CampaignReach(Struct, frozen=True, kw_only=True):
    """A campaign's figures in one line, over its nights of the last days: customers accepted, people and messages.

    Of a campaign with several messages customers and people are counted for each message.
    What Appboy counts is None while nobody has asked it.

    Attributes:
        is_shared: whether they are of whole templates, which other campaigns may share.
        unread: how many days were never read.
        restated: how many figures Appboy tells otherwise than it did first.
        can_be_read: whether a reading may still bring some.
    """

    campaign: str
    accepted: int
    unique_recipients: int | None
    sent: int | None
    direct_opens: int | None
    total_opens: int | None
    bounces: int | None
    is_shared: bool = False
    unread: int = 0
    restated: int = 0
    can_be_read: bool = True


def in_one_line(figures: CampaignFigures) -> CampaignReach:
    """The sums of a campaign: of its own nights, and only where there are none of whole templates."""
    rows = figures.nights or figures.templates
    read = [row for row in rows if row.days]
    names = ("unique_recipients", "sent", "direct_opens", "total_opens", "bounces")
    return CampaignReach(
        campaign=figures.campaign,
        accepted=sum(row.accepted for row in rows),
        **{name: sum(row.total(name) or 0 for row in read) if read else None for name in names},
        is_shared=not figures.nights,
        unread=sum(len(row.unread) for row in rows),
        restated=sum(row.restated for row in rows),
        can_be_read=any(row.can_be_read for row in rows),
    )


def unread_days(audiences: Iterable[FrozenAudience], rows: Iterable[ReachDay], *, now: datetime) -> tuple[date, ...]:
    """The days on which something may have come of sends, and whose figures nobody read after they were over.

    One that was read while it was under way is given another day after its end: the night after it reads it.
    """
    read = {row.day: row for row in rows if row.platform == EVERYBODY}
    wanted = {
        sent + timedelta(days=later)
        for sent in (audience.send_at.astimezone(UTC).date() for audience in audiences)
        for later in range(SERIES_DAYS)
    }
    today = now.astimezone(UTC).date()

    def is_unread(day: date) -> bool:
        if day not in read:
            return day < today
        return not read[day].is_whole and now >= end_of(day) + timedelta(days=1)

    return tuple(day for day in sorted(wanted) if is_unread(day))
