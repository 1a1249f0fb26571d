"""The Appboy (Braze) API: wire values, client, templates, and the meaning of each outcome."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.appboy.client import AppboyClient, CallError
    from optinb.appboy.doctor import MOST_LOOKS, Standing, Verdict, examine
    from optinb.appboy.guard import WITHHELD, posting_while
    from optinb.appboy.live_content import with_live_content
    from optinb.appboy.outcome import (
        NotTied,
        Outcome,
        RateLimit,
        RequestAccepted,
        RequestLater,
        RequestRefused,
        RequestUnknown,
        Stopped,
        meaning,
        meaning_of_failure,
        rate_limit,
    )
    from optinb.appboy.template_changes import TemplateChange, TemplateNews, told, told_by_group
    from optinb.appboy.template_import import GroupSync, StatedTemplate, TemplateListing, Templates
    from optinb.appboy.template_rules import UNSTATED, StatedRules, TemplateRules
    from optinb.appboy.template_store import TemplateSync
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
        Exported,
        ExportedUser,
        Recipient,
        ScheduleRequest,
        SendRequest,
        WireSchedule,
    )
else:
    __getattr__ = lazily(
        __name__,
        {
            ".client": "AppboyClient CallError",
            ".doctor": "MOST_LOOKS Standing Verdict examine",
            ".guard": "WITHHELD posting_while",
            ".live_content": "with_live_content",
            ".outcome": "NotTied Outcome RateLimit RequestAccepted RequestLater RequestRefused RequestUnknown Stopped "
            "meaning meaning_of_failure rate_limit",
            ".template_changes": "TemplateChange TemplateNews told told_by_group",
            ".template_import": "GroupSync StatedTemplate TemplateListing Templates",
            ".template_rules": "UNSTATED StatedRules TemplateRules",
            ".template_store": "TemplateSync",
            ".templates": "Message Needed RenderedMessage Template fetch_templates fitted needed_properties render "
            "template_from_details",
            ".wire": "MAX_RECIPIENTS CampaignDetails CampaignReceived Exported ExportedUser Recipient ScheduleRequest "
            "SendRequest WireSchedule",
        },
    )
