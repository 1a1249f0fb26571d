"""Witnesses of the audit trail: every night and decision notes, outside the database, how far the chain had come.

Whoever can write to the database can cut entries off its end, or write the whole chain anew; they can't make it fit
what the nights' folders say. Nor can they give such a note up: that is a renamed file.
"""

from __future__ import annotations

import logging
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns import why_unlike
from optinb.errors import StateError
from optinb.files import sync, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.campaigns import CampaignRecord
    from optinb.store import AuditVerdict
    from optinb.workspace.handle import Workspace

_log = logging.getLogger("optinb.workspace")

FILE_NAME = "audit-head.json"
GIVEN_UP = "audit-head.given-up-"  # begins the name of what was one
RECOVERED = "journal recovered"
SUBJECT = "the journal"  # of the entry that says which witnesses a database put back doesn't fit any more


class Witness(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The hash of the entry that was the last, and its number; of a decision also who decided what."""

    entries: int
    head: str
    decided: str = ""


def note_head(ws: Workspace, folder: Path, *, decided: str = "") -> None:
    """Notes in a night's folder how far the chain has come; a note that contradicts it stays, as evidence.

    So does one that knows more entries: somebody else has noted theirs meanwhile.
    """
    newest = ws.store.audit.list(limit=1)
    if newest and why_behind(ws) is None:
        witness = Witness(entries=newest[0].seq, head=newest[0].hash, decided=decided)
        note = folder / FILE_NAME
        if not (note.exists() and _decoded(note).entries > witness.entries):
            write_atomically(note, msgspec.json.encode(witness))


def note_decision(ws: Workspace, record: CampaignRecord, action: str) -> None:
    """Notes beside the nights' folders how far the chain has come, so that no restore loses a decision unnoticed.

    The decision stands where that can't be written, for whoever may not write there too: then the log says so.
    """
    folder = ws.root / "runs"
    try:
        folder.mkdir(exist_ok=True)
        note_head(ws, folder, decided=f"{action} {record.campaign.name!r} by {ws.user}")
    except (OSError, StateError) as error:
        _log.warning("a decision isn't noted outside the database", extra={"error": str(error)})


def why_behind(ws: Workspace) -> str | None:
    """Why the audit trail isn't the one that the nights noted: cut off, restored or written anew; None if it is.

    It asks for no more than the noted entries, so that every act may ask it first. Raises StateError for a note that
    can't be read.
    """
    lost = lost_witnesses(ws)
    return lost[0][2] if lost else None


def lost_witnesses(ws: Workspace) -> list[tuple[date | None, Witness, str]]:
    """The notes of nights, or of the last decision (None), that the trail doesn't fit, and why.

    Not those that a recovery gave up.

    Raises StateError for a note that can't be read.
    """
    witnesses = _witnesses(ws)
    heads = ws.store.audit.hashes({witness.entries for _, witness in witnesses})
    return [(night, w, why) for night, w in witnesses if (why := _why_lost(night, w, heads.get(w.entries)))]


def give_up(ws: Workspace, night: date | None) -> None:
    """Puts a note away that the trail can't fit any more, where whoever looks at the night's folder sees it.

    The trail can't say so by itself: whoever can add an entry to it could have written all of it anew.
    """
    note = ws.root / "runs" / (night.isoformat() if night else "") / FILE_NAME
    note.replace(note.with_name(f"{GIVEN_UP}{sha256(note.read_bytes()).hexdigest()[:12]}.json"))
    sync(note.parent)


def newest_witness(ws: Workspace) -> tuple[date | None, str | None] | None:
    """The night, or None for a decision, whose note knows most entries, and why the trail doesn't fit it, if so.

    None without any.
    """
    night, newest = max(_witnesses(ws), key=lambda one: one[1].entries, default=(None, None))
    if newest is None:
        return None
    return night, _why_lost(night, newest, ws.store.audit.hash_of(newest.entries))


def why_distrusted(ws: Workspace) -> str | None:
    """Why the audit trail can't be gone by, or None: it must be whole, and the one that the nights noted."""
    if broken := ws.store.audit.verify().problem:
        return f"the audit trail was tampered with: {broken}; compare it with a copy of the database"
    if behind := why_behind(ws):
        return (
            f"the audit trail was tampered with, or its database was put back to an earlier state: {behind}; compare "
            "it with a copy of the database, or `optinb recover`"
        )
    return None


def verify_audit(ws: Workspace) -> AuditVerdict:
    """Checks the chain and its witnesses, and every campaign and audience by it.

    Raises StateError where one isn't what the trail says.
    """
    if problem := why_distrusted(ws):
        raise StateError(problem)
    problem = next(filter(None, _differences(ws)), None)
    if problem:
        raise StateError(f"the audit trail was tampered with: {problem}; compare it with a copy of the database")
    return replace(ws.store.audit.verify(), breaks=_breaks(ws))


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


def _witnesses(ws: Workspace) -> list[tuple[date | None, Witness]]:
    """The notes of nights and of the last decision (None), but those that a recovery gave up.

    Raises StateError for one that can't be read.
    """
    found, folder = [], ws.root / "runs"
    for file in (*sorted(folder.glob(f"*/{FILE_NAME}")), *folder.glob(FILE_NAME)):
        try:
            night = None if file.parent == folder else date.fromisoformat(file.parent.name)
            found.append((night, _decoded(file)))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"{file} can't be read ({error}); restore it from a copy") from error
    return found


def _decoded(file: Path) -> Witness:
    return msgspec.json.decode(file.read_bytes(), type=Witness)


def _why_lost(night: date | None, witness: Witness, there: str | None) -> str | None:
    if there == witness.head:
        return None
    what = "is missing: the end was cut off" if there is None else "is another than it was"
    whose = f"the last decision ({witness.decided})" if night is None else f"the night {night}"
    return f"entry {witness.entries} {what}, by the note of {whose}"


def _breaks(ws: Workspace) -> tuple[str, ...]:
    """What recoveries gave up, by the trail and by the files that are left of it; either may lack in the other."""
    recovered = [entry for entry in reversed(ws.store.audit.list(subject=SUBJECT)) if entry.action == RECOVERED]
    lost = [entry for entry in recovered if entry.detail.get("lost")]
    told = {one["head"] for entry in lost for one in entry.detail["lost"]}
    files = sorted((ws.root / "runs").rglob(f"{GIVEN_UP}*.json"))
    return (
        *(
            f"on {entry.at:%Y-%m-%d %H:%M} UTC {entry.who} recovered a database that had been put back: "
            f"{len(entry.detail['lost'])} notes of nights tell of entries that are lost"
            for entry in lost
        ),
        *(
            f"the note {file.relative_to(ws.root)} was given up, and the trail doesn't say so"
            for file in files
            if _decoded(file).head not in told
        ),
    )
