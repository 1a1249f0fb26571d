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
from optinb.delivery.confirmation import EVIDENCE, KNOWN, VERDICTS
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
    """Who had got a template before a night, by external_user_id: when, if Appboy confirmed it, and who may have."""

    had_at: dict[str, datetime]
    may_have_had: frozenset[str]


class NightAsked:
    """A night, with what is known of it: files of this workspace, and its confirmations so far."""

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
        self.before: Confirmation | None = store.confirmations.newest(*audience.night)
        self._verdicts: pl.DataFrame = self._read_before()
        accepted, self.is_moved = _accepted(store, audience)
        drawn = places_to_ask(*audience.night, recipients=len(accepted), asked=planned)
        self._recipients: int = len(accepted)
        self._chosen = accepted[drawn.to_numpy()]
        self._so_far = AskedSoFar(audience, root=root)

    def _read_before(self) -> pl.DataFrame:
        """The verdicts so far; none where their file was lost or changed, so that everybody is asked about again."""
        if self.before is not None:
            try:
                return read_verdicts(self.before, self.audience, root=self._root)
            except StateError:
                pass
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
        return self._so_far.read(now=now).is_empty()

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
                    self._so_far.keep(pl.concat(told))
                    told = []
        finally:
            if told:
                self._so_far.keep(pl.concat(told))
        return asked

    def conclude(
        self,
        night: TemplateNight,
        *,
        template: Template | None,
        earlier: EarlierReceipts,
        requests: int,
        sent: int | None,
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
            sent: how many messages its figures say were sent.
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
        known = self._known(pl.concat([fresh, others]), template=template, earlier=earlier)
        verdicts = explain(known, night, before=self._verdicts)
        counts = self._counts(verdicts, requests=requests, sent=sent)
        counts = replace(counts, alarm=alarm_of(known, counts))
        frozen = write_verdicts(verdicts, self.audience, root=self._root)
        done = Confirmation(
            campaign_id=self.audience.campaign_id,
            run_date=self.audience.run_date,
            version=self.before.version + 1 if self.before else 1,
            path=frozen.path.relative_to(self._root).as_posix(),
            sha256=frozen.sha256,
            counts=counts,
            asked_by=user,
            asked_at=now,
        )
        self._store.confirmations.add(done)
        remove_but({done.path}, self.audience, root=self._root)
        return done

    def _counts(self, verdicts: pl.DataFrame, *, requests: int, sent: int | None) -> ConfirmedCounts:
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
            sent=sent,
        )

    def _known(self, evidence: pl.DataFrame, *, template: Template | None, earlier: EarlierReceipts) -> pl.DataFrame:
        """EVIDENCE with what optinb knew beforehand (KNOWN)."""
        known = evidence.with_columns(
            pl.lit(None, dtype=dtype).alias(name) for name, dtype in KNOWN.items() if name not in EVIDENCE
        )
        ids = self._column("external_user_id").gather(known["place"])
        known = known.with_columns(
            had_at=ids.replace_strict(earlier.had_at, default=None, return_dtype=KNOWN["had_at"]),
            may_have_had=ids.is_in(pl.Series(list(earlier.may_have_had), dtype=pl.String).implode()),
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


def _accepted(store: Store, audience: FrozenAudience) -> tuple[np.ndarray, bool]:
    """The places of everybody whose request Appboy accepted, ascending, and whether any may go out at another time."""
    batches = store.deliveries.batches(*audience.night, state="accepted")
    spans = [np.arange(batch.first, batch.first + batch.size, dtype=np.uint32) for batch in batches]
    is_moved = any(isinstance(batch.state, Accepted) and batch.state.before is not None for batch in batches)
    return (np.sort(np.concatenate(spans)) if spans else np.array([], np.uint32)), is_moved
