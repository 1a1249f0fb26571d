"""What becomes final tonight: each result's figures of that moment are noted once, for whoever asks what changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from optinb.delivery.request import last_moment
from optinb.errors import OptinbError
from optinb.measure.campaign_results import ENDED
from optinb.measure.campaign_tests import measured_days
from optinb.measure.final_note import FinalCard, Measuring, ResultsTonight
from optinb.measure.measured_tables import naive
from optinb.measure.noted_results import NotedResults, note_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from optinb.base.context import Context
    from optinb.campaigns import CampaignRecord
    from optinb.delivery.journal import Store
    from optinb.measure.campaign_results import CampaignResults
    from optinb.measure.campaign_tests import CampaignTests
    from optinb.warehouse import Snapshot

LATELY = timedelta(days=28)
"""Before the newest delivery, within which a window must have ended for a night to note what the result said."""


class FinalResults:
    """Finds which results became final, and notes what they said then."""

    def __init__(
        self,
        context: Context,
        store: Store,
        tests: CampaignTests,
        results: CampaignResults,
        *,
        published: Callable[[], Snapshot | None],
    ) -> None:
        """Args: `published`: the version that results are told by, None before the first import."""
        self._context, self._store, self._tests, self._results = context, store, tests, results
        self._published, self._notes = published, NotedResults(context.root)

    def tonight(self, night: date) -> ResultsTonight:
        """Which results became final since the night before, each noted once, and which campaigns still measure.

        Of a campaign that goes on each night becomes final; what all of its nights say together does once it is over.
        Only what ended lately is looked at. What fails of one campaign is told, and the others are looked at.

        Args:
            night: the one that is under way; done again, it finds the same.
        """
        told = self._tests.tables().measured_until()
        final: list[FinalCard] = []
        measuring: list[Measuring] = []
        problems: list[str] = []
        for record, windows in self._windows():
            name, ends = record.campaign.name, max(windows.values())
            if told is None or ends > told:
                measuring.append(Measuring(campaign=name, until=ends.replace(tzinfo=UTC)))
            try:
                final += self._became_final(record, windows, told=told, night=night)
            except OptinbError as error:
                problems.append(f"{name!r}: {error}")
        measuring.sort(key=lambda one: (one.until, one.campaign))
        return ResultsTonight(final=tuple(final), measuring=tuple(measuring), problems=tuple(problems))

    def _windows(self) -> Iterator[tuple[CampaignRecord, dict[date, datetime]]]:
        """The campaigns with a control group that may have gone out, and when the window of each night ends (UTC)."""
        sent = self._results.went_out()
        records = {record.id: record for record in self._store.campaigns.list()}
        compared = [one for one, of in sent.items() if one in records and any(night.waterfall.control for night in of)]
        for record in sorted(map(records.__getitem__, compared), key=lambda one: one.campaign.name):
            measured = timedelta(days=measured_days(record.campaign))
            windows: dict[date, datetime] = {}
            for audience in sent[record.id]:
                ends = naive(last_moment(audience)) + measured
                windows[audience.run_date] = max(ends, windows.get(audience.run_date, ends))
            yield record, windows

    def _became_final(
        self, record: CampaignRecord, windows: dict[date, datetime], *, told: datetime | None, night: date
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
        published, now = self._published(), self._context.now()
        version = published.version if published is not None else None
        results = (self._results.result(self._tests.of(record, night=one)) for one in asked)
        found = [note_of(result, night=night, now=now, version=version) for result in results]
        # a night that turned out to have reached nobody leaves a result of the others, which is known already
        if fresh := [note for note in found if note is not None and note.nights not in known]:
            self._notes.add(record.id, fresh)
        notes = [*(note for note in known.values() if note.night == night), *fresh]
        several, name = len(windows) > 1, record.campaign.name
        return [FinalCard(campaign=name, note=one, is_one_of_several=several and len(one.nights) == 1) for one in notes]
