"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today.

What they said when they became final is noted by a night, once.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_status import RECEIVED
from optinb.errors import OptinbError, StateError
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.effect import CONTROL
from optinb.measure.final_note import FinalCard, Measuring, ResultsTonight
from optinb.measure.noted_results import NotedResults, note_of, with_note
from optinb.measure.outcomes import HISTORY_DAYS, outcomes
from optinb.measure.result import CampaignResult, result_of
from optinb.warehouse.contract import TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord, CampaignState
    from optinb.delivery import ContactHistory, FrozenAudience
    from optinb.delivery.journal import Store
    from optinb.measure.all_results import AllResults
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
        self._notes = NotedResults(context.root)

    def of(self, campaign: str, *, night: date | None = None) -> CampaignResult:
        """What a campaign brought over all of its nights, or in one.

        Args:
            campaign: its name, without regard to case.
            night: the only one that is looked at.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        return self._with_note(self._store.campaigns.get(campaign), night)

    def all(self) -> AllResults:
        """What each campaign that went out brought over all of its nights, the one that went out last first.

        One whose audience can't be read has no figures, and says why.
        """
        from optinb.measure.all_results import AllResults

        records = {record.id: record for record in self._store.campaigns.list()}
        found = []
        for campaign_id in self._sent():
            if (record := records.get(campaign_id)) is None:
                continue
            try:
                found.append(self._with_note(record, None))
            except StateError as error:
                found.append(_untold(record, str(error), currency=self._context.settings.workspace.currency))
        return AllResults(results=tuple(found))

    def sent(self) -> tuple[str, ...]:
        """The names of the campaigns that went out, the one that went out last first."""
        names = {record.id: record.campaign.name for record in self._store.campaigns.list()}
        return tuple(names[one] for one in self._sent() if one in names)

    def _with_note(self, record: CampaignRecord, night: date | None) -> CampaignResult:
        """What a campaign brought, beside what it said when that became final."""
        result = self._now(record, night)
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
        told = self._measured_until(self._published())
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

    def _sent(self) -> dict[str, list[FrozenAudience]]:
        """What may have gone out, by the campaign's id; the campaign and the night that went out last first."""
        sent: dict[str, list[FrozenAudience]] = {}
        for audience in self._store.deliveries.list(having=("accepted", "unknown")):
            sent.setdefault(audience.of_campaign, []).append(audience)
        return sent

    def _windows(self) -> Iterator[tuple[str, CampaignRecord, dict[date, datetime]]]:
        """The campaigns with a control group that may have gone out, and when the window of each night ends (UTC)."""
        sent = self._sent()
        records = {record.id: record for record in self._store.campaigns.list()}
        compared = [one for one, of in sent.items() if one in records and any(night.waterfall.control for night in of)]
        for record in sorted(map(records.__getitem__, compared), key=lambda one: one.campaign.name):
            measured = timedelta(days=record.campaign.measurement_days or DAYS)
            windows: dict[date, datetime] = {}
            for audience in sent[record.id]:
                ends = audience.send_at.astimezone(UTC).replace(tzinfo=None) + measured
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

    def _now(self, record: CampaignRecord, night: date | None) -> CampaignResult:
        """What a campaign brought, by the tables of today."""
        days, published = record.campaign.measurement_days or DAYS, self._published()
        persons = published.table("persons") if published is not None and published.has("persons") else None
        assignment = assign(self._tested(record, persons, night), days=days, night=night)
        return result_of(
            record.campaign.name,
            assignment,
            outcomes(assignment.people, self._transactions(published, persons, assignment.people)),
            measured_until=self._measured_until(published),
            days=days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(record.campaign),
            # the same draws whenever the same nights are looked at
            seed=crc32(f"{record.id}/{' '.join(map(str, assignment.nights))}".encode()),
        )

    def _tested(self, record: CampaignRecord, persons: pl.LazyFrame | None, night: date | None) -> pl.DataFrame:
        """Everybody of the nights, or of the one, of which something went out, with TESTED."""
        found, went_out = [pl.DataFrame(schema=TESTED)], set()
        for audience in self._store.deliveries.list(campaign_id=record.id, run_date=night):
            rows = self._contacts.rows(audience, ("customer_id", "night", "variant", "role", "status"))
            if rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(RECEIVED)).height:
                went_out.add(audience.run_date)
            send_at = pl.lit(audience.send_at.astimezone(UTC).replace(tzinfo=None), dtype=TESTED["send_at"])
            ours = rows.filter(pl.col("role") != "excluded").with_columns(
                pl.col("role").cast(pl.String), send_at=send_at
            )
            found.append(_by_person(ours.lazy(), persons).select(TESTED.names()).collect())
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


def _untold(record: CampaignRecord, why: str, *, currency: str) -> CampaignResult:
    """A result without figures."""
    return CampaignResult(
        campaign=record.campaign.name,
        currency=currency,
        days=record.campaign.measurement_days or DAYS,
        nights=(),
        measured_until=None,
        final_on=None,
        customers={},
        problem=why,
    )


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
