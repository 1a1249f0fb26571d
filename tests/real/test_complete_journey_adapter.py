from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from complete_journey import (
    BABY_PRODUCTS,
    FIRST_RUN,
    GROUPS,
    HOUSEHOLDS,
    TRANSACTIONS,
    VERSIONS,
    ZONE,
    apps_of,
    data_file,
    write_delivery,
    write_nights,
)

from optinb.warehouse.contract import TABLES
from optinb.warehouse.formats import read_name

if TYPE_CHECKING:
    from pathlib import Path

NEW_YEAR = date(2018, 1, 1)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One delivery of everything."""
    inbox = tmp_path_factory.mktemp("year")
    write_delivery(inbox, NEW_YEAR, since=None)
    return inbox / f"{NEW_YEAR}"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory):
    """The first half year and the week after it."""
    inbox = tmp_path_factory.mktemp("nights")
    return inbox, write_nights(inbox, nights=7)


def transactions(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "transactions.parquet")


def test_the_whole_year_has_every_row_of_the_package_once(year) -> None:
    rows = transactions(year)
    assert len(rows) == rows["transaction_id"].n_unique() == TRANSACTIONS
    assert rows["customer_id"].n_unique() == HOUSEHOLDS
    assert rows["amount"].sum() == pytest.approx(4_596_040, rel=1e-3)
    assert (
        rows.select("transaction_id", "customer_id", "occurred_at", "amount", "quantity")
        .null_count()
        .sum_horizontal()[0]
        == 0
    )


def test_files_and_columns_are_those_of_the_contract(year) -> None:
    for path in year.iterdir():
        name = read_name(path.name)
        assert name is not None
        columns = pl.read_parquet_schema(path).keys()
        assert set(TABLES[name.table].required) <= columns
        further = columns - {column.name for column in TABLES[name.table].columns}
        assert bool(further) == (name.table == "customers")


def test_half_a_year_and_a_week_of_nights_lose_no_row_and_repeat_none(nights, year) -> None:
    inbox, written = nights
    parts = [transactions(inbox / f"{day}") for day in written]
    assert [len(part) for part in parts] == [counts.transactions for counts in written.values()]
    assert all(len(part) > 0 for part in parts)
    last = max(written)
    local_day = pl.col("occurred_at").dt.convert_time_zone(ZONE).dt.date()
    expected = transactions(year).filter(local_day < last)
    together = pl.concat(parts)
    assert together["transaction_id"].n_unique() == len(together)
    assert together.sort("transaction_id").equals(expected.sort("transaction_id"))


def test_a_night_brings_the_day_before_it_in_new_york(nights) -> None:
    inbox, written = nights
    assert list(written) == [FIRST_RUN + timedelta(days=night) for night in range(8)]
    for day in list(written)[1:]:
        times = transactions(inbox / f"{day}")["occurred_at"]
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE))
        assert midnight - timedelta(days=1) <= times.min() <= times.max() < midnight


def test_a_household_appears_after_the_day_of_its_first_purchase(nights) -> None:
    inbox, written = nights
    bought: set[str] = set()
    for day, counts in written.items():
        bought |= set(transactions(inbox / f"{day}")["customer_id"])
        customers = pl.read_parquet(inbox / f"{day}" / "customers.parquet")
        assert len(customers) == counts.customers
        assert set(customers["customer_id"]) == bought
        assert customers["customer_id"].is_unique().all()
        users = pl.read_parquet(inbox / f"{day}" / "app_users.parquet")
        assert len(users) == counts.app_users
        assert set(users["customer_id"]) <= bought
    sizes = [counts.customers for counts in written.values()]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_a_household_registered_with_its_first_purchase(year) -> None:
    first = transactions(year).group_by("customer_id").agg(pl.col("occurred_at").min())
    customers = pl.read_parquet(year / "customers.parquet")
    joined = customers.join(first, on="customer_id")
    assert len(joined) == HOUSEHOLDS
    assert (joined["registered_at"] == joined["occurred_at"]).all()


def test_demographics_are_attributes_of_801_households(year) -> None:
    customers = pl.read_parquet(year / "customers.parquet")
    assert customers["age"].is_not_null().sum() == customers["income"].is_not_null().sum() == 801
    assert set(customers["marital_status"].drop_nulls()) == {"Married", "Unmarried"}


def test_households_that_bought_baby_products_are_found_by_product(year) -> None:
    rows = transactions(year)
    baby = rows.filter(pl.col("product").is_in(BABY_PRODUCTS))
    assert set(baby["product"]) == set(BABY_PRODUCTS)
    assert set(baby["category"]) == {"DRUG GM", "NUTRITION"}
    similar = rows.filter(pl.col("product").str.contains("BABY|INFANT|DIAPER"))
    assert len(similar) == len(baby) == 19_285
    assert baby["customer_id"].n_unique() > 800


def mondays_of_a_week(zone: str) -> int:
    """How many calendar weeks one of the package's weeks reaches into, at most, on the clock of a zone."""
    rows = pl.scan_parquet(data_file("transactions")).select("week", pl.col("transaction_timestamp").alias("at"))
    day = pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()
    monday = day - pl.duration(days=day.dt.weekday() - 1)
    return rows.group_by("week").agg(monday.n_unique().alias("mondays")).collect()["mondays"].max()


def test_times_are_utc_since_only_then_weeks_begin_at_midnight_in_new_york() -> None:
    assert mondays_of_a_week("America/New_York") == 1
    assert mondays_of_a_week("UTC") == mondays_of_a_week("America/Chicago") == 2


def test_apps_are_assigned_by_a_hash_in_the_documented_shares() -> None:
    households = [str(n) for n in range(1, 2_501)]
    uses = {household: apps_of(household) for household in households}
    for (ios, android), share in zip(GROUPS.values(), (204 / 256, 115 / 256), strict=True):
        own = [use for apps in uses.values() for use in apps if use.app_id in (ios, android)]
        assert len(own) / len(households) == pytest.approx(share, abs=0.03)
        assert sum(use.push_enabled for use in own) / len(own) == pytest.approx(205 / 256, abs=0.03)
        assert sum(use.app_id == ios for use in own) / len(own) == pytest.approx(0.5, abs=0.05)
        assert {use.app_version for use in own} == set(VERSIONS)
    assert apps_of("900") == apps_of("900")
    assert any(len(apps) == 2 for apps in uses.values())
    assert any(not apps for apps in uses.values())
