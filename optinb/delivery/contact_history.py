"""Who got what: the one derivation of it, from the sealed audiences and the journal, for whoever asks.

The contact policy, rules, `why`, the card of a customer, lists of whom a message missed, forgetting and results read
this, and none of them derives it again. Rows carry the ids of then; `engine.persons` says whose they are today.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import polars as pl

from optinb.delivery.confirmation import VERDICTS, ArrivalStatus, LikelyFilter
from optinb.delivery.contact_status import (
    COUNTING,
    MEANING,
    RECEIVED,
    WHEN_ASKED,
    Role,
    Status,
    status_of,
    status_of_night,
)
from optinb.delivery.elsewhere import must_be_here
from optinb.delivery.frozen import read_sealed
from optinb.delivery.journal import Accepted, Batch, FrozenAudience, Settlement, Store, Verdict
from optinb.delivery.verdict_files import read_verdicts
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from optinb.delivery.journal import Confirmation
    from optinb.delivery.journal.rows import StateName

    Codes = NDArray[np.uint8]

STATUS, ROLE = pl.Enum(list(MEANING)), pl.Enum(get_args(Role))
_STATUSES = pl.Series(list(MEANING), dtype=STATUS)
_CODE = {status: np.uint8(code) for code, status in enumerate(MEANING)}
_TOLD = {status: int(_CODE[status]) for status in WHEN_ASKED}

# A row for every customer of every campaign and night, and for each message that they got of it. `night` scheduled it,
# `day` is that of sending; `reason` is why somebody was excluded; `place` counts the recipients of a message from 0, in
# the order of their batches; `variant` is the one whose message a recipient got; the status of controls is that of the
# night: the furthest of all messages. Times are in UTC.
HISTORY = pl.Schema(
    {
        "campaign_id": pl.String,
        "campaign": pl.String,
        "night": pl.Date,
        "day": pl.Date,
        "customer_id": pl.String,
        "external_user_id": pl.String,
        "variant": pl.String,
        "role": ROLE,
        "reason": pl.String,
        "status": STATUS,
        "send_at": pl.Datetime("us", "UTC"),
        "dispatch_id": pl.String,
        "place": pl.UInt32,
        "properties": pl.String,
    }
)
WHO = ("customer_id", "external_user_id", "role", "status")
"""The columns that most readers need."""
CONTACTS = pl.Schema(
    {
        "customer_id": pl.String,
        "external_user_id": pl.String,
        "campaign": pl.String,
        "day": pl.Date,
        "outcome": pl.String,
    }
)


class ArrivalVerdict(NamedTuple):
    """What Appboy said of a recipient whose request it accepted, and what likely kept the message from them."""

    status: ArrivalStatus
    kept_by: LikelyFilter | None
    opened: bool


class ContactHistory:
    """The contact history of a workspace. Each night is read when it's asked for, from a file whose seal is whole."""

    def __init__(self, root: Path, store: Store) -> None:
        self._root, self._store = root, store
        self._contacts: dict[tuple[str, date], tuple[object, pl.DataFrame]] = {}

    def reopen(self) -> None:
        """Lets go of what was read."""
        self._contacts.clear()

    def nights(self, *, since: date | None = None, run_date: date | None = None) -> tuple[FrozenAudience, ...]:
        """What was frozen (in the nights from `since` on, or in one), the newest night first, each message apart."""
        found = self._store.deliveries.list(run_date=run_date)
        return tuple(audience for audience in found if since is None or audience.run_date >= since)

    def rows(
        self, audience: FrozenAudience, columns: Collection[str] = WHO, *, as_accepted: bool = False
    ) -> pl.DataFrame:
        """Some columns of HISTORY for everybody of a message of a campaign's night, in the order of its file.

        `as_accepted`: as if Appboy hadn't been asked about it. Raises StateError when the frozen audience, or what
        Appboy said of it, can't be read, or was changed since.
        """
        journal = _Journal(self._store, audience)
        if as_accepted:
            journal.asked = None
        return self._rows(audience, columns, journal)

    def of_person(self, audience: FrozenAudience, ids: Collection[str], external_ids: Collection[str]) -> pl.DataFrame:
        """The rows (HISTORY) of whoever had one of some ids, or one of some external user ids, then."""
        rows = self.rows(audience, HISTORY.names())
        return rows.filter(_has("customer_id", ids) | _has("external_user_id", external_ids))

    def table(self) -> pl.DataFrame:
        """What rules ask about, with CONTACTS: who received what, and who was held out from it.

        `outcome` is "received" where Appboy accepted the request that the customer was in and doesn't say that the
        message was filtered, or said later that it arrived, and "in_control" for those held out from a night of which
        that is so of somebody. Of those whom Appboy was asked about and whom it reached, a second row says "opened" or
        "not_opened". Who got two messages of a night received it once, and opened it where one was. An audience never
        changes, so that each is read once for as long as nothing more is known of it.
        """
        found: dict[tuple[str, date], list[pl.DataFrame]] = {}
        for audience in self._store.deliveries.list():
            found.setdefault((audience.of_campaign, audience.run_date), []).append(self._contacts_of(audience))
        nights = [_together(frames) for frames in found.values()]
        return pl.concat(nights) if nights else pl.DataFrame(schema=CONTACTS)

    def verdicts(self, audience: FrozenAudience) -> pl.DataFrame:
        """What Appboy said of the recipients of a night (VERDICTS), a row for each that it was asked about.

        Raises:
            StateError: when that file can't be read, or was changed since.
        """
        asked = self._store.confirmations.newest(*audience.night)
        return pl.DataFrame(schema=VERDICTS) if asked is None else self._verdicts(asked, audience)

    def verdict_on(self, audience: FrozenAudience, place: int) -> ArrivalVerdict | None:
        """What Appboy said of the recipient at a place of a night; None where it wasn't asked about them.

        Raises:
            StateError: when that file can't be read, or was changed since.
        """
        mine = self.verdicts(audience).filter(pl.col("place") == place)
        for row in mine.iter_rows(named=True):
            return ArrivalVerdict(row["status"], row["filter"], bool(row["opened"]))
        return None

    def campaigns(self) -> frozenset[str]:
        """The names of all campaigns."""
        sent = {audience.campaign_name for audience in self._store.deliveries.list()}
        return frozenset(sent | {record.campaign.name for record in self._store.campaigns.list()})

    def _contacts_of(self, audience: FrozenAudience) -> pl.DataFrame:
        journal = _Journal(self._store, audience)
        if not MEANING[journal.of_night].received:
            return pl.DataFrame(schema=CONTACTS)
        key = (audience.sha256, audience.clock, journal.mark)
        kept, frame = self._contacts.get(audience.night, (None, None))
        if frame is None or kept != key:
            rows = self._rows(audience, (*WHO, "campaign", "day", "place"), journal)
            rows = rows.filter(pl.col("status").is_in(RECEIVED), pl.col("role") != "excluded")
            is_sent = pl.col("role") == "recipient"
            outcome = pl.when(is_sent).then(pl.lit("received")).otherwise(pl.lit("in_control"))
            found = [rows.with_columns(outcome=outcome), rows.join(_opens(self.verdicts(audience)), on="place")]
            frame = pl.concat([part.select(CONTACTS.names()) for part in found])
            self._contacts[audience.night] = key, frame
        return frame

    def _verdicts(self, asked: Confirmation, audience: FrozenAudience) -> pl.DataFrame:
        """The verdicts of a confirmation, or of the newer one whose registration has removed its file meanwhile."""
        try:
            return read_verdicts(asked, audience, root=self._root)
        except StateError:
            newest = self._store.confirmations.newest(*audience.night)
            if newest is None or newest.version == asked.version:
                raise
            return read_verdicts(newest, audience, root=self._root)

    def _rows(self, audience: FrozenAudience, columns: Collection[str], journal: _Journal) -> pl.DataFrame:
        delivered = {"external_user_id", "outcome", *({"customer_id", "reason", "properties"} & set(columns))}
        must_be_here(self._store, audience, self._root)
        file = _sealed(self._root, audience, sorted(delivered))
        is_sent = (file["outcome"] == "recipient").to_numpy()
        places = np.cumsum(is_sent, dtype=np.uint32) - np.uint32(1)
        codes = np.full(file.height, _CODE[journal.of_night], np.uint8)
        sent = journal.codes(file["external_user_id"].filter(pl.Series(is_sent)))
        if journal.asked is not None:
            _overlay(sent, self._verdicts(journal.asked, audience))
        codes[is_sent] = sent
        told = {
            "campaign_id": audience.of_campaign,
            "campaign": audience.campaign_name,
            "night": audience.run_date,
            "day": sending_day(audience),
            "send_at": audience.send_at,
        }
        parts: dict[str, Callable[[], pl.Series]] = {
            "role": lambda: file["outcome"].cast(ROLE),
            "status": lambda: _STATUSES.gather(codes),
            "place": lambda: pl.select(pl.when(pl.Series(is_sent)).then(pl.Series(places))).to_series(),
            "dispatch_id": lambda: journal.dispatches(is_sent),
            "variant": lambda: pl.select(
                pl.when(pl.Series(is_sent)).then(pl.lit(audience.variant, pl.String))
            ).to_series(),
        }
        found = [
            parts[name]().alias(name)
            if name in parts
            else pl.repeat(told[name], file.height, dtype=dtype, eager=True).alias(name)
            if name in told
            else file[name]
            for name, dtype in HISTORY.items()
            if name in columns
        ]
        return pl.DataFrame(found)


