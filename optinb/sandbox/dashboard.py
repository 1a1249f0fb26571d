"""What a team has set up at Appboy, as frozen values: app groups with their keys, campaigns and users.

Each switch behind which Appboy drops a message that it accepted stands where the dashboard has it: on the campaign or
on the app group. `optinb.sandbox.filters` says what each of them does.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

CHANNEL_OF = {"ios": "ios_push", "android": "android_push", "kindle": "kindle_push", "web": "web_push"}
PLATFORM_OF = {channel: platform for platform, channel in CHANNEL_OF.items()}
LONGEST_WINDOW_S = 720 * 86_400
Share = Annotated[float, Meta(ge=0, le=1)]


def check_zone(name: str) -> None:
    """Raises ValueError for what is no IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is no time zone; write an IANA name such as 'Europe/Berlin'") from error


def chance(text: str) -> float:
    """A number from 0 up to 1, always the same for the same text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A REST API key; `permissions` None means all of them, no `allowed_addresses` means from anywhere."""

    key: str
    permissions: tuple[str, ...] | None = None
    allowed_addresses: tuple[str, ...] = ()


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """What Appboy knows of a customer: an IANA time zone and the platforms with a push token.

    From the platforms in `uninstalled` the app is gone, which Appboy learns when the next message bounces.
    """

    time_zone: str | None = None
    push: tuple[str, ...] = ("ios", "android")
    uninstalled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_zone(self.time_zone or "UTC")


ANYBODY = User()


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Requests that an app group may make; `days_ahead` is how far a schedule may reach.

    `hour_s` is how long the sandbox's hour lasts, so that a test of pacing needn't take one.
    """

    an_hour: int = 250_000
    hour_s: Annotated[int, Meta(ge=1)] = 3600
    export_a_minute: int = 250
    send_ids_a_day: int = 100
    days_ahead: int = 90


class Rates(Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the recipients who open a push directly, bounce, or convert after it, and revenue a conversion."""

    opened: float = 0.08
    bounced: float = 0.005
    converted: float = 0.02
    revenue: float = 25.0


class Members(Struct, frozen=True, forbid_unknown_fields=True):
    """Some users: those of these ids, and a share of all of them that is drawn by a hash."""

    ids: frozenset[str] = frozenset()
    share: Share = 0.0

    def has(self, user_id: str, *, drawn_for: str) -> bool:
        """Whether a user is one of them; `drawn_for` names the draw, so that two of the same share differ."""
        return user_id in self.ids or (self.share > 0 and chance(f"{drawn_for}|{user_id}") < self.share)


class GlobalControl(Struct, frozen=True, forbid_unknown_fields=True):
    """The Global Control Group of an app group, who get no campaign."""

    members: Members
    applies_to_api_triggered: bool = True


class FrequencyCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many messages to a user on a calendar day of theirs, or on seven of them.

    With a `tag` or a `channel` only campaigns that have it are counted and dropped.
    """

    most: Annotated[int, Meta(ge=1)]
    per: Literal["day", "week"] = "day"
    tag: str | None = None
    channel: Literal["push", "email", "sms", "webhook"] | None = None


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """From when until when, on a user's own clock, nothing is sent; what falls into them is sent later, or dropped."""

    start: time
    end: time
    then: Literal["send_later", "drop"] = "send_later"


class MaxUsers(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many users of a campaign, ever or each time that it is scheduled."""

    most: Annotated[int, Meta(ge=0)]
    per: Literal["total", "instance"] = "total"


class DashboardCampaign(Struct, frozen=True, forbid_unknown_fields=True):
    """A campaign as the dashboard holds it; `messages` maps a variation's id to its wire form.

    Attributes:
        re_eligible_after_s: seconds from the last receipt until a user may get it again, 0 for any time; None, as
            Appboy has it for every new campaign: never again.
        segment: whom the campaign targets; None means All Users.
        control_share: share of the users whom the variation of `type: control` holds back.
        is_capped: whether the app group's frequency caps hold for it.
        counts_to_caps: whether its messages are counted for them; None: where `is_capped`, as at Appboy.
        messages_a_minute: the delivery speed limit.
        max_users: the most users whom it is sent to.
        quiet_hours: its own, in place of the app group's.
        ignores_quiet_hours: whether it is sent in quiet hours, too.
    """

    id: str
    name: str
    messages: dict[str, dict[str, Any]] = {}
    schedule_type: str = "api_triggered"
    channels: tuple[str, ...] = ()
    draft: bool = False
    archived: bool = False
    enabled: bool = True
    is_api_campaign: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    created_at: datetime = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
    updated_at: datetime = datetime(2026, 10, 5, 14, 30, tzinfo=UTC)
    conversion_behaviors: tuple[dict[str, Any], ...] = ()
    re_eligible_after_s: Annotated[int, Meta(ge=0, le=LONGEST_WINDOW_S)] | None = None
    segment: Members | None = None
    control_share: Share = 0.0
    is_capped: bool = True
    counts_to_caps: bool | None = None
    messages_a_minute: Annotated[int, Meta(ge=1)] | None = None
    max_users: MaxUsers | None = None
    quiet_hours: QuietHours | None = None
    ignores_quiet_hours: bool = False

    def __post_init__(self) -> None:
        if self.control_share and not any(map(_is_control, self.messages.values())):
            raise ValueError(
                f"campaign {self.name!r} has the control_share {self.control_share} and no control variation; give its "
                'messages one of {"type": "control"}'
            )

    def by_platform(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The variation and message for each platform, the first one where it has several."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for variation, message in self.messages.items():
            platform = PLATFORM_OF.get(message.get("channel", ""))
            if platform is not None and not _is_control(message):
                found.setdefault(platform, (variation, message))
        return found

    def platforms(self) -> tuple[str, ...]:
        """The platforms that this campaign has a push message for, in the order of the messages."""
        return tuple(self.by_platform())


def _is_control(message: dict[str, Any]) -> bool:
    return message.get("type") == "control"


class AppGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """An app group; `users` None means that every external_user_id is known and has a token on every platform.

    `global_control`, `caps` and `quiet_hours` hold for all its campaigns.
    """

    id: str
    name: str
    keys: tuple[Key, ...] = ()
    auth: Literal["rest_api_key", "app_group_id", "either"] = "rest_api_key"
    allowed_addresses: tuple[str, ...] = ()
    campaigns: tuple[DashboardCampaign, ...] = ()
    users: dict[str, User] | None = None
    time_zone: str = "UTC"
    limits: Limits = Limits()
    rates: Rates = Rates()
    global_control: GlobalControl | None = None
    caps: tuple[FrequencyCap, ...] = ()
    quiet_hours: QuietHours | None = None

    def __post_init__(self) -> None:
        check_zone(self.time_zone)

    def campaign(self, campaign_id: str) -> DashboardCampaign | None:
        """The campaign of that id, archived and draft ones included."""
        return next((campaign for campaign in self.campaigns if campaign.id == campaign_id), None)

    def user(self, external_user_id: str) -> User | None:
        """The user of that id, None where Appboy doesn't know it."""
        return ANYBODY if self.users is None else self.users.get(external_user_id)

    def tokens(self, external_user_id: str) -> tuple[str, ...]:
        """The platforms on which a user has had a push token."""
        user = self.user(external_user_id)
        return () if user is None else tuple(CHANNEL_OF) if self.users is None else user.push

    def zone_of(self, external_user_id: str) -> str:
        """The time zone of a user, the company's where the user has none or isn't known."""
        user = self.user(external_user_id)
        return (user.time_zone if user is not None else None) or self.time_zone
