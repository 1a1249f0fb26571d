"""Checkpoints of the audit trail: every night and decision notes, outside the database, how far the chain had come.

Whoever can write to the database can cut entries off its end, or write the whole chain anew; they can't make it fit
what the nights' folders say. Nor can they give such a note up: that is a renamed file. With the files of answers beside
the frozen audiences, the notes also tell a database that was put back to an earlier state.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.files import sync, write_atomically
from optinb.campaigns import CampaignRecord, why_unlike
from optinb.delivery.journal import TAIL, Store, behind
from optinb.delivery.verdict_files import changed_files
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.base.context import Context
    from optinb.store import AuditVerdict

_log = logging.getLogger("optinb.workspace")

FILE_NAME = "audit-head.json"
GIVEN_UP = "audit-head.given-up-"  # begins the name of what was one
RECOVERED = "journal recovered"
SUBJECT = "the journal"  # of the entry that says which notes a database put back doesn't fit any more
LOOKED_AT = timedelta(days=7)  # before the newest night: what is older can neither be sent nor recalled any more


class AuditCheckpoint(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The hash of the entry that was the last, and its number; of a decision also who decided what."""

    entries: int
    head: str
    decided: str = ""


class LostCheckpoint(NamedTuple):
    """A note of a night, or of the last decision (None), that the trail doesn't fit any more, and why."""

    night: date | None
    checkpoint: AuditCheckpoint
    why: str


