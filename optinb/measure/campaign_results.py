"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec import Struct

from optinb.campaigns import CampaignRecord
from optinb.delivery.contact_status import RECEIVED
from optinb.measure.assignment import MESSAGE, TESTED, Assignment, assign
from optinb.measure.effect import CONTROL
from optinb.measure.outcomes import HISTORY_DAYS, outcomes
from optinb.measure.result import CampaignResult, result_of
from optinb.warehouse.contract import TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.base.context import Context
    from optinb.campaigns import Campaign
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
    from optinb.warehouse import Snapshot

DAYS = 14
"""That are measured of a campaign which says nothing of it."""


class CampaignTest(Struct, frozen=True, kw_only=True):
    """Everybody of a campaign's test, and what they did.

    Attributes:
        record: of the campaign.
        night: the only one that is looked at; None for all of them.
        days: that are measured from each customer's message on.
        tested: with TESTED and customer_id, a row for every recipient and control of each night.
        assignment: on which side each person is.
        outcomes: what each person did, with OUTCOMES.
        measured_until: how far the delivered tables tell of purchases (UTC, without a zone); None where none did.
    """

    record: CampaignRecord
    night: date | None
    days: int
    tested: pl.DataFrame
    assignment: Assignment
    outcomes: pl.DataFrame
    measured_until: datetime | None


class CampaignResults:
    """Finds out what campaigns brought. Nothing of it is kept: it follows the tables."""

    def __init__(
        self, context: Context, store: Store, contacts: ContactHistory, *, published: Callable[[], Snapshot | None]
    ) -> None:
        """Args: `published`: the version whose purchases are read, None before the first import."""
        self._context, self._store, self._contacts, self._published = context, store, contacts, published

    def of(self, campaign: str, *, night: date | None = None) -> CampaignResult:
        """What a campaign brought over all of its nights, or in one.

        Args:
            campaign: its name, without regard to case.
            night: the only one that is looked at.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        return self.result(self.test_of(campaign, night=night))

    def test_of(self, campaign: str, *, night: date | None = None) -> CampaignTest:
        """Who belongs to the test of a campaign, and what they did; arguments and errors as of `of`."""
        record = self._store.campaigns.get(campaign)
        days, published = record.campaign.measurement_days or DAYS, self._published()
        persons = published.table("persons") if published is not None and published.has("persons") else None
        tested = self._tested(record, persons)
        assignment = assign(tested, days=days, night=night)
        return CampaignTest(
            record=record,
            night=night,
            days=days,
            tested=tested,
            assignment=assignment,
            outcomes=outcomes(assignment.people, self._transactions(published, persons, assignment.people)),
            measured_until=self._measured_until(published),
        )

    def result(self, test: CampaignTest) -> CampaignResult:
        """What a campaign brought.

        Args:
            test: who belongs to its test.
        """
        return result_of(
            test.record.campaign.name,
            test.assignment,
            test.outcomes,
            measured_until=test.measured_until,
            days=test.days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(test.record.campaign),
            # the same draws whenever the same is looked at
            seed=crc32(f"{test.record.id}/{test.night or ''}".encode()),
        )

    def _tested(self, record: CampaignRecord, persons: pl.LazyFrame | None) -> pl.DataFrame:
        """Everybody of the nights of which something went out, with TESTED and customer_id."""
        columns = {**TESTED, "customer_id": pl.String()}
        found, went_out = [pl.DataFrame(schema=columns)], set()
        for audience in self._store.deliveries.list(campaign_id=record.id):
            rows = self._contacts.rows(audience, ("customer_id", "night", "variant", "role", "status"))
            if rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(RECEIVED)).height:
                went_out.add(audience.run_date)
            send_at = pl.lit(audience.send_at.astimezone(UTC).replace(tzinfo=None), dtype=TESTED["send_at"])
            ours = rows.filter(pl.col("role") != "excluded").with_columns(
                pl.col("role").cast(pl.String), send_at=send_at
            )
            found.append(_by_person(ours.lazy(), persons).select(list(columns)).collect())
        return pl.concat(found).filter(pl.col("night").is_in(sorted(went_out)))

    def _transactions(
        self, published: Snapshot | None, persons: pl.LazyFrame | None, people: pl.DataFrame
    ) -> pl.LazyFrame:
        """The transactions of the days that some people's windows and the year before them take."""
        since, until = people["since"].min(), people["until"].max()
        columns = {"person": pl.String, "occurred_at": pl.Datetime("us"), "day": pl.Date, "amount": pl.Float64}
        if published is None or not isinstance(since, datetime) or not isinstance(until, datetime):
            return pl.LazyFrame(schema=columns)
        day = timedelta(days=1)  # files are by local days
        first, last = (since - timedelta(days=HISTORY_DAYS) - day).date(), (until + day).date()
        rows = published.scan(TRANSACTIONS.name, since=first, until=last)
        return _by_person(rows.select("customer_id", "occurred_at", "day", "amount"), persons)

    def _measured_until(self, published: Snapshot | None) -> datetime | None:
        """The beginning of the day of the newest delivery of transactions (UTC, without a zone); None before any."""
        deliveries = published.contents.deliveries if published is not None else ()
        told = (d.run_date for d in deliveries if any(table.table == TRANSACTIONS.name for table in d.report.brought))
        if (newest := max(told, default=None)) is None:
            return None
        begins = datetime.combine(newest, time.min, tzinfo=self._context.settings.zone)
        return begins.astimezone(UTC).replace(tzinfo=None)


def _planned(campaign: Campaign) -> dict[str, float]:
    """The share of each arm."""
    rest = 1 - campaign.control
    arms = {name: rest * share for name, share in campaign.shares.items()} if campaign.variants else {MESSAGE: rest}
    return {CONTROL: campaign.control, **arms}


def _by_person(rows: pl.LazyFrame, persons: pl.LazyFrame | None) -> pl.LazyFrame:
    """Rows of customers with the person that each id belongs to today."""
    if persons is None:
        return rows.with_columns(person="customer_id")
    known = persons.select("customer_id", "person_id")
    joined = rows.join(known, on="customer_id", how="left", maintain_order="left")
    return joined.with_columns(person=pl.coalesce("person_id", "customer_id"))
