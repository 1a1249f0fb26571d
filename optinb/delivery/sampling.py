"""Whom Appboy is asked about when a night has more recipients than can be asked about, and what that tells. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

MOST_ASKED = 200_000
"""Of how many recipients of a night Appboy is asked at most: 4,000 requests."""
FEWEST_ASKED = 1_000
"""Of how many of a campaign at the least, where it has as many: a share is then known to 3.2 points."""
_TAIL = 0.025
Key = TypeVar("Key")


class ShareTold(Struct, frozen=True, kw_only=True):
    """The share of a campaign's recipients whom a message reached, from 0 to 1, with a 95 % interval.

    Attributes:
        share: of those asked about, who certainly got it so far.
        low: of the interval, as if it reached none of those of whom there is no word.
        high: of the interval, as if it reached all of them.
        asked: of how many it is told; all recipients, or a sample.
        recipients: all of them.
        still_open: of how many of `asked` there is no word yet.
    """

    share: float
    low: float
    high: float
    asked: int
    recipients: int
    still_open: int = 0


def shares_to_ask(
    recipients: Mapping[Key, int], *, most: int = MOST_ASKED, fewest: int = FEWEST_ASKED
) -> dict[Key, int]:
    """How many recipients of each campaign of a night are asked about: all of them, or a share that is proportional.

    Args:
        recipients: of each campaign.
        most: of all campaigns together; a night with more campaigns than that many times `fewest` asks fewer of each.
        fewest: of a campaign, or all of them where it has fewer.

    Returns:
        The number for each campaign, no more than `most` together.
    """
    total = sum(recipients.values())
    if total <= most:
        return dict(recipients)
    floors = {key: min(count, fewest) for key, count in recipients.items()}
    if (floor := sum(floors.values())) > most:
        return {key: count * most // floor for key, count in floors.items()}
    rest, left = total - floor, most - floor
    return {key: floors[key] + (count - floors[key]) * left // max(rest, 1) for key, count in recipients.items()}


def places_to_ask(campaign_id: str, night: date, *, recipients: int, asked: int) -> pl.Series:
    """The places of the recipients who are asked about, in order: the same ones whenever they are drawn.

    Args:
        campaign_id: of the campaign.
        night: that it was frozen in.
        recipients: how many it has.
        asked: how many to draw; whoever is in a small sample is in a larger one, too.

    Returns:
        Places (UInt32) from 0, ascending.
    """
    if asked >= recipients:
        return pl.Series("place", np.arange(recipients, dtype=np.uint32))
    digest = hashlib.sha256(f"asked about|{campaign_id}|{night}".encode()).digest()
    drawn = np.random.Generator(np.random.PCG64(int.from_bytes(digest))).permutation(recipients)[:asked]
    return pl.Series("place", np.sort(drawn).astype(np.uint32))


def share_told(asked: int, confirmed: int, recipients: int, *, still_open: int = 0) -> ShareTold:
    """The share whom a message reached, with its interval.

    The interval has every number of arrivals that the sample doesn't speak against with more than 97.5 % on either
    side, by the hypergeometric distribution: it covers the truth in 95 of 100 nights or more, and is a point where
    everybody was asked about. Of whom there is no word yet, all may have got it and nobody may: whoever is told of
    early isn't like the others, so that nothing is concluded from them.

    Args:
        asked: recipients of whom Appboy told whether it arrived, and those of whom it is still to tell.
        confirmed: those of them whom it reached.
        recipients: all of them.
        still_open: of how many of `asked` there is no word yet.

    Returns:
        The share; from 0 to 1 where nobody was asked about.
    """
    if not asked:
        return ShareTold(share=0.0, low=0.0, high=1.0, asked=0, recipients=recipients, still_open=still_open)
    from scipy.stats import hypergeom

    def chance_of_more(found: int) -> Callable[[int], float]:
        return lambda number: float(hypergeom.sf(found - 1, recipients, number, asked))

    low = _first(confirmed, confirmed + recipients - asked, chance_of_more(confirmed))
    # the highest number is found from the other side: of those whom it didn't reach
    missed = asked - confirmed - still_open
    high = recipients - _first(missed, missed + recipients - asked, chance_of_more(missed))
    return ShareTold(
        share=confirmed / asked,
        low=low / recipients,
        high=high / recipients,
        asked=asked,
        recipients=recipients,
        still_open=still_open,
    )


def _first(low: int, high: int, chance: Callable[[int], float]) -> int:
    """The first number from `low` to `high` with more than a tail's chance, which grows with it."""
    while low < high:
        middle = (low + high) // 2
        if chance(middle) > _TAIL:
            high = middle
        else:
            low = middle + 1
    return low
