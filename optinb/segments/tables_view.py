"""What can be read of the customers: tables, rules, reach and history, of today's version or of a past night's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from optinb.base.context import as_day
from optinb.errors import UsageError, did_you_mean
from optinb.rules import Contacted, nodes_of

if TYPE_CHECKING:
    import polars as pl

    from optinb.base.settings import AppGroupSettings, Engine, Settings
    from optinb.engine import Tables
    from optinb.rules import Rule
    from optinb.segments.groups import Groups
    from optinb.segments.lists import Lists
    from optinb.segments.reach import CustomerReach
    from optinb.warehouse import Snapshot

COUNTABLE = "text, yes/no, a whole number or a date"


class CustomerDay(Struct, frozen=True, kw_only=True):
    """What was known of a customer on a day.

    Attributes:
        customer_id: who.
        day: the day that was asked for.
        delivery: the date of the delivery that the profile came with.
        modelled: the night of the stage and the values; None if there was none yet.
        is_customer: false, with no attribute, where the delivery did not have them.
        attributes: their values by name.
    """

    customer_id: str
    day: date
    delivery: date
    modelled: date | None
    is_customer: bool
    attributes: dict[str, Any]


class Contacts(Protocol):
    """What campaigns did, as rules ask about it."""

    def table(self) -> pl.DataFrame:
        """Who received what, and who was held out from it; with the columns of `engine.tables.CONTACTS`."""
        ...

    def campaigns(self) -> frozenset[str]:
        """The names of all campaigns."""
        ...


class TablesView(ABC):
    """What is read of one version of the tables; `snapshot` says of which. A subclass sets what is declared here."""

    settings: Settings

    @cached_property
    @abstractmethod
    def groups(self) -> Groups:
        """Target groups: save, list and count them."""

    @cached_property
    @abstractmethod
    def lists(self) -> Lists:
        """Uploaded lists of customers, for `in_list(...)`."""

    @cached_property
    @abstractmethod
    def contacts(self) -> Contacts:
        """Who got what."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The version of the warehouse that is read."""

    def tables(self, run_date: date | None = None) -> Tables:
        """What rules read, as of a night.

        Args:
            run_date: the night; the date of the version's delivery when left out.
        """
        from optinb.engine import tables_of

        snapshot = self.snapshot()
        return tables_of(
            snapshot,
            run_date=run_date or snapshot.import_date,
            zone=self.settings.zone,
            apps={app.id: app.platform for group in self.settings.app_groups for app in group.apps},
            contacts=self.contacts.table,
            lists=self.lists.content,
            list_names=self.lists.kept(),
        )

    def tables_for(self, *rules: Rule, run_date: date | None = None) -> Tables:
        """What some rules read: as `tables`, with the names of campaigns where one of the rules asks about one.

        Args:
            *rules: with the rules of the groups that they name in their places.
            run_date: the night; the date of the version's delivery when left out.
        """
        tables = self.tables(run_date)
        asked = any(nodes_of(rule, Contacted) for rule in rules)
        return replace(tables, campaigns=self.contacts.campaigns()) if asked else tables

    def tables_on(self, day: date, *rules: Rule) -> Tables:
        """What some rules read, as it was on a past day: what is kept of customers, and what they did up to it.

        Which app they use isn't kept by day, and is that of now.

        Args:
            day: one with a delivery before it, or its own.
            *rules: with the rules of the groups that they name in their places.

        Raises:
            UsageError: for a day before the first delivery.
        """
        import narwhals as nw

        customers = nw.from_native(self.customers_on(day).collect().lazy())
        return replace(self.tables_for(*rules, run_date=day), customers=customers)

    def customers(self) -> pl.LazyFrame:
        """Every customer with profile, attributes and features.

        Returns:
            a frame with one row a customer: customer_id (text), and a column for each attribute.
        """
        return self.tables().customers.to_native()

    def members(self, rule: Rule | str, *, engine: Engine | None = None) -> pl.DataFrame:
        """The customers of a rule or saved group, with all their attributes.

        Args:
            rule: a rule, the name of a saved group, or a rule as text.
            engine: "polars", "duckdb" or "spark", which finds them; the one of the settings when left out.

        Returns:
            a frame with one row a customer, as of `customers`, sorted by customer_id.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
        """
        from optinb.segments.membership_cache import members_on

        bound = self.groups.bound(rule)
        tables = self.tables_for(bound)
        found = members_on(self.snapshot(), bound, tables, engine=engine, settings=self.settings.engine).lazy()
        return tables.customers.to_native().join(found, on="customer_id", how="semi").sort("customer_id").collect()

    def reach(
        self, *, app_group: str | None = None, since: date | str | None = None, until: date | str | None = None
    ) -> pl.DataFrame:
        """Reach by night: how many customers use each app, have push enabled, run a version with the SDK, or all of it.

        Nights are kept from the first model on.

        Args:
            app_group: name or id of the only app group to look at; all of them when left out.
            since: the first day, as a date or as text such as "2026-11-20"; from the beginning when left out.
            until: the last day, which is included; to the newest when left out.

        Returns:
            a frame with day (Date), app_group, app_id, app and platform (text), and users, push_enabled, with_sdk and
            reachable (whole numbers of customers), sorted by day. app_id is null in the row of a whole app group, whose
            customers count once each.

        Raises:
            SettingsError: for an app group that isn't known.
            UsageError: for what is no date.
        """
        from optinb.segments.reach import reach_by_night

        return reach_by_night(self.snapshot(), self.settings, self._app_groups(app_group), *_span(since, until))

    def reach_of(self, customer_id: str, *, app_group: str | None = None) -> CustomerReach:
        """Whether a push message can reach a customer in each app, and if not, why.

        Args:
            customer_id: whom to look at.
            app_group: name or id of the only app group to look at; all of them when left out.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        from optinb.segments.reach import customer_reach

        return customer_reach(self.snapshot(), customer_id, self._app_groups(app_group))

    def _app_groups(self, name: str | None) -> tuple[AppGroupSettings, ...]:
        """One app group, or all of them."""
        return (self.settings.app_group(name),) if name else self.settings.app_groups

    def history(
        self, attribute: str, *, since: date | str | None = None, until: date | str | None = None
    ) -> pl.DataFrame:
        """How many customers had each value of an attribute, by day.

        Delivered attributes (`country`) have a row for each day with a delivery, those of the model (`stage`,
        `value_segment`) for each night that was modelled.

        Args:
            attribute: one whose values can be counted: texts, whole numbers, yes or no, days.
            since: the first day, as a date or as text such as "2026-11-20"; from the beginning when left out.
            until: the last day, which is included; to the newest when left out.

        Returns:
            a frame with day (Date), a column with the attribute's name and kind, and customers (Int64), sorted by day.

        Raises:
            UsageError: for a name that isn't known, or a measure whose every value is another one.
        """
        import polars as pl

        from optinb.warehouse import changes

        snapshot = self.snapshot()
        since, until = _span(since, until)
        state_schema = snapshot.history().collect_schema()
        delivered = changes.attributes(snapshot)
        kind = delivered.get(attribute) or state_schema.get(attribute)
        known = (state_schema.keys() | delivered.keys()) - {"customer_id", "day"}
        if kind is None or attribute not in known:
            raise UsageError(f"no history is kept of {attribute!r}{did_you_mean(attribute, known)}")
        if not (kind.is_integer() or kind.base_type() in (pl.String, pl.Boolean, pl.Date)):
            raise UsageError(
                f"{attribute!r} is a measure, which can't be counted by value; history(...) takes {COUNTABLE}, and "
                "customers_on(day) gives everybody's values"
            )
        # As for rules: what IT delivers is never hidden by a column of the model.
        if attribute in delivered:
            days = [day for d in snapshot.contents.deliveries if since <= (day := d.run_date) <= until]
            return changes.counts_by_day(snapshot, attribute, days)
        states = snapshot.history(since=since, until=until)
        if attribute not in states.collect_schema():
            return pl.DataFrame(schema={"day": pl.Date, attribute: kind, "customers": pl.Int64})
        counted = states.group_by("day", attribute).agg(pl.len().cast(pl.Int64).alias("customers"))
        return counted.sort("day", attribute).collect()

    def customers_on(self, day: date | str) -> pl.LazyFrame:
        """Every customer of a day with their attributes, and their stage and values from the night's model.

        Args:
            day: a date, or text such as "2026-11-20".

        Returns:
            a frame with one row a customer: customer_id (text), and a column for each attribute that is kept of that
            day.

        Raises:
            UsageError: for a day before the first delivery.
        """
        from optinb.warehouse import changes

        day = as_day(day)
        self._delivery_on(day)
        snapshot = self.snapshot()
        profiles = changes.customers_on(snapshot, day)
        modelled = self._modelled_on(day)
        if modelled is None:
            return profiles
        states = snapshot.history(since=modelled, until=modelled).drop("day")
        own = [name for name in states.collect_schema() if name not in profiles.collect_schema()]
        return profiles.join(states.select("customer_id", *own), on="customer_id", how="left")

    def customer_on(self, customer_id: str, day: date | str) -> CustomerDay:
        """What was known of a customer on a day.

        Args:
            customer_id: whom to look at.
            day: a date, or text such as "2026-11-20".

        Raises:
            UsageError: for a day before the first delivery.
        """
        import polars as pl

        day = as_day(day)
        delivery = self._delivery_on(day)
        rows = self.customers_on(day).filter(pl.col("customer_id") == customer_id).collect().to_dicts()
        known = {name: value for name, value in rows[0].items() if name != "customer_id"} if rows else {}
        return CustomerDay(
            customer_id=customer_id,
            day=day,
            delivery=delivery,
            modelled=self._modelled_on(day),
            is_customer=bool(rows),
            attributes=known,
        )

    def _delivery_on(self, day: date) -> date:
        """The date of the last delivery up to a day."""
        deliveries = sorted(delivery.run_date for delivery in self.snapshot().contents.deliveries)
        before = [delivered for delivered in deliveries if delivered <= day]
        if not before:
            raise UsageError(f"nothing is known of {day}: the first delivery is of {deliveries[0]}")
        return before[-1]

    def nights(self) -> tuple[date, ...]:
        """The nights whose customers were modelled and are kept, in order."""
        return tuple(sorted({file.day for file in self.snapshot().contents.files if file.table == "history"}))

    def _modelled_on(self, day: date) -> date | None:
        return max((night for night in self.nights() if night <= day), default=None)


def _span(since: date | str | None, until: date | str | None) -> tuple[date, date]:
    """Two days, both included; the whole calendar where they are left out."""
    return as_day(since or date.min), as_day(until or date.max)
