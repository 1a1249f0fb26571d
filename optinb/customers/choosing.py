"""Which model tells the future value: every candidate is tried on past windows, and only one that holds is published.

None reads what is delivered about customers: those columns are of tonight, and some of them (points to date, orders so
far, whether somebody is active) have seen the windows that a backtest holds out.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.base.figures import share
from optinb.base.progress import OnProgress, quiet
from optinb.customers.backtest import Backtest, split
from optinb.customers.candidates import CORRECTED, OUTRIGHT, PARETO, fit_candidates, mean_of, parts_of
from optinb.customers.fitting import sample
from optinb.customers.gate import LEAST_AUC, LEAST_TENTH, best, shortcomings, useless
from optinb.customers.pareto import ParetoNbd
from optinb.customers.ranges import Ranges, learn_ranges
from optinb.customers.trials import is_stretched, over_the_whole, season_helps, trial_of, trial_windows, tried
from optinb.customers.value import ValueModel, fit_value_model
from optinb.errors import ModelError

LEARNS_FROM = 30_000
"""Backtests and boosting look at so many customers, drawn by a hash of the id: more change hardly anything."""

CHOSEN = 14
"""Hundredths of a night's models that the winner takes, for whoever waits."""


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
        windows = trial_windows(history_days, value_days)
    except ModelError as error:
        return ValueReport(name=None, reason=str(error), parameters=today), None
    days = windows.days
    trials = [trial_of(drawn, run_date - timedelta(days=then), days, first) for then in windows.ago]
    seasonal = season_helps(drawn, trials, days, first)
    tests, told, left_out = tried(drawn, trials, days, first, seasonal=seasonal, on_progress=on_progress)
    on_progress(0, "the future value by the best of them")
    if not tests:
        reason = f"it couldn't be tested: before {trials[0].cut}, {next(iter(left_out.values()))}"
        return ValueReport(name=None, reason=reason, parameters=today, left_out=left_out), None
    # Simple ones come first: of what is about as good in the past, they are the least likely to be wrong in the future.
    names = [score.name for score in tests[0].models]
    good = [name for name in names if not shortcomings(tests, name)]
    report = partial(ValueReport, parameters=today, backtest=tests[0], earlier=tuple(tests[1:]), left_out=left_out)
    if not good:
        nearest = best(tests, names)
        why = f"in the backtest {nearest} {'; it '.join(shortcomings(tests, nearest))}"
        return report(name=None, reason=why, instead=_instead(tests)), None
    if is_stretched(windows, history_days, value_days):
        whole = trial_of(drawn, run_date - timedelta(days=value_days), value_days, first)
        long = over_the_whole(drawn, whole, value_days, first, good, seasonal=seasonal)
        known = [score.name for score in long.models] if long else []
        holding = [name for name in known if long and not useless([long], name)]
        if not holding:
            nearest = best(tests, good)
            why = f"in a window as long as its forecast, after {whole.cut}, {_why_not(long, nearest, known)}"
            return report(name=None, reason=why, instead=_instead(tests)), None
        good = holding
    winner = best(tests, good)
    bands = learn_ranges([part[winner] for part in told])
    boost = bool({OUTRIGHT, CORRECTED} & set(parts_of(winner)))
    sampled = now if drawn is bought else now.join(ids, on="customer_id", how="semi", maintain_order="left")
    final = fit_candidates(drawn, sampled, run_date, first, days=value_days, seasonal=seasonal, boost=boost)
    made = final.forecast(now, bought, run_date, days=value_days, of=winner)
    forecast = bands.of(mean_of([made[name] for name in parts_of(winner)]))
    on_progress(CHOSEN, "")
    pareto = final.rhythms.get(PARETO) if PARETO in parts_of(winner) else None
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


def _why_not(long: Backtest | None, name: str, known: list[str]) -> str:
    """Why a model that is good over shorter windows isn't published for a longer one."""
    if long is None or name not in known:
        return f"{name} couldn't be tried"
    return f"{name} {'; it '.join(useless([long], name))}"


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
