"""Approving what was seen: nobody approves a campaign that they haven't looked at, nor one that changed meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from optinb.campaigns import SizeBand, approve, differences, why_held
from optinb.errors import ApprovalError
from optinb.workspace.refusals import check_sendable
from optinb.workspace.witness import note_decision, why_behind, why_unrecorded

if TYPE_CHECKING:
    from optinb.campaigns import CampaignRecord
    from optinb.workspace.handle import Workspace
    from optinb.workspace.previewing import CampaignPreview

SIGNING_KEY = "OPTINB_SIGNING_KEY"


def approve_seen(ws: Workspace, name: str, *, seen: str | CampaignPreview, comment: str) -> CampaignRecord:
    """Approves a campaign as it was seen; see `Campaigns.approve`."""
    record, workspace = ws.campaigns.get(name), ws.settings.workspace
    if forged := why_behind(ws) or why_unrecorded(ws, record):
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
        private_key=signing_key(ws),
        comment=comment,
        now=ws.now(),
        parts=preview.parts,
        recipients=preview.waterfall.recipients,
    )
    if wrong := why_held(approved, preview.parts, authority=ws.campaigns.authority, now=ws.now()):
        raise ApprovalError(f"this approval wouldn't count: {wrong}")
    ws.store.campaigns.put(approved, expected=record.version, user=ws.user, action="approve", now=ws.now())
    note_decision(ws, approved, "approve")
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


def signing_key(ws: Workspace) -> str | None:
    """The private key of the user, where approvals and moves must be signed; else None.

    Raises ApprovalError when it must be there and isn't.
    """
    if not ws.settings.policy.keys:
        return None
    private = os.environ.get(SIGNING_KEY, "").strip()
    if not private:
        raise ApprovalError(
            f"approvals and moves are signed in this workspace: put your private key into {SIGNING_KEY}, or make one "
            "with `optinb campaigns key`"
        )
    return private
