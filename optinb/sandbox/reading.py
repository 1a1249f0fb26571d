"""What the sandbox tells about campaigns and users."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from optinb.sandbox.call import Call, CallResult, RefusedError, decode, iso, known_campaign, whole_number
from optinb.sandbox.series import reaction

if TYPE_CHECKING:
    from optinb.sandbox.dashboard import User
    from optinb.sandbox.dispatches import Memory

PAGE_SIZE = 100
MAX_EXPORTED = 50
_NAMES = {"ios": "iOS", "android": "Android", "kindle": "Kindle", "web": "Web"}


def campaigns_list(call: Call) -> CallResult:
    """A page of campaigns by creation, archived ones only when asked for."""
    page = whole_number(call.query, "page", default=0, least=0, most=None)
    direction = call.query.get("sort_direction", "asc")
    if direction not in ("asc", "desc"):
        raise RefusedError(400, "sort_direction must be asc or desc")
    archived = call.query.get("include_archived", "false").casefold() in ("true", "1")
    found = [campaign for campaign in call.group.campaigns if archived or not campaign.archived]
    found.sort(key=lambda campaign: campaign.created_at, reverse=direction == "desc")
    shown = found[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    return CallResult(
        {
            "message": "success",
            "campaigns": [
                {
                    "id": campaign.id,
                    "name": campaign.name,
                    "is_api_campaign": campaign.is_api_campaign,
                    "tags": campaign.tags,
                    "last_edited": iso(campaign.updated_at),
                }
                for campaign in shown
            ],
        }
    )


def campaigns_details(call: Call) -> CallResult:
    """One campaign with its messages."""
    campaign = known_campaign(call, call.query.get("campaign_id"))
    memory = call.world.settled(call.now).memory
    first, last = memory.sent.get((call.group.id, campaign.id), (None, None))
    return CallResult(
        {
            "message": "success",
            "created_at": iso(campaign.created_at),
            "updated_at": iso(campaign.updated_at),
            "archived": campaign.archived,
            "draft": campaign.draft,
            "enabled": campaign.enabled,
            "name": campaign.name,
            "description": campaign.description,
            "schedule_type": campaign.schedule_type,
            "channels": campaign.channels,
            "first_sent": iso(first) if first else None,
            "last_sent": iso(last) if last else None,
            "tags": campaign.tags,
            "teams": campaign.teams,
            "messages": campaign.messages,
            "conversion_behaviors": campaign.conversion_behaviors,
        }
    )


class _ExportBody(Struct, frozen=True):
    external_ids: list[str] | None = None
    fields_to_export: list[str] | None = None


def users_export_ids(call: Call) -> CallResult:
    """What Appboy knows of up to 50 users, with the campaigns they received."""
    body = decode(call.body, _ExportBody)
    if not body.external_ids:
        raise RefusedError(400, "external_ids is required")
    if len(body.external_ids) > MAX_EXPORTED:
        raise RefusedError(400, "The max number of ids per request was exceeded")
    # newer accounts have to name the fields; public clients rely on getting all of them otherwise
    wanted = body.fields_to_export
    users, unknown = [], []
    for external_id in dict.fromkeys(body.external_ids):
        user = call.group.user(external_id)
        if user is None:
            unknown.append(external_id)
        else:
            exported = _exported(call, external_id, user)
            users.append({name: value for name, value in exported.items() if not wanted or name in wanted})
    return CallResult({"users": users, "invalid_user_ids": unknown, "message": "success"}, 201)


def _exported(call: Call, external_id: str, user: User) -> dict[str, Any]:
    memory = call.world.settled(call.now).memory
    return {
        "external_id": external_id,
        "time_zone": user.time_zone,
        "push_tokens": [
            {
                "app": f"{call.group.name} {_NAMES.get(platform, platform)}",
                "platform": _NAMES.get(platform, platform),
                "token": hashlib.blake2b(f"{platform}|{external_id}".encode(), digest_size=16).hexdigest(),
                "notifications_enabled": True,
            }
            for platform in user.push
            if (call.group.id, external_id, platform) not in memory.tokens_gone
        ],
        "apps": [
            {"name": f"{call.group.name} {_NAMES.get(platform, platform)}", "platform": _NAMES.get(platform, platform)}
            for platform in user.push
        ],
        "campaigns_received": _received(call, external_id, memory),
    }


def _received(call: Call, external_id: str, memory: Memory) -> list[dict[str, Any]]:
    """One entry a campaign, for its last delivery that reached the user."""
    received: list[dict[str, Any]] = []
    for campaign in call.group.campaigns:
        last = memory.last.get((call.group.id, campaign.id), {}).get(external_id)
        if last is None:
            continue
        after = reaction(call.group, call.world.dispatches[last.dispatch], external_id, last.at)
        received.append(
            {
                "name": campaign.name,
                "api_campaign_id": campaign.id,
                "last_received": iso(last.at),
                "engaged": {"opened_push": after.opened is not None and after.opened <= call.now},
                "converted": after.converted is not None and after.converted <= call.now,
                "variation_name": next((message.get("name", "") for _, message in campaign.by_platform().values()), ""),
            }
        )
    return received
