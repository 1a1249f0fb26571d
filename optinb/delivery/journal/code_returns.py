"""Codes of recipients whose message Appboy filtered, given back to their pool because a person says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from optinb.delivery.journal.code_checks import GIVEN_BACK
from optinb.delivery.journal.codes import free_places
from optinb.delivery.journal.recovering import changed
from optinb.store import Database, audit
from optinb.store.schema import code_grants

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from optinb.delivery.journal.answers import AnswerFiles
    from optinb.delivery.journal.values import FrozenAudience


class CodeReturns:
    """Takes codes from recipients who certainly got no message, on the record."""

    def __init__(self, database: Database, answers: AnswerFiles) -> None:
        self._database, self._answers = database, answers

    def give_back(self, audience: FrozenAudience, places: Sequence[int], *, user: str, now: datetime) -> int:
        """Returns to its pool what the recipients at some places of an audience have, in one transaction.

        The file of answers is told, so that a recovery gives nobody a code that somebody else may have by then.

        Args:
            audience: that drew from a pool.
            places: of the recipients, from 0.
            user: who gives them back.
            now: in UTC.

        Returns:
            how many codes are free by this; 0, and nothing is noted, where none of these places has one any more.
        """
        with self._database.writing() as con:
            mine = (code_grants.c.campaign_id == audience.campaign_id) & (code_grants.c.run_date == audience.run_date)
            query = select(code_grants.c.place, code_grants.c.count).where(mine)
            granted = [(place, place + count) for place, count in con.execute(query).all()]
            held = sorted(p for p in set(places) if any(begin <= p < end for begin, end in granted))
            if not held:
                return 0
            spans = _spans(held)
            for first, count in spans:
                free_places(con, *audience.night, first, first + count)
            audit.record(
                con,
                who=user,
                action=GIVEN_BACK,
                subject=audience.campaign_name,
                now=now,
                campaign_id=audience.campaign_id,
                run_date=audience.run_date,
                pool=audience.codes,
                codes=len(held),
                places=spans,
            )
            line = changed(con, audience, now=now)
        self._answers.note(*audience.night, line)
        return len(held)

    def before(self, audience: FrozenAudience) -> int:
        """How many codes of an audience went back to their pool so far.

        Args:
            audience: that drew from a pool.
        """
        with self._database.reading() as con:
            entries = audit.entries_of(con, action=GIVEN_BACK)
        night = (audience.campaign_id, audience.run_date.isoformat())
        mine = [e.detail for e in entries if (e.detail.get("campaign_id"), e.detail.get("run_date")) == night]
        return sum(detail.get("codes", 0) for detail in mine)


def _spans(places: Sequence[int]) -> list[tuple[int, int]]:
    """Places in order as (first, how many)."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and sum(found[-1]) == place:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((place, 1))
    return found
