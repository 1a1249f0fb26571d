"""What Appboy filters after it has accepted a request: one function for each rule, in a fixed order.

The API answers 201 all the same, so that nobody who only reads answers can see any of this. `dropping` tells all the
rules that by themselves drop a message, since two can explain one loss. What nobody has published is chosen here so
that more is dropped rather than less, and a comment says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

import msgspec

from optinb.sandbox.dashboard import AppGroup, DashboardCampaign, FrequencyCap, QuietHours, chance
from optinb.sandbox.dispatches import Dispatch, Memory, Receipt, next_slot

Rule = Literal[
    "campaign_gone",
    "unknown_user",
    "segment",
    "global_control",
    "control_variation",
    "re_eligibility",
    "frequency_cap",
    "max_users",
    "quiet_hours",
    "speed_limit",
    "no_push_token",
    "uninstalled",
    "liquid_abort",
]
RULES: tuple[Rule, ...] = get_args(Rule)
LONGEST_WAIT = timedelta(hours=72)  # of a message behind a delivery speed limit
_ABORT = "abort_message"
# the first, or the minute that a speed limit has given, or the end of 72 hours without one
Turn = Literal["first", "minute", "given up"]


class Case:
    """Some recipients of a dispatch on the point of being sent at a moment: what the rules may ask of it."""

    def __init__(
        self,
        dispatch: Dispatch,
        group: AppGroup,
        campaign: DashboardCampaign,
        at: datetime,
        memory: Memory,
        *,
        seed: str,
        turn: Turn,
    ) -> None:
        self.dispatch: Dispatch = dispatch
        self.group: AppGroup = group
        self.campaign: DashboardCampaign = campaign
        self.at: datetime = at
        self.memory: Memory = memory
        self.seed: str = seed
        self.draw: str = f"{seed}|{group.id}"
        self.turn: Turn = turn
        self.last: dict[str, Receipt] = memory.last[dispatch.key]

    @cached_property
    def is_alike(self) -> bool:
        """Whether a message that no rule drops arrives with everybody on every platform."""
        return self.group.users is None and not self.aborting

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that the campaign has a message for."""
        return self.campaign.platforms()

    @cached_property
    def properties(self) -> Mapping[str, Mapping[str, Any]]:
        """The trigger properties of each recipient of the dispatch."""
        rows = msgspec.json.decode(self.dispatch.recipients)
        return {row["external_user_id"]: row["trigger_properties"] for row in rows}

    @cached_property
    def campaigns(self) -> Mapping[str, DashboardCampaign]:
        """The app group's campaigns by id."""
        return {campaign.id: campaign for campaign in self.group.campaigns}

    @cached_property
    def aborting(self) -> Mapping[str, tuple[str, ...]]:
        """The texts with an abort of each platform that has one."""
        return aborting(self.campaign)

    def tokens(self, user: str) -> tuple[str, ...]:
        """The platforms of the campaign for which Appboy has a push token of a user."""
        there, gone = self.group.tokens(user), self.memory.tokens_gone
        return tuple(p for p in self.platforms if p in there and (self.group.id, user, p) not in gone)

    def bounces(self, user: str, platform: str) -> bool:
        """Whether the app is gone from a user's device."""
        known = self.group.user(user)
        return known is not None and platform in known.uninstalled

    def bounced(self, user: str) -> tuple[str, ...]:
        """The platforms for which Appboy sends a message that bounces, because the app is gone."""
        if self.is_alike:
            return ()
        return tuple(p for p in self.tokens(user) if self.bounces(user, p) and not self.aborts(user, p))

    def aborts(self, user: str, platform: str) -> bool:
        """Whether the message for a platform aborts with a user's trigger properties."""
        return any(_aborts(text, self.properties[user]) for text in self.aborting.get(platform, ()))

    def reached(self, user: str) -> tuple[str, ...]:
        """The platforms on which a message that no rule drops arrives."""
        if self.is_alike:
            return self.platforms
        return tuple(p for p in self.tokens(user) if not self.bounces(user, p) and not self.aborts(user, p))


class Filter(NamedTuple):
    """A rule: when it is worth asking for, and which recipients it drops."""

    rule: Rule
    applies: Callable[[Case], bool]
    drops: Callable[[Case, str], bool]


def filters_of(case: Case) -> tuple[Filter, ...]:
    """The rules that can drop anybody, in their order."""
    return tuple(one for one in FILTERS if one.applies(case))


def dropping(case: Case, user: str, filters: Iterable[Filter]) -> tuple[Rule, ...]:
    """All of the rules that by themselves drop a recipient's message, in their order."""
    return tuple([rule for rule, _, drops in filters if drops(case, user)])


def aborting(campaign: DashboardCampaign) -> dict[str, tuple[str, ...]]:
    """The texts that may abort, for each platform that has one."""
    texts = {
        platform: tuple(text for text in message.values() if isinstance(text, str) and _ABORT in text)
        for platform, (_, message) in campaign.by_platform().items()
    }
    return {platform: found for platform, found in texts.items() if found}


