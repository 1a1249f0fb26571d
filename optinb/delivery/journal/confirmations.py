"""What Appboy said of the recipients of accepted requests: a row for each time that it was asked, the newest counts.

It decides who may be written to again and whose codes are free, and its rows can be changed by whoever can write to the
database. So the audit trail has an entry of each, and one for each part that is kept while Appboy is asked: what isn't
borne out there counts as not asked.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import func, insert, select

from optinb.delivery.journal.manifest import night_of
from optinb.delivery.journal.rows import as_json, of_campaign
from optinb.errors import ConflictError
from optinb.store import audit
from optinb.store.schema import audiences, confirmations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from optinb.store import AuditEntry, Database

    Night = tuple[str, date]

CONFIRMED, ASKED = "messages confirmed", "messages asked about"

UNTOLD = "untold"
"""What stands in place of a filter for those of whom nothing explains that they were filtered."""
VERDICT_TAIL = ".verdicts"
"""How the names of files with verdicts end. They name nobody, so that no person has to be taken out of them."""


class ConfirmedCounts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The figures of a confirmation, in recipients.

    Attributes:
        recipients: those of accepted requests.
        asked: those whom Appboy was asked about; less than `recipients` for a sample, or while there are more to ask.
        confirmed: who got it by what Appboy says.
        filtered: who certainly didn't, by the filter that is likely; "several" where two explain it, and "untold" where
            none does.
        unconfirmed: of whom there is no word so far.
        planned: how many are to be asked in all: everybody, or the sample.
        requests: that were made for this version.
        sent: to how many it was sent by Appboy's figures; None where they can't be told from another campaign's.
        bounced: how many messages bounced by the same figures.
        alarm: what is wrong with the template, in a sentence that names it and the remedy; None where nothing is.
    """

    recipients: int
    asked: int = 0
    confirmed: int = 0
    filtered: dict[str, int] = {}
    unconfirmed: int = 0
    planned: int = 0
    requests: int = 0
    sent: int | None = None
    bounced: int = 0
    alarm: str | None = None

    @property
    def lost(self) -> int:
        """Everybody who was filtered."""
        return sum(self.filtered.values())

    @property
    def is_final(self) -> bool:
        """Whether nobody is left to ask about."""
        return self.asked >= self.planned and self.unconfirmed == 0


class Confirmation(Struct, frozen=True, kw_only=True):
    """What Appboy said of a campaign's night; `path` is that of the file with the verdicts, relative to the workspace.

    `version` counts from 1; `sha256` is the file's, in hexadecimal; `asked_at` is in UTC.
    """

    campaign_id: str
    run_date: date
    version: int
    path: str
    sha256: str
    counts: ConfirmedCounts
    asked_by: str
    asked_at: datetime

    @property
    def night(self) -> tuple[str, date]:
        """Whose it is: campaign and date."""
        return self.campaign_id, self.run_date


