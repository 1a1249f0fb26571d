"""The Appboy (Braze) API: wire values, client, templates, and the meaning of each outcome."""

from __future__ import annotations

from optinb.appboy.client import AppboyClient, CallError
from optinb.appboy.doctor import Standing, Verdict, examine
from optinb.appboy.live_content import live_content, with_live_content
from optinb.appboy.outcome import (
    Accepted,
    Later,
    Outcome,
    RateLimit,
    Refused,
    Stopped,
    Unknown,
    meaning,
    meaning_of_failure,
    rate_limit,
)
from optinb.appboy.template_changes import TemplateChange, TemplateNews, template_changes, told, told_by_group
from optinb.appboy.templates import (
    Message,
    Needed,
    RenderedMessage,
    Template,
    fetch_templates,
    fitted,
    needed_properties,
    render,
    template_from_details,
)
from optinb.appboy.wire import (
    MAX_RECIPIENTS,
    CampaignDetails,
    CampaignReceived,
    CampaignSummary,
    Exported,
    ExportedUser,
    Recipient,
    Schedule,
    ScheduleRequest,
    SendRequest,
    SeriesDay,
)

__all__ = [
    "MAX_RECIPIENTS",
    "Accepted",
    "AppboyClient",
    "CallError",
    "CampaignDetails",
    "CampaignReceived",
    "CampaignSummary",
    "Exported",
    "ExportedUser",
    "Later",
    "Message",
    "Needed",
    "Outcome",
    "RateLimit",
    "Recipient",
    "Refused",
    "RenderedMessage",
    "Schedule",
    "ScheduleRequest",
    "SendRequest",
    "SeriesDay",
    "Standing",
    "Stopped",
    "Template",
    "TemplateChange",
    "TemplateNews",
    "Unknown",
    "Verdict",
    "examine",
    "fetch_templates",
    "fitted",
    "live_content",
    "meaning",
    "meaning_of_failure",
    "needed_properties",
    "rate_limit",
    "render",
    "template_changes",
    "template_from_details",
    "told",
    "told_by_group",
    "with_live_content",
]
