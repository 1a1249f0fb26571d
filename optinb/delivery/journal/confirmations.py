"""What Appboy said of the recipients of accepted requests: a row for each time that it was asked, the newest counts."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import func, insert, select

from optinb.delivery.journal.rows import as_json
from optinb.errors import ConflictError
from optinb.store.schema import audiences, confirmations

if TYPE_CHECKING:
    from sqlalchemy import Row, Select

    from optinb.store import Database

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

    def newest(self, campaign_id: str, run_date: date) -> Confirmation | None:
        """The one that counts of a campaign's night; None while Appboy wasn't asked."""
        mine = (confirmations.c.campaign_id == campaign_id) & (confirmations.c.run_date == run_date)
        query = select(confirmations).where(mine).order_by(confirmations.c.version.desc()).limit(1)
        with self._database.reading() as con:
            row = con.execute(query).first()
        return _confirmation(row) if row else None

    def list(self, *, since: date | None = None) -> tuple[Confirmation, ...]:
        """The one that counts of each night that was asked about, all or from a night on, the newest night first."""
        query = _newest().order_by(confirmations.c.run_date.desc(), confirmations.c.campaign_id)
        if since is not None:
            query = query.where(confirmations.c.run_date >= since)
        with self._database.reading() as con:
            return tuple(_confirmation(row) for row in con.execute(query))

    def add(self, confirmation: Confirmation) -> None:
        """Registers the next version. Raises ConflictError when somebody else was faster."""
        row = {**msgspec.structs.asdict(confirmation), "counts": as_json(confirmation.counts)}
        mine = (confirmations.c.campaign_id == confirmation.campaign_id) & (
            confirmations.c.run_date == confirmation.run_date
        )
        with self._database.writing() as con:
            before = con.execute(select(func.max(confirmations.c.version)).where(mine)).scalar() or 0
            if confirmation.version != before + 1:
                raise ConflictError(
                    f"Appboy was asked about the night of {confirmation.run_date} by somebody else meanwhile; look at "
                    "`optinb status`, and ask again with `optinb confirm` if anything is left"
                )
            con.execute(insert(confirmations).values(row))

    def requests_since(self, app_group_id: str, since: datetime) -> int:
        """How many requests were made about nights of an app group by what was registered from a moment on."""
        night = (confirmations.c.campaign_id == audiences.c.campaign_id) & (
            confirmations.c.run_date == audiences.c.run_date
        )
        query = select(confirmations.c.counts).join(audiences, night)
        query = query.where(audiences.c.app_group_id == app_group_id, confirmations.c.asked_at >= since)
        with self._database.reading() as con:
            found = con.execute(query).scalars().all()
        return sum(msgspec.json.decode(text, type=ConfirmedCounts).requests for text in found)


def _newest() -> Select[Any]:
    other = confirmations.alias()
    later = (other.c.campaign_id == confirmations.c.campaign_id) & (other.c.run_date == confirmations.c.run_date)
    later &= other.c.version > confirmations.c.version
    return select(confirmations).where(~select(other.c.version).where(later).exists())


def _confirmation(row: Row[Any]) -> Confirmation:
    fields = dict(row._mapping)
    return Confirmation(counts=msgspec.json.decode(fields.pop("counts"), type=ConfirmedCounts), **fields)
