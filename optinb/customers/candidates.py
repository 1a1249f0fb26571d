"""The candidates for the future value: fitted on what is known at a cut, and what each of them forecasts from it.

They are three probability models, two kinds of boosting (see `boosting`), and the means of the best of the first with
either or both of the second: where two are wrong in different ways, their mean is wrong by less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.customers.boosting import Boosted, Rhythm, expected, figures_at, fit_boosting, windows_before
from optinb.customers.pareto import fit_pareto_nbd
from optinb.customers.seasons import YEAR_DAYS, index_of, price_trend, season_ahead
from optinb.customers.value import HISTORY, ValueModel, fit_rhythm, fit_value_model, rhythms
from optinb.errors import ModelError

if TYPE_CHECKING:
    from optinb.customers.fitting import Floats

OUTRIGHT, CORRECTED = "gradient boosting", "boosted MBG/NBD"
WITH_SPEND = " with Gamma-Gamma"
BG, MBG, PARETO = (f"{name}{WITH_SPEND}" for name in ("BG/NBD", "MBG/NBD", "Pareto/NBD"))
MEAN_OF = "mean of "


@dataclass(frozen=True)
class Candidates:
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
        wanted = parts_of(of) if of else (*self.rhythms, OUTRIGHT, CORRECTED)
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


def parts_of(name: str) -> tuple[str, ...]:
    """The candidates that one of them is the mean of; itself, if it is none."""
    return tuple(name.removeprefix(MEAN_OF).split(" and ")) if name.startswith(MEAN_OF) else (name,)


def means_of(of: Mapping[str, pl.DataFrame], rhythm: str) -> dict[str, pl.DataFrame]:
    """The means of the best probability model and the boostings."""
    mixes = ((rhythm, CORRECTED, OUTRIGHT), (rhythm, CORRECTED), (rhythm, OUTRIGHT), (CORRECTED, OUTRIGHT))
    return {
        f"{MEAN_OF}{' and '.join(mix)}": mean_of([of[name] for name in mix])
        for mix in mixes
        if all(n in of for n in mix)
    }


def mean_of(forecasts: list[pl.DataFrame]) -> pl.DataFrame:
    names = ("expected_purchases", "future_value")
    mixed = {name: sum((f[name] for f in forecasts[1:]), start=forecasts[0][name]) / len(forecasts) for name in names}
    return forecasts[0].select("customer_id").with_columns(**mixed)


ROWS, TREES = 60_000, 80
"""What the boosting learns from, and how many trees of each kind it grows. A trial has as many as what is published:
with fewer it tries another model, which is worse where there are many customers."""


def fit_candidates(
    bought: pl.LazyFrame,
    histories: pl.DataFrame,
    cut: date,
    first: date,
    *,
    days: int,
    seasonal: bool,
    boost: bool = True,
) -> Candidates:
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
            boosted = fit_boosting(known, base, window, rows=ROWS, trees=TREES, scale=scale, ahead=ahead or 1.0)
        except ModelError as error:
            left_out[OUTRIGHT] = str(error)
    return Candidates(fitted, boosted, value, ahead or 1.0, trend, left_out)
