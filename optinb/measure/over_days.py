"""What a campaign brought by so many days after its message, each with its interval. Pure.

On the way to its end each day is a look at figures that still grow. The days before the last therefore share a risk of
their own (see `Look`), so that all intervals hold together; the last one of a final result is its plain interval.

Of a campaign of several nights each day tells of the customers whose window has run so far, and leaves out the others:
a chart that stopped where all have come would never get beyond the first day of one that goes out every night.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.measure.arms import effects_of
from optinb.measure.breakdown import FEWEST_HELD_OUT
from optinb.measure.effect import CONTROL, LEAST, Look

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

DayFigure = Literal["response", "spend"]
DAY = timedelta(days=1)
MOST_DAYS = 31
"""Of a longer window so many days are told at most, evenly apart, the last one among them."""
AT_ONCE = 7
"""Days whose figures are compared together: they share the regression, and each takes memory of its own."""
# `row`: the place of whoever bought among the assigned; `day` of their own window, from 1; `spend`: on that day.
BOUGHT = pl.Schema({"row": pl.UInt32, "day": pl.Int64, "spend": pl.Float64})


class DayEffect(Struct, frozen=True, kw_only=True):
    """What an arm did more than the control group from the message until the end of a day of its window.

    Attributes:
        day: of 24 hours since each customer's message, from 1.
        arm: the variant, "message" where there is one, or "all variants".
        figure: the share who bought, or what was spent by each.
        estimate: the difference, as of `Effect`.
        low: of the interval; -inf where it has no lower end.
        high: of the interval; inf where it has no upper end.
        customers: of the arm, whose window has run so far.
        control_customers: of the control group, likewise.
    """

    day: int
    arm: str
    figure: DayFigure
    estimate: float
    low: float
    high: float
    customers: int
    control_customers: int


class OverDays(Struct, frozen=True, kw_only=True):
    """What a campaign brought by the days since its message.

    Attributes:
        days: of the window.
        rows: by day, arm and figure; without the days that nobody's window has reached yet, or hardly anybody's.
        is_final: whether those of the last day are the plain intervals of a final result.
    """

    days: int
    rows: tuple[DayEffect, ...] = ()
    is_final: bool = True

    def frame(self) -> pl.DataFrame:
        """A row for each day, arm and figure.

        Returns:
            a frame with day (Int64), arm, figure (text), estimate, low, high (Float64; null where an interval doesn't
            end), customers and control_customers (Int64).
        """
        rows = [
            (
                *(one.day, one.arm, one.figure, one.estimate),
                *(end if isfinite(end) else None for end in (one.low, one.high)),
                *(one.customers, one.control_customers),
            )
            for one in self.rows
        ]
        schema = {
            "day": pl.Int64,
            **dict.fromkeys(("arm", "figure"), pl.String),
            **dict.fromkeys(("estimate", "low", "high"), pl.Float64),
            **dict.fromkeys(("customers", "control_customers"), pl.Int64),
        }
        return pl.DataFrame(rows, schema=schema, orient="row")


class _Grown(NamedTuple):
    """How far everybody has come by a day: who has reached its end, and what each had spent by then."""

    day: int
    has_reached: NDArray[np.bool_]
    spend: NDArray[np.float64]


def bought_by_day(assigned: pl.DataFrame, transactions: pl.LazyFrame, *, days: int) -> pl.DataFrame:
    """What was spent on each day of everybody's own window; transactions are read once.

    Args:
        assigned: whom the test is of, with ASSIGNED; one row for each person.
        transactions: with person, occurred_at (UTC) and amount; of other people and times, too. Refunds don't count.
        days: of 24 hours that windows have; what lies between these and a later end is of the last.

    Returns:
        a frame with BOUGHT, a row for each day of a person with a purchase.
    """
    when, since = pl.col("occurred_at"), pl.col("since")
    day = ((when - since).dt.total_seconds() // int(DAY.total_seconds()) + 1).clip(upper_bound=days)
    return (
        transactions.select("person", "occurred_at", "amount")
        .join(assigned.lazy().select("person", "since", "until").with_row_index("row"), on="person", how="inner")
        .filter(pl.col("amount").is_finite(), pl.col("amount") > 0, when >= since, when < pl.col("until"))
        .group_by("row", day=day)
        .agg(spend=pl.col("amount").sum())
        .select(BOUGHT.names())
        .collect(engine="streaming")
        .cast(dict(BOUGHT))  # type: ignore[arg-type]
    )


def over_days(
    outcomes: pl.DataFrame,
    bought: pl.DataFrame,
    arms: Mapping[str, Sequence[str]],
    *,
    days: int,
    measured_until: datetime,
    planned: Mapping[str, float],
    seed: int,
    look: Look,
) -> OverDays:
    """What arms brought by each day of the window, against the control group.

    Args:
        outcomes: what everybody did, with OUTCOMES.
        bought: what they spent on each day, with BOUGHT, by their places in `outcomes`.
        arms: of each that is told of the variants that it is made of.
        days: of 24 hours, that are measured from the send on.
        measured_until: how far the tables tell of purchases (UTC, without a zone).
        planned: the share of each arm that was planned.
        seed: of the draws of the result.
        look: of the result.
    """
    rows: list[DayEffect] = []
    for some in _alike(_grown(outcomes, bought, days, measured_until), days=days):
        of = look if not look.is_last else Look(some[0].day, days)
        rows += _effects(outcomes, some, arms, planned=planned, seed=seed, look=of)
    names = list(arms)
    rows.sort(key=lambda one: (one.day, names.index(one.arm)))
    return OverDays(days=days, rows=tuple(rows), is_final=look.is_last)


def _grown(outcomes: pl.DataFrame, bought: pl.DataFrame, days: int, measured_until: datetime) -> Iterator[_Grown]:
    """Day by day how far everybody has come, of those days that are told."""
    shown = set(range(days, 0, -days // MOST_DAYS))
    of_day = {int(day): rows for (day,), rows in bought.partition_by("day", as_dict=True).items()}
    spend = np.zeros(outcomes.height)
    for day in range(1, days + 1):
        if (mine := of_day.get(day)) is not None:
            spend = spend + np.bincount(mine["row"], weights=mine["spend"], minlength=outcomes.height)
        if day not in shown:
            continue
        # on their own clocks nobody knows when customers got it, so that the last day is longer
        ends = pl.col("until") if day == days else pl.col("since") + day * DAY
        has_reached = outcomes.select(ends <= measured_until).to_series().to_numpy()
        if not has_reached.any():
            return
        yield _Grown(day, has_reached, spend)


def _alike(grown: Iterable[_Grown], *, days: int) -> Iterator[list[_Grown]]:
    """Days that the same customers have reached, and that aren't the last, together."""
    some: list[_Grown] = []
    for one in grown:
        # whoever has reached a day has reached those before
        is_alike = bool(some) and one.day < days and one.has_reached.sum() == some[0].has_reached.sum()
        if some and not (is_alike and len(some) < AT_ONCE):
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def _effects(
    outcomes: pl.DataFrame,
    grown: Sequence[_Grown],
    arms: Mapping[str, Sequence[str]],
    *,
    planned: Mapping[str, float],
    seed: int,
    look: Look,
) -> Iterator[DayEffect]:
    """What arms brought by days that the same customers have reached."""
    spent = {f"spend {one.day}": pl.Series(one.spend) for one in grown}
    has_reached, is_everybody = grown[0].has_reached, bool(grown[0].has_reached.all())
    rows = outcomes.with_columns(**spent)
    rows = rows if is_everybody else rows.filter(pl.Series(has_reached))
    named: dict[tuple[int, DayFigure], pl.Expr] = {}
    for one in grown:
        by_then = pl.col(f"spend {one.day}")
        named |= {(one.day, "response"): by_then > 0, (one.day, "spend"): by_then}
    sizes = dict(rows["arm"].value_counts().iter_rows())
    # while others are still to come, few are only those who got it first
    fewest = LEAST if is_everybody else FEWEST_HELD_OUT
    for arm, variants in arms.items():
        if min(sizes.get(CONTROL, 0), sum(sizes.get(name, 0) for name in variants)) < fewest:
            continue
        means = {f"{figure} by day {day}": of for (day, figure), of in named.items()}
        found = effects_of(rows, variants, CONTROL, means, planned=planned, seed=seed, look=look, rises=False)
        for (day, figure), effect in zip(named, found.values(), strict=True):
            yield DayEffect(
                day=day,
                arm=arm,
                figure=figure,
                estimate=effect.estimate,
                low=effect.low,
                high=effect.high,
                customers=effect.customers,
                control_customers=effect.control_customers,
            )
