"""What customers with such figures did after past cuts, learnt by gradient boosting from many of them.

Beside when somebody bought, the trees see the pauses: how long they are, how even, and how the silence now compares
with them, which no model of a random rhythm does. They are shown a cut as it was then: the figures of its own day.

Two kinds are learnt. One tells purchases outright. The other corrects a probability model: it learns by which factor
customers bought more or less than that model expected, so that where there is nothing to add, it adds nothing, and a
longer time than the windows it learnt from is left to the model, which was made for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from optinb.customers.fitting import Floats, one_thread
from optinb.customers.lifecycle import UNITS
from optinb.customers.value import HISTORY
from optinb.errors import ModelError

CUTS = 8
ENOUGH_ROWS = 1_000
"""Fewer customers and cuts teach nothing that lasts."""

FIRST_DAYS = 28
"""A cut that is learnt from has so many days of history at least."""

SHRINK = 100.0
"""Leaves are drawn towards 0 as if by so many rows: neighbouring cuts show the same customers, up to `CUTS` times."""

FLOOR = 0.05
"""What the model that is corrected expects at least of everybody, as a share of the mean."""

FIGURES = (
    "repeats", "known_days", "silent_days", "mean_pause", "median_pause", "spread", "longest_pause", "last_pause",
    "in_quarter", "in_half", "in_window", "in_two", "average_order", "silent_medians", "silent_longest", "unevenness",
    "rate",
)  # fmt: skip
"""Columns of `figures_at` that the trees are shown."""

Scale = Callable[[date, int], float]
"""By what factor customers buy more (above 1) or less than usual in so many days after a cut: the season."""


class Rhythm(Protocol):
    """A fitted probability model of when customers buy."""

    def expected_purchases(self, x: Any, t_x: Any, T: Any, *, horizon: float) -> Floats: ...  # noqa: N803


def expected(model: Rhythm, histories: pl.DataFrame, *, days: int) -> Floats:
    """What a model expects of each row of `histories` in the coming days; equal histories are reckoned once."""
    different = histories.select(HISTORY).unique().sort(HISTORY)
    told = model.expected_purchases(*(different[name].to_numpy() for name in HISTORY), horizon=days)
    table = different.with_columns(told=pl.Series(told))
    return histories.select(HISTORY).join(table, on=HISTORY, how="left", maintain_order="left")["told"].to_numpy()


def figures_at(bought: pl.LazyFrame, cut: date, *, window_days: int) -> pl.DataFrame:
    """customer_id (sorted), `HISTORY`, `FIGURES`, and next_purchases in the window after the cut, of every buyer.

    Takes purchase days; `in_half` and the like count those in a part, or a multiple, of the window before the cut.
    """
    day, pause = pl.col("day"), pl.col("pause_days")
    ago = (pl.lit(cut) - day).dt.total_days()
    past = bought.filter(day <= cut).group_by("customer_id")
    parts = {"in_quarter": window_days // 4, "in_half": window_days // 2, "in_window": window_days}
    made = past.agg(
        repeats=pl.len().cast(pl.Int64) - 1,
        span_days=(day.max() - day.min()).dt.total_days(),
        known_days=ago.max(),
        silent_days=ago.min(),
        spend=pl.col("spend_units").sum() / UNITS,
        mean_pause=pause.mean(),
        median_pause=pause.median(),
        spread=pause.cast(pl.Float64).pow(2).mean(),
        longest_pause=pause.max(),
        last_pause=pause.filter(day == day.max()).first(),
        **{name: (ago < max(days, 1)).sum() for name, days in (parts | {"in_two": 2 * window_days}).items()},
    ).with_columns(
        average_order=pl.col("spend") / (pl.col("repeats") + 1),
        silent_medians=pl.col("silent_days") / pl.col("median_pause").clip(1),
        silent_longest=pl.col("silent_days") / pl.col("longest_pause").clip(1),
        # the mean of squares, unlike a standard deviation, is the same in any order of rows: they are whole numbers
        spread=(pl.col("spread") - pl.col("mean_pause").pow(2)).clip(0).sqrt(),
        rate=pl.col("repeats") / pl.col("known_days").clip(1),
    )
    after = bought.filter(day > cut, day <= cut + timedelta(days=window_days))
    later = after.group_by("customer_id").agg(next_purchases=pl.len().cast(pl.Int64))
    return (
        made.with_columns(unevenness=pl.col("spread") / pl.col("mean_pause").clip(1))
        .join(later, on="customer_id", how="left")
        .with_columns(pl.col("next_purchases").fill_null(0))
        .sort("customer_id")
        .collect()
    )


class Window(NamedTuple):
    """The days after each cut that are learnt from, and the cuts, the newest first."""

    days: int
    cuts: tuple[date, ...]


def windows_before(first: date, cut: date, *, days: int) -> Window:
    """Past windows to learn a forecast of so many days from, all of them known by `cut`; `first` is the first purchase.

    They are as long as the forecast, or as a third of the history, where that is too short.
    """
    history = (cut - first).days
    roomy = history - days - FIRST_DAYS >= days // 2
    length = days if roomy else min(days, max(history // 3, FIRST_DAYS))
    room = history - length - FIRST_DAYS
    step = max(min(room // CUTS, max(length // 4, 7)), 1)
    ago = (length + step * i for i in range(CUTS) if step * i <= room)
    return Window(length, tuple(cut - timedelta(days=days_ago) for days_ago in ago))


class Boosted(NamedTuple):
    """Both fitted kinds, for a forecast from one cut."""

    outright: Any
    correcting: Any
    rhythm: Rhythm
    window_days: int
    scale: float
    telling: tuple[int, ...]

    def forecast(self, figures: pl.DataFrame, *, days: int) -> tuple[Floats, Floats]:
        """Purchases of each row of `figures_at` (made with `window_days`) in the coming days, by either kind.

        Other days than the window's are reckoned in proportion by the first.
        """
        shown = _shown(figures, expected(self.rhythm, figures, days=self.window_days))[:, self.telling]
        most = one_thread(self.outright.predict)(shown) * days / self.window_days
        factor = one_thread(self.correcting.predict)(shown)
        return most * self.scale, factor * _raised(expected(self.rhythm, figures, days=days)) * self.scale


def fit_boosting(
    bought: pl.LazyFrame, rhythm: Rhythm, window: Window, *, rows: int, trees: int, scale: Scale, ahead: float
) -> Boosted:
    """Learns from the windows; `rhythm` was fitted on what is known by the last of them.

    Args:
        bought: purchase days, of which those after the windows aren't looked at.
        rhythm: the model to be corrected.
        window: from `windows_before`.
        rows: about how many customers at cuts to learn from.
        trees: so many of each kind.
        scale: the season of each window, which is taken out of it.
        ahead: the season of the forecast, which is put in.

    Raises:
        ModelError: if there are too few customers, or nobody bought.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting: Any = HistGradientBoostingRegressor  # sklearn's defaults mislead the type checker
    shown, did, meant = [], [], []
    each = max(rows // max(len(window.cuts), 1), 1)
    for cut in window.cuts:
        figures = figures_at(bought, cut, window_days=window.days)
        if len(figures) > each:  # other customers at each cut
            part = pl.col("customer_id").hash(cut.toordinal()) % len(figures)
            figures = figures.filter(part < each)
        if not len(figures):
            continue
        told = expected(rhythm, figures, days=window.days)
        shown.append(_shown(figures, told))
        season = scale(cut, window.days)
        did.append(figures["next_purchases"].to_numpy() / season)
        meant.append(_raised(told))
    count = sum(map(len, did))
    if count < ENOUGH_ROWS:
        raise ModelError(f"{count} customers at past cuts can be learnt from; {ENOUGH_ROWS:,} are needed")
    inputs, target, base = np.vstack(shown), np.concatenate(did), np.concatenate(meant)
    if not target.any():
        raise ModelError("nobody bought in the windows that it would learn from")
    telling = _telling(inputs)
    if not telling:
        raise ModelError("all customers have the same figures, so nothing tells one from another")
    inputs = inputs[:, telling]

    @one_thread
    def learn(what: Floats, weight: Floats | None = None) -> Any:
        model = boosting(
            loss="poisson", max_iter=trees, learning_rate=6 / (trees + 20), max_leaf_nodes=8, min_samples_leaf=60,
            l2_regularization=SHRINK, max_bins=63, early_stopping=False, random_state=0,
        )  # fmt: skip
        return model.fit(inputs, what, sample_weight=weight)

    return Boosted(learn(target), learn(target / base, base), rhythm, window.days, ahead, telling)


def _raised(told: Floats) -> Floats:
    return told + FLOOR * told.mean()


def _shown(figures: pl.DataFrame, told: Floats) -> Floats:
    columns = [figures[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in FIGURES]
    return np.column_stack([*columns, told])


def _telling(figures: Floats) -> tuple[int, ...]:
    """The columns with more than one known value; the trees fail on others."""
    known = (column[np.isfinite(column)] for column in figures.T)
    return tuple(i for i, column in enumerate(known) if len(column) and np.ptp(column) > 0)
