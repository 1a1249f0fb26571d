"""Witnesses of the audit trail: every night notes, outside the database, how far the chain had come.

Whoever can write to the database can cut entries off its end, or write the whole chain anew; they can't make it fit
what the nights' folders say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.campaigns import why_unlike
from optinb.errors import StateError
from optinb.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    """Notes in a night's folder how far the chain has come; a note that contradicts it stays, as evidence."""
    newest = ws.store.audit.list(limit=1)
    if newest and why_behind(ws) is None:
        witness = Witness(entries=newest[0].seq, head=newest[0].hash)
        write_atomically(folder / FILE_NAME, msgspec.json.encode(witness))


def why_behind(ws: Workspace) -> str | None:
    """Why the audit trail isn't the one that the nights noted: cut off, restored or written anew; None if it is.

    It asks for no more than the noted entries, so that every act may ask it first. Raises StateError for a note that
    can't be read.
    """
    noted = {file.parent.name: _read(file) for file in sorted((ws.root / "runs").glob(f"*/{FILE_NAME}"))}
    found = ws.store.audit.hashes({witness.entries for witness in noted.values()})
    for night, witness in noted.items():
        there = found.get(witness.entries)
        if there != witness.head:
            what = "is missing: the end was cut off" if there is None else "is another than it was"
            return f"entry {witness.entries} {what}, by the note of the night {night}"
    return None


def why_distrusted(ws: Workspace) -> str | None:
    """Why the audit trail can't be gone by, or None: it must be whole, and the one that the nights noted."""
    problem = ws.store.audit.verify().problem or why_behind(ws)
    return f"the audit trail was tampered with: {problem}; compare it with a copy of the database" if problem else None


def verify_audit(ws: Workspace) -> AuditVerdict:
    """Checks the chain and its witnesses, and every campaign and audience by it.

    Raises StateError where one isn't what the trail says.
    """
    if problem := why_distrusted(ws):
        raise StateError(problem)
    problem = next(filter(None, _differences(ws)), None)
    if problem:
        raise StateError(f"the audit trail was tampered with: {problem}; compare it with a copy of the database")
    return ws.store.audit.verify()


def why_unrecorded(ws: Workspace, record: CampaignRecord) -> str | None:
    """Why a campaign isn't what the audit trail says was decided on it at last, and by whom; None if it is."""
    return why_unlike(record, ws.store.campaigns.decisions(record.id).get(record.id, ()))


def _differences(ws: Workspace) -> Iterator[str | None]:
    """What differs from the audit trail: campaigns, those that are gone, and audiences."""
    decisions, records = ws.store.campaigns.decisions(), ws.store.campaigns.list()
    yield from (why_unlike(record, decisions.get(record.id, ())) for record in records)
    gone = decisions.keys() - {record.id for record in records}
    yield from (f"the campaign {decisions[one][-1].content.name!r} isn't there any more" for one in sorted(gone))
    yield from ws.store.deliveries.all_unlike_planned()


def _read(file: Path) -> Witness:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Witness)
    except (OSError, msgspec.MsgspecError) as error:
        raise StateError(f"{file} can't be read ({error}); restore it from a copy") from error
