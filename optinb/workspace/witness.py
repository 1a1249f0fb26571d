"""Witnesses of the audit trail: every night notes, outside the database, how far the chain had come.

Whoever can write to the database can cut entries off its end, or write the whole chain anew; they can't make it fit
what the nights' folders say.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import StateError
from optinb.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.campaigns import CampaignRecord
    from optinb.state import AuditVerdict
    from optinb.workspace.handle import Workspace

FILE_NAME = "audit-head.json"
SUBJECT = "the journal"  # of the entry that says which witnesses a database put back doesn't fit any more


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
    if problem is None:
        problem = next((why for _, _, why in lost_witnesses(ws)), None)
    problem = problem or next(filter(None, (why_unrecorded(ws, r) for r in ws.store.campaigns.list())), None)
    if problem:
        raise StateError(
            f"the audit trail was tampered with, or its database was put back to an earlier state: {problem}; compare "
            "it with a copy of the database, or `optinb recover`"
        )
    return replace(verdict, problem=None, breaks=_breaks(ws))


def lost_witnesses(ws: Workspace) -> list[tuple[date, Witness, str]]:
    """The notes of nights that the trail doesn't fit, and why; not those of which it says so itself since.

    Raises StateError for a note that can't be read.
    """
    known = _given_up(ws)
    found = [(night, witness, _why_lost(ws, night, witness)) for night, witness in _witnesses(ws)]
    return [(n, witness, why) for n, witness, why in found if why and (witness.entries, witness.head) not in known]


def newest_witness(ws: Workspace) -> tuple[date, str | None] | None:
    """The night whose note knows most entries, and why the trail doesn't fit it, if so; None without any."""
    known = _given_up(ws)
    there = [(n, witness) for n, witness in _witnesses(ws) if (witness.entries, witness.head) not in known]
    if not there:
        return None
    night, newest = max(there, key=lambda one: one[1].entries)
    return night, _why_lost(ws, night, newest)


def _witnesses(ws: Workspace) -> Iterator[tuple[date, Witness]]:
    for file in sorted((ws.root / "runs").glob(f"*/{FILE_NAME}")):
        try:
            yield date.fromisoformat(file.parent.name), msgspec.json.decode(file.read_bytes(), type=Witness)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"{file} can't be read ({error}); restore it from a copy") from error


def _why_lost(ws: Workspace, night: date, witness: Witness) -> str | None:
    found = ws.store.audit.hash_of(witness.entries)
    if found == witness.head:
        return None
    what = "is missing: the end was cut off" if found is None else "is another than it was"
    return f"entry {witness.entries} {what}, by the note of the night {night}"


def _given_up(ws: Workspace) -> set[tuple[int, str]]:
    """The witnesses of which the trail says that it doesn't fit them any more."""
    entries = ws.store.audit.list(subject=SUBJECT)
    return {(one["entries"], one["head"]) for entry in entries for one in entry.detail.get("lost", ())}


def _breaks(ws: Workspace) -> tuple[str, ...]:
    return tuple(
        f"on {entry.at:%Y-%m-%d %H:%M} UTC {entry.who} recovered a database that had been put back: {len(lost)} notes "
        "of nights tell of entries that are lost"
        for entry in reversed(ws.store.audit.list(subject=SUBJECT))
        if (lost := entry.detail.get("lost"))
    )


def why_unrecorded(ws: Workspace, record: CampaignRecord) -> str | None:
    """Why the approval that a campaign bears is none: the audit trail knows nothing of it. None if it does."""
    if record.approval is None:
        return None
    name, approval = record.campaign.name, record.approval
    given = (e for e in ws.store.audit.list(subject=name, limit=None) if e.action == "campaign approve")
    if any(e.who == approval.approver and e.detail["fingerprint"] == approval.fingerprint for e in given):
        return None
    return f"the approval of {name!r} by {approval.approver!r} isn't in it, so cancel that campaign"
