"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import polars as pl
from msgspec.structs import replace

from optinb.delivery.contact_history import STATUS
from optinb.delivery.contact_status import RECEIVED
from optinb.measure.afterwards import active_at_end, did_event
from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.breakdown import parts_of, variants_compared
from optinb.measure.effect import CONTROL
from optinb.measure.known_before import known_before
from optinb.measure.measured_tables import MeasuredTables
from optinb.measure.outcomes import outcomes
from optinb.measure.reached import reached
from optinb.measure.result import CampaignResult, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date, datetime

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
    from optinb.measure.redeemed import CampaignRedemptions
    from optinb.warehouse import Snapshot

DAYS = 14
"""That are measured of a campaign which says nothing of it."""


class CampaignResults:
    """Finds out what campaigns brought. Nothing of it is kept: it follows the tables."""

    def __init__(
        self,
        context: Context,
        store: Store,
        contacts: ContactHistory,
        *,
        published: Callable[[], Snapshot | None],
        as_of: Callable[[date], Snapshot],
        redemptions: Callable[[str], CampaignRedemptions | None],
    ) -> None:
        """Args.

        `published`: the version whose purchases are read, None before the first import; `as_of`: that of a night, while
        it is kept; `redemptions`: what became of a campaign's offer, by its name.
        """
        self._context, self._store, self._contacts, self._published = context, store, contacts, published
        self._as_of, self._redemptions = as_of, redemptions

    def of(
        self, campaign: str, *, night: date | None = None, event: str | None = None, parts: bool = False
    ) -> CampaignResult:
        """What a campaign brought over all of its nights, or in one.

        Args:
            campaign: its name, without regard to case.
            night: the only one that is looked at.
            event: the name of an event that is counted, too.
            parts: whether it is looked at by platform, stage and micro-segment, too.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
            UsageError: with the nearest name, for an event that nobody delivered.
        """
        record = self._store.campaigns.get(campaign)
        days, tables = record.campaign.measurement_days or DAYS, MeasuredTables(self._context, self._published())
        tested = self._tested(record, tables)
        assignment = assign(tested, days=days, night=night)
        people, nights = assignment.people, assignment.nights
        found = outcomes(people, tables.transactions(people))
        if event is not None:
            found = found.with_columns(event=did_event(people, tables.events(people, event)))
        if (active := _active(people, tables)) is not None:
            found = found.with_columns(active=active)
        # the same draws whenever the same is looked at
        seed = crc32(f"{record.id}/{night or ''}".encode())
        result = result_of(
            record.campaign.name,
            assignment,
            found,
            measured_until=tables.measured_until(),
            days=days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(record.campaign),
            seed=seed,
            recurs=record.campaign.schedule.every is not None and night is None,
            gone=tables.gone(people),
            stale=tables.why_stale(assignment.until),
            alarm=self._alarm(record, nights),
            reached=reached(tested.filter(pl.col("night").is_in(nights)), people),
            event=event or "",
        )
        if not result.arms:
            return result
        offer = self._redemptions(record.campaign.name)
        if offer is not None and night is not None:
            offer = replace(offer, nights=tuple(one for one in offer.nights if one.night == night))
        return self._apart(record, replace(result, offer=offer), found, tables, seed=seed, parts=parts)

    def _apart(
        self,
        record: CampaignRecord,
        result: CampaignResult,
        found: pl.DataFrame,
        tables: MeasuredTables,
        *,
        seed: int,
        parts: bool,
    ) -> CampaignResult:
        """A result with what was brought by day, by variant and, where it is wanted, by part of the customers."""
        planned, sent = result.planned, found["since"].unique().to_list()
        on = pl.col("since").replace_strict(sent, list(map(tables.day_of, sent)), return_dtype=pl.Date)
        found = found.with_columns(day=on)
        if len(result.nights) > 1:
            over = found.filter(pl.col("until") <= result.measured_until)  # the others are looked at every night
            by_day = parts_of(over, [("first day", over["day"])], planned=planned, seed=seed)
            result = replace(result, by_day=by_day)
        if not result.is_final:
            wait = ("by platform, stage and micro-segment it is told once it is final",)
            return replace(result, untold=wait) if parts else result
        result = replace(result, variants=variants_compared(found, planned=planned, seed=seed))
        if not parts:
            return result
        group = self._context.settings.app_group(record.campaign.app_group)
        known, untold = known_before(found, tables, as_of=self._as_of, apps=group.apps)
        return replace(result, parts=parts_of(found, known, planned=planned, seed=seed), untold=untold)

    def _tested(self, record: CampaignRecord, tables: MeasuredTables) -> pl.DataFrame:
        """Everybody of the nights of which something went out, with TESTED and `status`."""
        schema = {**TESTED, "status": STATUS}
        found, went_out = [pl.DataFrame(schema=schema)], set()
        for audience in self._store.deliveries.list(campaign_id=record.id):
            rows = self._contacts.rows(audience, ("customer_id", "night", "variant", "role", "status"))
            if rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(RECEIVED)).height:
                went_out.add(audience.run_date)
            send_at = pl.lit(audience.send_at.astimezone(UTC).replace(tzinfo=None), dtype=TESTED["send_at"])
            ours = rows.filter(pl.col("role") != "excluded").with_columns(
                pl.col("role").cast(pl.String), send_at=send_at
            )
            found.append(tables.by_person(ours.lazy()).select([*schema]).collect())
        return pl.concat(found).filter(pl.col("night").is_in(sorted(went_out)))

    def _alarm(self, record: CampaignRecord, nights: Collection[date]) -> str:
        """What Appboy's answers say is wrong with the templates of some nights, each sentence once."""
        audiences = (one for one in self._store.deliveries.list(campaign_id=record.id) if one.run_date in nights)
        asked = (self._store.confirmations.newest(*audience.night) for audience in audiences)
        return "; ".join(dict.fromkeys(one.counts.alarm for one in asked if one is not None and one.counts.alarm))


def _active(people: pl.DataFrame, tables: MeasuredTables) -> pl.Series | None:
    """Whether each is active at the end of their window; None until that is told of all."""
    told = tables.measured_until()
    ends: list[datetime] = people["until"].unique().sort().to_list()
    if told is None or not ends or ends[-1] > told:
        return None
    # purchases up to the end come with the next day's delivery
    days = {end: tables.day_of(end - timedelta(microseconds=1)) + timedelta(days=1) for end in ends}
    states = tables.states(sorted(set(days.values())))
    return None if states is None else active_at_end(people, states, days)


def _planned(campaign: Campaign) -> dict[str, float]:
    """The share of each arm."""
    rest = 1 - campaign.control
    arms = {name: rest * share for name, share in campaign.shares.items()} if campaign.variants else {MESSAGE: rest}
    return {CONTROL: campaign.control, **arms}
