"""What an approver needs besides the preview: what is different from what was approved last time, in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.campaigns import NONE, SizeBand, part_words

if TYPE_CHECKING:
    from optinb.workspace.handle import Workspace
    from optinb.workspace.previewing import CampaignPreview

NOT_A_PART = "not a part of an approval then"


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

    def words(part: str, text: str | None, *, missing: str = NONE) -> str:
        return missing if text is None else _named(ws, part, text) or part_words(part, text)

    return LastApproval(
        approver=approval.approver,
        approved_at=approval.approved_at,
        band=approval.band,
        changes=tuple(
            PartChange(
                part=part,
                before=words(part, approval.parts.get(part), missing=NOT_A_PART),
                now=words(part, preview.parts.get(part)),
            )
            for part in preview.changed
        ),
    )


def _named(ws: Workspace, part: str, text: str) -> str | None:
    """The name that people know of something that an approval keeps by its id."""
    if part == "app group":
        return next((group.name for group in ws.settings.app_groups if group.id == text), None)
    if part == "template":
        return next((template.name for template in ws.templates.list() if template.id == text), None)
    return None
