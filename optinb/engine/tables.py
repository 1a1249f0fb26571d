"""The tables that rules read, as lazy Narwhals frames over one published version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import narwhals as nw

from optinb.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from optinb.rules import Kind
    from optinb.warehouse import Snapshot


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What a rule can ask about, as of one night.

    customers: one row a customer; profile, attributes and, once customers are modelled, features.
    purchases: transactions with a positive amount; customer_id, occurred_at (UTC), day (workspace zone), amount, ...
    events: customer_id, occurred_at (UTC), day, name, value, ...
    app_users: customer_id, app_id, push_enabled, app_version, ...
    event_names: the names of all events that were ever delivered; called only for a rule that asks about an event.
    """

    customers: nw.LazyFrame
    purchases: nw.LazyFrame
    events: nw.LazyFrame
    app_users: nw.LazyFrame
    event_names: Callable[[], frozenset[str]]
    run_date: date
    zone: ZoneInfo


def tables_of(snapshot: Snapshot, *, run_date: date, zone: ZoneInfo) -> Tables:
    """The tables of a published version on the Polars engine.

    Features stand beside the profile; where both have a column of one name, the delivered attribute wins, so that
    what IT sends is never hidden.
    """
    customers = snapshot.table("customers")
    if snapshot.has("features"):
        delivered = set(snapshot.schema("customers")) - {"customer_id"}
        features = snapshot.table("features").drop(*(delivered & set(snapshot.schema("features"))))
        customers = customers.join(features, on="customer_id", how="left")
    transactions = nw.from_native(snapshot.scan("transactions"))
    return Tables(
        customers=nw.from_native(customers),
        purchases=transactions.filter(nw.col("amount") > 0),
        events=nw.from_native(snapshot.scan("events")),
        app_users=nw.from_native(snapshot.table("app_users")),
        event_names=partial(_event_names, snapshot),
        run_date=run_date,
        zone=zone,
    )


_NAMES: WeakKeyDictionary[Snapshot, frozenset[str]] = WeakKeyDictionary()


def _event_names(snapshot: Snapshot) -> frozenset[str]:
    # a version never changes, so that its events are read for this once, however often a rule is tried
    if snapshot not in _NAMES:
        names = snapshot.scan("events").select("name").unique().collect(engine="streaming")
        _NAMES[snapshot] = frozenset(names["name"].drop_nulls())
    return _NAMES[snapshot]


def kinds(frame: nw.LazyFrame) -> dict[str, Kind]:
    """What each column of a frame can be compared with; columns of other types are left out."""
    found: dict[str, Kind] = {}
    for name, dtype in frame.collect_schema().items():
        if dtype.is_numeric():
            found[name] = "number"
        elif dtype == nw.Boolean:
            found[name] = "yes/no"
        elif dtype.is_temporal():
            found[name] = "day"
        elif dtype in (nw.String, nw.Categorical, nw.Enum):
            found[name] = "text"
    return found


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first moment of a day in a zone and of the day after it, as UTC without zone, the form of stored times."""
    try:
        following = day + timedelta(days=1)
        first, after = (datetime.combine(d, time(), tzinfo=zone).astimezone(UTC) for d in (day, following))
    except OverflowError as error:
        raise RuleError(f"the day {day} is too far away to compare with") from error
    return first.replace(tzinfo=None), after.replace(tzinfo=None)
