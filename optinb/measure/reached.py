"""Whom a campaign's messages reached, and who opened one, by what Appboy says: shares of each arm's people. Pure."""

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
    asked, got = pl.col("status").is_in(WHEN_ASKED), pl.col("status") == "confirmed"
    return _shares(tested, people, is_told=asked | got, got=got, known=got)


def opened(contacts: pl.DataFrame, people: pl.DataFrame) -> Mapping[str, ShareTold]:
    """The share of each arm's people who opened a push so far; nothing where Appboy told of nobody whether they did.

    Whom no message reached opened none. Of those who were asked about without a word so far, all may have and nobody
    may.

    Args:
        contacts: with CONTACTED.
        people: with ASSIGNED.

    Returns:
        as of `reached`.
    """
    is_known = pl.col("opened").is_not_null()
    return _shares(contacts, people, is_told=is_known, got=pl.col("opened"), known=is_known)


def _shares(
    messages: pl.DataFrame, people: pl.DataFrame, *, is_told: pl.Expr, got: pl.Expr, known: pl.Expr
) -> Mapping[str, ShareTold]:
    """The share of each arm's people of whom something is so, by what Appboy said of each of their messages.

    `is_told` of some message for anything to be told at all; `known`: whether the word on a message settles it.
    """
    sent = messages.filter(pl.col("role") == "recipient").with_columns(pl.col("status").cast(pl.String))
    if not sent.select(is_told.any()).item():
        return {}
    of_each = (
        sent.join(people.filter(pl.col("arm") != CONTROL).select("person", "arm"), on="person", how="inner")
        .group_by("person", "arm")
        .agg(
            is_told=is_told.any(),
            got=got.any(),
            known=known.any(),
            asked=(pl.col("status") != NOT_ASKED).any(),
            nothing=pl.col("status").is_in(NOTHING).all(),
        )
    )
    if not of_each["is_told"].any():  # of those who belong to an arm
        return {}
    found = {}
    for arm in (EVERYBODY, *of_each["arm"].unique().sort()):
        mine = of_each if arm == EVERYBODY else of_each.filter(pl.col("arm") == arm)
        still_open = int((mine["asked"] & ~mine["known"] & ~mine["nothing"]).sum())
        found[arm] = share_told(int(mine["asked"].sum()), int(mine["got"].sum()), mine.height, still_open=still_open)
    return found