class AuditCheckpoints:
    """`ws.checkpoints`: notes how far the audit trail has come, and tells whether the database is what was noted."""

    def __init__(self, context: Context, store: Store) -> None:
        self._context, self._store = context, store
        self._runs = context.root / "runs"

    def note_head(self, folder: Path, *, decided: str = "") -> None:
        """Notes in a night's folder how far the chain has come; a note that contradicts it stays, as evidence.

        So does one that knows more entries: somebody else has noted theirs meanwhile.
        """
        newest = self._store.audit.list(limit=1)
        if newest and self.why_behind() is None:
            checkpoint = AuditCheckpoint(entries=newest[0].seq, head=newest[0].hash, decided=decided)
            note = folder / FILE_NAME
            if not (note.exists() and _decoded(note).entries > checkpoint.entries):
                write_atomically(note, msgspec.json.encode(checkpoint))

    def note_decision(self, record: CampaignRecord, action: str) -> None:
        """Notes beside the nights' folders how far the chain has come, so that no restore loses a decision unnoticed.

        The decision stands where that can't be written, for whoever may not write there too: then the log says so.
        """
        self.note_decided(f"{action} {record.campaign.name!r}")

    def note_decided(self, what: str) -> None:
        """The same for what somebody decided, whatever it is about; `what` is said before their name."""
        try:
            self._runs.mkdir(exist_ok=True)
            self.note_head(self._runs, decided=f"{what} by {self._context.user}")
        except (OSError, StateError) as error:
            _log.warning("a decision isn't noted outside the database", extra={"error": str(error)})

    def why_behind(self) -> str | None:
        """Why the audit trail isn't the one that the nights noted: cut off, restored or written anew; None if it is.

        It asks for no more than the noted entries, so that every act may ask it first. Raises StateError for a note
        that can't be read.
        """
        lost = self.lost()
        return lost[0].why if lost else None

    def lost(self) -> list[LostCheckpoint]:
        """The notes that the trail doesn't fit, but those that a recovery gave up.

        Raises StateError for a note that can't be read.
        """
        noted = self._noted()
        heads = self._store.audit.hashes({one.entries for _, one in noted})
        return [LostCheckpoint(n, one, why) for n, one in noted if (why := _why_lost(n, one, heads.get(one.entries)))]

    def give_up(self, night: date | None) -> None:
        """Puts a note away that the trail can't fit any more, where whoever looks at the night's folder sees it.

        The trail can't say so by itself: whoever can add an entry to it could have written all of it anew.
        """
        note = self._runs / (night.isoformat() if night else "") / FILE_NAME
        note.replace(note.with_name(f"{GIVEN_UP}{sha256(note.read_bytes()).hexdigest()[:12]}.json"))
        sync(note.parent)

    def must_not_be_behind(self) -> None:
        """Refuses to go on with a database that was put back to an earlier state. Raises StateError.

        Looked at are the note that knows most entries, and the nights of the week before it, whatever else there is.
        """
        reasons, nights = [], list(nights_with_answers(self._context.root))
        since = max((night for night, _ in nights), default=date.min + LOOKED_AT) - LOOKED_AT
        noted, newest = max(self._noted(), key=lambda one: one[1].entries, default=(None, None))
        if newest and (lost := _why_lost(noted, newest, self._store.audit.hash_of(newest.entries))):
            reasons.append(lost)
        if noted:
            since = min(since, max(noted - LOOKED_AT, date.min))
        for night, campaign_id in nights:
            if night >= since:
                problems = self._store.recovery.whys_behind(campaign_id, night).values()
                reasons += [f"the night of {night}: {problem}" for problem in problems]
        if reasons:
            raise StateError(behind(reasons))

    def without_answers(self, run_date: date) -> tuple[str, ...]:
        """What is to be told of sends of the week before a night whose files of answers are missing or damaged."""
        found = []
        for audience in self._store.deliveries.list(having=("sending", "accepted", "unknown")):
            if audience.run_date < run_date - LOOKED_AT:
                break
            account = self._store.deliveries.answers.read(*audience.night)
            what = (
                "has no file of answers" if account is None else "has a damaged file of answers" * bool(account.damaged)
            )
            if what:
                found.append(
                    f"the send of {audience.campaign_name!r} for {audience.run_date} {what} beside its audience: were "
                    "the database put back to an earlier state, nobody could notice it by this one"
                )
        return tuple(dict.fromkeys(found))  # of several messages the same is said

    def why_distrusted(self) -> str | None:
        """Why the audit trail can't be gone by, or None: it must be whole, and the one that the nights noted."""
        if broken := self._store.audit.verify().problem:
            return f"the audit trail was tampered with: {broken}; compare it with a copy of the database"
        if lost := self.why_behind():
            return (
                f"the audit trail was tampered with, or its database was put back to an earlier state: {lost}; "
                "compare it with a copy of the database, or `optinb recover`"
            )
        return None

    def verify(self) -> AuditVerdict:
        """Checks the chain and its notes, and by it campaigns, audiences, what is stated of templates, and arrivals.

        Raises StateError where one isn't what the trail says.
        """
        if problem := self.why_distrusted():
            raise StateError(problem)
        problem = next(filter(None, self._differences()), None)
        if problem:
            raise StateError(f"the audit trail was tampered with: {problem}; compare it with a copy of the database")
        for changed in changed_files(self._store, root=self._context.root):
            raise StateError(changed)
        return replace(self._store.audit.verify(), breaks=self._breaks())

    def why_unrecorded(self, record: CampaignRecord) -> str | None:
        """Why a campaign isn't what the audit trail says was decided on it at last, and by whom; None if it is."""
        return why_unlike(record, self._store.campaigns.decisions(record.id).get(record.id, ()))

    def _differences(self) -> Iterator[str | None]:
        """What differs from the audit trail: campaigns, those that are gone, statements, arrivals and audiences."""
        decisions, records = self._store.campaigns.decisions(), self._store.campaigns.list()
        yield from (why_unlike(record, decisions.get(record.id, ())) for record in records)
        gone = decisions.keys() - {record.id for record in records}
        yield from (f"the campaign {decisions[one][-1].content.name!r} isn't there any more" for one in sorted(gone))
        yield from self._store.statements.all_unlike()
        yield from self._store.confirmations.all_unlike()
        yield from self._store.deliveries.all_unlike_planned()

    def _noted(self) -> list[tuple[date | None, AuditCheckpoint]]:
        """The notes of nights and of the last decision (None), but those that a recovery gave up.

        Raises StateError for one that can't be read.
        """
        found = []
        for file in (*sorted(self._runs.glob(f"*/{FILE_NAME}")), *self._runs.glob(FILE_NAME)):
            try:
                night = None if file.parent == self._runs else date.fromisoformat(file.parent.name)
                found.append((night, _decoded(file)))
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                raise StateError(f"{file} can't be read ({error}); restore it from a copy") from error
        return found

    def _breaks(self) -> tuple[str, ...]:
        """What recoveries gave up, by the trail and by the files that are left of it; either may lack in the other."""
        recovered = [e for e in reversed(self._store.audit.list(subject=SUBJECT)) if e.action == RECOVERED]
        lost = [entry for entry in recovered if entry.detail.get("lost")]
        told = {one["head"] for entry in lost for one in entry.detail["lost"]}
        files = sorted(self._runs.rglob(f"{GIVEN_UP}*.json"))
        return (
            *(
                f"on {entry.at:%Y-%m-%d %H:%M} UTC {entry.who} recovered a database that had been put back: "
                f"{len(entry.detail['lost'])} notes of nights tell of entries that are lost"
                for entry in lost
            ),
            *(
                f"the note {file.relative_to(self._context.root)} was given up, and the trail doesn't say so"
                for file in files
                if _decoded(file).head not in told
            ),
        )


def nights_with_answers(root: Path) -> Iterator[tuple[date, str]]:
    """The night and the campaign's id of every file of answers."""
    for path in sorted((root / "audiences").glob(f"*/*{TAIL}")):
        with suppress(ValueError):  # a copy that somebody made beside the nights
            yield date.fromisoformat(path.parent.name), path.name.removesuffix(TAIL)


def _decoded(file: Path) -> AuditCheckpoint:
    return msgspec.json.decode(file.read_bytes(), type=AuditCheckpoint)


def _why_lost(night: date | None, noted: AuditCheckpoint, there: str | None) -> str | None:
    if there == noted.head:
        return None
    what = "is missing: the end was cut off" if there is None else "is another than it was"
    whose = f"the last decision ({noted.decided})" if night is None else f"the night {night}"
    return f"entry {noted.entries} {what}, by the note of {whose}"
