"""What a backtest and what the models learn from is what was known then."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from optinb.base.settings import LifecycleSection
from optinb.customers import CustomerModel, model_customers, purchase_days
from optinb.customers.backtest import auc
from optinb.customers.lifecycle import churn_after_on

CDNOW_NIGHT, CDNOW_DAYS = date(1998, 4, 1), 90


def delivered(transactions: pl.LazyFrame, *, on: date, seen_until: date) -> pl.LazyFrame:
    """A CRM's customers on a night; its columns to date count purchases up to `seen_until`."""
    buyers = transactions.filter(pl.col("day") <= on).select("customer_id").unique()
    seen = transactions.filter(pl.col("day") <= seen_until).group_by("customer_id")
    counted = seen.agg(
        orders_so_far=pl.len(),
        points_to_date=pl.col("amount").sum().round(),
        is_active=pl.col("day").max() > seen_until - timedelta(days=60),
    )
    registered = pl.lit(None, dtype=pl.Datetime("us")).alias("registered_at")
    return buyers.join(counted, on="customer_id", how="left").with_columns(registered).sort("customer_id")


def modelled(customers: pl.LazyFrame, transactions: pl.LazyFrame, night: date, **settings) -> CustomerModel:
    apps = pl.LazyFrame(schema={"customer_id": pl.String, "app_id": pl.String, "last_used_at": pl.Datetime("us")})
    return model_customers(customers, transactions, apps, run_date=night, settings=LifecycleSection(**settings))


def test_columns_that_know_the_future_dont_make_the_card_better_than_the_truth(cdnow_master):
    crm = delivered(cdnow_master, on=CDNOW_NIGHT, seen_until=CDNOW_NIGHT)
    model = modelled(crm, cdnow_master, CDNOW_NIGHT, value_days=CDNOW_DAYS)
    last = CDNOW_NIGHT + timedelta(days=CDNOW_DAYS)
    later = cdnow_master.filter(pl.col("day").is_between(CDNOW_NIGHT, last, closed="right"))
    did = later.group_by("customer_id").agg(did=pl.col("day").n_unique()).collect()
    table = model.table.join(did, on="customer_id", how="left").with_columns(pl.col("did").fill_null(0))
    test = model.card.value.backtest
    assert test is not None
    told = next(score for score in test.models if score.name == model.card.value.name)
    true_auc = auc(table["expected_purchases"].to_numpy(), table["did"].to_numpy() > 0)
    print(f"AUC told {told.auc:.3f}, true {true_auc:.3f}")
    assert told.auc == pytest.approx(true_auc, rel=0.05)


def test_what_is_delivered_of_customers_changes_no_forecast(shop):
    night = date(2026, 6, 30)
    plain = modelled(shop.customers, shop.transactions, night)
    crm = delivered(shop.transactions, on=night, seen_until=night)
    crm = shop.customers.join(crm.drop("registered_at"), on="customer_id", how="left").sort("customer_id")
    told = modelled(crm, shop.transactions, night)
    names = ["customer_id", "expected_purchases", "future_value", "churn_risk", "reactivation_chance"]
    assert_frame_equal(told.table.select(names), plain.table.select(names), check_exact=True)
    assert told.card.value == plain.card.value and told.card.risks == plain.card.risks


def test_a_list_of_those_who_stayed_doesnt_make_the_models_believe_that_all_do(shop):
    """IT removes whoever hasn't bought for half a year: the past windows had those customers all the same."""
    night = date(2026, 6, 30)
    last = shop.transactions.group_by("customer_id").agg(last=pl.col("day").max())
    stayed = last.filter(pl.col("last") > night - timedelta(days=183))
    some = modelled(shop.customers.join(stayed, on="customer_id", how="semi"), shop.transactions, night)
    every = modelled(shop.customers, shop.transactions, night)
    assert 0 < len(some.table) < len(every.table)
    assert some.card.value == every.card.value
    names = ["customer_id", "expected_purchases", "churn_risk"]
    both = some.table.select(names)
    assert_frame_equal(both, every.table.select(names).join(both, on="customer_id", how="semi"), check_exact=True)


def test_the_thresholds_of_a_past_night_know_no_pause_that_ended_later(shop):
    night = date(2026, 3, 31)
    bought = purchase_days(shop.transactions, run_date=date(2026, 6, 30))
    then = modelled(shop.customers, shop.transactions, night)
    thresholds, after = churn_after_on(bought, night, settings=LifecycleSection())
    assert thresholds == then.thresholds
    told = then.table.filter(pl.col("purchases") > 0).select("customer_id", "churn_after_days")
    assert_frame_equal(after.sort("customer_id").collect(), told)


def test_chances_are_calibrated_and_tested_as_of_each_cut(shop):
    """A night that is run later on the same purchases says of the past window what that night's own models said."""
    short = modelled(shop.customers, shop.transactions, date(2026, 6, 30), risk_days=60)
    churn = short.card.risks[0]
    cut = date(2026, 6, 30) - timedelta(days=60)
    then = modelled(shop.customers, shop.transactions, cut, risk_days=60)
    active = sum(then.stages[stage] for stage in ("new", "active", "reactivated"))
    assert churn.customers == active
