"""Promotion codes of messages that Appboy certainly filtered go back to their pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.delivery.confirmed_nights import CodesGivenBack
from optinb.delivery.confirming_night import NightAsked
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from optinb.delivery.confirmation import TemplateNight
    from optinb.delivery.contact_history import ContactHistory
    from optinb.delivery.journal import Confirmation, FrozenAudience, Store


def given_back(
    messages: Sequence[FrozenAudience],
    store: Store,
    *,
    root: Path,
    contacts: ContactHistory,
    facts: Callable[[FrozenAudience], TemplateNight],
    user: str,
    now: datetime,
) -> CodesGivenBack:
    """Gives a night's codes back whose messages were filtered, once a message can't arrive any more.

    Args:
        messages: all of that night of a campaign; each customer got a code with one of them.
        store: with the codes and the confirmations.
        root: the workspace.
        contacts: the history of contacts.
        facts: what is known of a night for all alike.
        user: who gives them back.
        now: in UTC.

    Raises:
        CampaignError: for a night without codes, and while a code could go to a second person.
        StateError: when the file of what Appboy said can't be read.
    """
    first = messages[0]
    name, run_date = first.campaign_name, first.run_date
    if first.codes is None:
        raise CampaignError(f"{name!r} gave out no promotion codes in the night of {run_date}")
    sent = [message for message in messages if message.recipients or len(messages) == 1]
    for message in sent:
        is_moved = NightAsked(store, message, root=root, planned=0).is_moved
        asked = store.confirmations.newest(*message.night)
        if doubt := why_not_certain(message, asked, facts(message), is_moved):
            raise CampaignError(doubt)
    before = sum(store.code_returns.before(message) for message in sent)
    lost = [(message, _filtered(message, contacts)) for message in sent]
    return CodesGivenBack(
        campaign=name,
        run_date=run_date,
        pool=first.codes,
        filtered=sum(len(places) for _, places in lost),
        codes=sum(store.code_returns.give_back(of, places, user=user, now=now) for of, places in lost),
        before=before,
    )


def _filtered(message: FrozenAudience, contacts: ContactHistory) -> list[int]:
    """The places of those whom Appboy accepted a message for, and says that it filtered it."""
    rows = contacts.rows(message, ("role", "status", "place"))
    lost = rows.filter(pl.col("role") == "recipient", pl.col("status") == "filtered")["place"].to_list()
    told = contacts.verdicts(message).filter(pl.col("status") == "filtered")["place"]
    return sorted({*lost} & {*told.to_list()})  # of accepted requests alone


def why_not_certain(
    audience: FrozenAudience, asked: Confirmation | None, night: TemplateNight, is_moved: bool
) -> str | None:
    """Why a message may have arrived whose code would go to a second person, or None. Pure.

    Args:
        audience: of the night.
        asked: what Appboy said last; None where it wasn't asked.
        night: what is known of it.
        is_moved: whether some of it may have gone out at another time.
    """
    name, run_date = audience.campaign_name, audience.run_date
    ask = f"ask Appboy with `optinb confirm --date {run_date}`"
    if asked is None:
        return f"nobody knows yet who was filtered of {name!r} on {run_date}; {ask}"
    if asked.asked_at < night.final_at:
        return (
            f"messages of {name!r} of {run_date} may be late until {night.final_at:%Y-%m-%d %H:%M} UTC; after that "
            f"{ask}, then give the codes back"
        )
    if asked.counts.sent is None and audience.send_id is not None:
        return (
            f"Appboy's own count of {name!r} of {run_date} couldn't be read, so that nothing bears out who was "
            f"filtered; {ask}"
        )
    if not asked.counts.confirmed:
        return (
            f"Appboy confirms no message of {name!r} of {run_date}, so that its word on the others proves nothing; "
            f"look whether the key is that of its app group, then {ask}"
        )
    if is_moved or (night.until is not None and night.until < night.final_at):
        what = "some of it may have gone out at another time" if is_moved else "its template went out again soon after"
        return f"nobody can tell for certain who got {name!r} of {run_date}, because {what}"
    return None
