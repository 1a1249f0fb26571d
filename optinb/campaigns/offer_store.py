"""Offers as things of their own: each version is an entry of the audit trail, and the newest counts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.campaigns.campaign import Offer
from optinb.errors import CampaignError, ConflictError, StateError, did_you_mean
from optinb.store import Database, audit

if TYPE_CHECKING:
    from sqlalchemy import Connection

SAVED, ARCHIVED = "offer saved", "offer archived"


class OfferRecord(Struct, frozen=True, kw_only=True):
    """A version of a saved offer.

    Attributes:
        offer: what it is.
        version: its number, from 1; archiving it is one, too.
        author: who saved or archived it.
        updated_at: when, in UTC.
        archived: whether it is out of sight, and no campaign may take it.
    """

    offer: Offer
    version: int
    author: str
    updated_at: datetime
    archived: bool = False


class OfferStore:
    """The saved offers of a workspace, known by name without regard to case.

    The trail itself is the store: whoever changes an offer by hand breaks its chain.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries = audit.EntriesAbout(SAVED, ARCHIVED, key=lambda entry: entry.subject.casefold())

    def put(self, offer: Offer, *, user: str, now: datetime, archived: bool, expected: int | None) -> OfferRecord:
        """Keeps the next version of an offer; the same once more changes nothing.

        Args:
            offer: which; one of its name gets a new version.
            user: who saves it.
            now: in UTC.
            archived: whether it is put out of sight with that.
            expected: the version that the user has seen, 0 for none; None doesn't check.

        Raises:
            ConflictError: when the offer isn't at `expected` any more.
        """
        with self._database.writing() as con:
            current = self._newest(con, offer.name)
            if expected is not None and (current.version if current else 0) != expected:
                raise ConflictError(
                    f"offer {offer.name!r} was changed by {current.author} at {current.updated_at:%Y-%m-%d %H:%M} UTC; "
                    "look at it again"
                    if current
                    else f"offer {offer.name!r} isn't there any more; save it under a new name"
                )
            if current and (current.offer, current.archived) == (offer, archived):
                return current
            kept = OfferRecord(
                offer=offer,
                version=current.version + 1 if current else 1,
                author=user,
                updated_at=now,
                archived=archived,
            )
            action, content = ARCHIVED if archived else SAVED, msgspec.to_builtins(offer)
            audit.record(con, who=user, action=action, subject=offer.name, now=now, version=kept.version, offer=content)
        return kept

    def find(self, name: str) -> OfferRecord | None:
        """The newest version of an offer, or None."""
        with self._database.reading() as con:
            return self._newest(con, name)

    def get(self, name: str) -> OfferRecord:
        """The newest version of an offer. Raises CampaignError with the nearest name."""
        found = self.find(name)
        if found is None:
            known = [one.offer.name for one in self.list() if not one.archived]
            tail = did_you_mean(name, known) if known else "; save it first: `optinb offers save FILE`"
            raise CampaignError(f"there is no saved offer {name!r}{tail}")
        return found

    def list(self) -> tuple[OfferRecord, ...]:
        """The newest version of every offer, by name, also of those that were archived."""
        with self._database.reading() as con:
            return tuple(_record(entries[-1]) for _, entries in sorted(self._entries.all(con).items()))

    def versions(self, name: str) -> tuple[OfferRecord, ...]:
        """Every version of an offer, the oldest first; none if it isn't known."""
        with self._database.reading() as con:
            return tuple(map(_record, self._entries.of(con, name.casefold())))

    def _newest(self, con: Connection, name: str) -> OfferRecord | None:
        entries = self._entries.of(con, name.casefold())
        return _record(entries[-1]) if entries else None


def _record(entry: audit.AuditEntry) -> OfferRecord:
    """What an entry says. Raises StateError for one that was tampered with."""
    try:
        return OfferRecord(
            offer=msgspec.convert(entry.detail["offer"], Offer),
            version=entry.detail["version"],
            author=entry.who,
            updated_at=entry.at,
            archived=entry.action == ARCHIVED,
        )
    except (KeyError, msgspec.ValidationError) as error:
        raise StateError(
            f"entry {entry.seq} of the audit trail, which keeps the offer {entry.subject!r}, can't be read: it was "
            "changed by hand, or written by a later release; compare the database with a copy"
        ) from error
