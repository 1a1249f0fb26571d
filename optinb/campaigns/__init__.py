"""Planning: campaigns, their approval, and the audience of a night."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.campaigns.approval import (
        approve,
        archive,
        cancel,
        draft,
        fingerprint,
        finish,
        may_move,
        reject,
        step,
        submit,
        why_held,
        why_held_by_size,
    )
    from optinb.campaigns.audience import (
        AUDIENCE_SCHEMA,
        AudienceMessage,
        build_audience,
        personal,
        waterfall,
        why_kept,
        with_codes,
    )
    from optinb.campaigns.campaign import CHANNEL, Campaign, CampaignMessage, Offer, Property, Variant, id_of
    from optinb.campaigns.campaign_store import CampaignChange
    from optinb.campaigns.codes import EXAMPLE_CODE, check_codes, read_codes
    from optinb.campaigns.files import campaign_from, campaign_toml, offer_from, read_campaign, read_offer
    from optinb.campaigns.lacks import Lack, checklist, lack_of, what_is_missing
    from optinb.campaigns.life import ALIVE, CampaignState, Step, may
    from optinb.campaigns.messages import MESSAGES, campaign_of, gets, message_key, number_of, split
    from optinb.campaigns.moving import TimeMove, sign_move, why_untimely
    from optinb.campaigns.offer_costs import EarlierShare, OfferCost
    from optinb.campaigns.offer_store import OfferRecord
    from optinb.campaigns.outlook import Going, calendar
    from optinb.campaigns.part_words import NONE
    from optinb.campaigns.parts import (
        RULES_OF_TEMPLATE,
        approved_content,
        approved_templates,
        content_parts,
        deciding_parts,
        differences,
        rules_part,
        tables_for,
    )
    from optinb.campaigns.placed_customers import PlacedCustomers
    from optinb.campaigns.policy import Competitor, check_quiet, days_back, quiet_zones
    from optinb.campaigns.policy_state import ContactPolicyState
    from optinb.campaigns.power import Power, power_of
    from optinb.campaigns.rebuilt import REBUILT, RebuiltAudience, approved_rebuilt, rebuilt_parts
    from optinb.campaigns.record import Approval, Authority, CampaignRecord, SizeBand
    from optinb.campaigns.schedule import Schedule, SendTime, check_schedule, send_times
    from optinb.campaigns.signing import new_key, signing_key
    from optinb.campaigns.trail import Decision, why_unlike
    from optinb.campaigns.vendor_filters import TemplateSending, why_too_many
    from optinb.campaigns.vendor_state import Sent, VendorState
    from optinb.segments import NO_PUSH, OUTCOMES, REASONS, Exclusion, Waterfall
else:
    __getattr__ = lazily(
        __name__,
        {
            ".approval": "approve archive cancel draft fingerprint finish may_move reject step submit why_held "
            "why_held_by_size",
            ".audience": "AUDIENCE_SCHEMA AudienceMessage build_audience personal waterfall why_kept with_codes",
            ".campaign": "CHANNEL Campaign CampaignMessage Offer Property Variant id_of",
            ".campaign_store": "CampaignChange",
            ".lacks": "Lack checklist lack_of what_is_missing",
            ".codes": "EXAMPLE_CODE check_codes read_codes",
            ".files": "campaign_from campaign_toml offer_from read_campaign read_offer",
            ".life": "ALIVE CampaignState Step may",
            ".messages": "MESSAGES campaign_of gets message_key number_of split",
            ".moving": "TimeMove sign_move why_untimely",
            ".offer_costs": "EarlierShare OfferCost",
            ".offer_store": "OfferRecord",
            ".outlook": "Going calendar",
            ".part_words": "NONE",
            ".parts": "RULES_OF_TEMPLATE approved_content approved_templates content_parts deciding_parts differences "
            "rules_part tables_for",
            ".policy": "Competitor check_quiet days_back quiet_zones",
            ".power": "Power power_of",
            ".rebuilt": "REBUILT RebuiltAudience approved_rebuilt rebuilt_parts",
            ".record": "Approval Authority CampaignRecord SizeBand",
            ".placed_customers": "PlacedCustomers",
            ".schedule": "Schedule SendTime check_schedule send_times",
            ".signing": "new_key signing_key",
            ".policy_state": "ContactPolicyState",
            ".trail": "Decision why_unlike",
            ".vendor_filters": "TemplateSending why_too_many",
            ".vendor_state": "Sent VendorState",
            "optinb.segments": "NO_PUSH OUTCOMES REASONS Exclusion Waterfall",
        },
    )
