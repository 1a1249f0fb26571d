"""The programme's result on one page to print, and the bars of its intervals."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from optinb.measure.programme import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from optinb.measure import Programme

Added = tuple[float, float, float]
MOST = 14
"""The campaigns that one A4 page has room for."""


class Bar(NamedTuple):
    """An interval as it is drawn: its words, and places from 0 to 100 on a scale that holds nothing, too."""

    words: str
    zero: float
    low: float
    high: float
    estimate: float


def added_bars(programme: Programme) -> list[tuple[str, Bar]]:
    """The buyers and the revenue that the programme added, each on its own scale."""
    if programme.whole is None:
        return []
    buyers, revenue = programme.whole.added("response"), programme.whole.added("spend")
    words = (("Buyers", buyers, ""), ("Revenue", revenue, programme.currency))
    return [(name, _bars([added], unit)[0]) for name, added, unit in words]


def part_bars(programme: Programme) -> dict[str, Bar]:
    """The revenue that each campaign added, on one scale, by its name; of those that have a result."""
    known = {part.campaign: part.whole.added("spend") for part in programme.campaigns if part.whole is not None}
    return dict(zip(known, _bars([*known.values()], programme.currency), strict=True))


def render_programme(programme: Programme, *, zone: ZoneInfo | None = None) -> str:
    """The result of a programme as an HTML page of one A4 sheet, which needs no other file.

    Args:
        programme: what all campaigns together brought.
        zone: in which times are told; UTC without one.
    """
    from optinb.show.pages import page

    return page("programme_page.html.j2", shown=programme, zone=zone, most=MOST)


def _bars(of: Sequence[Added], unit: str) -> list[Bar]:
    ends = [one for added in of for one in added if isfinite(one)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.04 * ((high - low) or 1.0)
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / (high - low), 2)

    return [Bar(in_words(one, unit), at(0.0), at(one[1]), at(one[2]), at(one[0])) for one in of]
