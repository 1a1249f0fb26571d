"""When a campaign goes out: once, or again and again, on whose clock, and what its days are. Pure.

Two rules settle local times that the clocks skip or repeat: one that is skipped in spring moves forward by the missing
hour, one that comes twice in autumn is taken the first time. Appboy resolves times of a customer's own zone itself; the
same rules are shown for them.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, assert_never
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from optinb.base.figures import day as in_words
from optinb.errors import CampaignError

MAX_DAYS_AHEAD = 90
LOOK_AHEAD_DAYS = 366  # a schedule that finds no day within a leap year finds none
Clock = Literal["workspace", "local", "optimal"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Kiritimati: nowhere on earth is the same hour earlier.
EARLIEST_ZONE = timedelta(hours=14)


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The days and the time of a campaign.

    Attributes:
        at: time of day, "HH:MM"; with the clock "optimal" only the day counts.
        date: of a campaign that goes out once.
        every: of one that goes out again: every day, week or month.
        step: every so many days, counted from `start`.
        days: of the week.
        day: of the month; a month that is shorter takes its last day, as "last" always does.
        clock: "workspace": one moment for all; "local": when each customer's own clock shows `at`; "optimal": when
            Appboy thinks that each customer is most likely to look. The last two are scheduled in the night before
            their day, because the day begins 14 hours earlier in the Pacific than in Greenwich.
        start, end: the first and the last day, both included.
        blackout: days on which nothing goes out.
    """

    at: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    every: Literal["day", "week", "month"] | None = None
    date: date | None = None
    step: Annotated[int, Meta(ge=1, le=366)] = 1
    days: tuple[Weekday, ...] = ()
    day: Annotated[int, Meta(ge=1, le=31)] | Literal["last"] | None = None
    clock: Clock = "workspace"
    start: date | None = None
    end: date | None = None
    blackout: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        if (self.every is None) == (self.date is None):
            raise ValueError('give either every = "day", "week" or "month", or date = "YYYY-MM-DD"')
        if (self.every == "week") != bool(self.days):
            raise ValueError('days and every = "week" go together, such as days = ["monday", "thursday"]')
        if (self.every == "month") != (self.day is not None):
            raise ValueError('day and every = "month" go together, such as day = 15, or day = "last"')
        if self.step > 1 and (self.every != "day" or self.start is None):
            raise ValueError('step counts days from start: it needs every = "day" and start = "YYYY-MM-DD"')
        if self.date is not None and (self.start, self.end, self.blackout) != (None, None, ()):
            raise ValueError("a campaign that goes out once has neither start nor end nor blackout")
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"it ends on {self.end}, before it starts on {self.start}")

    @property
    def time(self) -> time:
        """The time of day."""
        return time.fromisoformat(self.at)

    def goes_out_on(self, day: date) -> bool:
        """Whether messages go out on a day."""
        if self.date is not None:
            return self.date == day
        if (self.start and day < self.start) or (self.end and day > self.end) or day in self.blackout:
            return False
        match self.every:
            case "day":
                return self.start is None or (day - self.start).days % self.step == 0
            case "week":
                return WEEKDAYS[day.weekday()] in self.days
            case "month":
                last = monthrange(day.year, day.month)[1]
                return day.day == (last if self.day in ("last", None) else min(int(self.day), last))
            case None:
                return False
            case _:
                assert_never(self.every)

    def day_of(self, night: date) -> date:
        """The day of the messages that a night schedules."""
        return night if self.clock == "workspace" else night + timedelta(days=1)

    def night_of(self, day: date) -> date:
        """The night that schedules the messages of a day."""
        return day if self.clock == "workspace" else day - timedelta(days=1)

    def is_due(self, night: date) -> bool:
        """Whether this night schedules the campaign."""
        return self.goes_out_on(self.day_of(night))

    def nights(self, since: date, *, days: int = LOOK_AHEAD_DAYS) -> Iterator[date]:
        """The nights that schedule it, from a day on and for so many days; a single date is found however far."""
        if self.date is not None:
            night = self.night_of(self.date)
            if night >= since:
                yield night
            return
        yield from (night for n in range(days) if self.is_due(night := since + timedelta(days=n)))

    def send_at(self, night: date, zone: ZoneInfo) -> datetime:
        """The moment, in UTC, of what a night schedules; of customers' own times, the one of the earliest zone."""
        wall = datetime.combine(self.day_of(night), self.time)
        match self.clock:
            case "workspace":
                return wall.replace(tzinfo=zone).astimezone(UTC)
            case "local":
                return wall.replace(tzinfo=UTC) - EARLIEST_ZONE
            case "optimal":
                return datetime.combine(wall.date(), time.min, tzinfo=UTC) - EARLIEST_ZONE
            case _:
                assert_never(self.clock)

    def sentence(self) -> str:
        """The schedule in words."""
        clock = {
            "workspace": f"at {self.at}",
            "local": f"at {self.at} of each customer's own clock",
            "optimal": "at the time of day that Appboy finds best for each customer",
        }[self.clock]
        words = [self._days(), clock]
        if self.start and self.step == 1:
            words.append(f"from {in_words(self.start)}")
        if self.end:
            words.append(f"until {in_words(self.end)}")
        if self.blackout:
            words.append(f"but not on {', '.join(map(in_words, sorted(self.blackout)))}")
        return " ".join(words)

    def _days(self) -> str:
        match self.every:
            case None:
                return f"on {in_words(self.date)}" if self.date else "on a date"
            case "day":
                since = f" from {in_words(self.start)} on" if self.start else ""
                return "every day" if self.step == 1 else f"every {self.step} days{since}"
            case "week":
                named = [day.capitalize() for day in WEEKDAYS if day in self.days]
                return f"every {named[0]}" if len(named) == 1 else f"every {', '.join(named[:-1])} and {named[-1]}"
            case "month":
                return "on the last day of every month" if self.day == "last" else f"on day {self.day} of every month"
            case _:
                assert_never(self.every)