class _Journal:
    """What the journal says of a night: the state that most of its batches are in, and the others one by one.

    The first message of a campaign knows of the others, too: its file tells of the control group of all of them.
    """

    def __init__(self, store: Store, audience: FrozenAudience) -> None:
        self._store, self._audience = store, audience
        counts = store.deliveries.states(*audience.night)
        # a night may have many thousand batches, nearly all of them in one state
        told: list[StateName] = [state for state in counts if state != "unknown"]
        usual = max(told, key=counts.__getitem__) if told else None
        first = store.deliveries.batches(*audience.night, state=usual, limit=1) if usual else ()
        self._usual: Status | None = status_of(first[0].state) if first else None
        self._others = [
            batch
            for state in sorted(counts.keys() - {usual})
            for batch in store.deliveries.batches(*audience.night, state=state)
        ]
        one_by_one = tuple((batch.first, status_of(batch.state), batch.settlement) for batch in self._others)
        self.asked: Confirmation | None = store.confirmations.newest(*audience.night)
        version = (self.asked.version, self.asked.sha256) if self.asked else None
        messages = () if audience.number else store.deliveries.messages(*audience.night)
        self._beside = [_Journal(store, other) for other in messages if other.number]
        self.mark: tuple[object, ...] = (tuple(sorted(counts.items())), one_by_one, version)
        self.mark += tuple(other.mark for other in self._beside)

    @property
    def of_night(self) -> Status:
        """The status of the control group."""
        return status_of_night([*self._statuses(), *(status for one in self._beside for status in one._statuses())])

    def _statuses(self) -> set[Status]:
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

    def codes(self, external_ids: pl.Series) -> Codes:
        """The status of each recipient, in their order."""
        codes = np.full(len(external_ids), _CODE[self._usual or "planned"], np.uint8)
        for batch in self._others:
            span = slice(batch.first, batch.first + batch.size)
            codes[span] = _CODE[status_of(batch.state)]
            if batch.settlement is not None:
                said = _verdicts(batch.settlement)
                codes[span] = [_CODE[status_of(batch.state, said.get(user))] for user in external_ids[span].to_list()]
        return codes

    def dispatches(self, is_sent: NDArray[np.bool_]) -> pl.Series:
        """The dispatch_id of each row."""
        ids: list[str | None] = [None] * int(is_sent.sum())
        for batch in self._store.deliveries.batches(*self._audience.night, state="accepted"):
            if isinstance(batch.state, Accepted):
                ids[batch.first : batch.first + batch.size] = [batch.state.dispatch_id] * batch.size
        found = np.full(len(is_sent), None, dtype=object)
        found[is_sent] = ids
        return pl.Series("dispatch_id", found.tolist(), dtype=pl.String)


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The contacts (CONTACTS) of a campaign's night from those of its messages: each customer's outcomes once."""
    if len(frames) == 1:
        return frames[0]
    rows = pl.concat(frames).unique(maintain_order=True)
    opened = rows.filter(pl.col("outcome") == "opened").with_columns(outcome=pl.lit("not_opened"))
    return rows.join(opened, on=CONTACTS.names(), how="anti", nulls_equal=True, maintain_order="left")


def _overlay(codes: Codes, verdicts: pl.DataFrame) -> None:
    """Puts what Appboy said of recipients in place of the plain "accepted", and of nothing else."""
    places = verdicts["place"].to_numpy()
    if len(places) and places.max() >= len(codes):
        raise StateError("what Appboy said of a night is of another one; ask again with `optinb confirm --date DATE`")
    told = verdicts["status"].cast(pl.String).replace_strict(_TOLD, return_dtype=pl.UInt8).to_numpy()
    is_accepted = codes[places] == _CODE["accepted"]
    codes[places[is_accepted]] = told[is_accepted]


def _opens(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Of each place that the message certainly reached: the outcome that says whether its push was opened so far."""
    told = verdicts.filter(pl.col("status") == "confirmed", pl.col("opened").is_not_null())
    return told.select("place", outcome=pl.when("opened").then(pl.lit("opened")).otherwise(pl.lit("not_opened")))


def sending_day(audience: FrozenAudience) -> date:
    """The day on which the messages of a night go out; on the customers' own clocks it's the next one."""
    return audience.run_date + timedelta(days=0 if audience.clock == "workspace" else 1)


def counting(rows: pl.DataFrame, role: Role) -> pl.DataFrame:
    """Those of some rows (WHO) in a role whom the contact policy counts."""
    found = rows.filter(pl.col("role") == role, pl.col("status").is_in(COUNTING))
    return found.select("customer_id", "external_user_id")


def _has(column: str, values: Collection[str]) -> pl.Expr:
    return pl.col(column).is_in(pl.Series(sorted(values), dtype=pl.String).implode()).fill_null(False)


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


def _sealed(root: Path, audience: FrozenAudience, columns: list[str]) -> pl.DataFrame:
    """Some columns of a frozen audience whose seal is whole. Raises StateError."""
    path, of = root / audience.path, f"{audience.campaign_name!r} reached on {audience.run_date}"
    lost = f"so that nobody knows whom {of}; restore it from a copy"
    why = f"the frozen audience {path}"
    return read_sealed(path, audience.sha256, columns=columns, why=lambda what: f"{why} {what}, {lost}")
