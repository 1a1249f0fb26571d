"""Noticing a database that was put back to an earlier state, before anything is done with it.

What lies outside the database is its witness: the notes that every night and decision makes of the audit trail, and
the files of answers beside the frozen audiences.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

from optinb.delivery.journal import TAIL, behind
from optinb.errors import StateError
from optinb.workspace.witness import newest_witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optinb.workspace.handle import Workspace

LOOKED_AT = timedelta(days=7)  # before the newest night: what is older can neither be sent nor recalled any more


def must_not_be_behind(ws: Workspace) -> None:
    """Refuses to go on with a database that was put back to an earlier state. Raises StateError.

    Looked at are the newest note of the audit trail and the nights of the week before it, whatever else there is.
    """
    newest = newest_witness(ws)
    reasons = [newest[1]] if newest and newest[1] else []
    nights = list(nights_with_answers(ws))
    since = max((night for night, _ in nights), default=date.min + LOOKED_AT) - LOOKED_AT
    if newest and newest[0]:
        since = min(since, max(newest[0] - LOOKED_AT, date.min))
    for night, campaign_id in nights:
        if night >= since and (problem := ws.store.recovery.why_behind(campaign_id, night)):
            reasons.append(f"the night of {night}: {problem}")
    if reasons:
        raise StateError(behind(reasons))


def without_answers(ws: Workspace, run_date: date) -> tuple[str, ...]:
    """What is to be told of sends of the week before a night whose files of answers are missing or damaged."""
    found = []
    for audience in ws.store.deliveries.list(having=("sending", "accepted", "unknown")):
        if audience.run_date < run_date - LOOKED_AT:
            break
        account = ws.store.recovery.account(*audience.night)
        what = "has no file of answers" if account is None else "has a damaged file of answers" * bool(account.damaged)
        if what:
            found.append(
                f"the send of {audience.campaign_name!r} for {audience.run_date} {what} beside its audience: were the "
                "database put back to an earlier state, nobody could notice it by this one"
            )
    return tuple(found)


def nights_with_answers(ws: Workspace) -> Iterator[tuple[date, str]]:
    """The night and the campaign's id of every file of answers."""
    for path in sorted((ws.root / "audiences").glob(f"*/*{TAIL}")):
        with suppress(ValueError):  # a copy that somebody made beside the nights
            yield date.fromisoformat(path.parent.name), path.name.removesuffix(TAIL)
