"""Who belongs to the tests of a workspace's campaigns, by the journal, and what they did, by the tables of today."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns import Campaign, CampaignRecord
from optinb.delivery.contact_status import RECEIVED
from optinb.delivery.night_statuses import STATUS
from optinb.measure.assignment import MESSAGE, TESTED, Assignment, assign
from optinb.measure.effect import CONTROL
from optinb.measure.funnel import CONTACTED
from optinb.measure.measured_tables import MeasuredTables, naive
from optinb.measure.mix_files import MixFiles, with_given
from optinb.measure.outcomes import OUTCOMES, outcomes, outcomes_of_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from optinb.base.context import Context
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
    from optinb.warehouse import Snapshot

DAYS = 14
"""That are measured of a campaign which says nothing of it."""
PEOPLE_AT_ONCE = 5_000_000
"""Of how many people of several tests purchases are read together; with 240,000 in each of 20 it takes 2.6 GB."""
Period = tuple[datetime, datetime]
"""From one time until before another, in UTC without a zone."""
# Beside TESTED: which id of the person it was, what became of the message, and when the last customer gets theirs.
TESTED_ROWS = pl.Schema({**TESTED, "customer_id": pl.String, "status": STATUS, "last": pl.Datetime("us")})


class CampaignTest(Struct, frozen=True, kw_only=True):
    """Everybody of a campaign's test, and what they did.

    Attributes:
        record: of the campaign.
        night: the only one that is looked at; None for all of them.
        period: the only one of which messages and purchases count; None for all times.
        tested: with TESTED_ROWS, for every recipient and control of each night.
        assignment: on which side each person is.
        outcomes: what each person did, with OUTCOMES; with the shares of the control group and of variants, as
            `with_given` has them, where these moved.
        gone: how many of them are no longer among the customers.
        measured_until: how far the delivered tables tell of purchases (UTC, without a zone); None where none did.
    """

    record: CampaignRecord
    night: date | None = None
    period: Period | None = None
    tested: pl.DataFrame
    assignment: Assignment
    outcomes: pl.DataFrame
    gone: int = 0
    measured_until: datetime | None

    @property
    def days(self) -> int:
        """That are measured from each customer's message on."""
        return measured_days(self.record.campaign)

    @property
    def seed(self) -> int:
        """Of the draws: the same whenever the same nights are looked at."""
        return crc32(f"{self.record.id}/{' '.join(map(str, self.assignment.nights))}{self.period or ''}".encode())


