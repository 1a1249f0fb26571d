"""The Appboy (Braze) API: wire values, client, templates, and the meaning of each outcome."""

from __future__ import annotations

from optinb.appboy.client import AppboyClient, CallError
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
from optinb.appboy.templates import (
    Message,
    Needed,
    RenderedMessage,
    Template,
    fetch_templates,
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
    "Stopped",
    "Template",
    "Unknown",
    "fetch_templates",
    "meaning",
    "meaning_of_failure",
    "needed_properties",
    "rate_limit",
    "render",
    "template_from_details",
]
