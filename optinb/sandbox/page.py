"""The page at `/` of the sandbox: what arrived, for people who rehearse. No keys, no network.

What it shows is collected as values first; `templates/page.html.j2` lays them out.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from optinb.sandbox.dashboard import PLATFORM_OF, AppGroup, DashboardCampaign
from optinb.sandbox.deliveries import DecidedMessages, FateState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.sandbox.dispatches import Dispatch
    from optinb.sandbox.faults import Fault
    from optinb.sandbox.filters import Rule
    from optinb.sandbox.world import World

SHOWN_REQUESTS = 60
SHOWN_RECIPIENTS = 3
STATES: tuple[FateState, ...] = get_args(FateState)
REASONS: dict[Rule, str] = {
    "campaign_gone": "the campaign is gone",
    "unknown_user": "unknown to Appboy",
    "segment": "outside the template's segment",
    "global_control": "in the Global Control Group",
    "control_variation": "in the template's control variation",
    "re_eligibility": "got this template before",
    "frequency_cap": "over a frequency cap",
    "max_users": "over the template's maximum of users",
    "quiet_hours": "in quiet hours",
    "speed_limit": "72 hours behind the speed limit",
    "no_push_token": "without a push token",
    "uninstalled": "has uninstalled the app",
    "liquid_abort": "aborted by the template's text",
}
_PLACEHOLDER = re.compile(
    r"\{\{\s*api_trigger_properties\.\$\{(?P<name>[^}]+)\}\s*(?:\|\s*default:\s*(?P<q>['\"])(?P<text>.*?)(?P=q)\s*)?\}\}"
)
_DEVICES = {"ios": "iPhone", "android": "Android", "kindle": "Kindle", "web": "browser"}


class Push(Struct, frozen=True):
    """A message as it shows on one kind of device of a recipient."""

    user: str
    device: str
    title: str
    text: str


class Arrived(Struct, frozen=True):
    """One request that was taken; `losses` says how many were filtered by what."""

    campaign: str
    app_group: str
    state: FateState
    taken: datetime
    due: str
    recipients: int
    losses: tuple[str, ...]
    pushes: tuple[Push, ...]


class CampaignRow(Struct, frozen=True):
    """A campaign of the dashboard with what was taken for it: requests, and recipients by state."""

    id: str
    name: str
    app_group: str
    devices: str
    kind: str
    requests: int
    recipients: dict[FateState, int]

    @property
    def total(self) -> int:
        """Recipients of every state."""
        return sum(self.recipients.values())


class Page(Struct, frozen=True):
    """Everything on the page.

    `controls` are the app groups with a Global Control Group, `chosen` is the campaign that it is narrowed to.
    """

    now: datetime
    rows: tuple[CampaignRow, ...]
    idle: int
    controls: tuple[AppGroup, ...]
    chosen: CampaignRow | None
    arrived: tuple[Arrived, ...]
    hidden: int
    next_due: datetime | None
    faults: tuple[str, ...]
    asked: dict[str, int]
    every: int | None

    def sum(self, state: FateState) -> int:
        """Recipients in a state, over all campaigns."""
        return sum(row.recipients[state] for row in self.rows)

    def later(self, hours: int) -> datetime:
        """The clock's time in some hours."""
        return self.now + timedelta(hours=hours)


def page(
    world: World,
    now: datetime,
    *,
    campaign: str | None = None,
    faults: Iterable[Fault] = (),
    asked: Mapping[str, int] | None = None,
    every: int | None = None,
) -> str:
    """The whole page as HTML.

    Args:
        world: what is shown.
        now: the sandbox's time, in UTC.
        campaign: the id of the only campaign to show requests of.
        faults: the rules that are in force.
        asked: how many requests came to each path.
        every: seconds after which a browser asks for the page again.
    """
    return (
        _environment()
        .get_template("page.html.j2")
        .render(page=collect(world, now, campaign=campaign, faults=faults, asked=asked, every=every))
    )


