"""Who got what: the one derivation of it, from the sealed audiences and the journal, for whoever asks.

The contact policy, rules, `why`, the card of a customer, lists of whom a message missed, forgetting and results read
this, and none of them derives it again. Rows carry the ids of then; `engine.persons` says whose they are today.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import polars as pl

from optinb.delivery.confirmation import VERDICTS, ArrivalStatus, LikelyFilter
from optinb.delivery.contact_status import COUNTING, MEANING, RECEIVED, Role
from optinb.delivery.elsewhere import must_be_here
from optinb.delivery.frozen import read_sealed
from optinb.delivery.night_statuses import CODE, STATUS, NightStatuses, overlay, statuses_of
from optinb.delivery.request import last_moment
from optinb.delivery.verdict_files import read_verdicts
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from optinb.delivery.journal import Confirmation, FrozenAudience, Store
    from optinb.delivery.night_statuses import Codes

ROLE = pl.Enum(get_args(Role))
STATUSES = pl.Series(list(MEANING), dtype=STATUS)

# A row for every customer of every campaign and night, and for each message that they got of it. `night` scheduled it,
# `day` is that of sending; `reason` is why somebody was excluded; `place` counts the recipients of a message from 0, in
# the order of their batches; `variant` is the one whose message a recipient got; the status of controls is that of the
# night: the furthest of all messages. `send_at` is when the first of a message get it, and `last_send_at` when the last
# do, which is later on the customers' own clocks. Times are in UTC.
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
        "last_send_at": pl.Datetime("us", "UTC"),
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
        return self._rows([audience], columns, as_accepted=as_accepted)

    def rows_of(
        self, audiences: Sequence[FrozenAudience], columns: Collection[str] = WHO, *, but_excluded: bool = False
    ) -> pl.DataFrame:
        """The same of several messages, one after the other: the journal is asked about all of them at once.

        Args:
            audiences: of the messages.
            columns: those of HISTORY that are wanted; nothing is read for others.
            but_excluded: whether customers who were excluded are left out.

        Raises:
            StateError: as `rows`.
        """
        return self._rows(audiences, columns, but_excluded=but_excluded)

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
        audiences = self._store.deliveries.list()
        for audience, known in zip(audiences, statuses_of(self._store, audiences), strict=True):
            contacts = self._contacts_of(audience, known)
            found.setdefault((audience.of_campaign, audience.run_date), []).append(contacts)
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

    def _contacts_of(self, audience: FrozenAudience, known: NightStatuses) -> pl.DataFrame:
        if not MEANING[known.of_night].received:
            return pl.DataFrame(schema=CONTACTS)
        key = (audience.sha256, audience.clock, known.mark)
        kept, frame = self._contacts.get(audience.night, (None, None))
        if frame is None or kept != key:
            rows = self._rows([audience], (*WHO, "campaign", "day", "place"), [known])
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

    def _rows(
        self,
        audiences: Sequence[FrozenAudience],
        columns: Collection[str],
        statuses: Sequence[NightStatuses] | None = None,
        *,
        as_accepted: bool = False,
        but_excluded: bool = False,
    ) -> pl.DataFrame:
        delivered = {"outcome", *({"customer_id", "external_user_id", "reason", "properties"} & set(columns))}
        if not audiences:
            return pl.DataFrame(schema={name: dtype for name, dtype in HISTORY.items() if name in columns})
        if statuses is None and not {"status", "dispatch_id"}.isdisjoint(columns):
            statuses = statuses_of(self._store, audiences, as_accepted=as_accepted)
        files = []
        for audience in audiences:
            must_be_here(self._store, audience, self._root)
            files.append(_sealed(self._root, audience, sorted(delivered), but_excluded=but_excluded))
        heights = [file.height for file in files]
        ends = list(accumulate(heights))
        spans = [slice(end - height, end) for end, height in zip(ends, heights, strict=True)]
        file = files[0] if len(files) == 1 else pl.concat(files)
        is_sent = (file["outcome"] == "recipient").to_numpy()
        of = np.repeat(np.arange(len(audiences), dtype=np.uint32), heights)
        parts: dict[str, Callable[[], pl.Series]] = {
            "role": lambda: file["outcome"].cast(ROLE),
            "status": lambda: STATUSES.gather(self._codes(audiences, statuses or (), spans, is_sent)),
            "place": lambda: _where(is_sent, _places(is_sent, spans)),
            "dispatch_id": lambda: _dispatches(statuses or (), spans, is_sent),
            "variant": lambda: _where(is_sent, told("variant", [one.variant for one in audiences])),
            "campaign_id": lambda: told("campaign_id", [one.of_campaign for one in audiences]),
            "campaign": lambda: told("campaign", [one.campaign_name for one in audiences]),
            "night": lambda: told("night", [one.run_date for one in audiences]),
            "day": lambda: told("day", [sending_day(one) for one in audiences]),
            "send_at": lambda: told("send_at", [one.send_at for one in audiences]),
            "last_send_at": lambda: told("last_send_at", [last_moment(one) for one in audiences]),
        }

        def told(name: str, values: Sequence[object]) -> pl.Series:
            return pl.Series(name, values, dtype=HISTORY[name]).gather(of)

        return pl.DataFrame(
            [(parts[name]() if name in parts else file[name]).alias(name) for name in HISTORY if name in columns]
        )

    def _codes(
        self,
        audiences: Sequence[FrozenAudience],
        statuses: Sequence[NightStatuses],
        spans: Sequence[slice],
        is_sent: NDArray[np.bool_],
    ) -> Codes:
        """The status of each row, by its code."""
        codes = np.empty(len(is_sent), np.uint8)
        for audience, known, span in zip(audiences, statuses, spans, strict=True):
            mine = is_sent[span]
            sent = known.codes(int(mine.sum()), partial(self._recipients, audience))
            if known.asked is not None:
                overlay(sent, self._verdicts(known.asked, audience))
            codes[span] = CODE[known.of_night]
            codes[span][mine] = sent
        return codes

    def _recipients(self, audience: FrozenAudience) -> pl.Series:
        """The external user ids of a message's recipients, in their order."""
        file = _sealed(self._root, audience, ["external_user_id", "outcome"])
        return file.filter(pl.col("outcome") == "recipient")["external_user_id"]


