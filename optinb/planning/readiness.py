"""Whether a campaign in the making can be submitted, and by field what keeps it; nothing is counted for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from optinb.appboy import needed_properties
from optinb.campaigns import Campaign, Lack, campaign_from, check_quiet, check_schedule, checklist, lack_of
from optinb.errors import CampaignError, OptinbError
from optinb.planning.audiences import check_decided
from optinb.planning.resolved import check_codes_shown, check_messages

if TYPE_CHECKING:
    from optinb.appboy import Template, Templates
    from optinb.base.context import Context
    from optinb.planning.campaign_preview import CampaignPreview
    from optinb.planning.resolved import Resolver

# What stands for the fields that say nothing of messages, while those are looked at.
ELSE: dict[str, Any] = {"name": "x", "group": "x", "schedule": {"every": "day", "at": "12:00"}}
OF_MESSAGES = ("app_group", "template", "templates", "variants", "offer", "properties")


def as_far_as_messages(fields: Mapping[str, Any]) -> Campaign | None:
    """The messages of a campaign in the making, whatever else is missing; None where they can't be read yet."""
    try:
        return campaign_from({**{name: fields[name] for name in OF_MESSAGES if name in fields}, **ELSE})
    except CampaignError:
        return None


def templates_of(fields: Mapping[str, Any], templates: Templates) -> dict[str, Template]:
    """The templates of all messages of a campaign in the making, by their names in it, as far as they are known."""
    campaign = as_far_as_messages(fields)
    found: dict[str, Template] = {}
    for name in campaign.template_names if campaign and campaign.app_group else ():
        with suppress(OptinbError):
            found[name] = templates.get(fields["app_group"], name)
    return found


def missing_properties(fields: Mapping[str, Any], templates: Mapping[str, Template]) -> list[str]:
    """The properties that a message of a campaign in the making can't do without and isn't given."""
    campaign = as_far_as_messages(fields)
    found = [
        one.name
        for message in (campaign.messages if campaign else ())
        if message.template in templates
        for one in needed_properties(templates[message.template])
        if not one.has_default and one.name not in message.properties
    ]
    return list(dict.fromkeys(found))


def lacks_of(
    fields: Mapping[str, Any], *, context: Context, templates: Templates, resolver: Resolver
) -> tuple[Lack, ...]:
    """What keeps a campaign from being submitted, as far as its own fields, its templates and the settings tell.

    Args:
        fields: as a form has them, with holes for what isn't written yet.
        context: whose clock and settings count.
        templates: among which its own are looked up.
        resolver: finds what its names stand for.

    Returns:
        nothing for a campaign that only its audience could keep.
    """
    if found := checklist(fields, needed=missing_properties(fields, templates_of(fields, templates))):
        return found
    campaign, settings = campaign_from(fields), context.settings
    checks: list[Callable[[], None]] = [
        lambda: check_schedule(campaign.schedule, now=context.now(), zone=settings.zone),
        lambda: check_quiet(settings.policy, campaign.schedule),
        lambda: check_codes_shown(campaign),
        lambda: check_messages(resolver.resolve(campaign)),
    ]
    lacks = []
    for check in checks:
        try:
            check()
        except CampaignError as error:
            lacks.append(lack_of(error))
    return tuple(lacks)


def lacks_found_by_counting(found: CampaignPreview | Exception) -> list[Lack]:
    """What only the audience tells of what a campaign lacks."""
    if isinstance(found, CampaignError):
        return [lack_of(found)] if found.field else []
    if isinstance(found, Exception):
        return []
    lacks = []
    if found.refused:
        lacks.append(Lack(field="template", words=f"{found.refused[:1].upper()}{found.refused[1:]}"))
    try:
        check_decided(found.campaign, found.waterfall)
    except CampaignError as error:
        lacks.append(lack_of(error))
    return lacks
