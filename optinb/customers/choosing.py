"""Which model tells the future value: every candidate is tried on past windows, and only one that holds is published.

None reads what is delivered about customers: those columns are of tonight, and some of them (points to date, orders so
far, whether somebody is active) have seen the windows that a backtest holds out.

The candidates are three probability models, two kinds of boosting (see `boosting`), and the means of the best of the
first with either or both of the second: where two are wrong in different ways, their mean is wrong by less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.base.figures import share
from optinb.base.progress import OnProgress, quiet
from optinb.customers.backtest import Backtest, judge, split
from optinb.customers.boosting import Boosted, Rhythm, expected, figures_at, fit_boosting, windows_before
from optinb.customers.fitting import Floats, sample
from optinb.customers.gate import LEAST_AUC, LEAST_TENTH, best, shortcomings
from optinb.customers.pareto import ParetoNbd, fit_pareto_nbd
from optinb.customers.ranges import Ranges, learn_ranges
from optinb.customers.seasons import YEAR_DAYS, index_of, price_trend, season_ahead
from optinb.customers.value import ENOUGH_DAYS, HISTORY, ValueModel, fit_rhythm, fit_value_model, rhythms
from optinb.errors import ModelError

LEARNS_FROM = 30_000
"""Backtests and boosting look at so many customers, drawn by a hash of the id: more change hardly anything."""

MOST_OF = 0.8
"""An earlier window is tried on so much of the history of the newest at least: on less, it tries something else."""

OUTRIGHT, CORRECTED = "gradient boosting", "boosted MBG/NBD"
WITH_SPEND = " with Gamma-Gamma"
BG, MBG, PARETO = (f"{name}{WITH_SPEND}" for name in ("BG/NBD", "MBG/NBD", "Pareto/NBD"))
MEAN_OF = "mean of "


class ValueReport(Struct, frozen=True, kw_only=True):
    """What a night knows about the future value.

    Attributes:
        name: the model that tells it.
        reason: without one, why none does.
        instead: without one, what a marketer can go by, with its own backtest.
        parameters: of the BG/NBD (or MBG/NBD) and the Gamma-Gamma, where they were fitted.
        pareto: of the Pareto/NBD, where it has a part in what is published.
        backtest: the newest window that was held out.
        earlier: windows before it.
        bands: the ranges, and the chance of any purchase, by forecast.
        season: the factor that the season of the coming days makes; none where none is known, or believed.
        price_trend: by what share a purchase becomes dearer in a year, in logs.
        left_out: the candidates that couldn't be tried, and why.
    """

    name: str | None
    reason: str | None = None
    instead: str | None = None
    parameters: ValueModel | None = None
    pareto: ParetoNbd | None = None
    backtest: Backtest | None = None
    earlier: tuple[Backtest, ...] = ()
    bands: Ranges | None = None
    season: float | None = None
    price_trend: float = 0.0
    left_out: dict[str, str] = {}


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


@dataclass(frozen=True)
class _Fitted:
    """The candidates as they were fitted on what was known at a cut."""

    rhythms: Mapping[str, Rhythm]
    boosted: Boosted | None
    value: ValueModel
    scale: float
    trend: float
    left_out: dict[str, str] = field(default_factory=dict)

    def forecast(
        self, histories: pl.DataFrame, bought: pl.LazyFrame, cut: date, *, days: int, of: str = ""
    ) -> dict[str, pl.DataFrame]:
        """expected_purchases and future_value of each row of `histories` (of `split`) by each candidate, or by `of`."""
        wanted = _parts(of) if of else (*self.rhythms, OUTRIGHT, CORRECTED)
        made = {
            name: self.scale * expected(model, histories, days=days)
            for name, model in self.rhythms.items()
            if name in wanted
        }
        if self.boosted is not None and {OUTRIGHT, CORRECTED} & set(wanted):
            figures = figures_at(bought, cut, window_days=self.boosted.window_days)
            made |= zip((OUTRIGHT, CORRECTED), self.boosted.forecast(figures, days=days), strict=True)
        paid = self._spend(histories, days)
        return {name: _forecast(histories, purchases, paid) for name, purchases in made.items()}

    def _spend(self, histories: pl.DataFrame, days: int) -> Floats:
        """Expected spend for a purchase in the coming days, at their prices."""
        average = _in_todays_money(self.trend)
        spend = self.value.spend.expected_spend(pl.col("purchases"), average)
        ahead = float(np.exp(self.trend * days / 2 / YEAR_DAYS))
        return histories.select(spend * ahead).to_series().to_numpy()


def _forecast(histories: pl.DataFrame, purchases: Floats, paid: Floats) -> pl.DataFrame:
    return histories.select(
        "customer_id", expected_purchases=pl.Series(purchases), future_value=pl.Series(purchases * paid)
    )


def _in_todays_money(trend: float) -> pl.Expr:
    """average_order, at the prices of the cut: half-way between the first and the last purchase it was paid."""
    age = pl.col("silent_days") + pl.col("span_days") / 2
    return pl.col("average_order") * (trend * age / YEAR_DAYS).exp()


def _parts(name: str) -> tuple[str, ...]:
    """The candidates that one of them is the mean of; itself, if it is none."""
    return tuple(name.removeprefix(MEAN_OF).split(" and ")) if name.startswith(MEAN_OF) else (name,)


def _means(of: Mapping[str, pl.DataFrame], rhythm: str) -> dict[str, pl.DataFrame]:
    """The means of the best probability model and the boostings."""
    mixes = ((rhythm, CORRECTED, OUTRIGHT), (rhythm, CORRECTED), (rhythm, OUTRIGHT), (CORRECTED, OUTRIGHT))
    return {
        f"{MEAN_OF}{' and '.join(mix)}": _mean([of[name] for name in mix]) for mix in mixes if all(n in of for n in mix)
    }


def _mean(forecasts: list[pl.DataFrame]) -> pl.DataFrame:
    names = ("expected_purchases", "future_value")
    mixed = {name: sum((f[name] for f in forecasts[1:]), start=forecasts[0][name]) / len(forecasts) for name in names}
    return forecasts[0].select("customer_id").with_columns(**mixed)


@dataclass(frozen=True)
class _Effort:
    """How much of the past is looked at: rows and trees of the boosting, and customers of the probability models."""

    rows: int
    trees: int


TRIAL, FINAL = _Effort(rows=10_000, trees=30), _Effort(rows=60_000, trees=80)


def _fit(
    bought: pl.LazyFrame,
    histories: pl.DataFrame,
    cut: date,
    first: date,
    *,
    days: int,
    seasonal: bool,
    effort: _Effort,
    boost: bool = True,
) -> _Fitted:
    """Everything that can be fitted on what is known at a cut. Raises ModelError if the first model can't."""
    known = bought.filter(pl.col("day") <= cut).collect().lazy()
    trend = price_trend(known)
    rhythm = rhythms(histories.lazy())
    figures = [rhythm[name] for name in HISTORY]
    value = fit_value_model(histories.with_columns(average_order=_in_todays_money(trend)).lazy())
    fitted: dict[str, Rhythm] = {BG: value.purchases}
    left_out: dict[str, str] = {}
    others: dict[str, Callable[[], Rhythm]] = {
        MBG: partial(fit_rhythm, rhythm, leaves_at_once=True),
        PARETO: partial(fit_pareto_nbd, *figures, weights=rhythm["weight"]),
    }
    for name, fit in others.items():
        try:
            fitted[name] = fit()
        except ModelError as error:
            left_out[name] = str(error)
    base = fitted.get(MBG, value.purchases)
    ahead = season_ahead(known, base, cut, days, first=first) if seasonal else None
    boosted = None
    if boost:

        def scale(then: date, length: int) -> float:
            return index_of(known, base, then, length)[0] if ahead is not None else 1.0

        try:
            window = windows_before(first, cut, days=days)
            boosted = fit_boosting(
                known, base, window, rows=effort.rows, trees=effort.trees, scale=scale, ahead=ahead or 1.0
            )
        except ModelError as error:
            left_out[OUTRIGHT] = str(error)
    return _Fitted(fitted, boosted, value, ahead or 1.0, trend, left_out)


