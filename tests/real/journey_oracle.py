"""What a night must do, worked out the obvious way from the package's own files, without any code of optinb.

Days are days in New York, a purchase is a positive amount, and a night knows everything before its own day.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from datetime import date, timedelta
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from complete_journey import BABY_PRODUCTS, ZONE, apps_of, data_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHURN_SHARE, CHURN_BOUNDS = 0.95, (14, 365)  # of the workspace's settings, which leave them at their defaults


class Row(NamedTuple):
    """What becomes of one customer of a target group."""

    outcome: str
    reason: str | None
    properties: dict[str, Any] | None


@cache
def purchases(zone: str = ZONE) -> pl.DataFrame:
    """customer_id, day (in a zone) and whether it is for babies, for each positive amount of the year."""
    products = pl.read_parquet(data_file("products"), columns=["product_id", "product_category"])
    bought = pl.read_parquet(data_file("transactions")).filter(pl.col("sales_value") > 0)
    at = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return bought.join(products, on="product_id", how="left").select(
        pl.col("household_id").cast(pl.String).alias("customer_id"),
        at.dt.date().alias("day"),
        pl.col("product_category").is_in(BABY_PRODUCTS).fill_null(False).alias("is_baby"),
    )


@cache
def demographics() -> dict[str, dict[str, Any]]:
    """The demographics of the households that have some."""
    frame = pl.read_parquet(data_file("demographics")).with_columns(pl.col("household_id").cast(pl.String))
    return {row["household_id"]: row for row in frame.cast(pl.String).to_dicts()}


def baby_buyers(night: date, *, days: int, zone: str = ZONE) -> set[str]:
    """Households that bought something for babies in the last `days` days before a night."""
    in_window = (pl.col("day") >= night - timedelta(days=days)) & (pl.col("day") < night)
    return set(purchases(zone).filter(in_window, pl.col("is_baby"))["customer_id"])


def churned(night: date) -> set[str]:
    """Households that are silent for too long.

    Longer than 95 % of the pauses that end within a year, and longer than four of their own median pauses, once they
    have three.
    """
    days = purchases().filter(pl.col("day") < night).select("customer_id", "day").unique().sort("customer_id", "day")
    own: dict[str, list[int]] = {}
    last: dict[str, date] = {}
    for customer, day in days.iter_rows():
        pauses = own.setdefault(customer, [])
        if customer in last:
            pauses.append((day - last[customer]).days)
        last[customer] = day
    limit = max(_churn_days(own, {customer: (night - day).days for customer, day in last.items()}), CHURN_BOUNDS[0])
    after = {c: max(limit, min(4 * median(p), CHURN_BOUNDS[1])) if len(p) >= 3 else limit for c, p in own.items()}
    return {customer for customer, day in last.items() if (night - day).days > after[customer]}


def _churn_days(own: Mapping[str, list[int]], silent: Mapping[str, int]) -> int:
    """By Kaplan and Meier, day by day; a household's k-th pause counts as k^-1.5, and the last one still goes on."""
    ended, lasting, many = Counter[int](), Counter[int](), Counter[int]()
    for customer, pauses in own.items():
        for k, pause in enumerate([*pauses, silent[customer]], start=1):
            lasting[pause] += round(1_000_000 * k**-1.5)
            ended[pause] += round(1_000_000 * k**-1.5) if k <= len(pauses) else 0
            many[pause] += 1
    year = CHURN_BOUNDS[1]
    seen = max(day for day in many if sum(n for pause, n in many.items() if pause >= day) >= 100)
    seen, going_on, ends = min(seen, year), 1.0, {}
    later = {pause: math.log(min(pause, seen) / (seen / 2)) for pause in lasting if pause > seen / 2}
    falls = sum(ended[p] for p in later if p <= seen) / sum(lasting[p] * log for p, log in later.items())
    for day in range(1, year + 1):
        if day <= seen:
            going_on *= 1 - ended[day] / sum(n for pause, n in lasting.items() if pause >= day)
            ends[day] = 1 - going_on
        else:
            ends[day] = 1 - going_on * (seen / day) ** falls
    return next(day for day, share in ends.items() if share >= CHURN_SHARE * ends[year])


def ranks(future_value: Mapping[str, float]) -> dict[str, int]:
    """The percentile of each customer's future value, 1 to 100; equal values share the middle of their places."""
    frame = pl.DataFrame({"customer_id": list(future_value), "value": list(future_value.values())})
    place = frame["value"].rank("average")
    return {c: math.ceil(100 * p / len(frame)) for c, p in zip(frame["customer_id"], place, strict=True)}


def audience(
    group: Iterable[str],
    *,
    apps: Iterable[str],
    sdk_from: Mapping[str, str],
    control: float,
    salt: str,
    properties: Mapping[str, Mapping[str, Any]],
) -> dict[str, Row]:
    """What becomes of each member of a target group."""
    return {
        customer: _row(customer, set(apps), sdk_from=sdk_from, control=control, salt=salt, properties=properties)
        for customer in group
    }


def is_control(customer: str, *, salt: str, share: float) -> bool:
    """Whether a customer is in the control group of a campaign: the documented hash, by hand."""
    digest = hashlib.md5(f"{salt}\x1f{customer}".encode()).digest()
    return int.from_bytes(digest[:8], "little") < share * 2**64


def _row(
    customer: str,
    apps: set[str],
    *,
    sdk_from: Mapping[str, str],
    control: float,
    salt: str,
    properties: Mapping[str, Mapping[str, Any]],
) -> Row:
    uses = [use for use in apps_of(customer) if use.app_id in apps]
    with_sdk = [u for u in uses if _version(u.app_version) >= _version(sdk_from.get(u.app_id, "0"))]
    for reason, reaches in (
        ("no_app", uses),
        ("no_sdk", with_sdk),
        ("push_off", [u for u in with_sdk if u.push_enabled]),
    ):
        if not reaches:
            return Row("excluded", reason, None)
    known = demographics().get(customer, {})
    values = {
        name: source["value"] if "value" in source else known.get(source["attribute"]) or source["default"]
        for name, source in properties.items()
    }
    return Row("control" if is_control(customer, salt=salt, share=control) else "recipient", None, values)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def as_rows(frozen: pl.DataFrame) -> dict[str, Row]:
    """A frozen audience in the same form."""
    return {
        row["customer_id"]: Row(row["outcome"], row["reason"], row["properties"] and json.loads(row["properties"]))
        for row in frozen.to_dicts()
    }


def transaction_ids(before: date) -> pl.DataFrame:
    """day, low and high: the first and the last transaction id of each day before another, in the order of text."""
    at = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    rows = pl.read_parquet(data_file("transactions")).select(
        at.dt.date().alias("day"), pl.format("{}-{}", "basket_id", "product_id").alias("id")
    )
    return rows.filter(pl.col("day") < before).group_by("day").agg(low=pl.col("id").min(), high=pl.col("id").max())
