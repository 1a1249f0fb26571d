"""The customer models of a night, in one call: features, stage, future value, chances, and the model card."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import narwhals as nw
import polars as pl
from msgspec import Struct

from optinb.base.figures import share as in_percent
from optinb.base.progress import OnProgress, quiet
from optinb.base.settings import LifecycleSection, ModelsSection
from optinb.customers.attributes import HISTORY_COLUMNS, RANK, columns
from optinb.customers.backtest import recency_frequency
from optinb.customers.card import ModelCard, SegmentReport
from optinb.customers.choosing import choose_value_model
from optinb.customers.features import Feature, build_features
from optinb.customers.lifecycle import (
    STAGES,
    Thresholds,
    choose_thresholds,
    churn_after_expression,
    purchase_days,
    stage_expression,
)
from optinb.customers.moves import forecast_stages
from optinb.customers.pauses import pause_histogram
from optinb.customers.ranges import RANGED
from optinb.customers.risk import MOST_DAYS, risks
from optinb.customers.segmentation import Segmentation, segment, shares_of
from optinb.customers.value import FORECAST, value_rank, value_segment

NO_ATTRIBUTES = frozenset({"customer_id", "external_user_id", "time_zone", "push_opt_in", "is_blocked", "is_test"})
"""Columns of the customers that tell no kinds of customers."""


class CustomerModel(Struct, frozen=True, kw_only=True):
    """The result of a night.

    `table` has a row for every customer, sorted by customer_id, and the columns of `ATTRIBUTES` with the declared
    features; `history` the same rows with `HISTORY_COLUMNS`, to be kept by day; `stages` the number of customers in
    each stage, in the order of `STAGES`; `pauses` the histogram behind the churn threshold, as of
    `pause_histogram`; `segmentation` what labels the micro-segments, to be given to the next night.
    """

    table: pl.DataFrame
    history: pl.DataFrame
    stages: dict[str, int]
    thresholds: Thresholds
    pauses: pl.DataFrame
    segmentation: Segmentation
    card: ModelCard

    def published(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The table without what no model tells tonight; and those attributes, each with its reason."""
        not_modelled = self.card.not_modelled()
        reasons = {"attribute": list(not_modelled), "reason": list(not_modelled.values())}
        return self.table.drop(*not_modelled), pl.DataFrame(reasons, schema=dict.fromkeys(reasons, pl.String))


def model_customers(
    customers: pl.LazyFrame,
    transactions: pl.LazyFrame,
    app_users: pl.LazyFrame,
    *,
    run_date: date,
    settings: LifecycleSection,
    time_zone: str = "UTC",
    events: pl.LazyFrame | None = None,
    declared: tuple[Feature, ...] = (),
    models: ModelsSection | None = None,
    before: Segmentation | None = None,
    on_progress: OnProgress = quiet,
) -> CustomerModel:
    """Models every customer on the night of `run_date`; frames as for `build_features`.

    `before` is the segmentation of the night before, whose labels are kept as long as they fit. `on_progress` is told
    that so many more hundredths are done, and what is next; what it raises ends the work.

    Data that can't carry a model (no purchases, a few customers, a short history) is no failure: the stages are right,
    what no model tells is empty, and the card says why. Deterministic in any order of the rows.
    """
    on_progress(0, "days of purchases")
    facts = _facts(transactions, run_date)
    known = customers.lazy().select("customer_id")
    # The forecasts learn from whoever bought: those who are gone by tonight were customers of the past nights.
    everybody = purchase_days(transactions, run_date=run_date).collect().lazy()
    bought = everybody.join(known, on="customer_id", how="semi").collect().lazy()
    pauses = pause_histogram(bought, run_date=run_date)
    thresholds = choose_thresholds(pauses, settings=settings)
    on_progress(10, "features and stages")
    features = build_features(
        customers,
        transactions,
        app_users,
        run_date=run_date,
        time_zone=time_zone,
        reactivated_days=settings.reactivated_days,
        bought=bought,
        events=events,
        declared=declared,
    )
    staged = nw.from_native(features).with_columns(churn_after_expression(thresholds).alias("churn_after_days"))
    table = staged.with_columns(stage_expression(thresholds).alias("stage")).to_native().sort("customer_id").collect()

    on_progress(10, "")
    value, forecast = choose_value_model(
        everybody, run_date=run_date, value_days=settings.value_days, on_progress=on_progress
    )
    on_progress(0, "chances of purchase and churn")
    at_once = value.parameters.purchases.leaves_at_once if value.parameters else False
    chances, chance = risks(
        everybody,
        run_date=run_date,
        days=settings.risk_days or min(thresholds.churn_days, MOST_DAYS),
        settings=settings,
        leaves_at_once=at_once,
    )
    on_progress(13, "forecast of the stages")
    stages = forecast_stages(bought, table, run_date=run_date, settings=settings)
    on_progress(4, "micro-segments")
    segmentation, table, drift = segment(
        table, customers, run_date=run_date, settings=models or ModelsSection(), leave=NO_ATTRIBUTES, before=before
    )
    on_progress(20, "")
    table = table.join(chance, on="customer_id", how="left", maintain_order="left")
    table = _valued(table, forecast).select(columns(declared))

    (history_days,) = table.select(pl.col("days_since_first_purchase").max().fill_null(0)).row(0)
    counts = dict(table.group_by("stage").len().iter_rows())
    card = ModelCard(
        run_date=run_date,
        value_days=settings.value_days,
        customers=len(table),
        buyers=int((table["purchases"] > 0).sum()),
        repeaters=int((table["purchases"] > 1).sum()),
        transactions=facts.transactions,
        history_days=history_days,
        thresholds=thresholds,
        value=value,
        risks=chances,
        stages=stages,
        segments=SegmentReport(
            version=segmentation.version,
            fitted_on=segmentation.fitted_on,
            reason=segmentation.reason,
            shares=shares_of(table["micro_segment"]),
            scales=tuple(scale.told() for scale in segmentation.scales),
            drift=drift,
        ),
        notes=_notes(
            facts,
            history_days=history_days,
            value_days=settings.value_days,
            is_fitted=value.parameters is not None,
        ),
    )
    return CustomerModel(
        table=table,
        history=table.select(HISTORY_COLUMNS),
        stages={stage: counts.get(stage, 0) for stage in STAGES},
        thresholds=thresholds,
        pauses=pauses,
        segmentation=segmentation,
        card=card,
    )


