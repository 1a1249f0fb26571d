"""Saved offers of a workspace, which campaigns take by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from optinb.campaigns import ALIVE, Offer, OfferRecord, offer_from, read_offer
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.campaigns import Campaign, CampaignRecord
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.campaigns.offer_store import OfferStore

OfferSource = Offer | Mapping[str, Any] | Path


class Offers:
    """`ws.offers`: save, list and archive offers. A campaign that names one asks for a new approval when it changes."""

    def __init__(self, context: Context, store: OfferStore, campaigns: CampaignStore) -> None:
        self._context, self._store, self._campaigns = context, store, campaigns

    def list(self, *, archived: bool = False) -> tuple[OfferRecord, ...]:
        """Every saved offer, by name.

        Args:
            archived: whether those that were archived are among them.
        """
        return tuple(one for one in self._store.list() if archived or not one.archived)

    def get(self, name: str) -> OfferRecord:
        """The newest version of a saved offer, also of one that was archived.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for an offer that isn't known.
        """
        return self._store.get(name)

    def versions(self, name: str) -> tuple[OfferRecord, ...]:
        """Every version of a saved offer, the oldest first.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for an offer that isn't known.
        """
        return self._store.versions(self.get(name).offer.name)

    def save(self, source: OfferSource, *, seen: OfferRecord | None = None) -> OfferRecord:
        """Saves an offer under its name; one of this name gets a new version, and the same once more changes nothing.

        Args:
            source: an offer, its fields, or the path of a TOML file with them.
            seen: the version that it is made from; None saves it on top of any.

        Raises:
            CampaignError: with the field and the remedy, for what is no offer.
            ConflictError: when somebody else changed the offer since it was `seen`.
        """
        offer = _as_offer(source)
        is_same = seen is not None and seen.offer.name.casefold() == offer.name.casefold()
        return self._put(offer, archived=False, expected=seen.version if seen and is_same else None)

    def archive(self, name: str) -> OfferRecord:
        """Puts an offer out of sight; no campaign may take it until it is saved again.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for an offer that isn't known, or naming a campaign that may still go
                out with it.
        """
        record = self.get(name)
        if there := [one for one in self.campaigns(name) if one.state in ("submitted", "paused", *ALIVE)]:
            first = there[0]
            raise CampaignError(
                f"the offer {record.offer.name!r} can't be archived: the campaign {first.campaign.name!r} "
                f"({first.state}) takes it; cancel that first, or submit it with another offer"
            )
        return self._put(record.offer, archived=True, expected=record.version)

    def campaigns(self, name: str) -> tuple[CampaignRecord, ...]:
        """The campaigns that take a saved offer by its name.

        Args:
            name: of the offer, without regard to case.
        """
        key = name.casefold()
        return tuple(r for r in self._campaigns.list() if (r.campaign.saved_offer or "").casefold() == key)

    def _put(self, offer: Offer, *, archived: bool, expected: int | None) -> OfferRecord:
        user, now = self._context.user, self._context.now()
        return self._store.put(offer, user=user, now=now, archived=archived, expected=expected)


def in_place(campaign: Campaign, store: OfferStore) -> Campaign:
    """A campaign with the saved offer that it names, as it is now. Raises CampaignError."""
    if campaign.saved_offer is None:
        return campaign
    record = store.get(campaign.saved_offer)
    if record.archived:
        raise CampaignError(
            f"the offer {record.offer.name!r} was archived by {record.author} on {record.updated_at:%Y-%m-%d}; save it "
            "again, or choose another one"
        )
    try:
        return campaign.with_offer(record.offer)
    except ValueError as error:
        raise CampaignError(f"{campaign.name!r}: {error}") from error


def _as_offer(source: OfferSource) -> Offer:
    if isinstance(source, Offer):
        given = source
    elif isinstance(source, Path):
        given = read_offer(source)
    elif isinstance(source, Mapping):
        given = offer_from(source)
    else:
        raise CampaignError(f"{source!r} is no offer; give its fields, or Path('offer.toml')")
    name = given.name.strip()
    if not name or not name.isprintable():
        raise CampaignError(f"the offer's name {given.name!r} must be printable, and have 1 to 120 characters")
    return replace(given, name=name)
