"""How frozen audiences came to be what they are, by the audit trail: planned or rebuilt, and moved by whom."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from optinb.campaigns import RebuiltAudience, TimeMove
from optinb.campaigns.messages import campaign_of
from optinb.delivery.journal.manifest import MOVED, night_of, planned_before
from optinb.errors import StateError
from optinb.store.audit import AuditEntry, entries_since
from optinb.store.schema import audit_entries

if TYPE_CHECKING:
    from optinb.delivery.journal.values import FrozenAudience
    from optinb.store.database import Database

REBUILT_NIGHT = "night rebuilt"
Kind = TypeVar("Kind")


class Origin(Struct, frozen=True, kw_only=True):
    """How an audience came to be: whether a recovery rebuilt it from files, and its moves to other times, in order."""

    is_rebuilt: bool
    moves: tuple[TimeMove, ...]


class Origins:
    """What the audit trail says of how audiences came to be."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, audience: FrozenAudience) -> Origin:
        """How an audience came to be, since it was planned last. Raises StateError for an entry that can't be read."""
        with self._database.reading() as con:
            planned = planned_before(con, audience)
            since = planned.seq if planned else 0
            entries = entries_since(con, since, audit_entries.c.action.in_([MOVED, REBUILT_NIGHT]))
        mine = [entry for entry in entries if night_of(entry) == audience.night]
        return Origin(
            is_rebuilt=any(entry.action == REBUILT_NIGHT for entry in mine),
            moves=tuple(_read({**e.detail, "who": e.who}, TimeMove, e) for e in mine if e.action == MOVED),
        )

    def rebuilt(self, campaign_id: str, *, late_minutes: int) -> tuple[RebuiltAudience, ...]:
        """Every audience of a campaign that a recovery rebuilt with something still to be sent, the oldest first.

        Those whose time had passed by more than `late_minutes` when they were rebuilt are left out, and so are those
        that an earlier release rebuilt: its entries don't say when they go out, so that no approval can name them.
        Raises StateError for an entry that can't be read.
        """
        late = timedelta(minutes=late_minutes)
        with self._database.reading() as con:
            entries = entries_since(con, 0, audit_entries.c.action == REBUILT_NIGHT)
        found = [
            (
                e.at,
                _read({**e.detail, "recipients": sum(sizes.values()), "unsent": sizes["planned"]}, RebuiltAudience, e),
            )
            for e in entries
            if campaign_of(night_of(e)[0]) == campaign_id
            and (sizes := e.detail["recipients"]).get("planned")
            and "send_at" in e.detail
        ]
        return tuple(audience for at, audience in found if at <= audience.send_at + late)


def _read(fields: dict[str, object], kind: type[Kind], entry: AuditEntry) -> Kind:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise StateError(
            f"entry {entry.seq} of the audit trail ({entry.action} {entry.subject!r}) can't be read ({error}); compare "
            "the database with a copy"
        ) from error
