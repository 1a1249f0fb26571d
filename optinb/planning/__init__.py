"""Planning: campaigns as people work on them, previewed, approved, tried, and what the contact policy says."""

from optinb.planning.campaign_preview import CampaignPreview, Rival
from optinb.planning.campaigns import Campaigns
from optinb.planning.code_pools import Codes, CodesLeft
from optinb.planning.doctor import Diagnosis, Doctor, GroupHealth, bad
from optinb.planning.resolved import Resolved
from optinb.planning.sample_messages import SampleMessage
from optinb.planning.trial_sends import SentTest

__all__ = [
    "CampaignPreview",
    "Campaigns",
    "Codes",
    "CodesLeft",
    "Diagnosis",
    "Doctor",
    "GroupHealth",
    "Resolved",
    "Rival",
    "SampleMessage",
    "SentTest",
    "bad",
]
