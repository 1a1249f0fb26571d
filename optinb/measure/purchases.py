"""The purchases that results read: of whom, of which days, and how far the delivered tables tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl

from optinb.measure.outcomes import HISTORY_DAYS
from optinb.warehouse.contract import TRANSACTIONS

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from optinb.warehouse import Snapshot


def persons_of(published: Snapshot | None) -> pl.LazyFrame | None:
    """The published `persons`; None where nobody has several ids."""
    if published is None or not published.has("persons"):
        return None
    persons = published.table("persons")
    return persons if persons.select(pl.len()).collect().item() else None


def by_person(rows: pl.LazyFrame, persons: pl.LazyFrame | None) -> pl.LazyFrame:
    """Rows of customers with the person that each id belongs to today."""
    if persons is None:
        return rows.with_columns(person="customer_id")
    known = persons.select("customer_id", "person_id")
    joined = rows.join(known, on="customer_id", how="left", maintain_order="left")
    return joined.with_columns(person=pl.coalesce("person_id", "customer_id"))


def transactions_of(published: Snapshot | None, persons: pl.LazyFrame | None, people: pl.DataFrame) -> pl.LazyFrame:
    """The transactions of the days that some people's windows (`since`, `until`) and the year before them take."""
    since, until = people["since"].min(), people["until"].max()
    columns = {"person": pl.String, "occurred_at": pl.Datetime("us"), "day": pl.Date, "amount": pl.Float64}
    if published is None or not isinstance(since, datetime) or not isinstance(until, datetime):
        return pl.LazyFrame(schema=columns)
    day = timedelta(days=1)  # files are by local days
    first, last = (since - timedelta(days=HISTORY_DAYS) - day).date(), (until + day).date()
    rows = published.scan(TRANSACTIONS.name, since=first, until=last)
    return by_person(rows.select("customer_id", "occurred_at", "day", "amount"), persons)


def measured_until(published: Snapshot | None, zone: ZoneInfo) -> datetime | None:
    """The beginning of the day of the newest delivery of transactions (UTC, without a zone); None before any."""
    deliveries = published.contents.deliveries if published is not None else ()
    told = (d.run_date for d in deliveries if any(table.table == TRANSACTIONS.name for table in d.report.brought))
    newest = max(told, default=None)
    return None if newest is None else naive(datetime.combine(newest, time.min, tzinfo=zone))


def naive(moment: datetime) -> datetime:
    """A time in UTC, without its zone, as tables have them."""
    return moment.astimezone(UTC).replace(tzinfo=None)
