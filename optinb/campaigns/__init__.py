"""Planning: campaigns, their approval, and the audience of a night."""

from optinb.campaigns.approval import (
    approve,
    archive,
    cancel,
    draft,
    fingerprint,
    finish,
    may_move,
    reject,
    reworded,
    step,
    submit,
    why_held,
    why_held_by_size,
)
from optinb.campaigns.audience import (
    AUDIENCE_SCHEMA,
    build_audience,
    personal,
    waterfall,
    why_kept,
    with_codes,
)
from optinb.campaigns.campaign import CHANNEL, Campaign, Offer, Property, id_of
from optinb.campaigns.campaign_store import CampaignChange
from optinb.campaigns.codes import EXAMPLE_CODE, CodeFile, check_codes, read_codes
from optinb.campaigns.files import campaign_from, campaign_toml, read_campaign
from optinb.campaigns.life import ALIVE, CampaignState, Step, may
from optinb.campaigns.moving import TimeMove, sign_move, why_untimely
from optinb.campaigns.outlook import Going, calendar
from optinb.campaigns.part_words import NONE, part_words
from optinb.campaigns.parts import content_parts, deciding_parts, differences, tables_for
from optinb.campaigns.policy import Competitor, check_quiet, days_back, quiet_zones
from optinb.campaigns.power import Power, power_of
from optinb.campaigns.rebuilt import REBUILT, RebuiltAudience, approved_rebuilt, rebuilt_parts
from optinb.campaigns.record import Approval, Authority, CampaignRecord, SizeBand
from optinb.campaigns.roster import Roster
from optinb.campaigns.schedule import Schedule, SendTime, check_schedule, send_times
from optinb.campaigns.signing import KeyPair, new_key, signing_key
from optinb.campaigns.standing import Competition, Standing
from optinb.campaigns.trail import Decision, why_unlike
from optinb.segments import NO_PUSH, OUTCOMES, REASONS, Exclusion, Waterfall

__all__ = [
    "ALIVE",
    "AUDIENCE_SCHEMA",
    "CHANNEL",
    "EXAMPLE_CODE",
    "NONE",
    "NO_PUSH",
    "OUTCOMES",
    "REASONS",
    "REBUILT",
    "Approval",
    "Authority",
    "Campaign",
    "CampaignChange",
    "CampaignRecord",
    "CampaignState",
    "CodeFile",
    "Competition",
    "Competitor",
    "Decision",
    "Exclusion",
    "Going",
    "KeyPair",
    "Offer",
    "Power",
    "Property",
    "RebuiltAudience",
    "Roster",
    "Schedule",
    "SendTime",
    "SizeBand",
    "Standing",
    "Step",
    "TimeMove",
    "Waterfall",
    "approve",
    "approved_rebuilt",
    "archive",
    "build_audience",
    "calendar",
    "campaign_from",
    "campaign_toml",
    "cancel",
    "check_codes",
    "check_quiet",
    "check_schedule",
    "content_parts",
    "days_back",
    "deciding_parts",
    "differences",
    "draft",
    "fingerprint",
    "finish",
    "id_of",
    "may",
    "may_move",
    "new_key",
    "part_words",
    "personal",
    "power_of",
    "quiet_zones",
    "read_campaign",
    "read_codes",
    "rebuilt_parts",
    "reject",
    "reworded",
    "send_times",
    "sign_move",
    "signing_key",
    "step",
    "submit",
    "tables_for",
    "waterfall",
    "why_held",
    "why_held_by_size",
    "why_kept",
    "why_unlike",
    "why_untimely",
    "with_codes",
]
