"""Planning: campaigns as people work on them, previewed, approved, tried, and what the contact policy says."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.planning.campaign_preview import CampaignPreview, Rival
    from optinb.planning.campaigns import Campaigns
    from optinb.planning.code_pools import Codes
    from optinb.planning.doctor import Diagnosis, Doctor, bad
    from optinb.planning.offers import Offers
    from optinb.planning.resolved import Resolved
    from optinb.planning.trial_sends import SampleMessage, SentTest
else:
    __getattr__ = lazily(
        __name__,
        {
            ".campaign_preview": "CampaignPreview Rival",
            ".campaigns": "Campaigns",
            ".code_pools": "Codes",
            ".doctor": "Diagnosis Doctor bad",
            ".offers": "Offers",
            ".resolved": "Resolved",
            ".trial_sends": "SampleMessage SentTest",
        },
    )
