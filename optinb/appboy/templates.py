"""Templates: the API-triggered push campaigns of an app group, whether one may be used, and how it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from optinb.appboy.client import AppboyClient, CallError
from optinb.appboy.liquid_marks import Needed
from optinb.appboy.outcome import RequestRefused
from optinb.appboy.wire import CampaignDetails, CampaignLine
from optinb.base.settings import PLATFORMS, AppGroupSettings, Platform
from optinb.errors import AppboyError

PLATFORM_OF: dict[str, Platform] = {f"{platform}_push": platform for platform in PLATFORMS}
# of the whole notification; Appboy's own additions come on top of ours
PAYLOAD_BYTES: dict[Platform, int] = {"ios": 1_912, "android": 4_000}
_DELIVERY = {"time_based": "at times set in the dashboard", "action_based": "when customers do something"}


class Message(Struct, frozen=True):
    """A push message of a template: what a platform's customers get in one variation."""

    platform: Platform
    title: str = ""
    alert: str = ""
    action: str | None = None
    image_url: str | None = None
    extras: dict[str, Any] = {}
    variation_id: str = ""
    name: str = ""

    def texts(self) -> tuple[str, ...]:
        """Everything that may hold Liquid."""
        return (self.title, self.alert, self.action or "", self.image_url or "", *_strings(self.extras))


class RenderedMessage(Struct, frozen=True):
    """A message as one customer reads it; `aborted` if the template keeps it from that customer.

    `note` says what is wrong with it for this customer alone, such as a text that is too long; else it is empty.
    """

    platform: Platform
    title: str
    alert: str
    aborted: bool = False
    note: str = ""


class Template(Struct, frozen=True):
    """A campaign of the dashboard as optinb sees it; usable, or with the reasons why not in plain words.

    Attributes:
        app_group_id: of the settings.
        id: in Appboy.
        name: in the dashboard.
        platforms: those that it has a message for.
        messages: one for each platform and variation.
        usable: whether campaigns may use it.
        problems: why not; empty where it is usable.
        updated_at: when it was changed last, as Appboy says it.
        content_hash: the SHA-256 of what goes out and what decides on usability: an approval is bound to it.
        tags: of the dashboard.
        notes: what is worth knowing but forbids nothing.
        last_edited: what the list of campaigns said when this was read.
        archived: whether it is archived in the dashboard.
        vanished: whether the list has no longer got it.
    """

    app_group_id: str
    id: str
    name: str
    platforms: tuple[Platform, ...]
    messages: tuple[Message, ...]
    usable: bool
    problems: tuple[str, ...]
    updated_at: str | None
    content_hash: str
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    last_edited: str | None = None
    archived: bool = False
    vanished: bool = False


def template_from_details(app_group_id: str, campaign_id: str, details: CampaignDetails) -> Template:
    """The template that a campaign's details describe."""
    messages = tuple(
        Message(
            platform=PLATFORM_OF[str(wire["channel"])],
            title=_text(wire.get("title")),
            alert=_text(wire.get("alert")),
            action=_text(wire.get("action")) or None,
            image_url=_text(wire.get("image_url")) or None,
            extras=wire["extras"] if isinstance(wire.get("extras"), dict) else {},
            variation_id=variation,
            name=_text(wire.get("name")),
        )
        for variation, wire in details.messages.items()
        if wire.get("channel") in PLATFORM_OF and wire.get("type") != "control"
    )
    used = {message.platform for message in messages}
    platforms: tuple[Platform, ...] = tuple(platform for platform in PLATFORMS if platform in used)
    problems = tuple(_problems(details, messages))
    return Template(
        app_group_id=app_group_id,
        id=campaign_id,
        name=details.name,
        platforms=platforms,
        messages=messages,
        usable=not problems,
        problems=problems,
        updated_at=details.updated_at,
        content_hash=_content_hash(details),
        tags=details.tags,
        notes=tuple(_notes(details, messages)),
        archived=details.archived,
    )


def fitted(template: Template, group: AppGroupSettings) -> Template:
    """A template as it can be used with the apps that an app group has in the settings."""
    there = group.platforms()
    missing = [platform for platform in template.platforms if platform not in there]
    if not missing:
        return template
    platforms = " or ".join(missing)
    if len(missing) < len(template.platforms):
        note = f"app group {group.name!r} has no app on {platforms}: that message goes to nobody"
        return msgspec.structs.replace(template, notes=(*template.notes, note))
    problem = (
        f"app group {group.name!r} has no app on {platforms}; choose another template, or add the app to optinb.toml"
    )
    return msgspec.structs.replace(template, usable=False, problems=(*template.problems, problem))