class ConfirmationStore:
    """The confirmations of a workspace. Rows are added and never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._said: audit.EntriesAbout[Night] = audit.EntriesAbout(CONFIRMED, ASKED, key=night_of)

    def newest(self, campaign_id: str, run_date: date) -> Confirmation | None:
        """The one that counts of a campaign's night; None while Appboy wasn't asked, and where it isn't borne out."""
        with self._database.reading() as con:
            found, _ = self._look(con, (campaign_id, run_date))
        return found

    def list(
        self, *, since: date | None = None, until: date | None = None, campaign_id: str | None = None
    ) -> tuple[Confirmation, ...]:
        """The one that counts of each night that was asked about, the newest night first.

        Args:
            since: the first night.
            until: the last night.
            campaign_id: of the only campaign that is looked at, with all of its messages.
        """
        query = _newest().order_by(confirmations.c.run_date.desc(), confirmations.c.campaign_id)
        if since is not None:
            query = query.where(confirmations.c.run_date >= since)
        if until is not None:
            query = query.where(confirmations.c.run_date <= until)
        if campaign_id is not None:
            query = query.where(of_campaign(confirmations.c.campaign_id, campaign_id))
        found: list[Confirmation] = []
        with self._database.reading() as con:
            rows = con.execute(query).all()
            said = self._said.all(con)
            for row in rows:
                night = (row.campaign_id, row.run_date)
                is_plain = _is_borne_out(row, _last(said.get(night, ())))
                there = _confirmation(row) if is_plain else self._look(con, night)[0]
                found += [] if there is None else [there]
        return tuple(found)

    def all_unlike(self) -> tuple[str, ...]:
        """Why what is stored of nights isn't what the audit trail says that Appboy said, a sentence for each."""
        with self._database.reading() as con:
            return tuple(self._all_unlike(con))

    def last_version(self, campaign_id: str, run_date: date) -> int:
        """The number of the newest version of a campaign's night, borne out or not; 0 before the first."""
        with self._database.reading() as con:
            return self._last_version(con, (campaign_id, run_date))

    def add(self, confirmation: Confirmation) -> None:
        """Registers the next version. Raises ConflictError when somebody else was faster."""
        counts, night = as_json(confirmation.counts), confirmation.night
        with self._database.writing() as con:
            if confirmation.version != self._last_version(con, night) + 1:
                raise ConflictError(
                    f"Appboy was asked about the night of {confirmation.run_date} by somebody else meanwhile; look at "
                    "`optinb status`, and ask again with `optinb confirm` if anything is left"
                )
            con.execute(insert(confirmations).values({**msgspec.structs.asdict(confirmation), "counts": counts}))
            audit.record(
                con,
                who=confirmation.asked_by,
                action=CONFIRMED,
                subject=_name(con, night),
                now=confirmation.asked_at,
                campaign_id=confirmation.campaign_id,
                run_date=confirmation.run_date,
                version=confirmation.version,
                path=confirmation.path,
                sha256=confirmation.sha256,
                counts=msgspec.json.decode(counts),
            )

    def parts(self, campaign_id: str, run_date: date) -> frozenset[str]:
        """The SHA-256 of each part that was told of a night since its newest version."""
        with self._database.reading() as con:
            return _parts(self._said.of(con, (campaign_id, run_date)))

    def all_parts(self) -> dict[Night, frozenset[str]]:
        """The same of every night of which any part was told since."""
        with self._database.reading() as con:
            found = {night: _parts(entries) for night, entries in self._said.all(con).items()}
        return {night: parts for night, parts in found.items() if parts}

    def note_part(
        self, campaign_id: str, run_date: date, *, sha256: str, recipients: int, user: str, now: datetime
    ) -> None:
        """Enters a part that Appboy told of a night into the audit trail, so that it is gone by.

        Args:
            campaign_id: whose night it is.
            run_date: its date.
            sha256: of the part's file.
            recipients: of how many it tells.
            user: who asks.
            now: in UTC.
        """
        with self._database.writing() as con:
            audit.record(
                con,
                who=user,
                action=ASKED,
                subject=_name(con, (campaign_id, run_date)),
                now=now,
                campaign_id=campaign_id,
                run_date=run_date,
                sha256=sha256,
                recipients=recipients,
            )

    def _look(self, con: Connection, night: Night) -> tuple[Confirmation | None, str | None]:
        """The newest version of a night, or why what is stored isn't what the trail says."""
        row: Row[Any] | None = None
        entry: AuditEntry | None = None
        for _ in range(2):  # a second look, since a version may come between the row and the entries
            newest = select(confirmations).where(_of(night)).order_by(confirmations.c.version.desc()).limit(1)
            row, entry = con.execute(newest).first(), _last(self._said.of(con, night))
            if row is None and entry is None:
                return None, None
            if row is not None and _is_borne_out(row, entry):
                return _confirmation(row), None
        if row is None:
            what = "isn't there any more"
        elif entry is None or row.version > entry.detail.get("version", 0):
            what = f"isn't in it, version {row.version} by {row.asked_by!r}"
        else:
            what = "was changed or taken away since"
        return None, (
            f"what Appboy said of {_name(con, night)!r} on {night[1]} isn't what the audit trail says that it said: it "
            f"{what}; somebody else than optinb wrote to the database, and it counts as not asked: ask again with "
            f"`optinb confirm --date {night[1]}`, and see who can write to the database"
        )

    def _all_unlike(self, con: Connection) -> Iterator[str]:
        rows = {(row.campaign_id, row.run_date): row for row in con.execute(_newest())}
        said = {night: last for night, of in self._said.all(con).items() if (last := _last(of)) is not None}
        for night in sorted(rows.keys() | said.keys()):
            row = rows.get(night)
            if row is None or not _is_borne_out(row, said.get(night)):
                _, why = self._look(con, night)
                if why:
                    yield why

    def _last_version(self, con: Connection, night: Night) -> int:
        row = con.execute(select(func.max(confirmations.c.version)).where(_of(night))).scalar() or 0
        entry = _last(self._said.of(con, night))
        return max(row, entry.detail.get("version", 0) if entry else 0)

    def requests_since(self, app_group_id: str, since: datetime) -> int:
        """How many requests were made about nights of an app group by what was registered from a moment on."""
        night = (confirmations.c.campaign_id == audiences.c.campaign_id) & (
            confirmations.c.run_date == audiences.c.run_date
        )
        query = select(confirmations.c.counts).join(audiences, night)
        query = query.where(audiences.c.app_group_id == app_group_id, confirmations.c.asked_at >= since)
        with self._database.reading() as con:
            found = con.execute(query).scalars().all()
        total = 0
        for text in found:
            with suppress(msgspec.MsgspecError):  # of a version that isn't borne out; of others it is told
                total += msgspec.json.decode(text, type=ConfirmedCounts).requests
        return total


