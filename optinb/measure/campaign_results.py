"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_history import STATUS
from optinb.delivery.contact_status import RECEIVED
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.effect import CONTROL
from optinb.measure.outcomes import outcomes
from optinb.measure.purchases import by_person, measured_until, naive, persons_of, transactions_of
from optinb.measure.reached import reached
from optinb.measure.result import CampaignResult, result_of
from optinb.warehouse import table_ages
from optinb.warehouse.contract import CUSTOMERS, TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date, datetime

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
    from optinb.measure.assignment import Assignment
    from optinb.warehouse import Snapshot

DAYS = 14
"""That are measured of a campaign which says nothing of it."""


class CampaignResults:
    """Finds out what campaigns brought. Nothing of it is kept: it follows the tables."""

    def __init__(
        self, context: Context, store: Store, contacts: ContactHistory, *, published: Callable[[], Snapshot | None]
    ) -> None:
        """Args: `published`: the version whose purchases are read, None before the first import."""
        self._context, self._store, self._contacts, self._published = context, store, contacts, published

    def of(
        self, campaign: str, *, night: date | None = None, period: tuple[datetime, datetime] | None = None
    ) -> CampaignResult:
        """What a campaign brought over all of its nights, or in one.

        Args:
            campaign: its name, without regard to case.
            night: the only one that is looked at.
            period: only messages from its begin on, and what they brought before its end (UTC, without a zone).

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        record = self._store.campaigns.get(campaign)
        days, published = record.campaign.measurement_days or DAYS, self._published()
        persons = persons_of(published)
        tested = self._tested(record, persons, period)
        assignment = assign(tested, days=days, night=night)
        if period is not None:
            ends = pl.min_horizontal("until", pl.lit(period[1], pl.Datetime("us")))
            assignment = replace(assignment, people=assignment.people.with_columns(until=ends))
        people, nights = assignment.people, assignment.nights
        return result_of(
            record.campaign.name,
            assignment,
            outcomes(people, transactions_of(published, persons, people)),
            measured_until=measured_until(published, self._context.settings.zone),
            days=days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(record.campaign),
            # the same draws whenever the same is looked at
            seed=crc32(f"{record.id}/{night or ''}{period or ''}".encode()),
            recurs=record.campaign.schedule.every is not None and night is None,
            gone=_gone(published, persons, people),
            stale=self._why_stale(published, assignment),
            alarm=self._alarm(record, nights),
            reached=reached(tested.filter(pl.col("night").is_in(nights)), people),
        )

    def _tested(
        self, record: CampaignRecord, persons: pl.LazyFrame | None, period: tuple[datetime, datetime] | None
    ) -> pl.DataFrame:
        """Everybody of the nights (of a period) of which something went out, with TESTED and `status`."""
        schema = {**TESTED, "status": STATUS}
        found, went_out = [pl.DataFrame(schema=schema)], set()
        for audience in self._store.deliveries.list(campaign_id=record.id):
            if period is not None and not period[0] <= naive(audience.send_at) < period[1]:
                continue
            rows = self._contacts.rows(audience, ("customer_id", "night", "variant", "role", "status"))
            if rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(RECEIVED)).height:
                went_out.add(audience.run_date)
            send_at = pl.lit(naive(audience.send_at), dtype=TESTED["send_at"])
            ours = rows.filter(pl.col("role") != "excluded").with_columns(
                pl.col("role").cast(pl.String), send_at=send_at
            )
            found.append(by_person(ours.lazy(), persons).select([*schema]).collect())
        return pl.concat(found).filter(pl.col("night").is_in(sorted(went_out)))

    def _why_stale(self, published: Snapshot | None, assignment: Assignment) -> str:
        """Why the purchases of a test's windows aren't all told, though they should be; empty where they may be."""
        if published is None or assignment.until is None:
            return ""
        settings, today = self._context.settings, self._context.today()
        ages = table_ages(published.contents, run_date=today, limits=settings.imports, zone=settings.zone)
        age = next((age for age in ages if age.table == TRANSACTIONS.name), None)
        if age is None or age.stale is None:
            return ""
        ends = min(assignment.until.replace(tzinfo=UTC).astimezone(settings.zone).date(), today)
        # what came before it stopped is told all the same
        reaches = age.newest is not None and age.newest >= ends - timedelta(days=1)
        return "" if reaches else age.stale

    def _alarm(self, record: CampaignRecord, nights: Collection[date]) -> str:
        """What Appboy's answers say is wrong with the templates of some nights, each sentence once."""
        audiences = (one for one in self._store.deliveries.list(campaign_id=record.id) if one.run_date in nights)
        asked = (self._store.confirmations.newest(*audience.night) for audience in audiences)
        return "; ".join(dict.fromkeys(one.counts.alarm for one in asked if one is not None and one.counts.alarm))


def _gone(published: Snapshot | None, persons: pl.LazyFrame | None, people: pl.DataFrame) -> int:
    """How many people are no longer among the customers."""
    if published is None or not published.has(CUSTOMERS.name):
        return 0
    known = by_person(published.table(CUSTOMERS.name).select("customer_id"), persons).select("person")
    return people.lazy().join(known, on="person", how="anti").select(pl.len()).collect().item()


def _planned(campaign: Campaign) -> dict[str, float]:
    """The share of each arm."""
    rest = 1 - campaign.control
    arms = {name: rest * share for name, share in campaign.shares.items()} if campaign.variants else {MESSAGE: rest}
    return {CONTROL: campaign.control, **arms}
