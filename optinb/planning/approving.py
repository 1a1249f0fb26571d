"""Approving what was seen: nobody approves a campaign that they haven't looked at, nor one that changed meanwhile.

An approver is also told what is different from what was approved last time, in words.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.campaigns import (
    NONE,
    RULES_OF_TEMPLATE,
    Approval,
    Authority,
    CampaignRecord,
    SizeBand,
    approve,
    differences,
    signing_key,
    why_held,
)
from optinb.campaigns.part_words import part_words
from optinb.errors import ApprovalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.appboy.template_import import Templates
    from optinb.base.context import Context
    from optinb.base.settings import Settings
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.planning.campaign_preview import CampaignPreview, Previews
    from optinb.planning.campaign_records import CampaignRecords
    from optinb.planning.resolved import Resolver

NOT_A_PART = "not a part of an approval then"


class Approvals:
    """Approves campaigns as they were seen, and tells what is different from what was approved last."""

    def __init__(
        self,
        context: Context,
        campaigns: CampaignStore,
        *,
        records: CampaignRecords,
        resolver: Resolver,
        previews: Previews,
        templates: Templates,
        why_forged: Callable[[CampaignRecord], str | None],
    ) -> None:
        """Args: `why_forged` says why the audit trail tells another story of a campaign, or None."""
        self._context, self._campaigns, self._records = context, campaigns, records
        self._resolver, self._previews, self._templates = resolver, previews, templates
        self._why_forged = why_forged

    def approve(self, name: str, *, seen: str | CampaignPreview, comment: str) -> CampaignRecord:
        """Approves a campaign as it was seen; see `Campaigns.approve`."""
        record, context = self._campaigns.get(name), self._context
        authority = authority_of(context.settings)
        if forged := self._why_forged(record):
            raise ApprovalError(f"the audit trail was tampered with: {forged}; compare the database with a copy")
        self._resolver.check_again(self._resolver.to_send(record.campaign))
        preview = self._previews.of(record.campaign)
        if changed := _unseen(seen, preview):
            raise ApprovalError(f"{name!r} changed while you looked at it ({', '.join(changed)}); look again")
        approved = approve(
            record,
            user=context.user,
            approvers=authority.approvers,
            approve_own=authority.approve_own,
            private_key=signing_key(context.settings),
            comment=comment,
            now=context.now(),
            parts=preview.parts,
            recipients=preview.waterfall.recipients,
        )
        if wrong := why_held(approved, preview.parts, authority=authority, now=context.now()):
            raise ApprovalError(f"this approval wouldn't count: {wrong}")
        return self._records.put(approved, "approve", before=record)

    def last(self, preview: CampaignPreview) -> LastApproval | None:
        """The last approval of a previewed campaign, with what has changed since; None where there was none."""
        approval = self._campaigns.newest_approval(preview.campaign.id)
        return last_approval(approval, preview, named=self._named) if approval else None

    def _named(self, part: str, text: str) -> str | None:
        if part == "app group":
            return next((group.name for group in self._context.settings.app_groups if group.id == text), None)
        if part == "template":
            return next((template.name for template in self._templates.list() if template.id == text), None)
        return None


def authority_of(settings: Settings) -> Authority:
    """Whose approval counts, by the settings."""
    return Authority(
        approvers=settings.workspace.approvers,
        approve_own=settings.workspace.approve_own,
        days=settings.policy.approval_days,
        keys=settings.policy.keys,
    )


def _unseen(seen: str | CampaignPreview, now: CampaignPreview) -> tuple[str, ...]:
    """What of a campaign isn't what was seen."""
    if isinstance(seen, str):
        whole = seen.strip().casefold()
        return () if whole == now.fingerprint else (f"you saw {whole or 'nothing'}, it is {now.fingerprint}",)
    was, found = seen.waterfall.recipients, now.waterfall.recipients
    changed = differences(seen.parts, now.parts)
    if not SizeBand.around(was).holds(found):
        changed = (*changed, f"you saw {was:,} recipients, there are {found:,}")
    return changed or (() if seen.fingerprint == now.fingerprint else ("it was submitted again",))


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
                before=words(part, approval.parts.get(part), missing=NONE if part == RULES_OF_TEMPLATE else NOT_A_PART),
                now=words(part, preview.parts.get(part)),
            )
            for part in preview.changed
        ),
    )
