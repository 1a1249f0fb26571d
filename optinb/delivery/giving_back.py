"""Promotion codes of messages that Appboy certainly filtered go back to their pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.delivery.confirmed_nights import CodesGivenBack
from optinb.delivery.confirming_night import NightAsked
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from optinb.delivery.confirmation import TemplateNight
    from optinb.delivery.contact_history import ContactHistory
    from optinb.delivery.journal import Confirmation, FrozenAudience, Store


def given_back(
    audience: FrozenAudience,
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
        audience: of that night.
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
    name, run_date = audience.campaign_name, audience.run_date
    if audience.codes is None:
        raise CampaignError(f"{name!r} gave out no promotion codes in the night of {run_date}")
    is_moved = NightAsked(store, audience, root=root, planned=0).is_moved
    if doubt := why_not_certain(audience, store.confirmations.newest(*audience.night), facts(audience), is_moved):
        raise CampaignError(doubt)
    rows = contacts.rows(audience, ("role", "status", "place"))
    lost = rows.filter(pl.col("role") == "recipient", pl.col("status") == "filtered")["place"].to_list()
    told = contacts.verdicts(audience).filter(pl.col("status") == "filtered")["place"]
    places = sorted({*lost} & {*told.to_list()})  # of accepted requests alone
    before = store.code_returns.before(audience)
    return CodesGivenBack(
        campaign=name,
        run_date=run_date,
        pool=audience.codes,
        filtered=len(places),
        codes=store.code_returns.give_back(audience, places, user=user, now=now),
        before=before,
    )


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