class SendTime(Struct, frozen=True, kw_only=True):
    """When the customers of one time zone get the message.

    `wall` is what their clocks show then, `at` the moment in UTC (None where Appboy chooses it); `shift` says what the
    change of the clocks did: "skipped" or "twice".
    """

    zone: str
    customers: int
    wall: str
    at: datetime | None
    shift: Literal["skipped", "twice"] | None = None


def shift_of(day: date, at: time, zone: ZoneInfo) -> Literal["skipped", "twice"] | None:
    """What a change of the clocks does to a local time."""
    early, late = (datetime.combine(day, at, tzinfo=zone).replace(fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return None
    back = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    return "twice" if back == early.replace(tzinfo=None) else "skipped"


def send_times(
    schedule: Schedule, night: date, *, zone: ZoneInfo, customers: Mapping[str | None, int]
) -> tuple[SendTime, ...]:
    """When the customers of each zone get what a night schedules, the largest zone first.

    Args:
        schedule: of the campaign.
        night: that schedules it.
        zone: of the workspace; it stands in for customers whose zone isn't known.
        customers: how many there are in each IANA zone; None are those without one.
    """
    counts: dict[str, int] = {}
    for name, count in customers.items():
        counts[name or zone.key] = counts.get(name or zone.key, 0) + count
    day = schedule.day_of(night)
    found = []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if schedule.clock == "optimal":
            found.append(SendTime(zone=name, customers=count, wall=f"{day} at Appboy's time", at=None))
            continue
        whose = ZoneInfo(name) if schedule.clock == "local" else zone
        moment = datetime.combine(day, schedule.time, tzinfo=whose).astimezone(UTC)
        found.append(
            SendTime(
                zone=name,
                customers=count,
                wall=f"{moment.astimezone(ZoneInfo(name)):%Y-%m-%d %H:%M}",
                at=moment,
                shift=shift_of(day, schedule.time, whose),
            )
        )
    return tuple(found)


def check_schedule(schedule: Schedule, *, now: datetime, zone: ZoneInfo) -> None:
    """Refuses a schedule that lies in the past, never goes out, or first does beyond Appboy's documented 90 days.

    Raises CampaignError.
    """
    today = now.astimezone(zone).date()
    if schedule.date is not None:
        moment = schedule.send_at(schedule.night_of(schedule.date), zone)
        if moment <= now:
            whose = "" if schedule.clock == "workspace" else " for the customers whose day begins first"
            raise CampaignError(
                f"the send time {schedule.date} {schedule.at} has passed{whose} (it is "
                f"{now.astimezone(zone):%Y-%m-%d %H:%M} in {zone.key}); choose a later one",
                field="schedule.date",
            )
        if moment > now + timedelta(days=MAX_DAYS_AHEAD):
            raise CampaignError(
                f"{schedule.date} is more than {MAX_DAYS_AHEAD} days ahead; choose an earlier date",
                field="schedule.date",
            )
        return
    if schedule.end and schedule.end < today:
        raise CampaignError(
            f"the schedule ended on {schedule.end}, and today is {today}; choose a later end", field="schedule.end"
        )
    since = max(today, schedule.night_of(schedule.start)) if schedule.start else today
    ahead = (night for night in schedule.nights(since) if schedule.send_at(night, zone) > now)
    if next(ahead, None) is None:
        raise CampaignError(
            f"a campaign that goes out {schedule.sentence()} has no day left to do so; change end or blackout",
            field="schedule.end",
        )