def quiet_until(hours: QuietHours, zone: str, at: datetime) -> datetime | None:
    """When the quiet hours end in which a moment falls for somebody in a time zone, None if it falls in none."""
    local = at.astimezone(ZoneInfo(zone))
    now, over_midnight = local.time(), hours.start > hours.end
    if not (now >= hours.start or now < hours.end if over_midnight else hours.start <= now < hours.end):
        return None
    day = local.date() + timedelta(days=over_midnight and now >= hours.start)
    end = datetime.combine(day, hours.end, tzinfo=ZoneInfo(zone))
    # where clocks are changed the end may come twice, or not at all: the later reading is the one after `at`
    return max(end.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def quiet_hours_of(group: AppGroup, campaign: DashboardCampaign) -> QuietHours | None:
    """The quiet hours that a campaign keeps: its own, or those of its app group."""
    return None if campaign.ignores_quiet_hours else campaign.quiet_hours or group.quiet_hours


def _unknown_user(case: Case, user: str) -> bool:
    return case.group.user(user) is None


def _segment(case: Case, user: str) -> bool:
    segment = case.campaign.segment
    return segment is not None and not segment.has(user, drawn_for=f"{case.draw}|{case.campaign.id}|segment")


def _global_control(case: Case, user: str) -> bool:
    return in_global_control(case.group, user, seed=case.seed)


def in_global_control(group: AppGroup, user: str, *, seed: str) -> bool:
    """Whether a user is in the Global Control Group of an app group."""
    control = group.global_control
    return control is not None and control.members.has(user, drawn_for=f"{seed}|{group.id}|global control")


def _control_variation(case: Case, user: str) -> bool:
    return chance(f"{case.draw}|{case.campaign.id}|control|{user}") < case.campaign.control_share


def _re_eligibility(case: Case, user: str) -> bool:
    last, after_s = case.last.get(user), case.campaign.re_eligible_after_s
    return last is not None and (after_s is None or case.at - last.at < timedelta(seconds=after_s))


def _frequency_cap(case: Case, user: str) -> bool:
    receipts = case.memory.of_user(case.group.id, user)
    if not receipts:
        return False
    zone = ZoneInfo(case.group.zone_of(user))
    received = [
        (receipt.at.astimezone(zone).date(), campaign)
        for receipt in receipts
        if (campaign := case.campaigns.get(receipt.campaign_id)) is not None and _counts(campaign)
    ]
    today = case.at.astimezone(zone).date()
    return any(_is_full(cap, received, today) for cap in case.group.caps if _is_for(cap, case.campaign))


def _counts(campaign: DashboardCampaign) -> bool:
    return campaign.is_capped if campaign.counts_to_caps is None else campaign.counts_to_caps


def _is_for(cap: FrequencyCap, campaign: DashboardCampaign) -> bool:
    is_tagged = cap.tag is None or cap.tag in campaign.tags
    return is_tagged and (cap.channel is None or (cap.channel == "push" and bool(campaign.platforms())))


def _is_full(cap: FrequencyCap, received: list[tuple[date, DashboardCampaign]], today: date) -> bool:
    # the pages speak of calendar days in the customer's zone, and of weeks as seven of them
    since = today if cap.per == "day" else today - timedelta(days=6)
    return sum(since <= day <= today and _is_for(cap, campaign) for day, campaign in received) >= cap.most


def _max_users(case: Case, _user: str) -> bool:
    most = case.campaign.max_users
    if most is None:
        return False
    return case.memory.counted(case.dispatch, each_time=most.per == "instance") >= most.most


def _quiet_hours(case: Case, user: str) -> bool:
    hours = quiet_hours_of(case.group, case.campaign)
    return hours is not None and quiet_until(hours, case.group.zone_of(user), case.at) is not None


def _speed_limit(case: Case, _user: str) -> bool:
    limit = case.campaign.messages_a_minute
    if limit is None or case.turn != "first":
        return case.turn == "given up"
    slot = next_slot(case.memory.slots.get(case.dispatch.key), case.at, limit)
    return slot.minute - case.at > LONGEST_WAIT


def _no_push_token(case: Case, user: str) -> bool:
    return not case.tokens(user)


def _uninstalled(case: Case, user: str) -> bool:
    return not case.reached(user) and any(case.bounces(user, p) for p in case.tokens(user))


def _liquid_abort(case: Case, user: str) -> bool:
    platforms = case.tokens(user) or case.platforms
    return not case.reached(user) and any(case.aborts(user, p) for p in platforms)


def _aborts(text: str, properties: Mapping[str, Any]) -> bool:
    # python-liquid loads slowly, and few templates abort
    from liquid.exceptions import LiquidError

    from optinb.appboy.liquid import AbortedMessage, rendered

    try:
        rendered(text, properties)
    except AbortedMessage:
        return True
    except LiquidError:
        return False
    return False


def _keeps_control(case: Case) -> bool:
    return case.group.global_control is not None and case.group.global_control.applies_to_api_triggered


def _drops_quietly(case: Case) -> bool:
    hours = quiet_hours_of(case.group, case.campaign)
    return hours is not None and hours.then == "drop"


FILTERS = (
    Filter("unknown_user", lambda case: case.group.users is not None, _unknown_user),
    Filter("segment", lambda case: case.campaign.segment is not None, _segment),
    Filter("global_control", _keeps_control, _global_control),
    Filter("control_variation", lambda case: case.campaign.control_share > 0, _control_variation),
    Filter("re_eligibility", lambda case: case.campaign.re_eligible_after_s != 0, _re_eligibility),
    Filter("frequency_cap", lambda case: bool(case.group.caps) and case.campaign.is_capped, _frequency_cap),
    Filter("max_users", lambda case: case.campaign.max_users is not None, _max_users),
    Filter("quiet_hours", _drops_quietly, _quiet_hours),
    Filter(
        "speed_limit", lambda case: case.turn == "given up" or case.campaign.messages_a_minute is not None, _speed_limit
    ),
    Filter("no_push_token", lambda case: case.group.users is not None or not case.platforms, _no_push_token),
    Filter("uninstalled", lambda case: case.group.users is not None, _uninstalled),
    Filter("liquid_abort", lambda case: bool(case.aborting), _liquid_abort),
)
