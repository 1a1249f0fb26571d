"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today.

What they said when they became final is noted by a night, once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_history import STATUS
from optinb.delivery.contact_status import RECEIVED
from optinb.errors import OptinbError, StateError
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.effect import CONTROL
from optinb.measure.final_note import FinalCard, Measuring, ResultsTonight
from optinb.measure.mix_files import MixFiles, with_given
from optinb.measure.noted_results import NotedResults, note_of, with_note
from optinb.measure.outcomes import OUTCOMES, outcomes
from optinb.measure.purchases import by_person, measured_until, naive, persons_of, transactions_of
from optinb.measure.reached import reached
from optinb.measure.result import CampaignResult, result_of
from optinb.warehouse import table_ages
from optinb.warehouse.contract import CUSTOMERS, TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import date

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord, CampaignState
    from optinb.delivery import ContactHistory, FrozenAudience
    from optinb.delivery.journal import Store
    from optinb.measure.assignment import Assignment
    from optinb.warehouse import Snapshot

DAYS = 14
"""That are measured of a campaign which says nothing of it."""
LATELY = timedelta(days=28)
"""Before the newest delivery, within which a window must have ended for a night to note what the result said."""
ENDED: frozenset[CampaignState] = frozenset({"done", "cancelled"})


class CampaignResults:
    """Finds out what campaigns brought. It follows the tables; what it said when it became final stands beside it."""

    def __init__(
        self, context: Context, store: Store, contacts: ContactHistory, *, published: Callable[[], Snapshot | None]
    ) -> None:
        """Args: `published`: the version whose purchases are read, None before the first import."""
        self._context, self._store, self._contacts, self._published = context, store, contacts, published
        self._notes, self._mixes = NotedResults(context.root), MixFiles(context.root)

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
        result = self._now(record, night, period)
        try:
            return with_note(result, self._notes.of(record.id))
        except StateError as error:
            return replace(result, final_unknown=str(error))

    def tonight(self, night: date) -> ResultsTonight:
        """Which results became final since the night before, each noted once, and which campaigns still measure.

        Of a campaign that goes on each night becomes final; what all of its nights say together does once it is over.
        Only what ended lately is looked at. What fails of one campaign is told, and the others are looked at.

        Args:
            night: the one that is under way; done again, it finds the same.
        """
        told = measured_until(self._published(), self._context.settings.zone)
        final: list[FinalCard] = []
        measuring: list[Measuring] = []
        problems: list[str] = []
        for name, record, windows in self._windows():
            ends = max(windows.values())
            if told is None or ends > told:
                measuring.append(Measuring(campaign=name, until=ends.replace(tzinfo=UTC)))
            try:
                final += self._became_final(name, record, windows, told=told, night=night)
            except OptinbError as error:
                problems.append(f"{name!r}: {error}")
        measuring.sort(key=lambda one: (one.until, one.campaign))
        return ResultsTonight(final=tuple(final), measuring=tuple(measuring), problems=tuple(problems))

    def _windows(self) -> Iterator[tuple[str, CampaignRecord, dict[date, datetime]]]:
        """The campaigns with a control group that may have gone out, and when the window of each night ends (UTC)."""
        sent: dict[str, list[FrozenAudience]] = {}
        for audience in self._store.deliveries.list(having=("accepted", "unknown")):
            sent.setdefault(audience.of_campaign, []).append(audience)
        records = {record.id: record for record in self._store.campaigns.list()}
        compared = [one for one, of in sent.items() if one in records and any(night.waterfall.control for night in of)]
        for record in sorted(map(records.__getitem__, compared), key=lambda one: one.campaign.name):
            measured = timedelta(days=record.campaign.measurement_days or DAYS)
            windows: dict[date, datetime] = {}
            for audience in sent[record.id]:
                ends = naive(audience.send_at) + measured
                windows[audience.run_date] = max(ends, windows.get(audience.run_date, ends))
            yield record.campaign.name, record, windows

    def _became_final(
        self, name: str, record: CampaignRecord, windows: dict[date, datetime], *, told: datetime | None, night: date
    ) -> list[FinalCard]:
        """What became final of a campaign: what is noted by this night already, and what is noted now."""
        over = [one for one, ends in sorted(windows.items()) if told is not None and told - LATELY < ends <= told]
        if not over:
            return []
        known = {note.nights: note for note in self._notes.of(record.id)}
        asked: list[date | None] = [one for one in over if (one,) not in known]
        whole = tuple(sorted(windows))
        if len(whole) > 1 and whole[-1] in over and record.state in ENDED and whole not in known:
            asked.append(None)
        published = self._published()
        version = published.version if published is not None else None
        found = [
            note_of(self._now(record, one), night=night, now=self._context.now(), version=version) for one in asked
        ]
        if fresh := [note for note in found if note is not None]:
            self._notes.add(record.id, fresh)
        notes = [*(note for note in known.values() if note.night == night), *fresh]
        several = len(windows) > 1
        return [FinalCard(campaign=name, note=one, is_one_of_several=several and len(one.nights) == 1) for one in notes]

    def _now(
        self, record: CampaignRecord, night: date | None, period: tuple[datetime, datetime] | None = None
    ) -> CampaignResult:
        """What a campaign brought, by the tables of today."""
        days, published = record.campaign.measurement_days or DAYS, self._published()
        persons = persons_of(published)
        tested = self._tested(record, persons, night, period)
        assignment = assign(tested, days=days, night=night)
        if period is not None:
            ends = pl.min_horizontal("until", pl.lit(period[1], pl.Datetime("us")))
            assignment = replace(assignment, people=assignment.people.with_columns(until=ends))
        people, nights = assignment.people, assignment.nights
        return result_of(
            record.campaign.name,
            assignment,
            self._with_given(
                record.campaign,
                outcomes(people, transactions_of(published, persons, people)),
                tested.filter(pl.col("night").is_in(nights)),
            ),
            measured_until=measured_until(published, self._context.settings.zone),
            days=days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(record.campaign),
            # the same draws whenever the same nights are looked at
            seed=crc32(f"{record.id}/{' '.join(map(str, nights))}{period or ''}".encode()),
            recurs=record.campaign.schedule.every is not None and night is None,
            gone=_gone(published, persons, people),
            stale=self._why_stale(published, assignment),
            alarm=self._alarm(record, nights),
            reached=reached(tested.filter(pl.col("night").is_in(nights)), people),
        )

    def before(self, campaign: Campaign, night: date) -> tuple[pl.DataFrame, datetime | None]:
        """What everybody did who belongs to a campaign's test by the nights before one, and how far tables tell of it.

        Args:
            campaign: of one that nobody saved, nobody belongs to it.
            night: the first that doesn't count.

        Returns:
            a frame with OUTCOMES and the shares of variants, as `with_given` has them, and the time (UTC, without a
            zone).

        Raises:
            StateError: when a frozen audience, or the mix of a night, can't be read.
        """
        record, published = self._store.campaigns.find(campaign.id), self._published()
        if record is None:
            return pl.DataFrame(schema=OUTCOMES), None
        persons = persons_of(published)
        tested = self._tested(record, persons).filter(pl.col("night") < night)
        people = assign(tested, days=campaign.measurement_days or DAYS).people
        did = self._with_given(campaign, outcomes(people, transactions_of(published, persons, people)), tested)
        return did, measured_until(published, self._context.settings.zone)

    def _with_given(self, campaign: Campaign, outcomes: pl.DataFrame, tested: pl.DataFrame) -> pl.DataFrame:
        return with_given(outcomes, tested.select("person", "night"), self._mixes.nights(campaign.id), campaign.shares)

    def _tested(
        self,
        record: CampaignRecord,
        persons: pl.LazyFrame | None,
        night: date | None = None,
        period: tuple[datetime, datetime] | None = None,
    ) -> pl.DataFrame:
        """Everybody of the nights (of the one, or of a period) that went out, with TESTED and `status`."""
        schema = {**TESTED, "status": STATUS}
        found, went_out = [pl.DataFrame(schema=schema)], set()
        for audience in self._store.deliveries.list(campaign_id=record.id, run_date=night):
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
