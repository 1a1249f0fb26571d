"""Nights of templates over HTTP, as optinb sees them afterwards and as the sandbox knows them to have been."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
from msgspec.structs import replace

from optinb.appboy import Recipient, RequestAccepted, ScheduleRequest, WireSchedule, template_from_details
from optinb.appboy.aborts import aborts, may_abort
from optinb.appboy.template_rules import UNSTATED, TemplateRules
from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.delivery.arrival_alarm import ArrivalAlarm, arrival_alarm
from optinb.delivery.arrival_figures import reached
from optinb.delivery.confirmation import EVIDENCE, TemplateNight
from optinb.delivery.evidence import CONFIRM_FIELDS, evidence_again, evidence_of
from optinb.delivery.filter_rules import explain, losses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optinb.appboy import AppboyClient
    from optinb.campaigns.schedule import Clock
    from optinb.sandbox import Sandbox
    from optinb.sandbox.deliveries import Fate

FIRST = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
# Appboy's words for a rule, and what optinb calls it
NAMED = {"uninstalled": "no_push_token"}


class Sent(NamedTuple):
    """A night that was sent: to whom, and what is known of it."""

    users: tuple[str, ...]
    night: TemplateNight
    dispatches: frozenset[str | None]
    properties: Mapping[str, Mapping[str, Any]]
    template: int
    send_id: str


class Judged(NamedTuple):
    """A recipient: what optinb says, and the rules by which Appboy dropped the message."""

    user: str
    status: str
    filter: str | None
    state: str
    rules: frozenset[str]


class Week:
    """Sends nights to a sandbox over HTTP and asks afterwards, with the memory that a workspace would have."""

    def __init__(
        self,
        sandbox: Sandbox,
        client: AppboyClient,
        *,
        rules: TemplateRules = UNSTATED,
        control: Iterable[str] | None = None,
        time_zone: str | None = "UTC",
    ) -> None:
        self.sandbox, self.client, self.rules, self.time_zone = sandbox, client, rules, time_zone
        self.control = None if control is None else frozenset(control)
        self.group = "Shop"
        self.had: defaultdict[int, dict[str, set[datetime]]] = defaultdict(dict)  # what Appboy confirmed, by template
        self.receipts: defaultdict[str, set[datetime]] = defaultdict(set)
        self.sent: list[Sent] = []

    @property
    def now(self) -> datetime:
        return self.sandbox.clock.now()

    def edit(self, template: int = 0, **fields: Any) -> None:
        """Somebody edits a template in the dashboard, now."""
        campaign = replace(self.sandbox.world.group(self.group).campaigns[template], **fields)
        self.sandbox.world.put_campaign(self.group, campaign)

    def set(self, **fields: Any) -> None:
        """Somebody changes the app group, now."""
        self.sandbox.world.put(replace(self.sandbox.world.group(self.group), **fields))

    def send(
        self,
        users: Sequence[str],
        at: datetime,
        *,
        template: int = 0,
        clock: Clock = "workspace",
        properties: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Sent:
        """Schedules a night; on the customers' own clocks `at` is the moment of the earliest zone."""
        campaign = self.sandbox.world.group(self.group).campaigns[template]
        details = template_from_details("shop", campaign.id, self.client.campaign_details(campaign.id))
        wall = f"{at + EARLIEST_ZONE:%Y-%m-%dT%H:%M:%S}"
        schedule = (
            WireSchedule(f"{at:%Y-%m-%dT%H:%M:%SZ}")
            if clock == "workspace"
            else WireSchedule(wall, in_local_time=clock == "local", at_optimal_time=clock == "optimal")
        )
        given, dispatches, send_id = properties or {}, set(), self.client.create_send_id(campaign.id)
        for first in range(0, len(users), 50):
            recipients = tuple(Recipient(user, given.get(user, {})) for user in users[first : first + 50])
            outcome = self.client.schedule(ScheduleRequest(campaign.id, recipients, schedule, send_id=send_id))
            assert isinstance(outcome, RequestAccepted)
            dispatches.add(outcome.dispatch_id)
        night = TemplateNight(
            template_id=campaign.id,
            send_at=at,
            now=at,
            clock=clock,
            rules=self.rules,
            platforms=details.platforms,
            has_control_variation=campaign.control_share > 0,
            may_abort=may_abort(details),
            recipients=len(users),
            received_before=len(self.had[template]),
            time_zone=self.time_zone,
        )
        self.sent.append(Sent(tuple(users), night, frozenset(dispatches), given, template, send_id))
        return self.sent[-1]

    def rows(
        self, sent: Sent, at: datetime, *, before: pl.DataFrame | None = None
    ) -> tuple[pl.DataFrame, TemplateNight]:
        """What is known of each recipient at a moment, Appboy having been asked then of whom it isn't final."""
        if at > self.now:
            self.sandbox.move_clock(to=at)
        counted = reached(self.client.send_series(sent.night.template_id, sent.send_id))
        night = replace(sent.night, now=self.now, sent=counted)
        again: dict[str, datetime] = {}
        for other in self.sent:
            is_later = other is not sent and other.template == sent.template and other.night.send_at >= night.send_at
            for user in other.users if is_later else ():
                again[user] = min(other.night.send_at, again.get(user, other.night.send_at))
        places = {user: place for place, user in enumerate(sent.users)}
        final = pl.DataFrame(schema=EVIDENCE) if before is None else evidence_again(before)
        asked = sorted(set(places.values()) - set(final["place"]))
        frames = [
            evidence_of(
                self.client.export_users([sent.users[place] for place in some], CONFIRM_FIELDS),
                {sent.users[place]: place for place in some},
                night,
                again_at=again,
            )
            for first in range(0, len(asked), 50)
            for some in [asked[first : first + 50]]
        ]
        rows = pl.concat([final, *frames]).sort("place")
        template = template_from_details("shop", night.template_id, self.client.campaign_details(night.template_id))
        zones = dict(zip(sent.users, rows["time_zone"], strict=True))
        known = {
            "had_at": [
                max((at for at in self.had[sent.template].get(user, ()) if at < night.send_at), default=None)
                for user in sent.users
            ],
            "in_vendor_control": [None if self.control is None else user in self.control for user in sent.users],
            "cap_full": [self._is_full(user, zones[user], night.send_at) for user in sent.users],
            "aborts": [aborts(template, sent.properties.get(user, {})) for user in sent.users],
        }
        return rows.with_columns(pl.Series(name, values) for name, values in known.items()), night

    def verdicts(self, sent: Sent, at: datetime, *, before: pl.DataFrame | None = None) -> pl.DataFrame:
        """What optinb says of each recipient at a moment; what is confirmed is remembered."""
        rows, night = self.rows(sent, at, before=before)
        told = explain(rows, night, before=before)
        for user, status, last in zip(sent.users, told["status"], told["last_received"], strict=True):
            if status == "confirmed":
                self.had[sent.template].setdefault(user, set()).add(last)
                self.receipts[user].add(last)
        return told

    def alarm(self, sent: Sent, at: datetime) -> ArrivalAlarm | None:
        """The alarm about a night at a moment, if there is one."""
        rows, night = self.rows(sent, at)
        return arrival_alarm("Club night", "T", night, accepted=len(sent.users), losses=losses(rows, night))

    def filtered(self, sent: Sent, told: pl.DataFrame) -> set[str]:
        """Those of whom optinb says that Appboy filtered their message."""
        return {user for user, status in zip(sent.users, told["status"], strict=True) if status == "filtered"}

    def judged(self, sent: Sent, told: pl.DataFrame) -> list[Judged]:
        """What optinb says of each recipient, beside the truth."""
        truth = self.fates(sent)
        return [
            Judged(
                user,
                status,
                name,
                truth[user].state,
                frozenset(NAMED.get(rule, rule) for rule in truth[user].rules),
            )
            for user, status, name in zip(sent.users, told["status"], told["filter"], strict=True)
        ]

    def fates(self, sent: Sent) -> dict[str, Fate]:
        """What the sandbox knows of each recipient."""
        found = self.sandbox.world.fates(sent.night.template_id, self.now)
        return {fate.external_user_id: fate for fate in found if fate.dispatch_id in sent.dispatches}

    def _is_full(self, user: str, zone: str | None, at: datetime) -> bool | None:
        info = ZoneInfo(zone or self.time_zone or "UTC")
        today, days = at.astimezone(info).date(), [r.astimezone(info).date() for r in self.receipts[user] if r < at]
        return bool(self.rules.caps) and any(
            sum(_since(cap.per, today) <= day <= today for day in days) >= cap.most for cap in self.rules.caps
        )