class CampaignTests:
    """Finds who belongs to tests, and what they did. Nothing of it is kept: it follows the tables."""

    def __init__(
        self, context: Context, store: Store, contacts: ContactHistory, *, published: Callable[[], Snapshot | None]
    ) -> None:
        """Args: `published`: the version whose purchases are read, None before the first import."""
        self._context, self._store, self._contacts, self._published = context, store, contacts, published
        self._mixes = MixFiles(context.root)

    def tables(self) -> MeasuredTables:
        """What the published version tells."""
        return MeasuredTables(self._context, self._published())

    def of(self, record: CampaignRecord, *, night: date | None = None) -> CampaignTest:
        """The test of one campaign.

        Args:
            record: of the campaign.
            night: the only one that is looked at.

        Raises:
            StateError: when a frozen audience, or the mix of a night, can't be read.
        """
        return next(self.of_all([record], night=night))

    def of_all(
        self, records: Iterable[CampaignRecord], *, night: date | None = None, period: Period | None = None
    ) -> Iterator[CampaignTest]:
        """The tests of several campaigns, in their order: their purchases are read together, not for each.

        Args:
            records: of the campaigns.
            night: as for `of`.
            period: only messages from its begin on to people who got none before, and what they brought before its end.

        Raises:
            StateError: as for `of`.
        """
        tables = self.tables()
        told = tables.measured_until()
        for tests in _at_once(self._assigned(record, tables, told, night, period) for record in records):
            people = [test.assignment.people for test in tests]
            whole = pl.concat([each.select("since", "until") for each in people])
            known = [self._known(test) for test in tests]
            first = min((moment for moment in known if moment is not None), default=None)
            found = outcomes_of_all(people, tables.transactions(whole, known=first), known=known)
            for test, did, gone in zip(tests, found, tables.gone(people), strict=True):
                yield replace(test, outcomes=self._with_given(test.record.campaign, did, test.tested), gone=gone)

    def before(self, campaign: Campaign, night: date) -> tuple[pl.DataFrame, datetime | None]:
        """What everybody did who belongs to a campaign's test by the nights before one, and how far tables tell of it.

        Args:
            campaign: of one that nobody saved, nobody belongs to it.
            night: the first that doesn't count.

        Returns:
            a frame with OUTCOMES and shares, as `with_given` has them, and the time (UTC, without a zone).

        Raises:
            StateError: as for `of`.
        """
        record, tables = self._store.campaigns.find(campaign.id), self.tables()
        if record is None:
            return pl.DataFrame(schema=OUTCOMES), None
        tested = self._tested(record, tables).filter(pl.col("night") < night)
        people = assign(tested, days=measured_days(campaign)).people
        found = outcomes(people, tables.transactions(people))
        return self._with_given(campaign, found, tested), tables.measured_until()

    def contacts(self, test: CampaignTest) -> pl.DataFrame:
        """What became of everybody of the target group in a test's nights, with CONTACTED.

        Args:
            test: of a campaign.

        Raises:
            StateError: as for `of`.
        """
        tables, found = self.tables(), [pl.LazyFrame(schema=CONTACTED)]
        for audience in self._store.deliveries.list(campaign_id=test.record.id):
            if audience.run_date not in test.assignment.nights:
                continue
            rows = self._contacts.rows(audience, ("customer_id", "role", "status", "place")).lazy()
            opens = self._contacts.verdicts(audience).lazy().select("place", "opened")
            rows = tables.by_person(rows.join(opens, on="place", how="left", maintain_order="left"))
            found.append(rows.select(CONTACTED.names()))
        return pl.concat(found).collect()

    def alarm(self, test: CampaignTest) -> str:
        """What Appboy's answers say is wrong with the templates of a test's nights, each sentence once."""
        asked = self._store.confirmations.list(campaign_id=test.record.id)
        mine = (one.counts.alarm for one in asked if one.run_date in test.assignment.nights)
        return "; ".join(dict.fromkeys(alarm for alarm in mine if alarm))

    def _known(self, test: CampaignTest) -> datetime | None:
        """When the first message of a campaign went out, where not all of its nights are looked at."""
        if test.night is None and test.period is None:
            return None
        sent = self._store.deliveries.list(campaign_id=test.record.id, having=("accepted", "unknown"))
        return min((naive(audience.send_at) for audience in sent), default=None)

    def _assigned(
        self,
        record: CampaignRecord,
        tables: MeasuredTables,
        told: datetime | None,
        night: date | None,
        period: Period | None,
    ) -> CampaignTest:
        """Who belongs to a campaign's test; what they did isn't known yet."""
        tested = self._tested(record, tables, night, period)
        since = None if period is None else period[0]
        assignment = assign(tested, days=measured_days(record.campaign), night=night, since=since)
        tested = tested if night is None else tested.filter(pl.col("night") == night)
        tested = tested if since is None else tested.filter(pl.col("send_at") >= since)
        if period is not None:
            ends = pl.min_horizontal("until", pl.lit(period[1], pl.Datetime("us")))
            assignment = replace(assignment, people=assignment.people.with_columns(until=ends))
        return CampaignTest(
            record=record,
            night=night,
            period=period,
            tested=tested,
            assignment=assignment,
            outcomes=pl.DataFrame(schema=OUTCOMES),
            measured_until=told,
        )

    def _tested(
        self,
        record: CampaignRecord,
        tables: MeasuredTables,
        night: date | None = None,
        period: Period | None = None,
    ) -> pl.DataFrame:
        """Everybody of the nights (up to one, or to the end of a period) that went out, with TESTED_ROWS."""
        columns = ("customer_id", "night", "variant", "role", "status", "send_at", "last_send_at")
        audiences = [
            audience
            for audience in self._store.deliveries.list(campaign_id=record.id)
            if (night is None or audience.run_date <= night) and (period is None or naive(audience.send_at) < period[1])
        ]
        tested = self._contacts.rows_of(audiences, columns, but_excluded=True).rename({"last_send_at": "last"})
        utc = pl.col("send_at", "last").dt.replace_time_zone(None)
        rows = tables.by_person(tested.lazy()).with_columns(pl.col("role").cast(pl.String), utc).collect()
        went_out = rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(RECEIVED))["night"].unique()
        return rows.filter(pl.col("night").is_in(went_out.implode())).select(TESTED_ROWS.names())

    def _with_given(self, campaign: Campaign, outcomes: pl.DataFrame, tested: pl.DataFrame) -> pl.DataFrame:
        """What everybody did, with the shares that their night was approved with, or drawn by."""
        approved, mixes = self._store.campaigns.approved(campaign.id), self._mixes.nights(campaign.id)
        given: dict[date, dict[str, float]] = {}
        for audience in self._store.deliveries.list(campaign_id=campaign.id):
            night = audience.run_date
            given[night] = shares_of(approved.get(audience.fingerprint, campaign))
            if night in mixes:
                given[night] = {CONTROL: given[night][CONTROL], **mixes[night].shares}
        return with_given(outcomes, tested.select("person", "night"), given, shares_of(campaign))


def shares_of(campaign: Campaign) -> dict[str, float]:
    """The share of the control group, and that of each arm among those who get the message."""
    return {CONTROL: campaign.control, **(campaign.shares or {MESSAGE: 1.0})}


def measured_days(campaign: Campaign) -> int:
    """The days of 24 hours that are measured from each message of a campaign on."""
    return campaign.measurement_days or DAYS


def _at_once(tests: Iterable[CampaignTest]) -> Iterator[list[CampaignTest]]:
    """Tests whose purchases are read together, by how many people they have."""
    some: list[CampaignTest] = []
    for test in tests:
        people = sum(one.assignment.people.height for one in some) + test.assignment.people.height
        if some and people > PEOPLE_AT_ONCE:
            yield some
            some = []
        some.append(test)
    if some:
        yield some
