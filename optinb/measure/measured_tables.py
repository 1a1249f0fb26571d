"""What the published tables tell of the people of a test: read by the days that their windows take, and by person."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl

from optinb.errors import UsageError, did_you_mean
from optinb.measure.outcomes import HISTORY_DAYS
from optinb.warehouse import table_ages
from optinb.warehouse.contract import CUSTOMERS, EVENTS, TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.base.context import Context
    from optinb.warehouse import Snapshot

LATEST = 3
"""Days within which a night must have modelled the customers, for their state at a moment to be known."""
MOST_ENDS = 31
"""Days on which windows end, of which states are read at most: each takes a file of all customers."""
STATES = pl.Schema({"person": pl.String, "day": pl.Date, "stage": pl.String, "micro_segment": pl.String})
_DAY = timedelta(days=1)
_BOUGHT = {"person": pl.String, "occurred_at": pl.Datetime("us"), "day": pl.Date, "amount": pl.Float64}


class MeasuredTables:
    """The tables of a published version, by the person that each id belongs to in it."""

    def __init__(self, context: Context, published: Snapshot | None) -> None:
        """Args: `published`: the version; None before the first import, of which nothing is told."""
        self._context, self._published = context, published
        persons = published.table("persons") if published is not None and published.has("persons") else None
        # where nobody has several ids there is nothing to look up
        is_empty = persons is None or not persons.select(pl.len()).collect().item()
        self.persons: pl.LazyFrame | None = None if is_empty else persons

    def by_person(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of customers with the person that each id belongs to today.

        Args:
            rows: with customer_id.
        """
        if self.persons is None:
            return rows.with_columns(person="customer_id")
        known = self.persons.select("customer_id", "person_id")
        joined = rows.join(known, on="customer_id", how="left", maintain_order="left")
        return joined.with_columns(person=pl.coalesce("person_id", "customer_id"))

    def transactions(
        self, people: pl.DataFrame, *, known: datetime | None = None, history_days: int = HISTORY_DAYS
    ) -> pl.LazyFrame:
        """The transactions of the days that some people's windows and the year before them take.

        Args:
            people: with ASSIGNED.
            known: before which the year of history ends, where that is before the first window; as of `outcomes`.
            history_days: how many days before are read, too.
        """
        window = _window(people)
        if self._published is None or window is None:
            return pl.LazyFrame(schema=_BOUGHT)
        since, until = window  # files are by local days
        since = since if known is None else min(since, known)
        first = (since - timedelta(days=history_days) - _DAY).date()
        rows = self._published.scan(TRANSACTIONS.name, since=first, until=(until + _DAY).date())
        return self.by_person(rows.select("customer_id", "occurred_at", "day", "amount"))

    def events(self, people: pl.DataFrame, event: str) -> pl.LazyFrame:
        """When whom an event is told of, in the days that some people's windows take: person and occurred_at.

        Args:
            people: with ASSIGNED.
            event: its name.

        Raises:
            UsageError: with the nearest name, for one that no event of theirs and of the year before has.
        """
        window = _window(people)
        if self._published is None or window is None:
            return pl.LazyFrame(schema={"person": pl.String, "occurred_at": pl.Datetime("us")})
        since, until = ((moment + by).date() for moment, by in zip(window, (-_DAY, _DAY), strict=True))
        is_it = pl.col("name") == event
        rows = self._published.scan(EVENTS.name, since=since, until=until).filter(is_it)
        if rows.select("name").head(1).collect().is_empty():
            earlier = self._published.scan(EVENTS.name, since=since - timedelta(days=HISTORY_DAYS))
            names = earlier.select(pl.col("name").unique()).collect(engine="streaming")["name"].drop_nulls()
            if event not in names:
                never = "" if len(names) else "; the table `events` tells of none: have IT deliver it"
                raise UsageError(f"no event {event!r} was delivered{did_you_mean(event, names.to_list())}{never}")
        return self.by_person(rows.select("customer_id", "occurred_at"))

    def states(self, days: list[date], *, before: bool = False) -> pl.DataFrame | None:
        """The states of everybody on some days, with STATES; `day` is the one that was asked for.

        Args:
            days: for each the first night from then on that modelled the customers tells, if it isn't too late.
            before: whether the last night up to then tells instead.

        Returns:
            None where a day has no such night, or these are too many.
        """
        if self._published is None or not days or len(days) > MOST_ENDS:
            return None
        nights = sorted({file.day for file in self._published.contents.files if file.table == "history"})
        found = [pl.LazyFrame(schema=STATES)]
        for day in days:
            near = [night for night in nights if 0 <= (day - night if before else night - day).days <= LATEST]
            if not near:
                return None
            night = near[-1] if before else near[0]
            rows = self._published.history(since=night, until=night)
            if not {"stage", "micro_segment"} <= {*rows.collect_schema()}:
                return None
            wanted = self.by_person(rows.select("customer_id", "stage", "micro_segment"))
            found.append(wanted.with_columns(day=pl.lit(day)).select(STATES.names()).cast(dict(STATES)))  # type: ignore[arg-type]
        return pl.concat(found).collect(engine="streaming")

    def gone(self, tests: Sequence[pl.DataFrame]) -> list[int]:
        """How many people of each of several tests are no longer among the customers.

        Args:
            tests: each with ASSIGNED.
        """
        if self._published is None or not self._published.has(CUSTOMERS.name) or not tests:
            return [0] * len(tests)
        ids = self._published.table(CUSTOMERS.name, columns=["customer_id"]).select("customer_id")
        people = pl.concat([people.select("person", test=pl.lit(at)) for at, people in enumerate(tests)])
        left = people.lazy().join(self.by_person(ids).select("person"), on="person", how="anti")
        counts = dict(left.group_by("test").len().collect(engine="streaming").iter_rows())
        return [counts.get(at, 0) for at in range(len(tests))]

    def measured_until(self) -> datetime | None:
        """The beginning of the day of the newest delivery of transactions (UTC, without a zone); None before any."""
        deliveries = self._published.contents.deliveries if self._published is not None else ()
        told = (d.run_date for d in deliveries if any(table.table == TRANSACTIONS.name for table in d.report.brought))
        if (newest := max(told, default=None)) is None:
            return None
        return naive(datetime.combine(newest, time.min, tzinfo=self._context.settings.zone))

    def why_stale(self, ends: datetime | None) -> str:
        """Why the purchases of windows aren't all told, though they should be; empty where they may be.

        Args:
            ends: when the last window ends (UTC, without a zone); None where there is none.
        """
        if self._published is None or ends is None:
            return ""
        settings, today = self._context.settings, self._context.today()
        ages = table_ages(self._published.contents, run_date=today, limits=settings.imports, zone=settings.zone)
        age = next((age for age in ages if age.table == TRANSACTIONS.name), None)
        if age is None or age.stale is None:
            return ""
        # what came before it stopped is told all the same
        reaches = age.newest is not None and age.newest >= min(self.day_of(ends), today) - _DAY
        return "" if reaches else age.stale

    def day_of(self, moment: datetime) -> date:
        """The day of a moment in the workspace's zone.

        Args:
            moment: in UTC, without a zone.
        """
        return moment.replace(tzinfo=UTC).astimezone(self._context.settings.zone).date()


def naive(moment: datetime) -> datetime:
    """A time in UTC, without its zone, as tables have them."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _window(people: pl.DataFrame) -> tuple[datetime, datetime] | None:
    """From the first message to the end of the last window; None where there is nobody."""
    since, until = people["since"].min(), people["until"].max()
    return (since, until) if isinstance(since, datetime) and isinstance(until, datetime) else None
