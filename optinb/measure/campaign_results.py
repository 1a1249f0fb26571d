"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_status import RECEIVED
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.effect import CONTROL
from optinb.measure.outcomes import outcomes
from optinb.measure.purchases import by_person, measured_until, naive, persons_of, transactions_of
from optinb.measure.result import CampaignResult, result_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
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
        assignment = assign(self._tested(record, persons, period), days=days, night=night)
        if period is not None:
            ends = pl.min_horizontal("until", pl.lit(period[1], pl.Datetime("us")))
            assignment = replace(assignment, people=assignment.people.with_columns(until=ends))
        return result_of(
            record.campaign.name,
            assignment,
            outcomes(assignment.people, transactions_of(published, persons, assignment.people)),
            measured_until=measured_until(published, self._context.settings.zone),
            days=days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(record.campaign),
            # the same draws whenever the same is looked at
            seed=crc32(f"{record.id}/{night or ''}{period or ''}".encode()),
        )

    def _tested(
        self, record: CampaignRecord, persons: pl.LazyFrame | None, period: tuple[datetime, datetime] | None
    ) -> pl.DataFrame:
        """Everybody of the nights (of a period) of which something went out, with TESTED."""
        found, went_out = [pl.DataFrame(schema=TESTED)], set()
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
            found.append(by_person(ours.lazy(), persons).select(TESTED.names()).collect())
        return pl.concat(found).filter(pl.col("night").is_in(sorted(went_out)))


def _planned(campaign: Campaign) -> dict[str, float]:
    """The share of each arm."""
    rest = 1 - campaign.control
    arms = {name: rest * share for name, share in campaign.shares.items()} if campaign.variants else {MESSAGE: rest}
    return {CONTROL: campaign.control, **arms}
