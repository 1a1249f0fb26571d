"""How right models and discovery are: what a night publishes against what customers then did, and planted groups.

    python tests/benchmarks/bench_truth.py [--only season,cdnow_master] [--seed 1] [--no-rivals]
        [--discovery 20000 100000]

Runs `model_customers` on each set of data and night of `purchase_worlds.NIGHTS` (the data up to the night alone), and
compares with the purchases after it. Prints one JSON: `nights` with an entry for each: `published` (which model, or why
none), and of it, of the naive guesses and of rivals `rmse` (purchases), `total` (error of their sum, as a share of what
happened), `best_tenth` (share of the purchases made by the tenth forecast highest) and `auc` (of any purchase); of what
is published also the ranges: `buyers_inside` (share of those who bought whose spend lay in their range), `below_high`
(share of all at or under the upper bound) and `outside_own` (forecasts outside their own range). `seconds` are those of
the processor. Rivals are the models of lifetimes, and a LightGBM that learns from 8 past cuts, where installed.
`discovery` has for each number of customers how well planted groups are found, by group, as of `bench_discovery`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import sys
import time
import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "customers"))

from bench_discovery import measured
from purchase_worlds import NIGHTS, Night, purchases_of

from optinb.base.settings import LifecycleSection
from optinb.customers import CustomerModel, model_customers, purchase_days
from optinb.customers.backtest import auc, captured

CUTS = 8
RHYTHM = ("x", "t_x", "T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(NIGHTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--discovery", nargs="*", type=int, default=[20_000, 100_000], help="customers, several times")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    found = []
    for name in options.only.split(","):
        transactions = purchases_of(name, seed=options.seed).collect()
        found += [judged(name, transactions, night, rivals=not options.no_rivals) for night in NIGHTS[name]]
    seeds = range(100 * options.seed, 100 * options.seed + 5)
    discovery = [measured(size, seeds) for size in options.discovery]
    print(json.dumps({"nights": found, "discovery": discovery}, indent=1))


def judged(name: str, transactions: pl.DataFrame, night: Night, *, rivals: bool) -> dict[str, Any]:
    """Everything about a night."""
    run_date, days = night
    known = transactions.filter(pl.col("day") <= run_date)
    spent = time.process_time()
    model = modelled(known, night)
    seconds = time.process_time() - spent
    bought = purchase_days(transactions.lazy(), run_date=run_date + timedelta(days=days)).collect()
    truth = figures(bought, run_date).join(outcome(bought, run_date, days), on="customer_id", how="left")
    truth = truth.with_columns(pl.col("next", "next_spend").fill_null(0)).sort("customer_id")
    did = truth["next"].to_numpy().astype(float)
    entry: dict[str, Any] = {
        "data": name, "night": str(run_date), "days": days, "customers": len(truth), "purchases": int(did.sum()),
        "seconds": round(seconds, 1), "published": model.card.value.name or model.card.value.reason,
    }  # fmt: skip
    if model.card.value.name:
        table = truth.select("customer_id", "next", "next_spend").join(model.table, on="customer_id", how="left")
        entry["model"] = scores(table["expected_purchases"].to_numpy(), did) | range_scores(table)
    long = (pl.col("T") / days).clip(1)
    guesses = truth.select(
        everybody_the_mean=pl.lit(truth["last"].mean()),
        last_window_again=pl.col("last"),
        same_window_last_year=pl.col("year_ago"),
        own_rate=(pl.col("x") + 1) / long,
    )
    entry["guesses"] = {guess.name: scores(guess.to_numpy().astype(float), did) for guess in guesses}
    made = {**from_lifetimes(truth, days), **from_lightgbm(bought, truth, night)} if rivals else {}
    entry["rivals"] = {rival: scores(forecast, did) for rival, forecast in made.items()}
    return entry


def modelled(known: pl.DataFrame, night: Night) -> CustomerModel:
    """What optinb makes of the purchases alone."""
    ids = known["customer_id"].unique().sort()
    registered = pl.lit(None, dtype=pl.Datetime("us"))
    apps = {"customer_id": pl.String, "app_id": pl.String, "last_used_at": pl.Datetime("us")}
    return model_customers(
        pl.LazyFrame({"customer_id": ids}).with_columns(registered_at=registered),
        known.lazy(),
        pl.LazyFrame(schema=apps),
        run_date=night.run_date,
        settings=LifecycleSection(value_days=night.days),
    )


def scores(forecast: np.ndarray, did: np.ndarray) -> dict[str, float | None]:
    forecast = forecast.astype(float)
    sorts = auc(forecast, did > 0)
    return {
        "rmse": round(float(np.sqrt(np.mean((forecast - did) ** 2))), 4),
        "total": round(float(forecast.sum() / max(did.sum(), 1) - 1), 4),
        "best_tenth": round(captured(forecast, did), 4),
        "auc": None if sorts is None else round(sorts, 4),
    }


def range_scores(table: pl.DataFrame) -> dict[str, float]:
    low, high, value, spent, least, most = (
        table[name].to_numpy()
        for name in (
            "future_value_low", "future_value_high", "future_value", "next_spend", "value_if_buying_low",
            "value_if_buying_high",
        )
    )  # fmt: skip
    inside, bought = (least <= spent) & (spent <= most), table["next"].to_numpy() > 0
    return {
        "spend_total": round(float(value.sum() / max(spent.sum(), 1) - 1), 4),
        "buyers_inside": round(float(inside[bought].mean()), 4),
        "below_high": round(float((spent <= high).mean()), 4),
        "below_own_high": round(float((spent <= high)[high > value * (1 + 1e-9)].mean()), 4),
        "outside_own": round(float(((value < low) | (value > high)).mean()), 4),
    }


def figures(bought: pl.DataFrame, cut: date) -> pl.DataFrame:
    """The history of each buyer at a cut, in figures that rivals learn from."""
    day, past = pl.col("day"), bought.filter(pl.col("day") <= cut)
    pause = pl.col("pause_days")
    ago = (pl.lit(cut) - day).dt.total_days()
    return (
        past.group_by("customer_id")
        .agg(
            x=pl.len() - 1,
            t_x=(day.max() - day.min()).dt.total_days(),
            T=ago.max(),
            silent=ago.min(),
            spend=pl.col("spend_units").sum() / 1e4,
            mean_pause=pause.mean(),
            median_pause=pause.median(),
            spread_of_pauses=pause.std(),
            longest_pause=pause.max(),
            last_pause=pause.sort_by(day).last(),
            **{f"last_{d}": (ago < d).sum() for d in (14, 30, 60, 90, 180, 365)},
        )
        .with_columns(
            silent_pauses=pl.col("silent") / pl.col("mean_pause"), rate=pl.col("x") / pl.col("T").clip(1),
            order=pl.col("spend") / (pl.col("x") + 1),
        )
        .sort("customer_id")
    )  # fmt: skip


def outcome(bought: pl.DataFrame, cut: date, days: int) -> pl.DataFrame:
    """Purchases and spend in the window after a cut, in that before it, and in the one a year before the first."""

    def within(first: date) -> pl.Expr:
        return pl.col("day").is_between(first + timedelta(days=1), first + timedelta(days=days))

    return bought.group_by("customer_id").agg(
        next=within(cut).sum(),
        next_spend=pl.col("spend_units").filter(within(cut)).sum() / 1e4,
        last=within(cut - timedelta(days=days)).sum(),
        year_ago=(within(cut - timedelta(days=365)) & (pl.col("day") <= cut)).sum(),
    )


def from_lifetimes(truth: pl.DataFrame, days: int) -> dict[str, np.ndarray]:
    """Forecasts of its three models, or of those that it can fit."""
    if importlib.util.find_spec("lifetimes") is None:
        return {}
    import lifetimes

    histories = truth.group_by(RHYTHM).agg(weight=pl.len()).sort(RHYTHM)
    x, t_x, T, weight = (histories[name].to_numpy().astype(float) for name in (*RHYTHM, "weight"))  # noqa: N806
    made = {}
    for fitter in ("BetaGeoFitter", "ModifiedBetaGeoFitter", "ParetoNBDFitter"):
        rival = getattr(lifetimes, fitter)(penalizer_coef=0.0)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # it prints a hint where it doesn't converge
                rival.fit(x, t_x / 7, T / 7, weights=weight)
            told = rival.conditional_expected_number_of_purchases_up_to_time(days / 7, x, t_x / 7, T / 7)
        except Exception as error:  # a fit that doesn't converge is that rival's result
            print(f"{fitter}: {error}", file=sys.stderr)
            continue
        table = histories.with_columns(told=pl.Series(np.asarray(told, dtype=float)))
        made[fitter] = truth.join(table, on=RHYTHM, how="left", maintain_order="left")["told"].to_numpy()
    return made


def from_lightgbm(bought: pl.DataFrame, truth: pl.DataFrame, night: Night) -> dict[str, np.ndarray]:
    """Forecasts of boosting (Tweedie) that learnt from past cuts; other days than its windows' in proportion."""
    if importlib.util.find_spec("lightgbm") is None:
        return {}
    import lightgbm

    known = bought.filter(pl.col("day") <= night.run_date)
    history = (night.run_date - known["day"].min()).days
    window = min(night.days, history // 3)
    step = max((history - window - 28) // CUTS, 1) if history < 3 * window else max(window // 4, 7)
    cuts = [night.run_date - timedelta(days=window + step * i) for i in range(CUTS)]
    columns = [c for c in figures(known, night.run_date).columns if c != "customer_id"]
    parts = []
    for cut in cuts:
        part = figures(known, cut)
        if len(part) >= 100:
            then = outcome(known, cut, window).select("customer_id", "next")
            parts.append(part.join(then, on="customer_id", how="left").with_columns(pl.col("next").fill_null(0)))
    learnt = pl.concat(parts)
    rival = lightgbm.LGBMRegressor(
        objective="tweedie", tweedie_variance_power=1.3, n_estimators=150, num_leaves=15, learning_rate=0.05,
        min_child_samples=40, random_state=1, n_jobs=1, verbose=-1,
    )  # fmt: skip
    rival.fit(learnt.select(columns).cast(pl.Float64).to_numpy(), learnt["next"].to_numpy())
    told = rival.predict(truth.select(columns).cast(pl.Float64).to_numpy())
    return {"lightgbm": np.asarray(told) * night.days / window}


if __name__ == "__main__":
    main()
