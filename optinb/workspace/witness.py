"""Witnesses of the audit trail: every night notes, outside the database, how far the chain had come.

Whoever can write to the database can cut entries off its end, or write the whole chain anew; they can't make it fit
what the nights' folders say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import StateError
from optinb.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.campaigns import CampaignRecord
    from optinb.state import AuditVerdict
    from optinb.workspace.handle import Workspace

FILE_NAME = "audit-head.json"


class Witness(Struct, frozen=True, kw_only=True):
    """The hash of the entry that was the last, and its number."""

    entries: int
    head: str


def note_head(ws: Workspace, folder: Path) -> None:
    """Notes in a night's folder how far the chain has come."""
    newest = ws.store.audit.list(limit=1)
    if newest:
        witness = Witness(entries=newest[0].seq, head=newest[0].hash)
        write_atomically(folder / FILE_NAME, msgspec.json.encode(witness))


def verify_audit(ws: Workspace) -> AuditVerdict:
    """Checks the chain, its witnesses, and that it holds each approval. Raises StateError where one doesn't hold."""
    verdict = ws.store.audit.verify()
    problem = verdict.problem
    for file in sorted((ws.root / "runs").glob(f"*/{FILE_NAME}")) if problem is None else ():
        try:
            witness = msgspec.json.decode(file.read_bytes(), type=Witness)
        except (OSError, msgspec.MsgspecError) as error:
            raise StateError(f"{file} can't be read ({error}); restore it from a copy") from error
        found = ws.store.audit.hash_of(witness.entries)
        if found != witness.head:
            what = "is missing: the end was cut off" if found is None else "is another than it was"
            problem = f"entry {witness.entries} {what}, by the note of the night {file.parent.name}"
            break
    problem = problem or next(filter(None, (why_unrecorded(ws, r) for r in ws.store.campaigns.list())), None)
    if problem:
        raise StateError(f"the audit trail was tampered with: {problem}; compare it with a copy of the database")
    return replace(verdict, problem=None)


def why_unrecorded(ws: Workspace, record: CampaignRecord) -> str | None:
    """Why the approval that a campaign bears is none: the audit trail knows nothing of it. None if it does."""
    if record.approval is None:
        return None
    name, approval = record.campaign.name, record.approval
    given = (e for e in ws.store.audit.list(subject=name, limit=None) if e.action == "campaign approve")
    if any(e.who == approval.approver and e.detail["fingerprint"] == approval.fingerprint for e in given):
        return None
    return f"the approval of {name!r} by {approval.approver!r} isn't in it, so cancel that campaign"
