"""A published version on Polars, the default engine: streaming, over the files where they lie."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import narwhals as nw

from optinb.engine.persons import Identity
from optinb.engine.tables import Tables
from optinb.warehouse.contract import TABLES

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    import polars as pl

    from optinb.warehouse import Snapshot

TABLE_OF = {"purchases": "transactions", "events": "events"}


def tables_of(snapshot: Snapshot, *, run_date: date, zone: ZoneInfo, **known: Any) -> Tables:
    """The tables of a published version on the Polars engine; `known` are further fields of `Tables`."""
    of_days = partial(_of_days, snapshot)
    return Tables(
        customers=nw.from_native(customers_of(snapshot).lazy()),
        purchases=of_days("purchases", None, None),
        events=of_days("events", None, None),
        app_users=nw.from_native(snapshot.table("app_users")),
        event_names=partial(event_names, snapshot),
        run_date=run_date,
        zone=zone,
        version=snapshot.version,
        of_days=of_days,
        not_modelled=not_modelled(snapshot),
        **{"identity": partial(Identity.of, snapshot), **known},
    )


_CUSTOMERS: WeakKeyDictionary[Snapshot, pl.DataFrame] = WeakKeyDictionary()
_NAMES: WeakKeyDictionary[Snapshot, frozenset[str]] = WeakKeyDictionary()


def customers_of(snapshot: Snapshot) -> pl.DataFrame:
    """Every customer with profile and features, put together once for each version.

    Where both have a column of one name, the delivered attribute wins, so that what IT sends is never hidden.
    """
    # a version never changes, so that this and the names of its events are found once, however often a rule is tried
    if snapshot not in _CUSTOMERS:
        customers = snapshot.table("customers")
        if snapshot.has("features"):
            features = snapshot.table("features").drop(own_names(snapshot))
            customers = customers.join(features, on="customer_id", how="left", maintain_order="left")
        _CUSTOMERS[snapshot] = customers.collect()
    return _CUSTOMERS[snapshot]


def own_names(snapshot: Snapshot) -> list[str]:
    """The columns of features that a delivered attribute hides."""
    delivered = set(snapshot.schema("customers")) - {"customer_id"}
    return sorted(delivered & set(snapshot.schema("features")))


def not_modelled(snapshot: Snapshot) -> dict[str, str]:
    """The attributes that no model tells in a version, each with the reason."""
    return dict(snapshot.table("untold").collect().iter_rows()) if snapshot.has("untold") else {}


def event_names(snapshot: Snapshot) -> frozenset[str]:
    """The names of all events that a version holds."""
    if snapshot not in _NAMES:
        names = snapshot.scan("events").select("name").unique().collect(engine="streaming")
        _NAMES[snapshot] = frozenset(names["name"].drop_nulls())
    return _NAMES[snapshot]


def rule_columns(table: str) -> dict[str, str]:
    """The columns of purchases or events that rules see, and their DuckDB types: all but an id that may be missing."""
    contract = TABLES[TABLE_OF[table]]
    return {name: kind for name, kind in contract.stored().items() if name != contract.optional_key}


def _of_days(snapshot: Snapshot, table: str, first: date | None, last: date | None) -> nw.LazyFrame[Any]:
    rows = nw.from_native(snapshot.scan(TABLE_OF[table], since=first, until=last).select(list(rule_columns(table))))
    return rows.filter(nw.col("amount") > 0) if table == "purchases" else rows
