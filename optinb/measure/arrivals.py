"""What became of messages that Appboy accepted, as rows for whoever shows them: from accepted to confirmed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from optinb.base.figures import share as shown_share
from optinb.delivery.confirmed_nights import LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.delivery import ConfirmedNight

ARRIVAL_HEAD = ("campaign", "night", "accepted", "confirmed", "filtered", "no word yet", "arrived")


class ArrivalRow(NamedTuple):
    """A campaign's night from accepted to confirmed, in recipients; `arrived` is the share in words."""

    campaign: str
    night: date
    accepted: int
    confirmed: int
    filtered: int
    unconfirmed: int
    arrived: str


def arrival_rows(nights: Iterable[ConfirmedNight]) -> list[ArrivalRow]:
    """A row for each night of which Appboy said something.

    Args:
        nights: what asking came to.
    """
    return [
        ArrivalRow(
            campaign=night.title,
            night=night.run_date,
            accepted=night.counts.recipients,
            confirmed=night.counts.confirmed,
            filtered=night.counts.lost,
            unconfirmed=night.counts.unconfirmed,
            arrived=arrived(night),
        )
        for night in nights
        if night.counts is not None
    ]


def arrived(night: ConfirmedNight) -> str:
    """The share that a message reached in words, with its interval where only a part was asked about.

    While many are open, who is told of early says little about the others: counts stand there, and no share.

    Args:
        night: what Appboy says of it.
    """
    told = night.share
    if told is None:
        return "not told yet"
    span = f"({shown_share(told.low)} to {shown_share(told.high)})"
    is_sample = told.asked < told.recipients
    if told.still_open and night.counts is not None:
        of = f"{told.asked:,} in the sample" if is_sample else f"{told.asked:,}"
        return f"so far {night.counts.confirmed:,} of {of} confirmed, {told.still_open:,} still open {span}"
    return f"{shown_share(told.share)} {span}, of {told.asked:,} asked about" if is_sample else shown_share(told.share)


def lost_words(nights: Iterable[ConfirmedNight]) -> list[str]:
    """How many were filtered by what, of all nights, in words.

    Args:
        nights: what asking came to.
    """
    return [words for night in nights for words in filtered_words(night)]


def filtered_words(night: ConfirmedNight) -> list[str]:
    """How many were filtered by what, in words, the most first.

    Args:
        night: what Appboy says of it.
    """
    lost = night.counts.filtered if night.counts else {}
    ranked = sorted(lost.items(), key=lambda one: -one[1])
    return [f"{count:,} of {night.title!r}, {night.run_date}: {LOSSES.get(name, name)}" for name, count in ranked]