@cache
def page_headers() -> dict[str, str]:
    """What browsers are told: the page runs its own script and nothing else, asks here only, and stands in no frame."""
    own = {part: _environment().get_template(f"page.{part}").render().encode() for part in ("js", "css")}
    known = {part: f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for part, text in own.items()}
    policy = f"default-src 'none'; script-src {known['js']}; style-src {known['css']}; connect-src 'self'"
    return {
        "Content-Security-Policy": f"{policy}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def collect(
    world: World,
    now: datetime,
    *,
    campaign: str | None = None,
    faults: Iterable[Fault] = (),
    asked: Mapping[str, int] | None = None,
    every: int | None = None,
) -> Page:
    """What the page shows."""
    deliveries = world.settled(now)
    rows = [_row(world, group, found, deliveries) for group in world.app_groups.values() for found in group.campaigns]
    used = tuple(sorted((row for row in rows if row.requests), key=lambda row: -row.total))
    shown = [d for d in reversed(world.dispatches) if campaign in (None, d.campaign_id)]
    return Page(
        now=now,
        rows=used,
        idle=len(rows) - len(used),
        controls=tuple(group for group in world.app_groups.values() if group.global_control is not None),
        chosen=next((row for row in rows if row.id == campaign), None),
        arrived=tuple(_arrived(world, dispatch, deliveries) for dispatch in shown[:SHOWN_REQUESTS]),
        hidden=max(0, len(shown) - SHOWN_REQUESTS),
        next_due=deliveries.next_at(),
        faults=tuple(msgspec.json.encode(fault).decode() for fault in faults),
        asked=dict(asked or {}),
        every=every,
    )


def filled(text: str, properties: Mapping[str, Any]) -> str:
    """A message's text with its trigger properties put in; anything but plain values and defaults stays as it is."""

    def value(match: re.Match[str]) -> str:
        given = properties.get(match["name"])
        return str(given) if given not in (None, "") else match["text"] or ""

    return _PLACEHOLDER.sub(value, text)


def _row(world: World, group: AppGroup, campaign: DashboardCampaign, deliveries: DecidedMessages) -> CampaignRow:
    dispatches = [world.dispatches[n] for n in world.by_campaign.get((group.id, campaign.id), ())]
    recipients: Counter[FateState] = Counter(dict.fromkeys(STATES, 0))
    for dispatch in dispatches:
        recipients += _states(dispatch, deliveries)
    return CampaignRow(
        id=campaign.id,
        name=campaign.name,
        app_group=group.name,
        devices=", ".join(_DEVICES[platform] for platform in campaign.platforms()) or "no push",
        kind=campaign.schedule_type,
        requests=len(dispatches),
        recipients={state: recipients[state] for state in STATES},
    )


def _arrived(world: World, dispatch: Dispatch, deliveries: DecidedMessages) -> Arrived:
    group = world.app_groups[dispatch.app_group_id]
    campaign = group.campaign(dispatch.campaign_id)
    at = dispatch.plans[-1].at
    due = "at once" if dispatch.schedule_id is None else f"{at:%a %d %b, %H:%M} {'UTC' if at.tzinfo else 'local time'}"
    recipients = msgspec.json.decode(dispatch.recipients)
    states = _states(dispatch, deliveries)
    losses: Counter[tuple[Rule, ...]] = Counter()
    for one in deliveries.decided.get(dispatch.number, ()):
        losses[one.rules] += len(one.users) if one.state == "filtered" else 0
    return Arrived(
        campaign=campaign.name if campaign else f"{dispatch.campaign_id} (gone)",
        app_group=group.name,
        state=next(state for state in _SHOWN_FIRST if states[state]),
        taken=dispatch.taken_at,
        due=due,
        recipients=len(recipients),
        losses=tuple(f"{n:,} {' and '.join(map(REASONS.__getitem__, rules))}" for rules, n in losses.items() if n),
        pushes=tuple(_push(campaign, recipient) for recipient in recipients[:SHOWN_RECIPIENTS]),
    )


# of the recipients of one request, who may have fared differently
_SHOWN_FIRST: tuple[FateState, ...] = ("delivered", "scheduled", "filtered", "recalled")


def _states(dispatch: Dispatch, deliveries: DecidedMessages) -> Counter[FateState]:
    states: Counter[FateState] = Counter({"scheduled": deliveries.waiting(dispatch)})
    for one in deliveries.decided.get(dispatch.number, ()):
        states[one.state] += len(one.users)
    return states


def _push(campaign: DashboardCampaign | None, recipient: dict[str, Any]) -> Push:
    messages = [m for m in (campaign.messages.values() if campaign else ()) if m.get("channel") in PLATFORM_OF]
    message = messages[0] if messages else {}
    properties = recipient["trigger_properties"]
    return Push(
        user=recipient["external_user_id"],
        device=_DEVICES.get(PLATFORM_OF.get(str(message.get("channel")), ""), ""),
        title=filled(str(message.get("title") or ""), properties),
        text=filled(str(message.get("alert") or ""), properties),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("optinb.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = lambda number: f"{number:,}"
    return environment