def _problems(details: CampaignDetails, messages: tuple[Message, ...]) -> list[str]:
    """Why a campaign can't be a template."""
    from optinb.appboy.liquid import problem

    channels = {str(wire.get("channel")) for wire in details.messages.values() if wire.get("type") != "control"}
    channels = channels or set(details.channels)
    others = ", ".join(sorted(channel.replace("_", " ") for channel in channels - PLATFORM_OF.keys()))
    found = []
    if details.schedule_type != "api_triggered":
        how = _DELIVERY.get(details.schedule_type or "", f"by {details.schedule_type or 'an unknown delivery'}")
        found.append(f"it is delivered {how}; choose API-triggered delivery in the dashboard")
    if details.draft:
        found.append("it is a draft; launch it in the dashboard")
    if details.archived:
        found.append("it is archived; unarchive it in the dashboard")
    if not details.enabled and not details.draft and not details.archived:
        found.append("it is stopped; resume it in the dashboard")
    if messages and others:
        found.append(f"besides push it also sends {others}; keep push messages only")
    elif not messages:
        found.append(f"it has no push message{f', only {others}' if others else ''}; add one for iOS or Android")
    for message in messages:
        if not message.alert.strip():
            found.append(f"its message for {message.platform} has no text")
        wrong = next((p for p in map(problem, message.texts()) if p), None)
        if wrong:
            found.append(f"the Liquid of its message for {message.platform} can't be read: {wrong}")
    return found


def _notes(details: CampaignDetails, messages: tuple[Message, ...]) -> list[str]:
    found = []
    if any(wire.get("type") == "control" for wire in details.messages.values()):
        found.append("Appboy holds back a control group of its own: some recipients get no message")
    if len({message.platform for message in messages}) < len(messages):
        found.append("it has several variations: recipients get one of them at random")
    return found


def _content_hash(details: CampaignDetails) -> str:
    content = {
        "schedule_type": details.schedule_type,
        "channels": sorted(details.channels),
        "draft": details.draft,
        "archived": details.archived,
        "enabled": details.enabled,
        "messages": details.messages,
    }
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def needed_properties(template: Template) -> tuple[Needed, ...]:
    """The trigger properties that a template's texts use, by name; a default must hold in every text to count."""
    from optinb.appboy.liquid import needed

    found: dict[str, bool] = {}
    for message in template.messages:
        for text in message.texts():
            for use in needed(text):
                found[use.name] = found.get(use.name, True) and use.has_default
    return tuple(Needed(name, found[name]) for name in sorted(found))


def render(message: Message, properties: Mapping[str, Any]) -> RenderedMessage:
    """A message for a customer with these trigger properties. Raises AppboyError for bad Liquid."""
    from liquid.exceptions import LiquidError

    from optinb.appboy.liquid import AbortedMessage, rendered

    try:
        title, alert = rendered(message.title, properties), rendered(message.alert, properties)
    except AbortedMessage:
        return RenderedMessage(message.platform, "", "", aborted=True)
    except LiquidError as error:
        wrong = " ".join(str(error.message).split())
        raise AppboyError(
            f"the message for {message.platform} can't be shown: {wrong}; mend its Liquid in the dashboard"
        ) from error
    return RenderedMessage(message.platform, title, alert, note=_too_long(message, title, alert))


def _too_long(message: Message, title: str, alert: str) -> str:
    """What to say of a message that can't fit into its platform's payload, however it is packed."""
    limit = PAYLOAD_BYTES.get(message.platform)
    size = len(msgspec.json.encode({"title": title, "alert": alert, **message.extras}))
    if limit is None or size <= limit:
        return ""
    return f"too long for {message.platform}: {size:,} bytes of at most {limit:,}; shorten the text or its properties"


def fetch_templates(
    client: AppboyClient,
    group: AppGroupSettings,
    *,
    known: Mapping[str, Template],
    fresh: Container[str] = (),
    listed: Sequence[CampaignLine] | None = None,
) -> list[Template]:
    """Every campaign of an app group as a template, usable or not, archived ones included.

    Details are read only of campaigns that `known` (by id) doesn't hold as last edited at the same time, and of those
    whose id is in `fresh`: no page tells whether stopping or archiving counts as an edit, so what is about to be sent
    is best read again. `listed` is the list of all campaigns, where it was read already. Raises AppboyError if the
    list or, for a reason that isn't the campaign's own, its details can't be read.
    """
    return [
        _fetched(client, group, summary, None if summary.id in fresh else known.get(summary.id))
        for summary in (client.campaigns(include_archived=True) if listed is None else listed)
    ]


def _fetched(client: AppboyClient, group: AppGroupSettings, summary: CampaignLine, known: Template | None) -> Template:
    if known is not None and known.last_edited is not None and known.last_edited == summary.last_edited:
        return known
    try:
        details = client.campaign_details(summary.id)
    except CallError as error:
        if not isinstance(error.outcome, RequestRefused):
            raise
        # gone since the list was read, or of a kind that has no details; worth a line, not the end of the night
        details = CampaignDetails(name=summary.name, tags=summary.tags)
        template = template_from_details(group.id, summary.id, details)
        return msgspec.structs.replace(template, problems=(f"its details can't be read: {error.outcome.message}",))
    template = template_from_details(group.id, summary.id, details)
    if summary.is_api_campaign:
        reason = "it is an API campaign, whose messages are in the request; make an API-triggered one instead"
        template = msgspec.structs.replace(template, usable=False, problems=(reason, *template.problems))
    return msgspec.structs.replace(template, last_edited=summary.last_edited)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for item in value.values() for text in _strings(item)]
        case list():
            return [text for item in value for text in _strings(item)]
        case _:
            return []