@dataclass(frozen=True)
class _Trial:
    """A past window: those who had bought by its cut, with what followed."""

    cut: date
    held: pl.DataFrame
    last_year: pl.DataFrame | None


_TRIED, _CHOSEN = 7, 14  # hundredths of a night's models, for whoever waits: each window, and the winner


def choose_value_model(
    bought: pl.LazyFrame, *, run_date: date, value_days: int, on_progress: OnProgress = quiet
) -> tuple[ValueReport, pl.DataFrame | None]:
    """Tries the candidates on past windows, and makes the forecast by the best that is good enough.

    Takes purchase days up to `run_date`. The second value has customer_id (sorted), expected_purchases, future_value
    and the columns of `ranges.RANGED` of every buyer; None if no model is good enough.
    """
    first = bought.select(pl.col("day").min()).collect().item()
    if first is None:
        return ValueReport(name=None, reason="there is no purchase to learn from"), None
    history_days = (run_date - first).days
    now = split(bought, cut=run_date, window_days=value_days)
    try:
        today = fit_value_model(now.lazy())
    except ModelError as error:
        return ValueReport(name=None, reason=str(error)), None
    ids = sample(now.select("customer_id"), LEARNS_FROM)
    drawn = bought.join(ids.lazy(), on="customer_id", how="semi").collect().lazy() if len(ids) < len(now) else bought
    try:
        days, ago = trial_windows(history_days, value_days)
    except ModelError as error:
        return ValueReport(name=None, reason=str(error), parameters=today), None
    trials = [_trial(drawn, run_date - timedelta(days=then), days, first) for then in ago]
    seasonal = _season_helps(drawn, trials, days, first)
    tests, told, left_out = _tried(drawn, trials, days, first, seasonal=seasonal, on_progress=on_progress)
    on_progress(0, "the future value by the best of them")
    if not tests:
        reason = f"it couldn't be tested: before {trials[0].cut}, {next(iter(left_out.values()))}"
        return ValueReport(name=None, reason=reason, parameters=today, left_out=left_out), None
    # Means first: of what is about as good in the past, they are the least likely to be wrong in the future.
    names = sorted((score.name for score in tests[0].models), key=lambda name: not name.startswith(MEAN_OF))
    good = [name for name in names if not shortcomings(tests, name)]
    report = partial(ValueReport, parameters=today, backtest=tests[0], earlier=tuple(tests[1:]), left_out=left_out)
    if not good:
        nearest = best(tests, names)
        why = f"in the backtest {nearest} {'; it '.join(shortcomings(tests, nearest))}"
        return report(name=None, reason=why, instead=_instead(tests)), None
    winner = best(tests, good)
    bands = learn_ranges(pl.concat(part[winner] for part in told))
    boost = bool({OUTRIGHT, CORRECTED} & set(_parts(winner)))
    sampled = now if drawn is bought else now.join(ids, on="customer_id", how="semi", maintain_order="left")
    final = _fit(drawn, sampled, run_date, first, days=value_days, seasonal=seasonal, effort=FINAL, boost=boost)
    made = final.forecast(now, bought, run_date, days=value_days, of=winner)
    forecast = bands.of(_mean([made[name] for name in _parts(winner)]))
    on_progress(_CHOSEN, "")
    pareto = final.rhythms.get(PARETO) if PARETO in _parts(winner) else None
    return (
        report(
            name=winner,
            parameters=today,
            pareto=pareto if isinstance(pareto, ParetoNbd) else None,
            bands=bands,
            season=final.scale if seasonal else None,
            price_trend=final.trend,
        ),
        forecast,
    )


