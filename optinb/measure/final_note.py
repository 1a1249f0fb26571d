"""What a result said when it became final, as it is kept: figures and days alone, and nobody's id. Values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from msgspec import Struct


class NotedFigure(Struct, frozen=True, kw_only=True):
    """A figure of an arm, as it was.

    Attributes:
        estimate: the difference for each customer.
        low: of its interval; None where no effect was too small to be refused.
        high: of its interval; None where none was too large.
        p: the chance of a difference as far from none.
        mean: among those who were to get it.
        control_mean: among the control group.
    """

    estimate: float
    low: float | None
    high: float | None
    p: float
    mean: float
    control_mean: float


class FinalNote(Struct, frozen=True, kw_only=True):
    """What the result of some nights said when it became final.

    Attributes:
        night: the one that noted it.
        noted_at: when, in UTC.
        version: of the warehouse that it was computed on; None where nothing was published.
        nights: those that were measured.
        days: that were measured from each message on.
        final_on: when the last window ended (UTC, without a zone).
        currency: of amounts.
        customers: how many people each arm had.
        forgotten: how many of these had been forgotten.
        arms: the figures of each arm, by the arm's name and the figure's.
        sample_ratio_p: the chance of a control group as far from its planned share.
    """

    night: date
    noted_at: datetime
    version: int | None
    nights: tuple[date, ...]
    days: int
    final_on: datetime
    currency: str
    customers: Mapping[str, int]
    arms: Mapping[str, Mapping[str, NotedFigure]]
    sample_ratio_p: float
    forgotten: int = 0


class FinalCard(Struct, frozen=True, kw_only=True):
    """A campaign, or a night of it, whose result became final.

    Attributes:
        campaign: its name.
        note: what it said.
        is_one_of_several: whether it is one night of a campaign that has others.
    """

    campaign: str
    note: FinalNote
    is_one_of_several: bool = False


class Measuring(Struct, frozen=True, kw_only=True):
    """A campaign whose window is still open.

    Attributes:
        campaign: its name.
        until: when the last window ends, in UTC.
    """

    campaign: str
    until: datetime


class ResultsTonight(Struct, frozen=True, kw_only=True):
    """What the results of campaigns came to in a night.

    Attributes:
        final: those that became final.
        measuring: those that didn't yet, the next one first.
        problems: what couldn't be looked at, or noted.
    """

    final: tuple[FinalCard, ...] = ()
    measuring: tuple[Measuring, ...] = ()
    problems: tuple[str, ...] = ()
