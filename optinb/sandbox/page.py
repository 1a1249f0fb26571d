"""The page at `/` of the sandbox: what arrived, for people who rehearse. One file of HTML, no script, no network."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from optinb.sandbox.world import PLATFORM_OF, AppGroup, Campaign, Dispatch, World, delivered_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SHOWN_REQUESTS = 100
SHOWN_RECIPIENTS = 3
_PLACEHOLDER = re.compile(
    r"\{\{\s*api_trigger_properties\.\$\{(?P<name>[^}]+)\}\s*(?:\|\s*default:\s*(?P<q>['\"])(?P<text>.*?)(?P=q)\s*)?\}\}"
)


def filled(text: str, properties: Mapping[str, Any]) -> str:
    """A message's text with its trigger properties put in; anything but plain values and defaults stays as it is."""

    def value(match: re.Match[str]) -> str:
        given = properties.get(match["name"])
        return str(given) if given not in (None, "") else match["text"] or ""

    return _PLACEHOLDER.sub(value, text)


def page(world: World, now: datetime) -> str:
    """The whole page as HTML."""
    groups = "".join(_group(world, group, now) for group in world.app_groups.values())
    latest = world.dispatches[-SHOWN_REQUESTS:][::-1]
    arrived = "".join(_dispatch(world, dispatch, now) for dispatch in latest)
    hidden = len(world.dispatches) - len(latest)
    more = f"<p class=quiet>{hidden:,} earlier requests are not shown.</p>" if hidden else ""
    nothing = "<p class=quiet>Nothing yet. Point the api of an app group here and send.</p>"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Appboy sandbox</title><style>{_STYLE}</style><main><header><h1>Appboy sandbox</h1>"
        f"<p>A rehearsal on this machine: nothing leaves it. Its clock says <time>{now:%Y-%m-%d %H:%M:%S} UTC</time>."
        f"</p></header><h2>App groups</h2><div class=groups>{groups}</div><h2>What arrived</h2>"
        f"{arrived or nothing}{more}</main></html>"
    )


def _group(world: World, group: AppGroup, now: datetime) -> str:
    numbers = [world.dispatches[n] for c in group.campaigns for n in world.by_campaign.get((group.id, c.id), ())]
    recipients = sum(len(dispatch.ids) for dispatch in numbers)
    waiting = sum(_state(dispatch, group, now) == "scheduled" for dispatch in numbers)
    return (
        f"<section class=card><h3>{escape(group.name)}</h3><p class=quiet>{escape(group.id)}</p>"
        f"<p><b>{recipients:,}</b> recipients in <b>{len(numbers):,}</b> requests, {waiting:,} still to go out</p>"
        f"<p class=quiet>{len(group.campaigns)} campaigns in the dashboard</p></section>"
    )


def _dispatch(world: World, dispatch: Dispatch, now: datetime) -> str:
    group = world.app_groups[dispatch.app_group_id]
    campaign = group.campaign(dispatch.campaign_id)
    state = _state(dispatch, group, now)
    at = dispatch.plans[-1].at
    when = f"{at:%Y-%m-%d %H:%M} {'UTC' if at.tzinfo else 'local time'}"
    recipients = msgspec.json.decode(dispatch.recipients)
    messages = "".join(_message(campaign, recipient) for recipient in recipients[:SHOWN_RECIPIENTS])
    rest = len(recipients) - SHOWN_RECIPIENTS
    more = f"<p class=quiet>and {rest} more</p>" if rest > 0 else ""
    name = campaign.name if campaign else f"{dispatch.campaign_id} (gone)"
    return (
        f"<section class=card><h3>{escape(name)} <span class='tag {state}'>{state}</span></h3>"
        f"<p class=quiet>{escape(group.name)}, {len(recipients)} recipients, for {when}, taken "
        f"{dispatch.taken_at:%H:%M:%S}</p><div class=phones>{messages}</div>{more}</section>"
    )


def _state(dispatch: Dispatch, group: AppGroup, now: datetime) -> str:
    if delivered_at(dispatch, group.time_zone, now) is not None:
        return "delivered"
    return "recalled" if dispatch.plans[-1].until is not None else "scheduled"


def _message(campaign: Campaign | None, recipient: dict[str, Any]) -> str:
    properties = recipient["trigger_properties"]
    pushes = [m for m in (campaign.messages.values() if campaign else ()) if m.get("channel") in PLATFORM_OF]
    message = pushes[0] if pushes else {}
    title = escape(filled(str(message.get("title") or ""), properties))
    alert = escape(filled(str(message.get("alert") or ""), properties))
    return (
        f"<figure><figcaption>{escape(recipient['external_user_id'])}</figcaption>"
        f"<div class=push><b>{title}</b><br>{alert}</div></figure>"
    )


_STYLE = """
:root{color-scheme:light dark;--line:#8884;--quiet:#777}
body{font:16px/1.5 system-ui,sans-serif;margin:0}main{max-width:60rem;margin:auto;padding:1.5rem}
h1{margin:0;font-size:1.6rem}h2{font-size:1.1rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:0}
p{margin:.25rem 0}.quiet,figcaption{color:var(--quiet);font-size:.85rem}
.groups{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.8rem}
.card{border:1px solid var(--line);border-radius:.7rem;padding:.8rem 1rem;margin-bottom:.8rem}.groups .card{margin:0}
.phones{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:.6rem;margin-top:.5rem}
figure{margin:0}.push{background:#8882;border-radius:.8rem;padding:.5rem .8rem;overflow-wrap:anywhere}
.tag{font-size:.75rem;font-weight:600;border-radius:1rem;padding:.1rem .6rem;margin-left:.4rem;color:#fff}
.scheduled{background:#8a5a00}.delivered{background:#1b6e3a}.recalled{background:#6b6b6b}
"""