def _since(per: str, today: date) -> date:
    return today if per == "day" else today - timedelta(days=6)


_CONTRADICTIONS = {("confirmed", "filtered"), ("filtered", "delivered"), ("filtered", "scheduled")}


class Score(NamedTuple):
    """How far optinb's words and the truth agree, in recipients."""

    recipients: int
    wrong_status: int
    unconfirmed: int
    named: int
    right: int
    alone: int
    several: int
    several_told: int
    never_active: int

    @classmethod
    def of(cls, judged: Sequence[Judged], *, active: Iterable[str]) -> Score:
        """Of the recipients of a night; `active` are the filters that the world has."""
        lost = [one for one in judged if one.status == "filtered" and one.state == "filtered"]
        # nothing else matters of whom Appboy doesn't know
        alone = [one for one in lost if len(one.rules) == 1 or "unknown_user" in one.rules]
        several = [one for one in lost if one not in alone]
        named = [one for one in lost if one.filter not in (None, "several")]
        return cls(
            recipients=len(judged),
            wrong_status=sum((one.status, one.state) in _CONTRADICTIONS for one in judged),
            unconfirmed=sum(one.status == "unconfirmed" for one in judged),
            named=len(named),
            right=sum(one.filter in one.rules for one in alone),
            alone=len(alone),
            several=len(several),
            several_told=sum(one.filter == "several" for one in several),
            never_active=sum(one.filter not in {*active} for one in named),
        )


def summed(scores: Iterable[Score]) -> Score:
    """All of some scores together."""
    return Score(*(sum(figures) for figures in zip(*scores, strict=True)))


def confusion(judged: Iterable[Judged]) -> Counter[tuple[str, str | None, tuple[str, ...]]]:
    """How often what was said of what."""
    return Counter((one.status, one.filter, tuple(sorted(one.rules))) for one in judged)
