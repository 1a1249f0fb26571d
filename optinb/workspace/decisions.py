"""What an approver needs besides the preview: what is different from what was approved last time, in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.campaigns import Offer, Property, Schedule, SizeBand
from optinb.errors import OptinbError
from optinb.rules import from_json, sentence

if TYPE_CHECKING:
    from optinb.workspace.handle import Workspace
    from optinb.workspace.previewing import CampaignPreview

NONE = "none"


class PartChange(Struct, frozen=True, kw_only=True):
    """One part of a campaign that isn't what was approved last time, before and now in words."""

    part: str
    before: str
    now: str


class LastApproval(Struct, frozen=True, kw_only=True):
    """The last approval of a campaign, and what of it is different now."""

    approver: str
    approved_at: datetime
    band: SizeBand
    changes: tuple[PartChange, ...]


def last_approval(ws: Workspace, preview: CampaignPreview) -> LastApproval | None:
    """The last approval of a previewed campaign, with what has changed since; None where there was none."""
    store, campaign = ws.store.campaigns, preview.campaign
    history = store.history(campaign.id) if store.find(campaign.id) else ()
    approval = next((c.record.approval for c in reversed(history) if c.record.approval), None)
    if approval is None:
        return None

    def words(part: str, text: str | None) -> str:
        return NONE if text is None else _named(ws, part, text) or part_words(part, text)

    return LastApproval(
        approver=approval.approver,
        approved_at=approval.approved_at,
        band=approval.band,
        changes=tuple(
            PartChange(
                part=part, before=words(part, approval.parts.get(part)), now=words(part, preview.parts.get(part))
            )
            for part in preview.changed
        ),
    )


def part_words(part: str, text: str) -> str:
    """The canonical text of a part of an approval, in words; as it is where there are none."""
    try:
        match part:
            case "rule of the target group":
                return sentence(from_json(text))
            case "schedule":
                return msgspec.json.decode(text, type=Schedule).sentence()
            case "control share":
                return f"{float(text):.1%}"
            case "offer":
                offer = msgspec.json.decode(text, type=Offer | None)
                given = {**offer.fields(), "codes": offer.codes} if offer else {}
                return ", ".join(str(value) for value in given.values() if value is not None) or NONE
            case "properties":
                given = msgspec.json.decode(text, type=dict[str, Property])
                return "; ".join(f"{name}: {property_words(one)}" for name, one in sorted(given.items())) or NONE
            case "exclusion period" | "measurement window":
                return f"{text} {'day' if text == '1' else 'days'}"
            case "ignoring others' exclusion periods":
                return "yes" if text == "true" else "no"
            case "content of the template":
                return f"version {text[:8]}"
            case _:
                return text
    except (msgspec.MsgspecError, OptinbError, ValueError):
        return text  # of an older form; better told as it is than not at all


def property_words(given: Property) -> str:
    """Where a property comes from."""
    if given.offer is not None:
        return f"the offer's {given.offer.replace('_', ' ')}"
    if given.attribute is None:
        return f"“{given.value}”"
    tail = f", else “{given.default}”" if given.default is not None else ""
    return f"attribute {given.attribute}{tail}"


def _named(ws: Workspace, part: str, text: str) -> str | None:
    """The name that people know of something that an approval keeps by its id."""
    if part == "app group":
        return next((group.name for group in ws.settings.app_groups if group.id == text), None)
    if part == "template":
        return next((template.name for template in ws.templates.list() if template.id == text), None)
    return None
