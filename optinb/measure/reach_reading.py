"""From a data series of Appboy's to the figures of days and platforms. Pure; lenient, but never with rubbish."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from optinb.delivery.journal import EVERYBODY, ReachDay
from optinb.errors import AppboyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from optinb.appboy import SeriesDay, VariationFigures

PUSH = "_push"
_COUNTED = ("sent", "direct_opens", "total_opens", "bounces")


def rows_of(series: Iterable[SeriesDay], *, of: ReachDay) -> tuple[ReachDay, ...]:
    """The rows of a series: for each day one of people, and one of messages for each platform that it tells of.

    Several variations of a platform are summed; channels other than push are left out.

    Args:
        series: as the client gave it.
        of: a row with what the series is of, and when it was read.

    Raises:
        AppboyError: naming day, figure and value, for what is no count, and for a day told twice.
    """
    rows = [row for told in series for row in _rows(told, of)]
    twice = [row for number, row in enumerate(rows) if row.key in {other.key for other in rows[:number]}]
    if twice:
        raise AppboyError(f"Appboy's figures tell of {twice[0].day} twice; nothing of them is kept")
    return tuple(rows)


def _rows(told: SeriesDay, of: ReachDay) -> Iterator[ReachDay]:
    day = _day(told.time)
    people = {"unique_recipients": told.unique_recipients, "conversions": told.conversions}
    yield msgspec.structs.replace(of, day=day, platform=EVERYBODY, **_counts(day, people))
    for channel in sorted(told.messages):
        if channel.endswith(PUSH):
            figures = _variations(day, told, channel)
            sums = {name: sum(getattr(one, name) for one in figures) for name in _COUNTED}
            yield msgspec.structs.replace(of, day=day, platform=channel.removesuffix(PUSH), **sums)


def _variations(day: date, told: SeriesDay, channel: str) -> tuple[VariationFigures, ...]:
    try:
        figures = told.push(channel)
    except msgspec.ValidationError as error:
        raise AppboyError(f"Appboy's figures of {day} for {channel} can't be read: {error}") from error
    for one in figures:
        _counts(day, {name: getattr(one, name) for name in _COUNTED})
    return figures


def _counts(day: date, figures: dict[str, int]) -> dict[str, int]:
    for name, count in figures.items():
        if count < 0:
            raise AppboyError(f"Appboy's figures of {day} say {count:,} for {name}, which is no count")
    return figures


def _day(text: str) -> date:
    try:
        return datetime.fromisoformat(text).date()
    except ValueError as error:
        raise AppboyError(f"Appboy's figures are of {text!r}, which is no date") from error