def _instead(tests: list[Backtest]) -> str | None:
    """What to go by without a model, in a sentence with its own backtest."""
    ranked = [test.ranking for test in tests if test.ranking is not None]
    sorts = [ranking.auc for ranking in ranked if ranking.auc is not None]
    if not ranked:
        return None
    tenth, auc = float(np.mean([ranking.top_decile for ranking in ranked])), float(np.mean(sorts)) if sorts else 0.5
    figures = f"in the same windows its best tenth made {share(tenth)} of the purchases (AUC {auc:.3f})"
    if tenth < LEAST_TENTH or auc < LEAST_AUC:
        return f"recency_frequency_rank doesn't sort these customers either: {figures}"
    return f"sort customers by recency_frequency_rank instead: {figures}"


def _trial(bought: pl.LazyFrame, cut: date, days: int, first: date) -> _Trial:
    held = split(bought, cut=cut, window_days=days)
    start = cut - timedelta(days=YEAR_DAYS)
    if start < first or days >= YEAR_DAYS:
        return _Trial(cut, held, None)
    before = split(bought, cut=start + timedelta(days=days), window_days=days)
    again = held.select("customer_id").join(before, on="customer_id", how="left", maintain_order="left")
    guess = again.select(
        expected_purchases=pl.col("last_purchases").fill_null(0), future_value=pl.col("last_spend").fill_null(0.0)
    )
    return _Trial(cut, held, guess)


def _season_helps(bought: pl.LazyFrame, trials: list[_Trial], days: int, first: date) -> bool:
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


def _tried(
    bought: pl.LazyFrame, trials: list[_Trial], days: int, first: date, *, seasonal: bool, on_progress: OnProgress
) -> tuple[list[Backtest], list[dict[str, pl.DataFrame]], dict[str, str]]:
    """The backtests, and by candidate what was forecast and what followed, of all windows that could be tried."""
    made: list[tuple[_Trial, dict[str, pl.DataFrame]]] = []
    left_out: dict[str, str] = {}
    for trial in trials:
        on_progress(0, f"trying models on the days after {trial.cut}")
        try:
            fitted = _fit(bought, trial.held, trial.cut, first, days=days, seasonal=seasonal, effort=TRIAL)
        except ModelError as error:
            left_out.setdefault(BG, str(error))
            if not made:
                return [], [], left_out
        else:
            if not made:
                left_out |= fitted.left_out
            made.append((trial, fitted.forecast(trial.held, bought, trial.cut, days=days)))
        on_progress(_TRIED, "")
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
        return single | _means(single, rhythm)

    told = [
        {
            name: frame.with_columns(purchases=trial.held["next_purchases"], spent=trial.held["next_spend"])
            for name, frame in with_means(forecasts).items()
        }
        for trial, forecasts in made
    ]
    return judged(with_means), told, left_out
