"""What an approver needs besides the preview: what is different from what was approved last time, in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.campaigns import NONE, Approval, SizeBand
from optinb.campaigns.part_words import part_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.planning.campaign_preview import CampaignPreview

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


def last_approval(
    approval: Approval, preview: CampaignPreview, *, named: Callable[[str, str], str | None]
) -> LastApproval:
    """An approval of a campaign with what has changed since, as its preview shows it.

    `named`: the name that people know of something that an approval keeps by its id, given the part and the id.
    """

    def words(part: str, text: str | None, *, missing: str = NONE) -> str:
        return missing if text is None else named(part, text) or part_words(part, text)

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
