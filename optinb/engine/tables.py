"""The tables that rules read, as lazy Narwhals frames over one published version, whatever engine runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl

from optinb.engine.persons import Identity, Persons
from optinb.errors import RuleError
from optinb.warehouse.contract import TABLES

if TYPE_CHECKING:
    from optinb.rules import Kind
    from optinb.warehouse import Snapshot

CONTACTS = ("customer_id", "campaign", "day", "outcome")


def lazy_polars(frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    """A Polars frame as the Polars engine takes it."""
    return nw.from_native(frame.lazy())


def no_contacts() -> pl.DataFrame:
    """The history of a workspace that has sent nothing yet."""
    return pl.DataFrame(schema=dict.fromkeys(CONTACTS, pl.String) | {"day": pl.Date})


def no_list(sha256: str) -> pl.DataFrame:
    """Refuses: there is no list."""
    raise RuleError(f"no list is kept whose content has the SHA-256 {sha256[:12]}…; upload it again")


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What a rule can ask about, as of one night.

    customers: one row a customer; profile, attributes and, once customers are modelled, features.
    purchases: transactions with a positive amount; customer_id, occurred_at (UTC), day (workspace zone), amount, ...
    events: customer_id, occurred_at (UTC), day, name, value, ...
    app_users: customer_id, app_id, push_enabled, app_version, last_used_at (UTC), ...
    event_names: the names of all events that were ever delivered; called only for a rule that asks about an event.
    apps: the platform of each app by its id; None when they aren't known.
    contacts: what campaigns did, with the columns of CONTACTS: `campaign` is its name, `day` the day of sending in the
        workspace's zone, `outcome` "received" (accepted by Appboy), "in_control", "opened" or "not_opened" (as
        Appboy tells of whom it was asked about). With external_user_id too, a row is of everybody who is that person
        tonight.
    identity: who is one person under several ids.
    lists: the customers (customer_id) of an uploaded list by the SHA-256 of its content.
    list_names: the SHA-256 of every list whose content is kept; None when they aren't known.
    campaigns: the names of campaigns; None when they aren't known.
    of_days: purchases or events of some days (the first may be None), when the engine can leave whole files shut.
    take: makes a Polars frame one of the engine's.
    moment: what the engine compares a stored time with, for a moment in UTC without a zone.
    version: of the warehouse, which these are the tables of.
    probe: whether looking at a few customers costs next to nothing.
    not_modelled: attributes that a model would tell, but doesn't tonight, each with the reason.
    scores: attributes that were learned and published, each with what it says and how far it can be relied on.
    """

    customers: nw.LazyFrame[Any]
    purchases: nw.LazyFrame[Any]
    events: nw.LazyFrame[Any]
    app_users: nw.LazyFrame[Any]
    event_names: Callable[[], frozenset[str]]
    run_date: date
    zone: ZoneInfo
    apps: Mapping[str, str] | None = None
    contacts: Callable[[], pl.DataFrame] = no_contacts
    identity: Callable[[], Identity] = Identity
    lists: Callable[[str], pl.DataFrame] = no_list
    list_names: frozenset[str] | None = None
    campaigns: frozenset[str] | None = None
    of_days: Callable[[str, date | None, date], nw.LazyFrame[Any]] | None = None
    take: Callable[[pl.DataFrame], nw.LazyFrame[Any]] = field(default=lazy_polars)
    moment: Callable[[datetime], object] = field(default=lambda moment: moment)
    version: int = 0
    probe: bool = True
    not_modelled: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, str] = field(default_factory=dict)

    def rows(self, table: str, first: date | None, last: date) -> nw.LazyFrame[Any]:
        """Purchases or events, of which those of some days (both ends included) are asked for; there may be more."""
        if self.of_days is not None:
            return self.of_days(table, first, last)
        return self.purchases if table == "purchases" else self.events

    # An engine goes through the whole plan of a frame to tell its columns, which are asked for with every condition.
    @cached_property
    def customer_schema(self) -> Mapping[str, nw.dtypes.DType]:
        """The columns of `customers` with their types."""
        return self.customers.collect_schema()

    @cached_property
    def purchase_schema(self) -> Mapping[str, nw.dtypes.DType]:
        """The columns of `purchases` with their types."""
        return self.purchases.collect_schema()

    @cached_property
    def event_schema(self) -> Mapping[str, nw.dtypes.DType]:
        """The columns of `events` with their types."""
        return self.events.collect_schema()

    @cached_property
    def people(self) -> Persons:
        """The customers as people."""
        return Persons(
            self.customers.select("customer_id", "external_user_id").collect("polars").to_native(), self.identity()
        )

    def contacts_of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Some rows of `contacts`, under the customer ids of tonight."""
        return self.people.today(rows) if "external_user_id" in rows.columns else rows

    def listed(self, sha256: str) -> pl.DataFrame:
        """customer_id of everybody on an uploaded list, and of whoever is on it under an earlier id."""
        ids, earlier = self.lists(sha256).select("customer_id"), self.earlier_ids()
        if earlier.is_empty():
            return ids
        now = earlier.join(ids.rename({"customer_id": "earlier"}), on="earlier", how="semi").select("customer_id")
        return pl.concat([ids, now]).unique()

    def earlier_ids(self) -> pl.DataFrame:
        """`earlier` and customer_id: other ids of people who have several, with the one that they have tonight."""
        persons = self.identity().persons
        if persons is None or persons.is_empty():
            return pl.DataFrame(schema={"earlier": pl.String, "customer_id": pl.String})
        return self.people.earlier_ids

    def app_versions(self) -> frozenset[str]:
        """Every version of an app that somebody has."""
        found = self.app_users.select("app_version").unique("app_version").collect("polars").to_native()
        return frozenset(found["app_version"].drop_nulls())


def kinds(schema: Mapping[str, nw.dtypes.DType]) -> dict[str, Kind]:
    """What each column of a table can be compared with; columns of other types are left out."""
    return {name: kind for name, dtype in schema.items() for kind, is_one in _KINDS.items() if is_one(dtype)}


_KINDS: dict[Kind, Callable[[nw.dtypes.DType], bool]] = {
    "number": lambda dtype: dtype.is_numeric(),
    "yes/no": lambda dtype: dtype == nw.Boolean,
    "day": lambda dtype: dtype.is_temporal(),
    "text": lambda dtype: dtype in (nw.String, nw.Categorical, nw.Enum),
}


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first moment of a day in a zone and of the day after it, as UTC without zone, the form of stored times."""
    try:
        following = day + timedelta(days=1)
        first, after = (datetime.combine(d, time(), tzinfo=zone).astimezone(UTC) for d in (day, following))
    except OverflowError as error:
        raise RuleError(f"the day {day} is too far away to compare with") from error
    return first.replace(tzinfo=None), after.replace(tzinfo=None)


