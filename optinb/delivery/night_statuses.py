"""What became of everybody of a campaign's night, by the journal and by what Appboy said when it was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.campaigns.messages import campaign_of
from optinb.delivery.contact_status import MEANING, WHEN_ASKED, Status, status_named, status_of, status_of_night
from optinb.delivery.journal import Accepted, Batch, FrozenAudience, Settlement, Store, Verdict
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from optinb.delivery.journal import Confirmation, StateName

    Codes = NDArray[np.uint8]
    Night = tuple[str, date]

STATUS = pl.Enum(list(MEANING))
CODE = {status: np.uint8(code) for code, status in enumerate(MEANING)}
"""Of each status in STATUS."""
_TOLD = {status: int(CODE[status]) for status in WHEN_ASKED}


def statuses_of(store: Store, audiences: Sequence[FrozenAudience], *, as_accepted: bool = False) -> list[NightStatuses]:
    """What became of some messages of campaigns' nights, in their order; the journal is asked about all at once.

    `as_accepted`: as if Appboy hadn't been asked about them.
    """
    if not audiences:
        return []
    nights = [audience.run_date for audience in audiences]
    campaigns = {audience.of_campaign for audience in audiences}
    # of several campaigns all that lies between their nights costs less than a question for each
    campaign_id = campaigns.pop() if len(campaigns) == 1 else None
    counts = store.deliveries.states(since=min(nights), until=max(nights), campaign_id=campaign_id)
    said: dict[Night, Confirmation] = {}
    if not as_accepted:
        asked = store.confirmations.list(since=min(nights), until=max(nights), campaign_id=campaign_id)
        said = {one.night: one for one in asked}
    # the first message of a campaign knows of the others, too: its file tells of the control group of all of them
    messages: dict[Night, list[Night]] = {}
    for key, night in counts:
        messages.setdefault((campaign_of(key), night), []).append((key, night))
    found: dict[Night, _Batches] = {}

    def batches(night: Night) -> _Batches:
        if night not in found:
            found[night] = _Batches(store, night, counts.get(night, {}), said.get(night))
        return found[night]

    def others(audience: FrozenAudience) -> list[Night]:
        mine = [] if audience.number else messages.get(audience.night, [])
        return sorted(night for night in mine if night != audience.night)

    return [
        NightStatuses(store, batches(audience.night), [batches(night) for night in others(audience)])
        for audience in audiences
    ]


class NightStatuses:
    """What became of the recipients of a message of a campaign's night, and of the night's control group."""

    def __init__(self, store: Store, mine: _Batches, beside: Sequence[_Batches]) -> None:
        """Args: `mine`: of the message; `beside`: of the other messages whose control group its file tells of."""
        self._store, self._mine, self._all = store, mine, [mine, *beside]
        self.asked: Confirmation | None = mine.asked

    @property
    def mark(self) -> tuple[object, ...]:
        """What is another once anything more is known of the night."""
        return tuple(one.mark for one in self._all)

    @property
    def of_night(self) -> Status:
        """The status of the control group."""
        return status_of_night(status for one in self._all for status in one.statuses())

    def codes(self, count: int, external_ids: Callable[[], pl.Series]) -> Codes:
        """The status of each recipient by its code, but for what Appboy said of them.

        Args:
            count: how many there are.
            external_ids: theirs, in their order.
        """
        return self._mine.codes(count, external_ids)

    def dispatches(self, count: int) -> list[str | None]:
        """The dispatch_id of each recipient, of whom there are so many."""
        ids: list[str | None] = [None] * count
        for batch in self._store.deliveries.batches(*self._mine.night, state="accepted"):
            if isinstance(batch.state, Accepted):
                ids[batch.first : batch.first + batch.size] = [batch.state.dispatch_id] * batch.size
        return ids


class _Batches:
    """Those of a message of a night: the state that most of them are in, and the others one by one.

    A night may have many thousand, nearly all of them in one state.
    """

    def __init__(self, store: Store, night: Night, counts: Mapping[StateName, int], asked: Confirmation | None) -> None:
        self.night: Night = night
        self.asked: Confirmation | None = asked
        told: list[StateName] = [state for state in counts if state != "unknown"]
        usual = max(told, key=counts.__getitem__) if told else None
        self._usual: Status | None = status_named(usual) if usual else None
        self._others = [
            batch
            for state in sorted(counts.keys() - {usual})
            for batch in store.deliveries.batches(*night, state=state)
        ]
        one_by_one = tuple((batch.first, status_of(batch.state), batch.settlement) for batch in self._others)
        version = (asked.version, asked.sha256) if asked else None
        self.mark: tuple[object, ...] = (tuple(sorted(counts.items())), one_by_one, version)

    def statuses(self) -> set[Status]:
        """What has become of recipients."""
        usual = () if self._usual is None else (self._usual,)
        found: set[Status] = {*usual, *(status for batch in self._others for status in _statuses(batch))}
        if self.asked is not None and "accepted" in found:
            counts = self.asked.counts
            told: dict[Status, int] = {
                "confirmed": counts.confirmed,
                "unconfirmed": counts.unconfirmed,
                "filtered": counts.lost,
            }
            found |= {status for status, count in told.items() if count}
            if counts.asked >= counts.recipients:
                found.discard("accepted")  # of each of them Appboy has said more
        return found

    def codes(self, count: int, external_ids: Callable[[], pl.Series]) -> Codes:
        """As of NightStatuses."""
        codes = np.full(count, CODE[self._usual or "planned"], np.uint8)
        for batch in self._others:
            span = slice(batch.first, batch.first + batch.size)
            codes[span] = CODE[status_of(batch.state)]
            if batch.settlement is not None:
                said = _verdicts(batch.settlement)
                codes[span] = [CODE[status_of(batch.state, said.get(user))] for user in external_ids()[span].to_list()]
        return codes


def overlay(codes: Codes, verdicts: pl.DataFrame) -> None:
    """Puts what Appboy said of recipients in place of the plain "accepted", and of nothing else.

    Args:
        codes: the status of each recipient, by its code.
        verdicts: with VERDICTS, of the same message.

    Raises:
        StateError: when these are of more recipients.
    """
    places = verdicts["place"].to_numpy()
    if len(places) and places.max() >= len(codes):
        raise StateError("what Appboy said of a night is of another one; ask again with `optinb confirm --date DATE`")
    told = verdicts["status"].cast(pl.String).replace_strict(_TOLD, return_dtype=pl.UInt8).to_numpy()
    is_accepted = codes[places] == CODE["accepted"]
    codes[places[is_accepted]] = told[is_accepted]


def _statuses(batch: Batch) -> Iterator[Status]:
    said = _verdicts(batch.settlement) if batch.settlement else {}
    if len(said) < batch.size:
        yield status_of(batch.state)  # somebody of whom nothing was said
    for verdict in dict.fromkeys(said.values()):
        yield status_of(batch.state, verdict)


def _verdicts(settlement: Settlement) -> dict[str, Verdict]:
    said: dict[Verdict, tuple[str, ...]] = {"untold": settlement.untold, "missing": settlement.missing}
    said["received"] = settlement.received
    return {user: verdict for verdict, users in said.items() for user in users}
