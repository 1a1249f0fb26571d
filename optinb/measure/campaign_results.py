"""Results of a workspace's campaigns: of each what it brought, by the journal and the tables as they are today."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import replace

from optinb.errors import StateError
from optinb.measure.afterwards import active_at_end, did_event
from optinb.measure.campaign_tests import measured_days, shares_of
from optinb.measure.effect import CONTROL
from optinb.measure.mix_files import GIVEN
from optinb.measure.noted_results import NotedResults, with_note
from optinb.measure.reached import reached
from optinb.measure.result import CampaignResult, result_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord, CampaignState
    from optinb.delivery import FrozenAudience
    from optinb.delivery.journal import Store
    from optinb.measure.all_results import AllResults
    from optinb.measure.campaign_tests import CampaignTest, CampaignTests, Period
    from optinb.measure.measured_tables import MeasuredTables
    from optinb.measure.result_details import ResultDetails

ENDED: frozenset[CampaignState] = frozenset({"done", "cancelled"})
"""The states of a campaign of which no night is to come."""


class CampaignResults:
    """Finds out what campaigns brought. It follows the tables; what it said when it became final stands beside it."""

    def __init__(self, context: Context, store: Store, tests: CampaignTests, details: ResultDetails) -> None:
        """Args: `tests`: finds who belongs to each, and what they did; `details`: looks at one more closely."""
        self._context, self._store, self._tests, self._details = context, store, tests, details
        self._notes = NotedResults(context.root)

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
        test, tables = self.test_of(campaign, night=night), self._tests.tables()
        did = _did(test, tables, event)
        result = self._result(test, did, tables, event=event or "")
        return self._with_note(test.record, self._details.of(result, test, did, tables, parts=parts))

    def of_all(self, campaigns: Iterable[str], *, period: Period | None = None) -> Iterator[CampaignResult]:
        """What each of several campaigns brought, in their order: their purchases are read together, not for each.

        Args:
            campaigns: their names, or ids.
            period: only messages from its begin on to people who got none before, and what they brought before its end.

        Raises:
            CampaignError: as for `of`.
            StateError: as for `of`.
        """
        records = map(self._store.campaigns.get, campaigns)
        yield from map(self.result, self._tests.of_all(records, period=period))

    def all(self) -> AllResults:
        """What each campaign that went out brought over all of its nights, the one that went out last first.

        One whose audience can't be read has no figures, and says why.
        """
        from optinb.measure.all_results import AllResults

        records = {record.id: record for record in self._store.campaigns.list()}
        return AllResults(results=tuple(self._told(records[one]) for one in self.went_out() if one in records))

    def sent(self) -> tuple[str, ...]:
        """The names of the campaigns that went out, the one that went out last first."""
        names = {record.id: record.campaign.name for record in self._store.campaigns.list()}
        return tuple(names[one] for one in self.went_out() if one in names)

    def went_out(self) -> dict[str, list[FrozenAudience]]:
        """What may have gone out, by the campaign's id; the campaign and the night that went out last first."""
        found: dict[str, list[FrozenAudience]] = {}
        for audience in self._store.deliveries.list(having=("accepted", "unknown")):
            found.setdefault(audience.of_campaign, []).append(audience)
        return found

    def test_of(self, campaign: str, *, night: date | None = None) -> CampaignTest:
        """Who belongs to the test of a campaign, and what they did; arguments and errors as of `of`."""
        return self._tests.of(self._store.campaigns.get(campaign), night=night)

    def result(self, test: CampaignTest) -> CampaignResult:
        """What a campaign brought, by the tables of today.

        Args:
            test: who belongs to it, and what they did.
        """
        tables = self._tests.tables()
        return self._result(test, _did(test, tables), tables)

    def _result(
        self, test: CampaignTest, did: pl.DataFrame, tables: MeasuredTables, *, event: str = ""
    ) -> CampaignResult:
        people = test.assignment.people
        campaign = test.record.campaign
        found = result_of(
            campaign.name,
            test.assignment,
            did,
            measured_until=test.measured_until,
            days=test.days,
            currency=self._context.settings.workspace.currency,
            planned=_planned(campaign, did),
            seed=test.seed,
            recurs=_recurs(test),
            gone=test.gone,
            stale=tables.why_stale(test.assignment.until),
            alarm=self._tests.alarm(test),
            reached=reached(test.tested.filter(pl.col("night").is_in(test.assignment.nights)), people),
            event=event,
        )
        if test.night is None or found.customers:
            return found
        nobody = (
            f"nothing of it went out in the night of {test.night}, or only to customers of earlier nights, who "
            "are told of over all nights: leave the night out"
        )
        return replace(found, problem=nobody)

    def _told(self, record: CampaignRecord) -> CampaignResult:
        try:
            return self._with_note(record, self.result(self._tests.of(record)))
        except StateError as error:
            return CampaignResult(
                campaign=record.campaign.name,
                currency=self._context.settings.workspace.currency,
                days=measured_days(record.campaign),
                nights=(),
                measured_until=None,
                final_on=None,
                customers={},
                problem=str(error),
            )

    def _with_note(self, record: CampaignRecord, result: CampaignResult) -> CampaignResult:
        """What a campaign brought, beside what it said when that became final."""
        try:
            return with_note(result, self._notes.of(record.id))
        except StateError as error:
            return replace(result, final_unknown=str(error))


def _recurs(test: CampaignTest) -> bool:
    """Whether other nights will join those that are looked at."""
    is_whole = test.night is None and test.period is None
    return is_whole and test.record.campaign.schedule.every is not None and test.record.state not in ENDED


def _did(test: CampaignTest, tables: MeasuredTables, event: str | None = None) -> pl.DataFrame:
    """What everybody of a test did, with who is active at the end, where that is known, and who did an event."""
    did, people = test.outcomes, test.assignment.people
    if event is not None:
        did = did.with_columns(event=did_event(people, tables.events(people, event)))
    active = _active(people, tables)
    return did if active is None else did.with_columns(active=active)


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


def _planned(campaign: Campaign, did: pl.DataFrame) -> dict[str, float]:
    """The share of each arm, over all nights where these had several."""
    today = shares_of(campaign)
    if (held_out := GIVEN.format(CONTROL)) not in did.columns or did.is_empty():
        rest = 1 - campaign.control
        return {name: share if name == CONTROL else rest * share for name, share in today.items()}
    rest_of_each = 1 - pl.col(held_out)
    names = [name for name in did.columns if name.startswith(GIVEN.format(""))]
    found = did.select((pl.col(name) * (1 if name == held_out else rest_of_each)).mean() for name in names)
    return {name.removeprefix(GIVEN.format("")): float(share) for name, share in found.row(0, named=True).items()}
