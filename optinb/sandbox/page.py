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
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import Struct

from optinb.sandbox.world import PLATFORM_OF, AppGroup, DashboardCampaign, Dispatch, World, delivered_at, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.sandbox.faults import Fault

SHOWN_REQUESTS = 60
SHOWN_RECIPIENTS = 3
STATES = ("scheduled", "delivered", "recalled")
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
    """One request that was taken."""

    campaign: str
    app_group: str
    state: str
    taken: datetime
    due: str
    recipients: int
    pushes: tuple[Push, ...]


class CampaignRow(Struct, frozen=True):
    """A campaign of the dashboard with what was taken for it: requests, and recipients by state."""

    id: str
    name: str
    app_group: str
    devices: str
    kind: str
    requests: int
    recipients: dict[str, int]

    @property
    def total(self) -> int:
        """Recipients of every state."""
        return sum(self.recipients.values())


class Page(Struct, frozen=True):
    """Everything on the page; `chosen` is the campaign that it is narrowed to."""

    now: datetime
    rows: tuple[CampaignRow, ...]
    idle: int
    chosen: CampaignRow | None
    arrived: tuple[Arrived, ...]
    hidden: int
    next_due: datetime | None
    faults: tuple[str, ...]
    asked: dict[str, int]
    every: int | None

    def sum(self, state: str) -> int:
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
    rows = [_row(world, group, found, now) for group in world.app_groups.values() for found in group.campaigns]
    used = tuple(sorted((row for row in rows if row.requests), key=lambda row: -row.total))
    shown = [d for d in reversed(world.dispatches) if campaign in (None, d.campaign_id)]
    due = [
        at
        for dispatch in world.dispatches
        if dispatch.plans[-1].until is None
        and (at := moment(dispatch.plans[-1].at, world.app_groups[dispatch.app_group_id].time_zone)) > now
    ]
    return Page(
        now=now,
        rows=used,
        idle=len(rows) - len(used),
        chosen=next((row for row in rows if row.id == campaign), None),
        arrived=tuple(_arrived(world, dispatch, now) for dispatch in shown[:SHOWN_REQUESTS]),
        hidden=max(0, len(shown) - SHOWN_REQUESTS),
        next_due=min(due, default=None),
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


def _row(world: World, group: AppGroup, campaign: DashboardCampaign, now: datetime) -> CampaignRow:
    dispatches = [world.dispatches[n] for n in world.by_campaign.get((group.id, campaign.id), ())]
    recipients: Counter[str] = Counter(dict.fromkeys(STATES, 0))
    for dispatch in dispatches:
        recipients[_state(dispatch, group, now)] += len(dispatch.ids)
    return CampaignRow(
        id=campaign.id,
        name=campaign.name,
        app_group=group.name,
        devices=", ".join(_DEVICES[platform] for platform in campaign.platforms()) or "no push",
        kind=campaign.schedule_type,
        requests=len(dispatches),
        recipients=dict(recipients),
    )


def _arrived(world: World, dispatch: Dispatch, now: datetime) -> Arrived:
    group = world.app_groups[dispatch.app_group_id]
    campaign = group.campaign(dispatch.campaign_id)
    at = dispatch.plans[-1].at
    due = "at once" if dispatch.schedule_id is None else f"{at:%a %d %b, %H:%M} {'UTC' if at.tzinfo else 'local time'}"
    recipients = msgspec.json.decode(dispatch.recipients)
    return Arrived(
        campaign=campaign.name if campaign else f"{dispatch.campaign_id} (gone)",
        app_group=group.name,
        state=_state(dispatch, group, now),
        taken=dispatch.taken_at,
        due=due,
        recipients=len(recipients),
        pushes=tuple(_push(campaign, recipient) for recipient in recipients[:SHOWN_RECIPIENTS]),
    )


def _state(dispatch: Dispatch, group: AppGroup, now: datetime) -> str:
    if delivered_at(dispatch, group.time_zone, now) is not None:
        return "delivered"
    return "recalled" if dispatch.plans[-1].until is not None else "scheduled"


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
