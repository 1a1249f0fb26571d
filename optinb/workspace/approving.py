"""Approving what was seen: nobody approves a campaign that they haven't looked at, nor one that changed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.campaigns import SizeBand, approve, differences, signing_key, why_held
from optinb.errors import ApprovalError
from optinb.workspace.refusals import check_sendable

if TYPE_CHECKING:
    from optinb.campaigns import CampaignRecord
    from optinb.workspace.handle import Workspace
    from optinb.workspace.previewing import CampaignPreview


def approve_seen(ws: Workspace, name: str, *, seen: str | CampaignPreview, comment: str) -> CampaignRecord:
    """Approves a campaign as it was seen; see `Campaigns.approve`."""
    record, workspace = ws.campaigns.get(name), ws.settings.workspace
    if forged := ws.checkpoints.why_behind() or ws.checkpoints.why_unrecorded(record):
        raise ApprovalError(f"the audit trail was tampered with: {forged}; compare the database with a copy")
    check_sendable(ws, ws.campaigns.resolve(record.campaign))
    preview = ws.campaigns.preview(record.campaign)
    if changed := _unseen(seen, preview):
        raise ApprovalError(f"{name!r} changed while you looked at it ({', '.join(changed)}); look again")
    approved = approve(
        record,
        user=ws.user,
        approvers=workspace.approvers,
        approve_own=workspace.approve_own,
        private_key=signing_key(ws.settings),
        comment=comment,
        now=ws.now(),
        parts=preview.parts,
        recipients=preview.waterfall.recipients,
    )
    if wrong := why_held(approved, preview.parts, authority=ws.campaigns.authority, now=ws.now()):
        raise ApprovalError(f"this approval wouldn't count: {wrong}")
    ws.store.campaigns.put(approved, expected=record.version, user=ws.user, action="approve", now=ws.now())
    ws.checkpoints.note_decision(approved, "approve")
    return approved


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
