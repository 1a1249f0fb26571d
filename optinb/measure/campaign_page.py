"""One campaign on one page: what was planned, where it stands, and what Appboy counted of it. A value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import asdict

from optinb.campaigns.conversation import Comment, Waiting  # noqa: TC001 - types of fields
from optinb.campaigns.record import CampaignRecord
from optinb.measure.campaign_figures import CampaignFigures  # noqa: TC001 - the type of a field
from optinb.measure.redeemed import CampaignRedemptions  # noqa: TC001 - as above

if TYPE_CHECKING:
    from optinb.measure.reach_figures import ReachFigures
    from optinb.measure.redemptions import Redemptions


class CampaignPage(CampaignRecord, frozen=True, kw_only=True):
    """A campaign's record, with its figures.

    Attributes:
        figures: what Appboy counted of its nights, as it was read last.
        redeemed: what came of its offer, and what that cost; None without one.
        waiting: whom it waits for; None where it waits for no person.
        comments: what people said about it, the oldest first.
    """

    figures: CampaignFigures
    redeemed: CampaignRedemptions | None = None
    waiting: Waiting | None = None
    comments: tuple[Comment, ...] = ()


def page_of(
    record: CampaignRecord,
    figures: ReachFigures,
    redemptions: Redemptions,
    *,
    waiting: Waiting | None = None,
    comments: tuple[Comment, ...] = (),
) -> CampaignPage:
    """A campaign's page.

    Args:
        record: the campaign.
        figures: what tells the figures of a campaign by its name.
        redemptions: what tells its redemptions by its name.
        waiting: whom it waits for.
        comments: what people said about it.
    """
    name = record.campaign.name
    return CampaignPage(
        **asdict(record),
        figures=figures.of(name),
        redeemed=redemptions.summary(name),
        waiting=waiting,
        comments=comments,
    )