TABLE_OF = {"purchases": "transactions", "events": "events"}


def tables_of(snapshot: Snapshot, *, run_date: date, zone: ZoneInfo, **known: Any) -> Tables:
    """The tables of a published version on the Polars engine; `known` are further fields of `Tables`."""

    def rows(table: str, first: date | None, last: date | None) -> pl.LazyFrame:
        return snapshot.scan(TABLE_OF[table], since=first, until=last).select(list(rule_columns(table)))

    customers, app_users = customers_of(snapshot).lazy(), snapshot.table("app_users")
    return tables_on(snapshot, customers, app_users, rows, run_date=run_date, zone=zone, **known)


def tables_on(
    snapshot: Snapshot,
    customers: Any,
    app_users: Any,
    rows: Callable[[str, date | None, date | None], Any],
    **known: Any,
) -> Tables:
    """The tables of a published version on any engine, from its own frames.

    `rows` gives transactions or events of some days (both ends may be None); `known` are further fields of `Tables`.
    """

    def of_days(table: str, first: date | None, last: date | None) -> nw.LazyFrame[Any]:
        found = nw.from_native(rows(table, first, last))
        return found.filter(nw.col("amount") > 0) if table == "purchases" else found

    return Tables(
        customers=nw.from_native(customers),
        purchases=of_days("purchases", None, None),
        events=of_days("events", None, None),
        app_users=nw.from_native(app_users),
        event_names=partial(event_names, snapshot),
        version=snapshot.version,
        of_days=of_days,
        not_modelled=not_modelled(snapshot),
        scores=score_meanings(snapshot),
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
    return sorted(snapshot.schema("customers").keys() & snapshot.schema("features").keys() - {"customer_id"})


def not_modelled(snapshot: Snapshot) -> dict[str, str]:
    """The attributes that no model tells in a version, each with the reason."""
    return dict(snapshot.table("untold").collect().iter_rows()) if snapshot.has("untold") else {}


def score_meanings(snapshot: Snapshot) -> dict[str, str]:
    """What each published score of a version says, by attribute; a delivered column of the same name hides it."""
    if not snapshot.has("scores"):
        return {}
    told = dict(snapshot.table("scores").select("attribute", "meaning").sort("attribute").collect().iter_rows())
    return {name: meaning for name, meaning in told.items() if name not in snapshot.schema("customers")}


def event_names(snapshot: Snapshot) -> frozenset[str]:
    """The names of all events that a version holds."""
    if snapshot not in _NAMES:
        names = snapshot.scan("events").select("name").unique().collect(engine="streaming")
        _NAMES[snapshot] = frozenset(names["name"].drop_nulls())
    return _NAMES[snapshot]


def rule_columns(table: str) -> dict[str, str]:
    """The columns of purchases or events that rules see, and their DuckDB types: all that no file may lack."""
    contract = TABLES[TABLE_OF[table]]
    return {name: kind for name, kind in contract.stored().items() if name not in contract.perhaps_lacking}
