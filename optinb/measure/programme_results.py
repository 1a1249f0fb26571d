"""Results of a workspace's programme: by the journal, the settings and the tables as they are today."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_status import RECEIVED
from optinb.errors import UsageError
from optinb.measure.lasting_control import LastingControl, NightDraw, last_of_another_share, reached
from optinb.measure.measured_tables import MeasuredTables, naive
from optinb.measure.outcomes import outcomes
from optinb.measure.programme import CampaignPart, Programme, another_share, assigned, part_of, programme_of
from optinb.warehouse import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from optinb.base.context import Context
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import FrozenAudience, Store
    from optinb.measure.campaign_results import CampaignResults
    from optinb.segments.exclusions import Exclusion
    from optinb.warehouse import Snapshot

DAYS = 90
"""Of a period that nobody named."""
DAY = timedelta(days=1)
EARLIEST, LATEST = date.min + timedelta(days=400), date.max - timedelta(days=400)
"""Days between which there is a year before each, and a day after."""
GLOBAL_CONTROL: Exclusion = "global_control"


class ProgrammeResults:
    """Finds out what all campaigns together brought. Nothing of it is kept: it follows the tables."""

    def __init__(
        self,
        context: Context,
        store: Store,
        contacts: ContactHistory,
        campaigns: CampaignResults,
        *,
        published: Callable[[], Snapshot | None],
    ) -> None:
        """Args: `campaigns`: tells each one's result; `published`: the version whose purchases are read."""
        self._context, self._store, self._contacts = context, store, contacts
        self._campaigns, self._published = campaigns, published

    def of(self, *, since: date | None = None, until: date | None = None) -> Programme:
        """What the programme brought from one day to another, both included.

        Args:
            since: the first day; 90 days before the last one, or the first delivery, when left out.
            until: the last day; the last one that the tables tell of when left out.

        Raises:
            UsageError: for days in the wrong order, or thousands of years away.
            StateError: when a frozen audience can't be read.
        """
        published, zone = self._published(), self._context.settings.zone
        deliveries = () if published is None else published.contents.deliveries
        first = min((delivery.run_date for delivery in deliveries), default=None)
        tables = MeasuredTables(self._context, published)
        told = tables.measured_until()
        if until is None:
            until = max((d.run_date for d in deliveries), default=self._context.today()) - DAY
            until = max(until, since or first or until)
        if since is None:
            since = max(until - (DAYS - 1) * DAY, min(first or until, until))
        if since > until:
            raise UsageError(f"the period from {since} to {until} has no day: its first day comes before its last")
        if since <= EARLIEST or until >= LATEST:
            raise UsageError(
                f"the period from {since} to {until} is beyond what can be computed: name days such as 2026-06-01"
            )
        begin, end = (naive(datetime.combine(day, time.min, tzinfo=zone)) for day in (since, until + DAY))
        known = Programme(
            since=since,
            until=until,
            currency=self._context.settings.workspace.currency,
            version=None if published is None else published.version,
            computed_at=self._context.now(),
            measured_until=told,
            is_final=told is not None and told >= end,
            share=self._context.settings.policy.global_control,
        )
        sent = self._sent(begin, end)
        parts = [*self._parts({audience.of_campaign: audience.campaign_name for audience in sent}, (begin, end))]
        if problem := _nothing_told(known, first, begin):
            return programme_of(replace(known, problem=problem), None, None, parts, seed=0)
        assert published is not None
        persons = None if tables.persons is None else tables.persons.collect()
        control = LastingControl(persons, share=known.share)
        draws = [self._draw(audience, control, tables) for audience in sent]
        if known.share > 0 and (other := last_of_another_share(draws)) is not None:
            return programme_of(replace(known, problem=another_share(other, known)), None, None, parts, seed=0)
        customers = changes.customers_on(published, since, columns=["customer_id"]).collect().to_series()
        sides = control.sides(customers)
        people = assigned(sides, begin, end)
        sendings = self._store.deliveries.list(having=("accepted", "unknown"))
        first_sent = min((naive(audience.send_at) for audience in sendings), default=None)
        return programme_of(
            replace(known, received=reached(draws)),
            sides,
            outcomes(people, tables.transactions(people, known=first_sent), known=first_sent),
            parts,
            # the same draws whenever the same is looked at
            seed=crc32(f"programme/{since}/{until}".encode()),
        )

    def _sent(self, begin: datetime, end: datetime) -> list[FrozenAudience]:
        """The messages of nights that went out in the period."""
        return [audience for audience in self._store.deliveries.list() if begin <= naive(audience.send_at) < end]

    def _parts(self, names: Mapping[str, str], period: tuple[datetime, datetime]) -> Iterator[CampaignPart]:
        """What campaigns, whose names are told by their ids, added in the period."""
        known = [campaign_id for campaign_id in names if self._store.campaigns.find(campaign_id) is not None]
        yield from map(part_of, self._campaigns.of_all(known, period=period))
        for campaign_id in names.keys() - known:
            yield CampaignPart(campaign=names[campaign_id], problem="this campaign isn't known any more")

    def _draw(self, audience: FrozenAudience, control: LastingControl, tables: MeasuredTables) -> NightDraw:
        """What a night did with the lasting control group; nothing where nothing of it went out."""
        rows = self._contacts.rows(audience, ("customer_id", "role", "reason", "status"))
        left_out = pl.col("reason") == GLOBAL_CONTROL
        received = (pl.col("role") == "recipient") & pl.col("status").is_in(RECEIVED)
        judged = rows.filter((pl.col("role") != "excluded") | left_out, received.any())
        named = tables.by_person(judged.lazy()).select(
            "person", left_out=left_out.fill_null(False), received=received.fill_null(False)
        )
        return control.of_night(audience.run_date, named.collect())


def _nothing_told(known: Programme, first: date | None, begin: datetime) -> str:
    """Why nothing can be said of a period, whatever the lasting control group is."""
    if first is None or known.measured_until is None or known.measured_until <= begin:
        return "no table that was delivered so far tells of purchases in it"
    if known.since < first:
        return f"who was a customer on {known.since} isn't known, and is from the first delivery on: ask since {first}"
    return ""
