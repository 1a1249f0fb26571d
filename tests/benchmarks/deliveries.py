"""Writes the deliveries that the benchmarks import: every value drawn from a hash, so that runs are alike."""

from __future__ import annotations

import resource
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from optinb.base.settings import AppGroupSettings, AppSettings, ImportSection, Settings, WorkspaceSection

if TYPE_CHECKING:
    from collections.abc import Collection

RUN_DATE = date(2026, 11, 23)
IDS = {"sequential": "'T' || lpad({i}::VARCHAR, 12, '0')", "random": "md5({i}::VARCHAR)"}
TIME = "'%Y-%m-%dT%H:%M:%SZ'"
# Columns of each table and their types in the bare load.
TYPED = {
    "customers": {
        "customer_id": "VARCHAR",
        "registered_at": "TIMESTAMP",
        "country": "VARCHAR",
        "language": "VARCHAR",
        "time_zone": "VARCHAR",
        "birth_date": "DATE",
        "gender": "VARCHAR",
        "push_opt_in": "BOOLEAN",
        "plan": "VARCHAR",
        "visits": "BIGINT",
    },
    "app_users": {
        "customer_id": "VARCHAR",
        "app_id": "VARCHAR",
        "push_enabled": "BOOLEAN",
        "app_version": "VARCHAR",
        "last_used_at": "TIMESTAMP",
    },
    "transactions": {
        "transaction_id": "VARCHAR",
        "customer_id": "VARCHAR",
        "occurred_at": "TIMESTAMP",
        "amount": "DOUBLE",
        "currency": "VARCHAR",
        "quantity": "DOUBLE",
        "product": "VARCHAR",
        "category": "VARCHAR",
    },
    "events": {
        "customer_id": "VARCHAR",
        "occurred_at": "TIMESTAMP",
        "name": "VARCHAR",
        "value": "DOUBLE",
        "properties": "JSON",
    },
}


def usage() -> dict[str, float]:
    """Processor seconds of this process and its children so far, and its peak memory in MB.

    The peak is the kernel's for this program: what getrusage calls so begins with that of the process it came from.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in used)
    return {"processor_s": seconds, "peak_mb": int(status["VmHWM"].split()[0]) / 1024}


def settings() -> Settings:
    """Settings under which every row of the delivery is good."""
    apps = (
        AppSettings(id="shop-ios", name="iPhone", platform="ios"),
        AppSettings(id="shop-android", name="Android", platform="android"),
    )
    return Settings(
        workspace=WorkspaceSection(time_zone="Europe/Berlin"),
        app_groups=(AppGroupSettings(id="g", name="Shop", api="http://127.0.0.1:1", apps=apps),),
        imports=ImportSection(required=(), max_reject_share=0.01, max_shrink=1.0, max_growth=1e9),
    )


def write(
    folder: Path,
    *,
    customers: int,
    app_users: int,
    transactions: int,
    events: int = 0,
    ids: str = "sequential",
    damaged: int = 0,
    night: int = 0,
    parquet: Collection[str] = (),
) -> None:
    """Writes customers.csv, app_users.csv, transactions.csv and, if there are any, events.ndjson.

    Args:
        folder: a new one.
        customers: rows of customers.
        app_users: rows of app users.
        transactions: rows of transactions.
        events: rows of events.
        ids: how those of transactions are made.
        damaged: one transaction of so many has no amount.
        night: a further one brings other transactions and events, of which one in twenty is of an earlier day.
        parquet: the tables that come as Parquet files.
    """
    folder.mkdir(parents=True)
    selects = {
        "customers": f"""
            SELECT 'C' || lpad(i::VARCHAR, 9, '0') AS customer_id,
              strftime(TIMESTAMP '2022-01-01' + INTERVAL (hash(i) % 120000000) SECOND, {TIME}) AS registered_at,
              ['DE', 'FR', 'GB', 'ES'][1 + (hash(i, 1) % 4)::INT] AS country,
              ['de', 'fr', 'en', 'es'][1 + (hash(i, 2) % 4)::INT] AS language,
              ['Europe/Berlin', 'Europe/Paris', ''][1 + (hash(i, 3) % 3)::INT] AS time_zone,
              (DATE '1950-01-01' + (hash(i, 4) % 20000)::INT)::VARCHAR AS birth_date,
              ['f', 'm', ''][1 + (hash(i, 5) % 3)::INT] AS gender,
              if(hash(i, 6) % 3 = 0, 'false', 'true') AS push_opt_in,
              ['free', 'pro', 'team'][1 + (hash(i, 7) % 3)::INT] AS plan, hash(i, 8) % 50 AS visits
            FROM range({customers}) r(i)""",
        "app_users": f"""
            SELECT 'C' || lpad((i % {customers})::VARCHAR, 9, '0') AS customer_id,
              if(i < {customers}, 'shop-ios', 'shop-android') AS app_id,
              if(hash(i) % 5 = 0, 'false', 'true') AS push_enabled, '3.' || hash(i, 1) % 9 || '.0' AS app_version,
              strftime(TIMESTAMP '2026-11-01' + INTERVAL (hash(i, 2) % 1800000) SECOND, {TIME}) AS last_used_at
            FROM range({app_users}) r(i)""",
        "transactions": f"""
            SELECT {IDS[ids].format(i="(1000000000 + i)")} AS transaction_id,
              'C' || lpad((hash(i) % {customers})::VARCHAR, 9, '0') AS customer_id,
              strftime(TIMESTAMP '2026-10-24' + INTERVAL (hash(i, 1) % 2500000) SECOND, {TIME}) AS occurred_at,
              if({damaged} > 0 AND i % {max(damaged, 1)} = 0, '', ((hash(i, 2) % 20000) / 100.0)::VARCHAR) AS amount,
              'EUR' AS currency, 1 + hash(i, 3) % 3 AS quantity, 'product-' || hash(i, 4) % 3000 AS product,
              'category-' || hash(i, 5) % 40 AS category
            FROM range({night * transactions}, {(night + 1) * transactions}) r(i)""",
        "events": f"""
            SELECT 'C' || lpad((hash(i) % {customers})::VARCHAR, 9, '0') AS customer_id,
              strftime(if({night} > 0 AND i % 20 > 0, TIMESTAMP '2026-11-21 23:00:00', TIMESTAMP '2026-10-24')
                + INTERVAL (hash(i, 1) % if({night} > 0 AND i % 20 > 0, 86400, 2500000)) SECOND, {TIME}) AS occurred_at,
              ['open', 'view', 'search'][1 + (hash(i, 2) % 3)::INT] AS name, (hash(i, 3) % 100) / 4 AS value,
              {{'page': 'p' || hash(i, 4) % 500, 'place': hash(i, 5) % 9}} AS properties
            FROM range({night * events}, {(night + 1) * events}) r(i)""",
    }
    if not events:
        del selects["events"]
    with duckdb.connect() as con:
        for table, select in selects.items():
            if table in parquet:
                con.execute(f"COPY ({select}) TO '{folder / table}.parquet'")
            elif table == "events":
                con.execute(f"COPY ({select}) TO '{folder / table}.ndjson' (FORMAT json)")
            else:
                con.execute(f"COPY ({select}) TO '{folder / table}.csv' (HEADER)")
