"""One campaign on one page: what was planned, where it stands, and what Appboy counted of it. A value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import asdict

from optinb.campaigns.record import CampaignRecord
from optinb.measure.campaign_figures import CampaignFigures  # noqa: TC001 - the type of a field

if TYPE_CHECKING:
    from optinb.measure.reach_figures import ReachFigures


class CampaignPage(CampaignRecord, frozen=True, kw_only=True):
    """A campaign's record, with its figures.

    Attributes:
        figures: what Appboy counted of its nights, as it was read last.
    """

    figures: CampaignFigures


def page_of(record: CampaignRecord, figures: ReachFigures) -> CampaignPage:
    """A campaign's page.

    Args:
        record: the campaign.
        figures: what tells the figures of a campaign by its name.
    """
    return CampaignPage(**asdict(record), figures=figures.of(record.campaign.name))
