"""A campaign's night beside the other nights of its template, by which what became of it is judged."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from optinb.appboy.aborts import may_abort
from optinb.appboy.template_rules import UNSTATED
from optinb.appboy.wire import SERIES_DAYS
from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.campaigns.vendor_filters import DAYS_BACK, is_exempt
from optinb.delivery.confirmation import LONGEST_WAIT, TemplateNight
from optinb.delivery.confirming_night import EarlierReceipts
from optinb.delivery.contact_status import MEANING, RECEIVED
from optinb.delivery.reconcile import sent_again_at
from optinb.delivery.request import last_moment
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime

    from optinb.appboy import Template
    from optinb.base.context import Context
    from optinb.delivery.contact_history import ContactHistory
    from optinb.delivery.journal import FrozenAudience, Store

_TOLD = ("planned", "confirmed", "filtered")
# Of whom nobody knows whether they got it.
_DOUBTFUL = tuple(status for status, meaning in MEANING.items() if meaning.counts and status not in _TOLD)


class SameTemplate:
    """A night, its template, and the other nights of that."""

    def __init__(
        self,
        audience: FrozenAudience,
        context: Context,
        store: Store,
        contacts: ContactHistory,
        *,
        control: Callable[[str], pl.DataFrame | None],
    ) -> None:
        """Args: `control`: gives, by the id of an app group, external_user_id of those in Appboy's control group."""
        self._audience, self._context, self._store, self._contacts = audience, context, store, contacts
        self._control = control

    @cached_property
    def template(self) -> Template | None:
        """The template as imported; None where it isn't known any more."""
        return self._store.templates.imported(self._audience.app_group_id).get(self._audience.template_id)

    @cached_property
    def others(self) -> tuple[FrozenAudience, ...]:
        """The other nights of the template of which something was accepted, or may have been."""
        mine = self._audience
        same = (mine.app_group_id, mine.template_id)
        return tuple(
            other
            for other in self._store.deliveries.list(having=("accepted", "unknown", "sending"))
            if other.night != mine.night and (other.app_group_id, other.template_id) == same
        )

    @cached_property
    def _before_and_after(self) -> tuple[FrozenAudience, ...]:
        """The other nights of the template, whose messages may be taken for this one's.

        Another message of this night with the same template is another variant's, and so for other people.
        """
        return tuple(other for other in self.others if not other.is_beside(self._audience))

    def facts(self) -> TemplateNight:
        """What is known of the night for all recipients alike, as of now."""
        mine, template, settings = self._audience, self.template, self._context.settings
        stated = self._store.statements.newest(mine.app_group_id, mine.template_id)
        notes = template.notes if template else ()
        counts = self._store.deliveries.counts(*mine.night)
        return TemplateNight(
            template_id=mine.template_id,
            send_at=mine.send_at,
            now=self._context.now(),
            clock=mine.clock,
            rules=stated.rules if stated else UNSTATED,
            platforms=template.platforms if template else (),
            has_control_variation=any("control group of its own" in note for note in notes),
            may_abort=template is not None and may_abort(template),
            until=sent_again_at(mine, self._before_and_after, since=mine.send_at),
            late_minutes=settings.send.late_minutes,
            recipients=counts.accepted,
            may_be_beside=counts.unknown + counts.recalled + counts.pending,
            received_before=sum(
                self._store.deliveries.counts(*other.night).accepted
                for other in self._before_and_after
                if other.send_at < mine.send_at
            ),
            time_zone=settings.workspace.time_zone,
        )

    def again_at(self) -> dict[str, datetime]:
        """When the template may have gone out again, to those who may have got it again, by external_user_id."""
        found: dict[str, datetime] = {}
        for other in sorted(self._before_and_after, key=lambda one: one.send_at, reverse=True):
            if other.send_at >= self._audience.send_at:
                sent = self._sent_of(other).filter(pl.col("status").is_in([*RECEIVED, *_DOUBTFUL]))
                found |= dict.fromkeys(sent["external_user_id"].to_list(), other.send_at)
        return found

    def earlier(self) -> EarlierReceipts:
        """Who had got the template in the two weeks before, and who may have by what nobody knows yet."""
        had_at: dict[str, datetime] = {}
        may_have: set[str] = set()
        since = self._audience.send_at - timedelta(days=SERIES_DAYS)
        for other in sorted(self._before_and_after, key=lambda one: one.send_at):
            if since <= other.send_at < self._audience.send_at:
                sent = self._sent_of(other)
                got = sent.filter(pl.col("status") == "confirmed")["external_user_id"]
                had_at |= dict.fromkeys(got.to_list(), other.send_at)
                may_have |= set(sent.filter(pl.col("status").is_in([*_DOUBTFUL]))["external_user_id"])
        capped, may_be_capped = self._capped()
        return EarlierReceipts(
            had_at=had_at,
            may_have_had=frozenset(may_have),
            in_vendor_control=self._in_vendor_control(),
            capped=capped,
            may_be_capped=may_be_capped,
            may_still_get=self._may_still_get(),
        )

    def _may_still_get(self) -> frozenset[str]:
        """Who may still have been to get an earlier night's message of the template when this one's went out."""
        mine, found = self._audience, set[str]()
        for other in self._before_and_after:
            if other.send_at <= mine.send_at < last_moment(other) + LONGEST_WAIT:
                sent = self._sent_of(other).filter(pl.col("status").is_in([*RECEIVED, *_DOUBTFUL]))
                found |= set(sent["external_user_id"])
        return frozenset(found)

    def _in_vendor_control(self) -> frozenset[str] | None:
        """Who is on the list of Appboy's control group; None where there is none, or it can't be gone by."""
        try:
            members = self._control(self._audience.app_group_id)
        except StateError:
            return None
        return None if members is None else frozenset(members["external_user_id"])

    def _capped(self) -> tuple[frozenset[str] | None, frozenset[str]]:
        """For whom a stated cap was full before this night, and for whom it may have been; None where none is stated.

        Days are those of the workspace's time zone.
        """
        mine = self._audience
        stated = self._store.statements.newest(mine.app_group_id, mine.template_id)
        if stated is None or not stated.rules.caps:
            return None, frozenset()
        today, sure, maybe = self._day(mine), set[str](), set[str]()
        exempt = {
            template_id
            for template_id in {other.template_id for other in self._of_app_group}
            if (there := self._store.statements.newest(mine.app_group_id, template_id)) and is_exempt(there.rules)
        }
        counted = [other for other in self._of_app_group if other.template_id not in exempt]
        rows = {other.night: self._sent_of(other) for other in counted}
        for cap in stated.rules.caps:
            since = today - timedelta(days=DAYS_BACK[cap.per])
            within = [other for other in counted if since <= self._day(other) <= today]
            before = [rows[other.night] for other in within if last_moment(other) <= mine.send_at]
            sure |= _as_often(before, ("confirmed",), cap.most)
            maybe |= _as_often([rows[other.night] for other in within], ("confirmed", *_DOUBTFUL), cap.most)
        return frozenset(sure), frozenset(maybe - sure)

    @cached_property
    def _of_app_group(self) -> tuple[FrozenAudience, ...]:
        """The nights of the app group that may have begun before this one's messages arrived, in a week."""
        mine = self._audience
        since = mine.send_at - timedelta(days=8)
        return tuple(
            other
            for other in self._store.deliveries.list(having=("accepted", "unknown", "sending"))
            if other.app_group_id == mine.app_group_id
            and other.night != mine.night
            and since <= other.send_at < max(mine.send_at, last_moment(mine))
        )

    def _day(self, audience: FrozenAudience) -> date:
        """The day that the clock shows by which a night goes out."""
        if audience.clock == "workspace":
            return audience.send_at.astimezone(self._context.settings.zone).date()
        return (audience.send_at + EARLIEST_ZONE).date()

    def _sent_of(self, other: FrozenAudience) -> pl.DataFrame:
        """The recipients of another night: external_user_id, status; as accepted where its verdicts are lost."""
        columns = ("external_user_id", "role", "status")
        try:
            rows = self._contacts.rows(other, columns)
        except StateError:  # two nights of a template must not wait for one another to be mended
            rows = self._contacts.rows(other, columns, as_accepted=True)
        return rows.filter(pl.col("role") == "recipient")


def _as_often(nights: Sequence[pl.DataFrame], statuses: Iterable[str], most: int) -> set[str]:
    """The external_user_ids that have one of some statuses in at least so many nights."""
    if not nights:
        return set()
    rows = pl.concat(nights).filter(pl.col("status").is_in([*statuses]))
    often = rows.group_by("external_user_id").len().filter(pl.col("len") >= most)
    return set(often["external_user_id"])
