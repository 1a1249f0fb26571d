"""Past windows that are held out, and how each candidate for the future value did in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from optinb.customers.backtest import Backtest, judge, split
from optinb.customers.boosting import expected
from optinb.customers.candidates import BG, WITH_SPEND, fit_candidates, mean_of, means_of, parts_of
from optinb.customers.gate import best
from optinb.customers.seasons import YEAR_DAYS, season_ahead
from optinb.customers.value import ENOUGH_DAYS, fit_rhythm, rhythms
from optinb.errors import ModelError

if TYPE_CHECKING:
    from optinb.base.progress import OnProgress

MOST_OF = 0.8
"""An earlier window is tried on so much of the history of the newest at least: on less, it tries something else."""

TRIED = 7
"""Hundredths of a night's models that each window takes, for whoever waits."""


class TrialWindows(NamedTuple):
    """Past windows that are held out: their days, and how many days ago each begins, the newest first."""

    days: int
    ago: tuple[int, ...]


def trial_windows(history_days: int, value_days: int) -> TrialWindows:
    """The windows in which a forecast of `value_days` is tried.

    They are as long as it, where the history is three times that. In a shorter one they are shorter in proportion: what
    is learnt from 500 days about the next 365 was tried on what 288 days told of 212, and not on 90.

    Raises:
        ModelError: if that leaves too few days.
    """
    long = history_days >= 3 * value_days
    days = value_days if long else history_days * value_days // (history_days + value_days)
    if days < ENOUGH_DAYS:
        days = max(days, min(value_days, history_days // 3))
    known = history_days - days
    if min(days, known) < ENOUGH_DAYS:
        raise ModelError(
            f"it couldn't be tested: of {history_days} days of history, a trial of {value_days} days ahead leaves "
            f"{known} to learn from and {days} to forecast; {ENOUGH_DAYS} of both are needed"
        )
    least = max(MOST_OF * known, ENOUGH_DAYS)
    steps = (step for step in (days, days // 2, days // 4, days // 8) if known - step >= least)
    step = next(steps, 0)
    ago = [days, *([days + step] if step else [])]
    if long and 2 * days < YEAR_DAYS and history_days - YEAR_DAYS >= 2 * days:
        ago.append(YEAR_DAYS)
    return TrialWindows(days, tuple(sorted(set(ago))))


def is_stretched(windows: TrialWindows, history_days: int, value_days: int) -> bool:
    """Whether the windows are shorter than the forecast, and history has room for one as long as it."""
    return windows.days < value_days and history_days >= 2 * value_days


@dataclass(frozen=True)
class Trial:
    """A past window: those who had bought by its cut, with what followed."""

    cut: date
    held: pl.DataFrame
    last_year: pl.DataFrame | None


def trial_of(bought: pl.LazyFrame, cut: date, days: int, first: date) -> Trial:
    held = split(bought, cut=cut, window_days=days)
    start = cut - timedelta(days=YEAR_DAYS)
    if start < first or days >= YEAR_DAYS:
        return Trial(cut, held, None)
    before = split(bought, cut=start + timedelta(days=days), window_days=days)
    again = held.select("customer_id").join(before, on="customer_id", how="left", maintain_order="left")
    guess = again.select(
        expected_purchases=pl.col("last_purchases").fill_null(0), future_value=pl.col("last_spend").fill_null(0.0)
    )
    return Trial(cut, held, guess)


def season_helps(bought: pl.LazyFrame, trials: list[Trial], days: int, first: date) -> bool:
    """Whether the factor of last year would have brought the totals of the past windows nearer."""
    without, having = [], []
    for trial in trials:
        known = bought.filter(pl.col("day") <= trial.cut)
        try:
            rhythm = fit_rhythm(rhythms(trial.held.lazy()), leaves_at_once=True)
        except ModelError:
            continue
        ahead = season_ahead(known, rhythm, trial.cut, days, first=first)
        if ahead is None:
            continue
        meant = float(expected(rhythm, trial.held, days=days).sum())
        happened = float(trial.held["next_purchases"].sum())
        if meant and happened:
            without.append(abs(np.log(meant / happened)))
            having.append(abs(np.log(meant * ahead / happened)))
    return bool(having) and float(np.mean(having)) < 0.8 * float(np.mean(without))


def over_the_whole(
    bought: pl.LazyFrame, trial: Trial, days: int, first: date, names: Sequence[str], *, seasonal: bool
) -> Backtest | None:
    """How models did in one window as long as the forecast; of those alone that could be fitted that early.

    A shorter window may tell something that a longer one doesn't: of customers who each buy once a year, half a year
    tells whose half it is.

    Args:
        bought: purchase days.
        trial: with the window.
        days: of it.
        first: the first day of history.
        names: of the models.
        seasonal: whether the season is reckoned in.

    Returns:
        the backtest; None where nothing could be fitted.
    """
    try:
        fitted = fit_candidates(bought, trial.held, trial.cut, first, days=days, seasonal=seasonal)
    except ModelError:
        return None
    alone = fitted.forecast(trial.held, bought, trial.cut, days=days)
    told = {
        name: mean_of([alone[part] for part in parts_of(name)])
        for name in names
        if all(part in alone for part in parts_of(name))
    }
    return judge(told, trial.held, cut=trial.cut, window_days=days) if told else None


def tried(
    bought: pl.LazyFrame, trials: list[Trial], days: int, first: date, *, seasonal: bool, on_progress: OnProgress
) -> tuple[list[Backtest], list[dict[str, pl.DataFrame]], dict[str, str]]:
    """The backtests, and by candidate what was forecast and what followed, of all windows that could be tried."""
    made: list[tuple[Trial, dict[str, pl.DataFrame]]] = []
    left_out: dict[str, str] = {}
    for trial in trials:
        on_progress(0, f"trying models on the days after {trial.cut}")
        try:
            fitted = fit_candidates(bought, trial.held, trial.cut, first, days=days, seasonal=seasonal)
        except ModelError as error:
            left_out.setdefault(BG, str(error))
            if not made:
                return [], [], left_out
        else:
            if not made:
                left_out |= fitted.left_out
            made.append((trial, fitted.forecast(trial.held, bought, trial.cut, days=days)))
        on_progress(TRIED, "")
    everywhere = [name for name in made[0][1] if all(name in forecasts for _, forecasts in made)]

    def judged(of: Callable[[dict[str, pl.DataFrame]], dict[str, pl.DataFrame]]) -> list[Backtest]:
        return [
            judge(of(forecasts), trial.held, cut=trial.cut, window_days=days, last_year=trial.last_year)
            for trial, forecasts in made
        ]

    alone = judged(lambda forecasts: {name: forecasts[name] for name in everywhere})
    rhythm = best(alone, [name for name in everywhere if name.endswith(WITH_SPEND)])

    def with_means(forecasts: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        single = {name: forecasts[name] for name in everywhere}
        return single | means_of(single, rhythm)

    told = [
        {
            name: frame.with_columns(purchases=trial.held["next_purchases"], spent=trial.held["next_spend"])
            for name, frame in with_means(forecasts).items()
        }
        for trial, forecasts in made
    ]
    return judged(with_means), told, left_out
