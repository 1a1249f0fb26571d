"""Somebody edits a campaign in the dashboard while others work with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import datetime

    from optinb.sandbox.handle import SandboxRequest
    from optinb.sandbox.world import World


class _NamedBody(msgspec.Struct):
    campaign_id: str = ""


def campaign_of(request: SandboxRequest) -> str:
    """The id of the campaign that a request names; empty where it names none."""
    if not request.body:
        return request.query.get("campaign_id", "")
    try:
        return msgspec.json.decode(request.body, type=_NamedBody).campaign_id
    except msgspec.DecodeError:
        return ""


def edit_text(world: World, campaign_id: str, text: str, *, now: datetime) -> None:
    """Gives every message of a campaign another text; nothing happens where there is no such campaign."""
    for group in world.app_groups.values():
        if campaign := group.campaign(campaign_id):
            messages = {variation: {**message, "alert": text} for variation, message in campaign.messages.items()}
            world.put_campaign(group.id, msgspec.structs.replace(campaign, messages=messages, updated_at=now), now=now)
