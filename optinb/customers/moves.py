"""How customers move between stages, micro-segments or whatever is kept of every night, and how they will.

The forecast learns from transitions: expected stay, long-run shares, sizes. The stages of past days follow from the
purchases, by the rules and the thresholds of those nights, which must not know of later ones; so the first night has
them too. A month here is 28 days, so that all have the same weekdays.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import polars as pl
from msgspec import Struct

from optinb.customers.lifecycle import STAGES, churn_after_on, stage_expression
from optinb.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from optinb.base.settings import LifecycleSection
    from optinb.customers.fitting import Floats
    from optinb.warehouse import Snapshot

STEP_DAYS = 28
LEARNT_STEPS, AHEAD = 3, 3
"""Transitions are learnt from so many steps; the forecast looks so many ahead."""


class StageForecast(Struct, frozen=True, kw_only=True):
    """Moves between the stages of `STAGES` in a step of `step_days`, and what follows from them; or why there is none.

    `moves[i][j]` is the share of the customers in stage i who are in stage j a step later; `arrivals` are customers
    who become known in a step. `stay_days` is the expected stay in each stage (null: nobody was seen to leave),
    `long_run` the shares that the moves alone lead to. `sizes` are tonight's and those forecast for the coming steps.
    `error` is the share of all customers that the forecast of tonight, made a step ago, put into a wrong stage;
    `naive_error` the same of the guess that nothing changes.
    """

    reason: str | None = None
    step_days: int = STEP_DAYS
    moves: tuple[tuple[float, ...], ...] = ()
    arrivals: tuple[float, ...] = ()
    stay_days: tuple[float | None, ...] = ()
    long_run: tuple[float, ...] = ()
    sizes: tuple[tuple[float, ...], ...] = ()
    error: float = 0.0
    naive_error: float = 0.0

    @property
    def loses(self) -> bool:
        """Whether the guess that nothing changes did better."""
        return self.reason is None and self.error >= self.naive_error


def forecast_stages(
    bought: pl.LazyFrame, table: pl.DataFrame, *, run_date: date, settings: LifecycleSection
) -> StageForecast:
    """The forecast, from purchase days, and customer_id and tenure_days of every customer."""
    first = bought.select(pl.col("day").min()).collect().item()
    needed = STEP_DAYS * (LEARNT_STEPS + 1)
    known = (run_date - first).days if first else 0
    if known < needed:
        return StageForecast(reason=f"the history is {known} days long; {needed} are needed")
    days = [run_date - timedelta(days=STEP_DAYS * ago) for ago in range(LEARNT_STEPS + 1, -1, -1)]
    stages = past_stages(bought, table, run_date=run_date, days=days, settings=settings)
    counted = stages.group_by(pl.all()).agg(customers=pl.len()).sort(pl.all())
    seen = [tuple(STAGES.index(s) if s else -1 for s in row[:-1]) for row in counted.iter_rows()]
    weights = counted["customers"].to_list()
    sizes = np.zeros((len(days), len(STAGES)))
    moved = np.zeros((len(days) - 1, len(STAGES), len(STAGES)))
    arrived = np.zeros((len(days) - 1, len(STAGES)))
    for row, weight in zip(seen, weights, strict=True):
        for at, stage in enumerate(row):
            if stage >= 0:
                sizes[at, stage] += weight
                if at and row[at - 1] >= 0:
                    moved[at - 1, row[at - 1], stage] += weight
                elif at:
                    arrived[at - 1, stage] += weight
    tested = sizes[-2] @ _shares(moved[:-1].sum(axis=0)) + arrived[:-1].mean(axis=0)
    moves, arrivals = _shares(moved[1:].sum(axis=0)), arrived[1:].mean(axis=0)
    ahead = [sizes[-1]]
    for _ in range(AHEAD):
        ahead.append(ahead[-1] @ moves + arrivals)
    total = max(sizes[-1].sum(), 1.0)
    return StageForecast(
        moves=tuple(tuple(row.tolist()) for row in moves),
        arrivals=tuple(arrivals.tolist()),
        stay_days=tuple(STEP_DAYS / (1 - stay) if stay < 1 else None for stay in np.diag(moves).tolist()),
        long_run=tuple(_long_run(moves, sizes[-1]).tolist()),
        sizes=tuple(tuple(row.tolist()) for row in ahead),
        error=float(np.abs(tested - sizes[-1]).sum() / 2 / total),
        naive_error=float(np.abs(sizes[-2] - sizes[-1]).sum() / 2 / total),
    )


def past_stages(
    bought: pl.LazyFrame, table: pl.DataFrame, *, run_date: date, days: list[date], settings: LifecycleSection
) -> pl.DataFrame:
    """The stage of every customer on each of the days, a column each in their order; null before they were known."""
    day, pause = pl.col("day"), pl.col("pause_days")
    aggregates = [day.min().alias("first")]
    for i, then in enumerate(days):
        past = day <= then
        aggregates.append(pl.when(past).then(day).max().alias(f"last {i}"))
        recent = past & (day >= then - timedelta(days=settings.reactivated_days))
        aggregates.append(pl.when(recent).then(pause).max().alias(f"comeback {i}"))
    # Gathered once: rows of another plan would stand in another order beside those of the first day.
    gathered = bought.group_by("customer_id").agg(aggregates).collect()
    facts = table.select("customer_id", "tenure_days")
    facts = facts.join(gathered, on="customer_id", how="left", maintain_order="left")
    staged = []
    for i, then in enumerate(days):
        thresholds, after = churn_after_on(bought, then, settings=settings)
        of_then = facts.join(after.collect(), on="customer_id", how="left", maintain_order="left")
        has_bought = pl.col("first") <= then
        then_known = has_bought.fill_null(False) | (pl.col("tenure_days") >= (run_date - then).days).fill_null(False)
        figures = of_then.select(
            "churn_after_days",
            known=then_known,
            recency_days=(pl.lit(then) - pl.col(f"last {i}")).dt.total_days(),
            days_since_first_purchase=pl.when(has_bought).then((pl.lit(then) - pl.col("first")).dt.total_days()),
            comeback_pause_days=pl.col(f"comeback {i}"),
        )
        stage = nw.from_native(figures).with_columns(stage_expression(thresholds).alias("stage")).to_native()
        staged.append(stage.select(pl.when("known").then("stage").alias(f"{then}")))
    return pl.concat(staged, how="horizontal")


def _shares(counts: Floats) -> Floats:
    """Rows that sum to 1; from a stage that nobody was in, nobody moves."""
    whole = counts.sum(axis=1, keepdims=True)
    return np.where(whole > 0, counts / np.maximum(whole, 1), np.eye(len(counts)))


def _long_run(moves: Floats, start: Floats) -> Floats:
    """Where the moves lead, from tonight's shares: the mean over many steps, which exists for any chain."""
    at = start / max(start.sum(), 1.0)
    far = at @ np.linalg.matrix_power(moves, 1024)
    mean = np.zeros_like(far)
    for _ in range(32):
        mean, far = mean + far / 32, far @ moves
    return mean


