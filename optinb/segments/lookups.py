"""What customers are looked up in beside their own row: apps, lists, ranks and the history of campaigns."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from optinb.engine import Tables, day_bounds
from optinb.rules import Contacted, InList, Rank, Uses, days_of, version_numbers

# The answer column of a lookup.
ANSWER = "optinb answer"


def with_lookup(
    customers: nw.LazyFrame[Any], lookup: Uses | InList | Rank, column: str, tables: Tables
) -> nw.LazyFrame[Any]:
    """The customers with one more column, true or false: whether the lookup finds them."""
    if isinstance(lookup, Rank):
        return _with_rank(customers, lookup, column, tables)
    found = _users(lookup, tables) if isinstance(lookup, Uses) else tables.take(tables.listed(lookup.sha256 or ""))
    return with_flag(customers, found.select("customer_id").unique("customer_id"), column)


def with_flag(customers: nw.LazyFrame[Any], found: nw.LazyFrame[Any], column: str) -> nw.LazyFrame[Any]:
    """The customers with one more column: whether they are among those found (customer_id, each once)."""
    flagged = customers.join(found.with_columns(nw.lit(True).alias(column)), on="customer_id", how="left")
    return flagged.with_columns(nw.col(column).fill_null(False))


def contacted(rule: Contacted, tables: Tables) -> nw.LazyFrame[Any]:
    """The customers (customer_id, each once) with whom campaigns did this often enough."""
    first, last = days_of(rule.window, tables.run_date)
    # whose a contact is tonight is looked up for those alone that are asked about
    history = nw.from_native(tables.contacts()).filter(
        nw.col("outcome") == ("in_control" if rule.what == "in_control" else "received"), nw.col("day") <= last
    )
    if first is not None:
        history = history.filter(nw.col("day") >= first)
    if rule.campaign is not None:
        history = history.filter(nw.col("campaign") == rule.campaign)
    nights = tables.take(tables.contacts_of(history.to_native()))
    night = ["customer_id", "campaign", "day"]
    nights = nights.select(*night).unique(night)
    if rule.response_days is not None:
        bought = tables.rows("purchases", first, tables.run_date)
        bought = bought.filter(nw.col("day") <= tables.run_date).select("customer_id", bought=nw.col("day"))
        earlier = tables.earlier_ids()
        if earlier.height:
            theirs = bought.rename({"customer_id": "earlier"}).join(tables.take(earlier), on="earlier", how="inner")
            bought = nw.concat([bought, theirs.select("customer_id", "bought")])
        until = nw.col("day").dt.offset_by(f"{rule.response_days}d") if rule.response_days else nw.col("day")
        nights = nights.join(bought, on="customer_id", how="inner")
        nights = nights.filter(nw.col("bought") >= nw.col("day"), nw.col("bought") <= until)
        nights = nights.select(*night).unique(night)
    if rule.times == 1:
        return nights.select("customer_id").unique("customer_id")
    counted = nights.group_by("customer_id").agg(nw.len().alias(ANSWER))
    return counted.filter(nw.col(ANSWER) >= rule.times).select("customer_id")


def _users(rule: Uses, tables: Tables) -> nw.LazyFrame[Any]:
    users = tables.app_users
    if rule.app is not None:
        users = users.filter(nw.col("app_id") == rule.app)
    if rule.platform is not None:
        apps = [app for app, platform in (tables.apps or {}).items() if platform == rule.platform]
        users = users.filter(_is_one_of("app_id", apps))
    if rule.version_from is not None or rule.version_to is not None:
        # There are few versions, and no engine compares them as numbers.
        least = version_numbers(rule.version_from or "0")
        below = version_numbers(rule.version_to) if rule.version_to is not None else None
        numbers = {version: version_numbers(version) for version in tables.app_versions()}
        fitting = [v for v, n in numbers.items() if n >= least and (below is None or n < below)]
        users = users.filter(_is_one_of("app_version", fitting))
    if rule.last_used is not None:
        first, last = days_of(rule.last_used, tables.run_date)
        users = users.filter(nw.col("last_used_at") < tables.moment(day_bounds(last, tables.zone)[1]))
        if first is not None:
            users = users.filter(nw.col("last_used_at") >= tables.moment(day_bounds(first, tables.zone)[0]))
    return users


def _is_one_of(column: str, values: list[str]) -> nw.Expr:
    # an empty list has no type, which engines don't compare with a text
    return nw.col(column).is_in(values) if values else nw.col(column).is_null() & ~nw.col(column).is_null()


def _with_rank(customers: nw.LazyFrame[Any], rule: Rank, column: str, tables: Tables) -> nw.LazyFrame[Any]:
    """Finds the last value of each part of the customers that is still good enough, by counting."""
    edge, part = f"{column} edge", f"{column} part"
    within = nw.lit(1) if rule.within is None else nw.col(rule.within)
    known = tables.customers.select(nw.col(rule.attribute).alias(edge), within.alias(part))
    known = known.filter(~nw.col(edge).is_null(), ~nw.col(part).is_null())
    counted = known.group_by(part, edge).agg(nw.len().cast(nw.Int64).alias("n"))
    counted = counted.with_columns(
        nw.col("n").cum_sum().over(part, order_by=edge).cast(nw.Float64).alias("upto"),
        nw.col("n").sum().over(part).cast(nw.Float64).alias("all"),
    )
    top = rule.side == "top"
    better = nw.col("all") - nw.col("upto") if top else nw.col("upto") - nw.col("n").cast(nw.Float64)
    good = counted.filter(better * 100.0 < nw.col("all") * float(rule.percent))
    last = nw.col(edge).min() if top else nw.col(edge).max()
    edges = good.group_by(part).agg(last.alias(edge))
    ranked = customers.with_columns(within.alias(part)).join(edges, on=part, how="left")
    value = nw.col(rule.attribute)
    is_in = value >= nw.col(edge) if top else value <= nw.col(edge)
    return ranked.with_columns(is_in.fill_null(False).alias(column)).drop(edge, part)