def _valued(table: pl.DataFrame, forecast: pl.DataFrame | None) -> pl.DataFrame:
    """The table with the columns of value; all null, and the segment "none", without a forecast."""
    if forecast is not None:
        table = table.join(forecast, on="customer_id", how="left", maintain_order="left")
    else:
        table = table.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in (*FORECAST, *RANGED))
    table = table.with_columns(
        recency_frequency("recency_days", "purchases").alias(RANK.name),
        future_value_net=pl.col("future_value") * (1 - _sent_back(table)),
    )
    ranks = value_rank().alias("value_rank"), value_rank(within="stage").alias("value_rank_in_stage")
    return table.with_columns(*ranks).with_columns(value_segment=value_segment())


def _sent_back(table: pl.DataFrame) -> pl.Expr:
    """The share of spend that each customer is likely to send back: their own, drawn towards that of all.

    As if everybody had made `USUAL_PURCHASES` like the mean before their own, since one refund tells little.
    """
    spend, refunded = (float(table[name].sum()) for name in ("spend", "refunded"))
    usual = USUAL_PURCHASES * pl.col("average_order")
    share = refunded / spend if spend else 0.0
    return ((pl.col("refunded") + usual * share) / (pl.col("spend") + usual)).clip(0, 1)


USUAL_PURCHASES = 5


class _Facts(NamedTuple):
    transactions: int
    refunds: int
    currencies: tuple[str, ...]


def _facts(transactions: pl.LazyFrame, run_date: date) -> _Facts:
    rows = transactions.lazy().filter(pl.col("day") <= run_date)
    count, refunds = rows.select(rows=pl.len(), refunds=(pl.col("amount") < 0).sum()).collect().row(0)
    currencies: tuple[str, ...] = ()
    if "currency" in rows.collect_schema():
        found = rows.select(pl.col("currency").drop_nulls().unique()).collect()["currency"]
        currencies = tuple(sorted(found))
    return _Facts(count, refunds, currencies)


def _notes(facts: _Facts, *, history_days: int, value_days: int, is_fitted: bool) -> tuple[str, ...]:
    notes = []
    if len(facts.currencies) > 1:
        notes.append(
            f"Amounts in {len(facts.currencies)} currencies ({', '.join(facts.currencies[:5])}) were added as they "
            "stand: deliver one currency to make spend and value comparable."
        )
    if facts.refunds:
        share = facts.refunds / facts.transactions
        notes.append(
            f"{in_percent(share)} of the transactions are refunds; spend and future value are before refunds, "
            "future_value_net is after them."
        )
    if is_fitted and history_days and value_days > 2 * history_days:
        notes.append(f"The forecast looks {value_days} days ahead from only {history_days} days of history.")
    return tuple(notes)
