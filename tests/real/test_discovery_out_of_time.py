"""Groups found on half a year of real groceries, looked at again on the half year after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
import pytest
from complete_journey import BABY_PRODUCTS, FIRST_RUN, ZONE, write_delivery

from optinb import attr, did
from optinb.customers.features import build_features
from optinb.engine import Tables
from optinb.segments.discovery import Discovery, discover
from optinb.segments.discovery.earlier import held_before

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.rules import Rule

AFTER = date(2018, 1, 1)
DAYS = 60
BUYERS: dict[str, Rule] = {
    "for babies": did("purchase").where(attr("product").one_of(BABY_PRODUCTS)).within(days=DAYS),
    "for pets": did("purchase").where(attr("product").one_of(["DOG FOODS", "CAT FOOD"])).within(days=DAYS),
    "cosmetics": did("purchase").where(attr("category") == "COSMETICS").within(days=DAYS),
    "much meat": did("purchase").where(attr("category") == "MEAT").at_least(10).within(days=DAYS),
    "much for the bathroom": did("purchase").where(attr("category") == "DRUG GM").at_least(10).within(days=DAYS),
}
LOOKED_AT = ("spend_365d", "categories", "average_order", "favourite_category")
NOT_THEIRS = ("registered_at", "tenure_days")  # when a household came into the data says nothing of it


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One delivery of everything."""
    inbox = tmp_path_factory.mktemp("year_of_discovery")
    write_delivery(inbox, AFTER, since=None)
    return inbox / f"{AFTER}"


def as_of(year: Path, day: date) -> Tables:
    """What was known of the households on a day, with the features of then."""
    customers, bought, apps = (
        pl.scan_parquet(year / f"{name}.parquet") for name in ("customers", "transactions", "app_users")
    )
    naive = pl.col("occurred_at").dt.replace_time_zone(None)
    bought = bought.with_columns(naive, day=pl.col("occurred_at").dt.convert_time_zone(ZONE).dt.date())
    bought = bought.filter(pl.col("day") < day).collect().lazy()
    customers = customers.with_columns(pl.col("registered_at").dt.replace_time_zone(None))
    customers = customers.join(bought, on="customer_id", how="semi")
    apps = apps.with_columns(last_used_at=pl.lit(None, pl.Datetime("us")))
    featured = customers.join(
        build_features(customers, bought, apps, run_date=day, time_zone=ZONE), on="customer_id", how="left"
    )
    return Tables(
        customers=nw.from_native(featured.collect().lazy()),
        purchases=nw.from_native(bought.filter(pl.col("amount") > 0)),
        events=nw.from_native(bought.select("customer_id", "occurred_at", "day", name=pl.lit("none")).clear()),
        app_users=nw.from_native(apps),
        event_names=frozenset,
        run_date=day,
        zone=ZoneInfo(ZONE),
    )


@pytest.fixture(scope="module")
def after(year: Path) -> Tables:
    return as_of(year, AFTER)


@pytest.fixture(scope="module")
def found(year: Path) -> dict[str, Discovery]:
    """What is found on the first of July, by whom is looked for."""
    tables = as_of(year, FIRST_RUN)
    return {name: discover(tables, rule, include=LOOKED_AT, exclude=NOT_THEIRS) for name, rule in BUYERS.items()}


def verdicts(found: dict[str, Discovery], after: Tables) -> list[str]:
    looked = {name: held_before(discovery, after, BUYERS[name], None) for name, discovery in found.items()}
    return ["untold" if f.earlier is None else f.earlier.verdict for again in looked.values() for f in again]


def test_each_kind_of_buyer_is_found_in_july_and_holds_in_december(found: dict[str, Discovery], after: Tables) -> None:
    assert all(len(discovery) for discovery in found.values())
    told = verdicts(found, after)
    assert told.count("held") >= 0.85 * len(told)


def test_nothing_holds_where_the_baskets_after_july_went_to_other_households(
    found: dict[str, Discovery], after: Tables
) -> None:
    households = after.customers.select("customer_id").collect().to_native()["customer_id"].sort()
    swapped = pl.LazyFrame({"customer_id": households, "other": households.shuffle(seed=1)})
    bought = after.purchases.to_native().join(swapped, on="customer_id").drop("customer_id")
    mixed = replace(after, purchases=nw.from_native(bought.rename({"other": "customer_id"})))
    assert verdicts(found, mixed).count("held") <= 1  # one in forty by chance