def _newest() -> Select[Any]:
    other = confirmations.alias()
    later = (other.c.campaign_id == confirmations.c.campaign_id) & (other.c.run_date == confirmations.c.run_date)
    later &= other.c.version > confirmations.c.version
    return select(confirmations).where(~select(other.c.version).where(later).exists())


def _confirmation(row: Row[Any]) -> Confirmation:
    fields = dict(row._mapping)
    return Confirmation(counts=msgspec.json.decode(fields.pop("counts"), type=ConfirmedCounts), **fields)


def _is_borne_out(row: Row[Any], entry: AuditEntry | None) -> bool:
    """Whether a row is what its entry says, which must be the newest of the night."""
    if entry is None:
        return False
    try:
        counts = msgspec.json.decode(row.counts)
    except msgspec.DecodeError:
        return False
    found = {"version": row.version, "path": row.path, "sha256": row.sha256, "counts": counts}
    told = {name: entry.detail.get(name) for name in found}
    return found == told and (row.asked_by, row.asked_at) == (entry.who, entry.at)


def _last(entries: Sequence[AuditEntry]) -> AuditEntry | None:
    """The entry of the newest version."""
    return next((entry for entry in reversed(entries) if entry.action == CONFIRMED), None)


def _parts(entries: Sequence[AuditEntry]) -> frozenset[str]:
    found: set[str] = set()
    for entry in entries:
        if entry.action == CONFIRMED:
            found.clear()
        else:
            found.add(entry.detail.get("sha256", ""))
    return frozenset(found)


def _of(night: Night) -> ColumnElement[bool]:
    return (confirmations.c.campaign_id == night[0]) & (confirmations.c.run_date == night[1])


def _name(con: Connection, night: Night) -> str:
    """The campaign's name as it was frozen; its id where nothing is."""
    mine = (audiences.c.campaign_id == night[0]) & (audiences.c.run_date == night[1])
    return con.execute(select(audiences.c.campaign_name).where(mine)).scalar() or night[0]
