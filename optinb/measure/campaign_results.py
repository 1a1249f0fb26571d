"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_status import RECEIVED
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.effect import CONTROL
from optinb.measure.outcomes import outcomes_of_all
from optinb.measure.purchases import by_person, measured_until, naive, persons_of, transactions_of
from optinb.measure.result import CampaignResult, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
    from optinb.warehouse import Snapshot

DAYS = 14
"""That are measured of a campaign which says nothing of it."""

PEOPLE_AT_ONCE = 2_000_000
"""Of how many people purchases are read together."""


class _Test(NamedTuple):
    """Whom a campaign's test is of, and what makes its result of what they did."""

    people: pl.DataFrame
    result: Callable[[pl.DataFrame], CampaignResult]


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
        return next(self.of_all([campaign], night=night, period=period))

    def of_all(
        self,
        campaigns: Iterable[str],
        *,
        night: date | None = None,
        period: tuple[datetime, datetime] | None = None,
    ) -> Iterator[CampaignResult]:
        """What each of several campaigns brought, in their order: their purchases are read together, not for each.

        Args:
            campaigns: their names.
            night: as for `of`.
            period: as for `of`.

        Raises:
            CampaignError: as for `of`.
            StateError: as for `of`.
        """
        published = self._published()
        persons = persons_of(published)
        for tests in _at_once(self._test(campaign, published, persons, night, period) for campaign in campaigns):
            people = [test.people for test in tests]
            whole = pl.concat([each.select("since", "until") for each in people])
            found = outcomes_of_all(people, transactions_of(published, persons, whole))
            yield from (test.result(outcomes) for test, outcomes in zip(tests, found, strict=True))

    def _test(
        self,
        campaign: str,
        published: Snapshot | None,
        persons: pl.LazyFrame | None,
        night: date | None,
        period: tuple[datetime, datetime] | None,
    ) -> _Test:
        """Who belongs to a campaign's test."""
        record = self._store.campaigns.get(campaign)
        days = record.campaign.measurement_days or DAYS
        assignment = assign(self._tested(record, persons, period), days=days, night=night)
        if period is not None:
            ends = pl.min_horizontal("until", pl.lit(period[1], pl.Datetime("us")))
            assignment = replace(assignment, people=assignment.people.with_columns(until=ends))
        return _Test(
            assignment.people,
            lambda outcomes: result_of(
                record.campaign.name,
                assignment,
                outcomes,
                measured_until=measured_until(published, self._context.settings.zone),
                days=days,
                currency=self._context.settings.workspace.currency,
                planned=_planned(record.campaign),
                # the same draws whenever the same is looked at
                seed=crc32(f"{record.id}/{night or ''}{period or ''}".encode()),
            ),
        )

    def _tested(
        self, record: CampaignRecord, persons: pl.LazyFrame | None, period: tuple[datetime, datetime] | None
    ) -> pl.DataFrame:
        """Everybody of the nights (of a period) of which something went out, with TESTED."""
        columns = ("customer_id", "night", "variant", "role", "status", "send_at")
        nights = [
            self._contacts.rows(audience, columns).filter(pl.col("role") != "excluded")
            for audience in self._store.deliveries.list(campaign_id=record.id)
            if period is None or period[0] <= naive(audience.send_at) < period[1]
        ]
        if not nights:
            return pl.DataFrame(schema=TESTED)
        utc = pl.col("send_at").dt.replace_time_zone(None)
        rows = by_person(pl.concat(nights).lazy(), persons).with_columns(pl.col("role").cast(pl.String), utc).collect()
        went_out = rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(RECEIVED))["night"].unique()
        return rows.filter(pl.col("night").is_in(went_out.implode())).select(TESTED.names())


def _at_once(tests: Iterable[_Test]) -> Iterator[list[_Test]]:
    """Tests whose purchases are read together, by how many people they have."""
    some: list[_Test] = []
    for test in tests:
        if some and sum(one.people.height for one in some) + test.people.height > PEOPLE_AT_ONCE:
            yield some
            some = []
        some.append(test)
    if some:
        yield some


def _planned(campaign: Campaign) -> dict[str, float]:
    """The share of each arm."""
    rest = 1 - campaign.control
    arms = {name: rest * share for name, share in campaign.shares.items()} if campaign.variants else {MESSAGE: rest}
    return {CONTROL: campaign.control, **arms}
