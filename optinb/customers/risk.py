"""Churn risk and reactivation chance: how likely a customer stays away, or comes back, in the coming days.

Both ask the same: will there be a purchase in the coming N days? Of those in an active stage it is the risk of none, of
the churned the chance of one. The BG/NBD (or MBG/NBD) sorts customers well, but its chances needn't be right; so they
are calibrated on what followed in the last two windows, separately for both. The test calibrates on the first of them,
and looks at the second.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.customers.backtest import auc, split
from optinb.customers.calibration import Bin, calibrate, reliability
from optinb.customers.lifecycle import churn_after_on
from optinb.customers.value import ENOUGH_DAYS, HISTORY, fit_rhythm, rhythms
from optinb.errors import ModelError

if TYPE_CHECKING:
    from optinb.base.settings import LifecycleSection
    from optinb.customers.fitting import Floats

ENOUGH_OF_EACH = 30
"""Calibration needs so many who bought, and so many who didn't."""

MOST_DAYS = 90
"""How far ahead it is asked at most, where the settings don't say; two such windows must lie in the history."""

Kind = Literal["churn", "reactivation"]
NAMES: dict[Kind, str] = {"churn": "churn_risk", "reactivation": "reactivation_chance"}

DID: dict[Kind, str] = {"churn": "stayed away", "reactivation": "came back"}


class RiskReport(Struct, frozen=True, kw_only=True):
    """How well one of the two chances came true in the last window; without `reason` it is published.

    `brier` is the mean squared error of the chance, `brier_base` that of the same chance for everybody, which is the
    best guess without a model; `auc` says how well it sorts, `auc_silence` how well days since the last purchase do,
    `auc_frequency` how well purchases in the window before do.
    """

    kind: Kind
    days: int
    reason: str | None
    customers: int = 0
    base: float | None = None
    brier: float | None = None
    brier_base: float | None = None
    auc: float | None = None
    auc_silence: float | None = None
    auc_frequency: float | None = None
    bins: tuple[Bin, ...] = ()


def risks(
    bought: pl.LazyFrame, *, run_date: date, days: int, settings: LifecycleSection, leaves_at_once: bool = False
) -> tuple[tuple[RiskReport, ...], pl.DataFrame]:
    """Reports of both chances, and customer_id (sorted), churn_risk and reactivation_chance of every buyer (or null).

    Takes purchase days up to `run_date`. Who is active and who has churned at a past cut is told by its own thresholds.
    """
    ids = bought.select("customer_id").unique().sort("customer_id").collect()
    empty = ids.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in NAMES.values())
    try:
        first = bought.select(pl.col("day").min()).collect().item()
        known = (run_date - first).days if first else 0
        if known < 2 * days + ENOUGH_DAYS:
            raise ModelError(
                f"the history is {known} days long; to calibrate and to test {days} days ahead takes "
                f"{2 * days + ENOUGH_DAYS}"
            )
        learning, testing, now = (
            _raw(bought, run_date - timedelta(days=days * ago), days, settings, leaves_at_once) for ago in (2, 1, 0)
        )
    except ModelError as error:
        return tuple(RiskReport(kind=kind, days=days, reason=str(error)) for kind in NAMES), empty
    reports, told = [], ids
    for kind, name in NAMES.items():
        report, chances = _one(kind, learning, testing, now, days)
        reports.append(report)
        told = told.join(chances.rename({"chance": name}), on="customer_id", how="left", maintain_order="left")
    return tuple(reports), told


def _raw(
    bought: pl.LazyFrame, cut: date, days: int, settings: LifecycleSection, leaves_at_once: bool
) -> dict[Kind, pl.DataFrame]:
    """What the model, fitted until the cut, says of the days after it, for the active and for the churned."""
    known = split(bought, cut=cut, window_days=days)
    _, churn_after = churn_after_on(bought, cut, settings=settings)
    rhythm = rhythms(known.lazy())
    model = fit_rhythm(rhythm, leaves_at_once=leaves_at_once)
    silence = model.p_silent(*(rhythm[name].to_numpy() for name in HISTORY), horizon=days)
    table = (
        known.join(rhythm.select(HISTORY).with_columns(silence=pl.Series(silence)), on=HISTORY, maintain_order="left")
        .join(churn_after.collect(), on="customer_id", how="left", maintain_order="left")
        .with_columns(silent=(pl.col("next_purchases") == 0).cast(pl.Float64))
    )
    churned = pl.col("silent_days") > pl.col("churn_after_days")
    columns = ("customer_id", "silent_days", "last_purchases")
    return {
        "churn": table.filter(~churned).select(*columns, raw="silence", truth="silent"),
        "reactivation": table.filter(churned).select(*columns, raw=1 - pl.col("silence"), truth=1 - pl.col("silent")),
    }


def _one(
    kind: Kind, learning: dict[Kind, pl.DataFrame], testing: dict[Kind, pl.DataFrame], now: dict[Kind, pl.DataFrame],
    days: int,
) -> tuple[RiskReport, pl.DataFrame]:  # fmt: skip
    nobody = now[kind].select("customer_id", chance=pl.lit(None, dtype=pl.Float64))
    windows = [(_floats(part[kind], "raw"), _floats(part[kind], "truth")) for part in (learning, testing)]
    try:
        for _, happened in windows:
            _enough(happened, kind)
    except ModelError as error:
        return RiskReport(kind=kind, days=days, reason=str(error)), nobody
    test, (raw, truth) = testing[kind], windows[1]
    chance = calibrate(*windows[0])(raw)
    base, brier = float(truth.mean()), float(np.mean((chance - truth) ** 2))
    sign = 1.0 if kind == "churn" else -1.0
    report = RiskReport(
        kind=kind,
        days=days,
        reason=None if brier < base * (1 - base) else (
            f"in the test its Brier score of {brier:.4f} was no better than {base * (1 - base):.4f}, that of the same "
            "chance for everybody"
        ),
        customers=len(test),
        base=base,
        brier=brier,
        brier_base=base * (1 - base),
        auc=auc(chance, truth > 0),
        auc_silence=auc(sign * _floats(test, "silent_days"), truth > 0),
        auc_frequency=auc(-sign * _floats(test, "last_purchases"), truth > 0),
        bins=reliability(chance, truth),
    )  # fmt: skip
    if report.reason:
        return report, nobody
    # Of both windows: what was peculiar to one of them is told of nobody.
    late = calibrate(*(np.concatenate(both) for both in zip(*windows, strict=True)))
    return report, now[kind].select("customer_id", chance=pl.Series(late(_floats(now[kind], "raw"))))


def _enough(truth: Floats, kind: Kind) -> None:
    """Raises ModelError where a past window has too few of either to be learnt from."""
    yes, no = int(truth.sum()), int(len(truth) - truth.sum())
    if min(yes, no) < ENOUGH_OF_EACH:
        raise ModelError(
            f"of {len(truth)} such customers in a past window {yes} {DID[kind]}; {ENOUGH_OF_EACH} must have, and "
            f"{ENOUGH_OF_EACH} must not"
        )


def _floats(table: pl.DataFrame, name: str) -> Floats:
    return table[name].cast(pl.Float64).to_numpy()
