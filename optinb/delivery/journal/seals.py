"""Frozen audiences that were written anew because somebody in them is to be forgotten: the new seal beside the old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, update

from optinb.delivery.journal.manifest import SEALED
from optinb.delivery.journal.recovering import changed
from optinb.delivery.journal.rows import as_json, audience_of_night, find_audience, of_night
from optinb.delivery.journal.values import FrozenAudience, Settlement
from optinb.errors import ConflictError
from optinb.store import Database, audit
from optinb.store.schema import audiences, batches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from optinb.delivery.journal.answers import AnswerFiles


class Seals:
    """Replaces the file of a frozen audience, on the record."""

    def __init__(self, database: Database, answers: AnswerFiles) -> None:
        self._database, self._answers = database, answers

    def renew(
        self,
        audience: FrozenAudience,
        *,
        path: str,
        sha256: str,
        renamed: Mapping[str, str],
        why: str,
        user: str,
        now: datetime,
    ) -> FrozenAudience:
        """Registers another file in place of an audience's, with both hashes in the audit trail, in one transaction.

        Args:
            audience: as it was read; what was moved or cancelled since stays so.
            path: of the new file, relative to the workspace.
            sha256: of the new file.
            renamed: external user ids that what Appboy said of unknown batches names, and what stands there from now.
            why: for the audit trail.
            user: who does it.
            now: in UTC.

        Raises ConflictError when the audience was sealed anew by somebody else.
        """
        with self._database.writing() as con:
            known = audience_of_night(*audience.night) & (audiences.c.sha256 == audience.sha256)
            done = con.execute(update(audiences).where(known).values(path=path, sha256=sha256))
            if done.rowcount != 1:
                raise ConflictError(
                    f"the audience of {audience.campaign_name!r} of {audience.run_date} was changed meanwhile; try "
                    "again"
                )
            night = of_night(*audience.night)
            told = select(batches.c.number, batches.c.settlement).where(night, batches.c.settlement.is_not(None))
            for number, text in con.execute(told).all():
                before = msgspec.json.decode(text, type=Settlement)
                after = _renamed(before, renamed)
                if after != before:
                    mine = update(batches).where(night, batches.c.number == number)
                    con.execute(mine.values(settlement=as_json(after)))
            audit.record(
                con,
                who=user,
                action=SEALED,
                subject=audience.campaign_name,
                now=now,
                campaign_id=audience.campaign_id,
                run_date=audience.run_date,
                path=path,
                sha256=sha256,
                sha256_before=audience.sha256,
                why=why,
            )
            sealed = find_audience(con, *audience.night)
            assert sealed is not None
            line = changed(con, sealed, now=now)
        with self._answers.appending(*audience.night) as pen:
            pen.write(line)
        return sealed


def _renamed(settlement: Settlement, names: Mapping[str, str]) -> Settlement:
    def all_of(ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(one, one) for one in ids)

    changed: dict[str, Any] = {name: all_of(getattr(settlement, name)) for name in ("received", "missing", "untold")}
    return msgspec.structs.replace(settlement, **changed)
