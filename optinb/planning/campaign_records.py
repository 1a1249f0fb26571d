"""Campaigns as they are written down: read from what people hand in, and kept with every decision on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optinb.campaigns import Campaign, CampaignRecord, campaign_from, read_campaign
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.delivery.journal.deliveries import Deliveries

Source = Campaign | Mapping[str, Any] | Path


def as_campaign(source: Source) -> Campaign:
    """A campaign from a value, from its fields, or from a `campaign.toml`. Raises CampaignError."""
    if isinstance(source, Campaign):
        return source
    if isinstance(source, Path):
        return read_campaign(source)
    if not isinstance(source, Mapping):
        raise CampaignError(f"{source!r} is no campaign; give its fields, or Path('campaign.toml')")
    return campaign_from(source)


class CampaignRecords:
    """Writes down what becomes of campaigns, in the user's name; what is decided is also noted outside the database."""

    def __init__(
        self,
        context: Context,
        campaigns: CampaignStore,
        *,
        deliveries: Deliveries,
        note_decision: Callable[[CampaignRecord, str], None],
    ) -> None:
        """Args: `note_decision` is told the record and what was done with it, once that is in the database."""
        self._context, self._campaigns, self._deliveries = context, campaigns, deliveries
        self._note_decision = note_decision

    def put(self, record: CampaignRecord, action: str, *, before: CampaignRecord | None) -> CampaignRecord:
        """Keeps a new version of a campaign, in place of the one `before`; returns it.

        Raises ConflictError when somebody else changed the campaign meanwhile.
        """
        expected, user, now = before.version if before else None, self._context.user, self._context.now()
        self._campaigns.put(record, expected=expected, user=user, action=action, now=now)
        self._note_decision(record, action)
        return record

    def stop(self, record: CampaignRecord, reason: str) -> None:
        """Cancels what is planned of a campaign and has not been sent."""
        for audience in self._deliveries.list(campaign_id=record.id, having=("planned", "sending")):
            self._deliveries.cancel(*audience.night, reason=reason, user=self._context.user, now=self._context.now())
