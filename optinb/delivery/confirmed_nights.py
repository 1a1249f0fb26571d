"""What asking Appboy about earlier nights came to: values for whoever shows it."""

from __future__ import annotations

from datetime import date, datetime
from shlex import quote

from msgspec import Struct

from optinb.appboy.vendor_filters import FILTER_WORDS
from optinb.delivery.confirmation import DIFFERENCE, SEVERAL
from optinb.delivery.journal import UNTOLD, ConfirmedCounts
from optinb.delivery.sampling import ShareTold, share_told
from optinb.errors import Exit

MOST_NAMED = 3
LOSSES: dict[str, str] = {
    **FILTER_WORDS,
    SEVERAL: "is kept from it by more than one of Appboy's filters, and it can't be told by which",
    UNTOLD: "got nothing, and nothing that is known explains it",
}
"""What kept a message from a recipient, by the filter that a confirmation counts."""


class ConfirmedNight(Struct, frozen=True, kw_only=True):
    """What Appboy says of the recipients of a campaign's night.

    Attributes:
        campaign: its name.
        template: the template's name.
        variant: that of the campaign whose message it was; None where it has none.
        run_date: the night.
        send_at: when it went out, in UTC.
        counts: what is known by now; None while nothing is.
        asked_now: of how many recipients it was asked this time.
        is_newest: whether no later night of this campaign is known.
        note: why not everybody was asked about who is to be; None where they were.
        problem: why it couldn't be asked or kept; None where it could.
        over: why its alarm is over, such as who has seen it; None while it isn't.
        is_of_several: whether the campaign sent other messages that night, too.
    """

    campaign: str
    template: str
    run_date: date
    send_at: datetime
    counts: ConfirmedCounts | None = None
    asked_now: int = 0
    is_newest: bool = False
    note: str | None = None
    problem: str | None = None
    over: str | None = None
    variant: str | None = None
    is_of_several: bool = False

    @property
    def title(self) -> str:
        """The campaign; of one with several messages with the template and the variant of this one."""
        if not self.is_of_several and self.variant is None:
            return self.campaign
        return f"{self.campaign} ({self.template}" + (f", variant {self.variant})" if self.variant else ")")

    @property
    def share(self) -> ShareTold | None:
        """The share whom the message reached, of those who are asked about; None where nothing is known.

        Whoever is still to be asked about is open, too: those who were are no sample before all of it is done.
        """
        counts = self.counts
        if counts is None or not (of := min(max(counts.planned, counts.asked), counts.recipients)):
            return None
        still_open = max(of - counts.confirmed - counts.lost, 0)
        return share_told(of, counts.confirmed, counts.recipients, still_open=still_open)

    @property
    def alarm(self) -> str | None:
        """What is wrong with the template; of an earlier night only where no later one is known, until it is over."""
        return None if self.over else self._alarm

    @property
    def past_alarm(self) -> str | None:
        """What was wrong with the template, and why that is over; None where nothing was, or still is."""
        return f"{self._alarm} ({self.over})" if self._alarm and self.over else None

    @property
    def _alarm(self) -> str | None:
        return self.counts.alarm if self.counts and self.is_newest else None


def alarm_words(night: ConfirmedNight) -> str:
    """What is wrong with a night's template, with the command that says that somebody has seen it.

    Args:
        night: one with an alarm.
    """
    command = f"optinb confirm --seen {quote(night.template)} --comment WHY"
    return f"{night.alarm}. `{command}` says that you have seen it, and only a later night like it alarms again"


def _some(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


class CodesGivenBack(Struct, frozen=True, kw_only=True):
    """Promotion codes that went back to their pool, because Appboy filtered the messages that had them.

    Attributes:
        campaign: whose they were.
        run_date: the night.
        pool: its key.
        filtered: how many recipients of that night were filtered.
        codes: how many codes are free by this.
        before: how many of that night had gone back already.
    """

    campaign: str
    run_date: date
    pool: str
    filtered: int
    codes: int
    before: int = 0


class ConfirmedNights(Struct, frozen=True, kw_only=True):
    """What Appboy says of the nights of the last two weeks, the newest first.

    Attributes:
        nights: a campaign and night each, of which something was accepted.
        minutes: how long asking was to take at most.
        notes: what kept it from asking, for all campaigns of an app group together, and what was said before that
            somebody changed, so that it counts as not asked.
    """

    nights: tuple[ConfirmedNight, ...]
    minutes: float
    notes: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[str, ...]:
        """What is wrong with templates, each sentence once, with the command that ends the alarm."""
        return tuple(dict.fromkeys(alarm_words(night) for night in self.nights if night.alarm))

    @property
    def past_alarms(self) -> tuple[str, ...]:
        """What was wrong with templates and is over, each sentence once."""
        return tuple(dict.fromkeys(night.past_alarm for night in self.nights if night.past_alarm))

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong in asking, each sentence once."""
        return tuple(
            dict.fromkeys(f"{n.title!r}, night of {n.run_date}: {n.problem}" for n in self.nights if n.problem)
        )

    @property
    def night_notes(self) -> tuple[str, ...]:
        """Why not everybody was asked about who is to be, by nights, where that isn't said for all together."""
        by_note: dict[str, list[str]] = {}
        for night in self.nights:
            if night.note and not any(note.endswith(f": {night.note}") for note in self.notes):
                by_note.setdefault(night.note, []).append(f"{night.title!r}, night of {night.run_date}")
        return tuple(f"{_some(names)}: {note}" for note, names in by_note.items())

    @property
    def exit_code(self) -> int:
        """6 where a template's messages are filtered, 1 where something couldn't be asked, else 0."""
        if self.alarms:
            return int(Exit.MESSAGES_FILTERED)
        return int(Exit.FAILED if self.problems else Exit.DONE)


def why_open(counts: ConfirmedCounts) -> str | None:
    """Why recipients stay open of whom Appboy told already, or None.

    Args:
        counts: of a night that was asked about.
    """
    if counts.sent is None or counts.filtered or not counts.unconfirmed:
        return None
    if counts.asked < counts.recipients or counts.sent * (1 - DIFFERENCE) <= counts.confirmed:
        return None  # of a sample, or while more are to be asked, the two can't be compared
    return (
        f"Appboy counts {counts.sent:,} people reached and names {counts.confirmed:,} of them so far, so that nothing "
        f"is said of the other {counts.unconfirmed:,} yet"
    )