def _places(is_sent: NDArray[np.bool_], spans: Sequence[slice]) -> pl.Series:
    """The place of each recipient among those of their message."""
    places = [np.cumsum(is_sent[span], dtype=np.uint32) - np.uint32(1) for span in spans]
    return pl.Series("place", np.concatenate(places))


def _dispatches(statuses: Sequence[NightStatuses], spans: Sequence[slice], is_sent: NDArray[np.bool_]) -> pl.Series:
    """The dispatch_id of each row."""
    found = np.full(len(is_sent), None, dtype=object)
    for known, span in zip(statuses, spans, strict=True):
        mine = is_sent[span]
        found[span][mine] = known.dispatches(int(mine.sum()))
    return pl.Series("dispatch_id", found.tolist(), dtype=pl.String)


def _where(is_it: NDArray[np.bool_], values: pl.Series) -> pl.Series:
    """The values where it is so, and nothing elsewhere."""
    return pl.select(pl.when(pl.Series(is_it)).then(values)).to_series()


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The contacts (CONTACTS) of a campaign's night from those of its messages: each customer's outcomes once."""
    if len(frames) == 1:
        return frames[0]
    rows = pl.concat(frames).unique(maintain_order=True)
    opened = rows.filter(pl.col("outcome") == "opened").with_columns(outcome=pl.lit("not_opened"))
    return rows.join(opened, on=CONTACTS.names(), how="anti", nulls_equal=True, maintain_order="left")


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


def _sealed(root: Path, audience: FrozenAudience, columns: list[str], *, but_excluded: bool = False) -> pl.DataFrame:
    """Some columns of a frozen audience whose seal is whole. Raises StateError."""
    path, of = root / audience.path, f"{audience.campaign_name!r} reached on {audience.run_date}"
    lost = f"so that nobody knows whom {of}; restore it from a copy"
    why = f"the frozen audience {path}"
    where = pl.col("outcome") != "excluded" if but_excluded else None
    return read_sealed(path, audience.sha256, columns=columns, where=where, why=lambda what: f"{why} {what}, {lost}")