NOT_YET = "not a customer"


class SegmentMove(Struct, frozen=True, kw_only=True):
    """How many customers went from one value to another (the same, where they stayed)."""

    before: str
    after: str
    customers: int


class Migration(Struct, frozen=True, kw_only=True):
    """The moves between two nights.

    Attributes:
        attribute: what moved: "stage", "micro_segment" or "value_segment".
        since: the night that was modelled last up to the earlier day.
        until: the night that was modelled last up to the later day.
        moves: how many customers went from which value to which.
    """

    attribute: str
    since: date
    until: date
    moves: tuple[SegmentMove, ...]

    def values(self, order: tuple[str, ...]) -> list[str]:
        """Every value that occurs.

        Args:
            order: values that come first where they occur, in this order; others follow by name.
        """
        found = {value for move in self.moves for value in (move.before, move.after)}
        return [value for value in order if value in found] + sorted(found - set(order))

    def customers(self, before: str, after: str) -> int:
        """How many went from one value to another.

        Args:
            before: the value on the earlier night.
            after: the value on the later night; the same for those who stayed.
        """
        return sum(move.customers for move in self.moves if (move.before, move.after) == (before, after))


def migration(snapshot: Snapshot, since: date, until: date, *, by: str) -> Migration:
    """The matrix of moves between two days.

    Raises UsageError for a value that isn't kept, a day without a model, or a first day after the second.
    """
    first, last, both = _both(snapshot, since, until, by)
    counted = both.group_by("before", "after").agg(customers=pl.len()).sort("before", "after")
    return Migration(
        attribute=by,
        since=first,
        until=last,
        moves=tuple(SegmentMove(before=b, after=a, customers=n) for b, a, n in counted.iter_rows()),
    )


def changers(snapshot: Snapshot, since: date, until: date, *, by: str) -> pl.DataFrame:
    """customer_id, before and after of every customer whose value is another one on the second day, sorted."""
    *_, both = _both(snapshot, since, until, by)
    return both.filter(pl.col("before") != pl.col("after")).sort("customer_id")


def _both(snapshot: Snapshot, since: date, until: date, by: str) -> tuple[date, date, pl.DataFrame]:
    if since > until:
        raise UsageError(f"{since} is later than {until}: name the earlier day first")
    nights = sorted({file.day for file in snapshot.contents.files if file.table == "history"})
    days = []
    for day in (since, until):
        before = [night for night in nights if night <= day]
        if not before:
            raise UsageError(
                f"no night up to {day} was modelled; the first is {nights[0] if nights else 'still to come'}"
            )
        days.append(before[-1])
    frames = []
    for day in days:
        states = snapshot.history(since=day, until=day)
        schema = states.collect_schema()
        texts = [name for name, kind in schema.items() if kind == pl.String and name != "customer_id"]
        if by not in texts:
            raise UsageError(f"no moves are known of {by!r} on {day}{did_you_mean(by, texts)}")
        frames.append(states.select("customer_id", by).collect())
    both = frames[0].join(frames[1], on="customer_id", how="full", suffix=" after", coalesce=True)
    nobody = (pl.col(name).fill_null(NOT_YET) for name in (by, f"{by} after"))
    return (
        days[0],
        days[1],
        both.select("customer_id", *(v.alias(n) for v, n in zip(nobody, ("before", "after"), strict=True))),
    )
