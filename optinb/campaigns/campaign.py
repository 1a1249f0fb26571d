"""What a campaign is: values only, the same in a file, in Python and in the store."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from optinb.errors import CampaignError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

CHANNEL = "Appboy Push"
Scalar = str | int | float | bool
MAX_DAYS_AHEAD = 90
MAX_PROPERTY_LENGTH = 4_000  # the whole payload of an Android push may have 4,000 bytes


class _Value(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that knows no field but its own."""


class Property(_Value, frozen=True):
    """Where one trigger property of the template comes from: a fixed value, or an attribute with a default.

    Without a default, a customer whose attribute is empty is left out of the audience.
    """

    value: Scalar | None = None
    attribute: str | None = None
    default: Scalar | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.attribute is None):
            raise ValueError("give either value or attribute")
        if self.value is not None and self.default is not None:
            raise ValueError("a fixed value needs no default")
        for text in (self.value, self.default):
            if isinstance(text, float) and not math.isfinite(text):
                raise ValueError(f"{text} is no value that a message can show")
            if isinstance(text, str) and len(text) > MAX_PROPERTY_LENGTH:
                raise ValueError(f"has {len(text):,} characters; a push message holds at most {MAX_PROPERTY_LENGTH:,}")


class Schedule(_Value, frozen=True):
    """When a campaign goes out: on one date, or every day; `at` is local time in the workspace's zone."""

    at: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    every: Literal["day"] | None = None
    date: date | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.date is None):
            raise ValueError('give either every = "day" or date = "YYYY-MM-DD"')

    def is_due(self, night: date) -> bool:
        """Whether the campaign goes out on this date."""
        return self.date == night if self.date else True

    def send_at(self, night: date, zone: ZoneInfo) -> datetime:
        """The moment of sending on a date, in UTC.

        A local time that the clocks skip in spring is moved forward by the hour that is missing; one that comes twice
        in autumn is taken the first time.
        """
        local = datetime.combine(night, time.fromisoformat(self.at), tzinfo=zone)
        return local.astimezone(UTC)

    def sentence(self) -> str:
        """The schedule in words."""
        return f"every day at {self.at}" if self.every else f"on {self.date} at {self.at}"


class Campaign(_Value, frozen=True):
    """A planned campaign: target group, app group, template, offer values and schedule."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    app_group: str
    template: str
    group: str
    schedule: Schedule
    channel: str = CHANNEL
    control: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    properties: dict[str, Property] = field(default_factory=dict)
    notes: str = ""

    def __post_init__(self) -> None:
        if self.channel != CHANNEL:
            raise ValueError(f"channel {self.channel!r} isn't known; there is {CHANNEL!r}")
        if not self.name.strip() or self.name != self.name.strip() or not self.name.isprintable():
            raise ValueError(f"name {self.name!r} must be printable and neither begin nor end with a space")

    @property
    def id(self) -> str:
        """Stable identifier made from the name, which is unique: 12 hexadecimal digits.

        It salts the control group and keys the journal, so that a campaign that is submitted again under its name
        keeps its control group and can't reach the same customers twice in a night.
        """
        return sha256(self.name.casefold().encode()).hexdigest()[:12]

    @property
    def slug(self) -> str:
        """A file name for this campaign."""
        words = re.sub(r"[^a-z0-9]+", "-", self.name.casefold()).strip("-")[:40].strip("-")
        return f"{words}-{self.id[:6]}" if words else self.id


def read_campaign(path: Path) -> Campaign:
    """Reads `campaign.toml`. Raises CampaignError naming file, field, value and remedy."""
    import tomllib

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CampaignError(f"the campaign file {path} isn't there") from error
    except OSError as error:
        raise CampaignError(f"the campaign file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CampaignError(f"{path} isn't valid TOML: {error}; texts need quotes") from error
    return campaign_from(raw, source=str(path))


def campaign_from(raw: Mapping[str, Any], *, source: str = "campaign") -> Campaign:
    """Checks the fields of a campaign. Raises CampaignError naming the field, the value and the remedy."""
    try:
        return msgspec.convert(dict(raw), Campaign)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        place = where.strip("`").lstrip(".")
        unknown = re.search(r"unknown field `(.+?)`", message)
        if unknown:
            kinds = {"schedule": Schedule, "": Campaign}
            known = getattr(kinds.get(place, Property), "__struct_fields__", ())
            message = f"{unknown[1]!r} is no field here{did_you_mean(unknown[1], known)}"
        if place == "schedule.at":
            message = 'the time must be written as "HH:MM", such as "18:30"'
        if place == "control":
            message = "the control share must be at least 0 and less than 1, such as 0.1 for ten percent"
        raise CampaignError(f"{source}: {place + ': ' if place else ''}{message}") from error


def check_schedule(schedule: Schedule, *, now: datetime, zone: ZoneInfo) -> None:
    """Refuses a date that has passed or lies more than 90 days ahead (Appboy's documented limit).

    Raises CampaignError.
    """
    if schedule.date is None:
        return
    moment = schedule.send_at(schedule.date, zone)
    if moment <= now:
        raise CampaignError(
            f"the send time {schedule.date} {schedule.at} has passed (it is {now.astimezone(zone):%Y-%m-%d %H:%M} in "
            f"{zone.key}); choose a later one"
        )
    if moment > now + timedelta(days=MAX_DAYS_AHEAD):
        raise CampaignError(f"{schedule.date} is more than {MAX_DAYS_AHEAD} days ahead; choose an earlier date")
