"""The customer models of a night, in one call: features, lifecycle stage, future value, risk, and the model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import narwhals as nw
import polars as pl
from msgspec import Struct

from optinb.customers.backtest import backtest
from optinb.customers.card import ModelCard
from optinb.customers.features import FEATURES, Kind, build_features, comeback_feature
from optinb.customers.lifecycle import STAGES, Thresholds, choose_thresholds, pause_histogram, stage_expression
from optinb.customers.purchases import purchase_days
from optinb.customers.value import (
    HIGH_ABOVE,
    MEDIUM_ABOVE,
    ValueModel,
    fit_value_model,
    histories,
    value_rank,
    value_segment,
)
from optinb.errors import ModelError

if TYPE_CHECKING:
    from datetime import date

    from optinb.settings import LifecycleSection


class Attribute(Struct, frozen=True, kw_only=True):
    """One column of the customer model's table, for people: its name, kind and what it means."""

    name: str
    kind: Kind
    sentence: str


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(name="customer_id", kind="text", sentence="The customer."),
    *(Attribute(name=f.name, kind=f.kind, sentence=f.sentence) for f in (*FEATURES, comeback_feature(30))),
    Attribute(name="stage", kind="text", sentence=f"Lifecycle stage: {', '.join(STAGES[:-1])} or {STAGES[-1]}."),
    Attribute(
        name="expected_purchases",
        kind="number",
        sentence="Expected days with a purchase in the coming value days (a setting); empty without a purchase.",
    ),
    Attribute(
        name="future_value",
        kind="money",
        sentence="Expected spend in the coming value days (a setting); empty without a purchase or a model.",
    ),
    Attribute(
        name="value_rank",
        kind="count",
        sentence="Percentile of the future value among all customers who have one: 1 to 100, 100 is highest.",
    ),
    Attribute(
        name="value_segment",
        kind="text",
        sentence=f"high (rank above {HIGH_ABOVE}), medium (above {MEDIUM_ABOVE}), low, or none without a future value.",
    ),
    Attribute(
        name="churn_risk",
        kind="share",
        sentence="Chance (0 to 1) of no purchase in the coming days that make a churn; empty without a purchase.",
    ),
)
"""Every column of `CustomerModel.table`, in its order."""

HISTORY_COLUMNS = (
    "customer_id",
    "stage",
    "value_segment",
    "future_value",
    "churn_risk",
    "purchases",
    "spend",
    "last_purchase_on",
)
"""What is kept of every customer every day."""


class CustomerModel(Struct, frozen=True, kw_only=True):
    """The result of a night.

    `table` has a row for every customer, sorted by customer_id, and the columns of `ATTRIBUTES`; `history` the same
    rows with `HISTORY_COLUMNS`, to be kept by day; `stages` the number of customers in each stage, in the order of
    `STAGES`; `pauses` the histogram behind the churn threshold (pause_days, pauses).
    """

    table: pl.DataFrame
    history: pl.DataFrame
    stages: dict[str, int]
    thresholds: Thresholds
    pauses: pl.DataFrame
    card: ModelCard


def model_customers(
    customers: pl.LazyFrame,
    transactions: pl.LazyFrame,
    app_users: pl.LazyFrame,
    *,
    run_date: date,
    settings: LifecycleSection,
    time_zone: str = "UTC",
) -> CustomerModel:
    """Models every customer on the night of `run_date`; frames as for `build_features`.

    Data that can't carry a model (no purchases, a few customers, a short history) is no failure: the stages are right,
    future value and risk are empty, and the card says why. Deterministic in any order of the rows.
    """
    facts = _facts(transactions, run_date)
    known = customers.lazy().select("customer_id")
    bought = purchase_days(transactions, run_date=run_date).join(known, on="customer_id", how="semi").collect().lazy()
    pauses = pause_histogram(bought)
    thresholds = choose_thresholds(pauses, settings=settings)
    features = build_features(
        customers,
        transactions,
        app_users,
        run_date=run_date,
        time_zone=time_zone,
        reactivated_days=settings.reactivated_days,
        bought=bought,
    )
    staged = nw.from_native(features).with_columns(stage_expression(thresholds).alias("stage")).to_native()
    table = staged.sort("customer_id").collect()
    model, not_fitted = _fit(table)
    table = _valued(table, model, value_days=settings.value_days, churn_days=thresholds.churn_days)
    test, not_tested = None, not_fitted
    if model:
        try:
            test = backtest(bought, run_date=run_date, value_days=settings.value_days)
        except ModelError as error:
            not_tested = str(error)
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
        model=model,
        not_fitted=not_fitted,
        backtest=test,
        not_tested=not_tested,
        notes=_notes(facts, history_days=history_days, value_days=settings.value_days),
    )
    return CustomerModel(
        table=table,
        history=table.select(HISTORY_COLUMNS),
        stages={stage: counts.get(stage, 0) for stage in STAGES},
        thresholds=thresholds,
        pauses=pauses,
        card=card,
    )


def _fit(table: pl.DataFrame) -> tuple[ValueModel | None, str | None]:
    if table.is_empty():
        return None, "there is no customer"
    try:
        return fit_value_model(histories(table.lazy())), None
    except ModelError as error:
        return None, str(error)


def _valued(table: pl.DataFrame, model: ValueModel | None, *, value_days: int, churn_days: int) -> pl.DataFrame:
    """The table with the columns of value and risk; all null, and the segment "none", without a model."""
    figures = ("expected_purchases", "future_value", "churn_risk")
    if model:
        scored = model.score(histories(table.lazy()), horizon_days=value_days, silence_days=churn_days)
        valued = table.lazy().join(scored.select("customer_id", *figures), on="customer_id", how="left")
    else:
        valued = table.lazy().with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in figures)
    return (
        valued.with_columns(value_rank=value_rank())
        .with_columns(value_segment=value_segment())
        .select(attribute.name for attribute in ATTRIBUTES)
        .sort("customer_id")
        .collect()
    )


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


def _notes(facts: _Facts, *, history_days: int, value_days: int) -> tuple[str, ...]:
    notes = []
    if len(facts.currencies) > 1:
        notes.append(
            f"Amounts in {len(facts.currencies)} currencies ({', '.join(facts.currencies[:5])}) were added as they "
            "stand: deliver one currency to make spend and value comparable."
        )
    if facts.refunds:
        share = facts.refunds / facts.transactions
        notes.append(f"{share:.1%} of the transactions are refunds; spend and future value are before refunds.")
    if history_days and value_days > 2 * history_days:
        notes.append(f"The forecast looks {value_days} days ahead from only {history_days} days of history.")
    return tuple(notes)
