"""A campaign's night beside the other nights of its template, by which what became of it is judged."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from optinb.appboy.aborts import may_abort
from optinb.appboy.template_rules import UNSTATED
from optinb.appboy.wire import SERIES_DAYS
from optinb.delivery.confirmation import TemplateNight
from optinb.delivery.confirming_night import EarlierReceipts
from optinb.delivery.contact_status import MEANING, RECEIVED
from optinb.delivery.reconcile import sent_again_at
from optinb.errors import StateError

if TYPE_CHECKING:
    from datetime import datetime

    from optinb.appboy import Template
    from optinb.base.context import Context
    from optinb.delivery.contact_history import ContactHistory
    from optinb.delivery.journal import FrozenAudience, Store

_TOLD = ("planned", "confirmed", "filtered")
# Of whom nobody knows whether they got it.
_DOUBTFUL = tuple(status for status, meaning in MEANING.items() if meaning.counts and status not in _TOLD)


class SameTemplate:
    """A night, its template, and the other nights of that."""

    def __init__(self, audience: FrozenAudience, context: Context, store: Store, contacts: ContactHistory) -> None:
        self._audience, self._context, self._store, self._contacts = audience, context, store, contacts

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

    def facts(self) -> TemplateNight:
        """What is known of the night for all recipients alike, as of now."""
        mine, template, settings = self._audience, self.template, self._context.settings
        stated = self._store.statements.newest(mine.app_group_id, mine.template_id)
        notes = template.notes if template else ()
        return TemplateNight(
            template_id=mine.template_id,
            send_at=mine.send_at,
            now=self._context.now(),
            clock=mine.clock,
            rules=stated.rules if stated else UNSTATED,
            platforms=template.platforms if template else (),
            has_control_variation=any("control group of its own" in note for note in notes),
            may_abort=template is not None and may_abort(template),
            until=sent_again_at(mine, self.others, since=mine.send_at),
            late_minutes=settings.send.late_minutes,
            recipients=self._store.deliveries.counts(*mine.night).accepted,
            time_zone=settings.workspace.time_zone,
        )

    def again_at(self) -> dict[str, datetime]:
        """When the template may have gone out again, to those who may have got it again, by external_user_id."""
        found: dict[str, datetime] = {}
        for other in sorted(self.others, key=lambda one: one.send_at, reverse=True):
            if other.send_at >= self._audience.send_at:
                sent = self._sent_of(other).filter(pl.col("status").is_in([*RECEIVED, *_DOUBTFUL]))
                found |= dict.fromkeys(sent["external_user_id"].to_list(), other.send_at)
        return found

    def earlier(self) -> EarlierReceipts:
        """Who had got the template in the two weeks before, and who may have by what nobody knows yet."""
        had_at: dict[str, datetime] = {}
        may_have: set[str] = set()
        since = self._audience.send_at - timedelta(days=SERIES_DAYS)
        for other in sorted(self.others, key=lambda one: one.send_at):
            if since <= other.send_at < self._audience.send_at:
                sent = self._sent_of(other)
                got = sent.filter(pl.col("status") == "confirmed")["external_user_id"]
                had_at |= dict.fromkeys(got.to_list(), other.send_at)
                may_have |= set(sent.filter(pl.col("status").is_in([*_DOUBTFUL]))["external_user_id"])
        return EarlierReceipts(had_at=had_at, may_have_had=frozenset(may_have))

    def _sent_of(self, other: FrozenAudience) -> pl.DataFrame:
        """The recipients of another night: external_user_id, status; as accepted where its verdicts are lost."""
        columns = ("external_user_id", "role", "status")
        try:
            rows = self._contacts.rows(other, columns)
        except StateError:  # two nights of a template must not wait for one another to be mended
            rows = self._contacts.rows(other, columns, as_accepted=True)
        return rows.filter(pl.col("role") == "recipient")
