"""One campaign's night that Appboy is asked about: who is to be asked, what it told so far, and what that makes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.appboy.aborts import aborts, may_abort
from optinb.delivery.confirmation import DIFFERENCE, EVIDENCE, KNOWN, VERDICTS
from optinb.delivery.evidence import CONFIRM_FIELDS, evidence_again, evidence_of
from optinb.delivery.export_pace import ids_by_request
from optinb.delivery.filter_rules import explain
from optinb.delivery.frozen import check_frozen
from optinb.delivery.journal import UNTOLD, Accepted, Confirmation, ConfirmedCounts
from optinb.delivery.sampling import places_to_ask
from optinb.delivery.verdict_files import AskedSoFar, read_verdicts, remove_but, write_verdicts
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from optinb.appboy import Template
    from optinb.delivery.arrival_figures import AppboyCount
    from optinb.delivery.asking import Asking
    from optinb.delivery.confirmation import TemplateNight
    from optinb.delivery.journal import FrozenAudience, Store
    from optinb.delivery.reconcile import Exporter

A_PART = 200  # requests after which what was told is kept; a kill costs no more
REST = timedelta(hours=20)  # of whom there is no word yet is asked again the next night, and not sooner
_FINAL = pl.col("status") != "unconfirmed"
_CONFIRMED = pl.col("status") == "confirmed"
_UNOPENED = _CONFIRMED & ~pl.col("opened").fill_null(True)


_GOT = pl.col("evidence").cast(pl.String) == "received"


class EarlierReceipts(Struct, frozen=True, kw_only=True):
    """What was known before a night of whom Appboy would filter, by external_user_id.

    Attributes:
        had_at: when they had got the template, if Appboy confirmed it.
        may_have_had: who may have got it.
        in_vendor_control: who is on the list of Appboy's own control group; None where there is no list.
        capped: for whom a frequency cap was full; None where none is stated.
        may_be_capped: for whom it may have been.
        may_still_get: who may still have been to get the template of an earlier night when this one went out.
    """

    had_at: dict[str, datetime]
    may_have_had: frozenset[str]
    in_vendor_control: frozenset[str] | None = None
    capped: frozenset[str] | None = None
    may_be_capped: frozenset[str] = frozenset()
    may_still_get: frozenset[str] = frozenset()


class NightAsked:
    """A night, with what is known of it: files of this workspace, and its confirmations so far.

    `distrusted` are sentences about files that aren't what they were: whoever is in them counts as not asked.
    """

    def __init__(self, store: Store, audience: FrozenAudience, *, root: Path, planned: int) -> None:
        """Reads what is known.

        Args:
            store: with the journal and the confirmations.
            audience: of that night.
            root: the workspace.
            planned: of how many of its recipients Appboy is to be asked; all, or a sample.

        Raises:
            StateError: when the frozen audience isn't there or was changed.
        """
        self._store, self._root = store, root
        self.audience: FrozenAudience = audience
        self.is_moved: bool
        self.distrusted: list[str] = []
        self._version: int = store.confirmations.last_version(*audience.night)
        self.before: Confirmation | None = store.confirmations.newest(*audience.night)
        self._verdicts: pl.DataFrame = self._read_before()
        accepted, self.is_moved = _accepted(store, audience)
        drawn = places_to_ask(*audience.night, recipients=len(accepted), asked=planned)
        self._recipients: int = len(accepted)
        self._chosen = accepted[drawn.to_numpy()]
        self._so_far = AskedSoFar(audience, store.confirmations, root=root)
        if unlike := self._so_far.why_unlike():
            self.distrusted.append(unlike)

    def _read_before(self) -> pl.DataFrame:
        """The verdicts so far; none where their file was lost or changed, so that everybody is asked about again."""
        if self.before is not None:
            try:
                return read_verdicts(self.before, self.audience, root=self._root)
            except StateError as error:
                self.distrusted.append(str(error))
        return pl.DataFrame(schema=VERDICTS)

    def _is_judged_anew(self, now: datetime, turns: Iterable[datetime]) -> bool:
        """Whether a moment has come since Appboy was asked from which the same is judged otherwise."""
        return self.before is not None and any(self.before.asked_at < turn <= now for turn in turns)

    def left(self, *, now: datetime, again: bool, final_at: datetime, turns: Iterable[datetime] = ()) -> list[int]:
        """The places to ask about now, in order: those not asked yet, and later again those without a word.

        Once nothing of the night can be late any more, two are asked about once more: who hadn't opened the message, of
        whom few do after that, and who was filtered, since a first word may have come too early.

        Args:
            now: in UTC.
            again: ask at once of whom there is no word, and of whom it was that they were filtered.
            final_at: from when nothing can be late any more.
            turns: the moments from which answers are judged otherwise: what was told before one is no reason not to
                ask after it, or whoever asks in the evening would put the next morning's alarm off by a day.
        """
        rests = self._is_fresh(now) and not self._is_judged_anew(now, turns)
        known = self._verdicts if rests else self._verdicts.filter(_FINAL)
        if again:
            known = known.filter(_CONFIRMED)
        if self.before is not None and self.before.asked_at < final_at <= now:
            known = known.filter(_CONFIRMED & ~_UNOPENED)
        done = pl.concat([known["place"], self._so_far.read(now=now)["place"]])
        return np.setdiff1d(self._chosen, done.to_numpy()).tolist()

    def is_concluded(self, *, now: datetime, turns: Iterable[datetime]) -> bool:
        """Whether nothing was told that the newest version doesn't go by, and nothing is to be judged anew.

        Args:
            now: in UTC.
            turns: the moments from which the same is judged otherwise: when figures are there, and when nothing of the
                night can be late any more.
        """
        if self._is_judged_anew(now, turns):
            return False
        if self._awaits_figures and not self._is_fresh(now):
            return False
        return self._so_far.read(now=now).is_empty()

    @property
    def _awaits_figures(self) -> bool:
        """Whether losses are left open that Appboy's own count would close, and it couldn't be read."""
        if self.before is None or self.before.counts.sent is not None or self.audience.send_id is None:
            return False
        return bool(self._verdicts["missed"].count() or self.before.counts.filtered)

    def _is_fresh(self, now: datetime) -> bool:
        return self.before is not None and self.before.asked_at > now - REST

    def ask(
        self,
        asking: Asking,
        client: Exporter,
        places: list[int],
        *,
        night: TemplateNight,
        again_at: Mapping[str, datetime] | None,
        user: str,
        clock: Callable[[], datetime],
        progress: Callable[[int], None],
    ) -> int:
        """Asks about some places, and keeps what is told; returns of how many there is an answer.

        Args:
            asking: the pace; it says why not all of them were asked about.
            client: of the app group.
            places: whom to ask about.
            night: what is known of it.
            again_at: when the template went out again to whom.
            user: who asks.
            clock: the time in UTC.
            progress: called with the number of recipients asked about, again and again.

        Raises:
            StateError: when what was told can't be kept.
        """
        ids = self._column("external_user_id")
        told: list[pl.DataFrame] = []
        asked = 0
        try:
            for request in ids_by_request(places):
                users = {ids[place]: place for place in request}
                exported = asking.ask(client, users, CONFIRM_FIELDS)
                if exported is None:
                    break
                told.append(evidence_of(exported, users, replace(night, now=clock()), again_at=again_at))
                asked += len(request)
                progress(len(request))
                if len(told) >= A_PART:
                    self._so_far.keep(pl.concat(told), user=user, now=clock())
                    told = []
        finally:
            if told:
                self._so_far.keep(pl.concat(told), user=user, now=clock())
        return asked

    def conclude(
        self,
        night: TemplateNight,
        *,
        template: Template | None,
        earlier: EarlierReceipts,
        requests: int,
        alarm_of: Callable[[pl.DataFrame, ConfirmedCounts], str | None],
        user: str,
        now: datetime,
    ) -> Confirmation | None:
        """Registers what is known by now as the next version; None where nothing is.

        Args:
            night: what is known of it; `now` is this moment.
            template: as imported; None where it isn't known any more.
            earlier: who had got the template before, or may have.
            requests: that were made for this version.
            alarm_of: what is wrong with the template, by the rows (KNOWN) and the figures.
            user: who asks.
            now: in UTC.

        Raises:
            StateError: when the file can't be written.
            ConflictError: when somebody else registered a version meanwhile.
        """
        fresh = self._so_far.read(now=now)
        fresh = fresh.filter(pl.col("place").is_in(pl.Series(self._chosen, dtype=pl.UInt32).implode()))
        if fresh.is_empty() and self.before is None:
            return None
        others = evidence_again(self._verdicts.join(fresh, on="place", how="anti"))
        if self.is_moved:  # some may have got it at another time than the night's, and others are still to get it
            told = pl.when(_GOT).then("evidence").otherwise(pl.lit("untold").cast(EVIDENCE["evidence"]))
            fresh = fresh.with_columns(evidence=told)
        fresh = self._without_earlier(fresh, others, night, earlier)
        known = self._known(pl.concat([fresh, others]), template=template, earlier=earlier, time_zone=night.time_zone)
        verdicts = explain(known, night, before=self._verdicts)
        counts = self._counts(verdicts, night, requests=requests)
        counts = replace(counts, alarm=alarm_of(known, counts))
        frozen = write_verdicts(verdicts, self.audience, root=self._root)
        done = Confirmation(
            campaign_id=self.audience.campaign_id,
            run_date=self.audience.run_date,
            version=self._version + 1,
            path=frozen.path.relative_to(self._root).as_posix(),
            sha256=frozen.sha256,
            counts=counts,
            asked_by=user,
            asked_at=now,
        )
        self._store.confirmations.add(done)
        remove_but({done.path}, self.audience, root=self._root)
        return done

    def with_count(self, night: TemplateNight, counted: AppboyCount | None) -> TemplateNight:
        """What is known of the night, with Appboy's own count: the last one that could be read."""
        known = replace(night, to_ask=len(self._chosen))
        if counted is not None:
            return replace(known, sent=counted.reached, bounced=counted.bounced)
        if self.before is not None:
            return replace(known, sent=self.before.counts.sent, bounced=self.before.counts.bounced)
        return known

    def _without_earlier(
        self, fresh: pl.DataFrame, others: pl.DataFrame, night: TemplateNight, earlier: EarlierReceipts
    ) -> pl.DataFrame:
        """What Appboy tells, without receipts that may be those of an earlier night whose messages waited.

        They may where it names more customers than it counts.
        """
        named = fresh.filter(_GOT).height + others.filter(_GOT).height
        is_whole = self._recipients == len(self._chosen)
        if not is_whole or night.sent is None or night.sent >= named * (1 - DIFFERENCE):
            return fresh
        ids = self._column("external_user_id").gather(fresh["place"])
        is_open = pl.lit(_are_in(ids, earlier.may_still_get)) & _GOT
        untold = pl.lit("untold").cast(EVIDENCE["evidence"])
        return fresh.with_columns(evidence=pl.when(is_open).then(untold).otherwise("evidence"))

    def _counts(self, verdicts: pl.DataFrame, night: TemplateNight, *, requests: int) -> ConfirmedCounts:
        status = verdicts["status"].cast(pl.String)
        lost = verdicts.filter(status == "filtered")["filter"].cast(pl.String).fill_null(UNTOLD)
        by_filter = lost.value_counts(sort=True)
        return ConfirmedCounts(
            recipients=self._recipients,
            asked=verdicts.height,
            confirmed=int((status == "confirmed").sum()),
            filtered=dict(by_filter.iter_rows()),
            unconfirmed=int((status == "unconfirmed").sum()),
            planned=len(self._chosen),
            requests=requests,
            sent=night.sent,
            bounced=night.bounced,
        )

    def _known(
        self, evidence: pl.DataFrame, *, template: Template | None, earlier: EarlierReceipts, time_zone: str | None
    ) -> pl.DataFrame:
        """EVIDENCE with what optinb knew beforehand (KNOWN)."""
        known = evidence.with_columns(
            pl.lit(None, dtype=dtype).alias(name) for name, dtype in KNOWN.items() if name not in EVIDENCE
        )
        ids = self._column("external_user_id").gather(known["place"])
        known = known.with_columns(
            had_at=ids.replace_strict(earlier.had_at, default=None, return_dtype=KNOWN["had_at"]),
            may_have_had=_are_in(ids, earlier.may_have_had),
        )
        if earlier.in_vendor_control is not None:
            known = known.with_columns(in_vendor_control=_are_in(ids, earlier.in_vendor_control))
        if earlier.capped is not None:
            # a customer's day in another time zone isn't the workspace's
            is_elsewhere = pl.col("time_zone").fill_null(time_zone or "") != (time_zone or "")
            # nor does optinb know of every message, but Appboy tells of some that aren't its own
            is_beside = (pl.col("other_received") >= self.audience.send_at - timedelta(days=7)).fill_null(False)
            is_open = pl.lit(_are_in(ids, earlier.may_be_capped)) | is_beside & ~pl.lit(_are_in(ids, earlier.capped))
            known = known.with_columns(
                cap_full=pl.when(is_open | is_elsewhere)
                .then(pl.lit(None, pl.Boolean))
                .otherwise(pl.lit(_are_in(ids, earlier.capped)))
            )
        if template is not None and may_abort(template):
            known = known.with_columns(aborts=self._aborts(known, template))
        return known.select(KNOWN.names())

    def _aborts(self, known: pl.DataFrame, template: Template) -> pl.Series:
        """Whether the template's texts abort with the properties of those who didn't get it; null of others."""
        is_lost = known["evidence"].cast(pl.String) == "not_received"
        texts = self._column("properties").gather(known["place"])
        found = {
            text: aborts(template, msgspec.json.decode(text, type=dict)) for text in texts.filter(is_lost).unique()
        }
        told = [found.get(text) if lost else None for text, lost in zip(texts, is_lost, strict=True)]
        return pl.Series("aborts", told, dtype=pl.Boolean)

    def _column(self, name: str) -> pl.Series:
        """A column of the frozen audience, by the places of recipients."""
        path = self._root / self.audience.path
        check_frozen(path, self.audience.sha256)
        file = pl.read_parquet(path, columns=[name, "outcome"], glob=False)
        return file.filter(pl.col("outcome") == "recipient")[name]


def _are_in(ids: pl.Series, some: Iterable[str]) -> pl.Series:
    return ids.is_in(pl.Series(list(some), dtype=pl.String).implode())


def _accepted(store: Store, audience: FrozenAudience) -> tuple[np.ndarray, bool]:
    """The places of everybody whose request Appboy accepted, ascending, and whether any may go out at another time."""
    batches = store.deliveries.batches(*audience.night, state="accepted")
    spans = [np.arange(batch.first, batch.first + batch.size, dtype=np.uint32) for batch in batches]
    is_moved = any(isinstance(batch.state, Accepted) and batch.state.before is not None for batch in batches)
    return (np.sort(np.concatenate(spans)) if spans else np.array([], np.uint32)), is_moved
