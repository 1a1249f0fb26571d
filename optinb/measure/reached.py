"""Whom a campaign's messages reached by what Appboy says, as shares of the people of each arm. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.delivery.contact_status import WHEN_ASKED
from optinb.delivery.sampling import ShareTold, share_told
from optinb.measure.arms import EVERYBODY
from optinb.measure.effect import CONTROL

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of a message of which it is certain that nothing arrived, or that nothing will, nobody need be asked.
NOTHING = ("refused", "expired", "cancelled", "missing", "filtered")
NOT_ASKED = "accepted"


def reached(tested: pl.DataFrame, people: pl.DataFrame) -> Mapping[str, ShareTold]:
    """The share of each arm's people whom a message reached; nothing where Appboy wasn't asked about any.

    Who got several messages was reached where one of them arrived. Of those who were asked about without a word so far,
    all may have got it and nobody may.

    Args:
        tested: with TESTED and `status`.
        people: with ASSIGNED.

    Returns:
        by arm, and of all of them by "all variants".
    """
    status = pl.col("status").cast(pl.String)
    sent = tested.filter(pl.col("role") == "recipient")
    if not set(sent["status"].unique()) & {*WHEN_ASKED}:
        return {}
    of_each = (
        sent.join(people.filter(pl.col("arm") != CONTROL).select("person", "arm"), on="person", how="inner")
        .group_by("person", "arm")
        .agg(
            asked=status.is_in(WHEN_ASKED).any(),
            got=(status == "confirmed").any(),
            told=(status != NOT_ASKED).any(),
            nothing=status.is_in(NOTHING).all(),
        )
    )
    if not (of_each["asked"] | of_each["got"]).any():
        return {}
    found = {}
    for arm in (EVERYBODY, *of_each["arm"].unique().sort()):
        mine = of_each if arm == EVERYBODY else of_each.filter(pl.col("arm") == arm)
        is_told = mine["told"]
        still_open = int((is_told & ~mine["got"] & ~mine["nothing"]).sum())
        found[arm] = share_told(int(is_told.sum()), int(mine["got"].sum()), mine.height, still_open=still_open)
    return found
