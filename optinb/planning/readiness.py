"""Whether a campaign in the making can be submitted, and by field what keeps it; nothing is counted for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from optinb.appboy import needed_properties
from optinb.campaigns import Lack, campaign_from, check_quiet, check_schedule, checklist, lack_of
from optinb.errors import CampaignError, OptinbError
from optinb.planning.resolved import check_codes_shown, check_template

if TYPE_CHECKING:
    from optinb.appboy import Template, Templates
    from optinb.base.context import Context


def template_of(fields: Mapping[str, Any], templates: Templates) -> Template | None:
    """The template that the fields of a campaign name; None where it isn't known, or not chosen yet."""
    app_group, name = fields.get("app_group"), fields.get("template")
    if app_group and name:
        with suppress(OptinbError):
            return templates.get(app_group, name)
    return None


def lacks_of(fields: Mapping[str, Any], *, context: Context, templates: Templates) -> tuple[Lack, ...]:
    """What keeps a campaign from being submitted, as far as its own fields, its template and the settings tell.

    Args:
        fields: as a form has them, with holes for what isn't written yet.
        context: whose clock and settings count.
        templates: among which its own is looked up.

    Returns:
        nothing for a campaign that only its audience could keep.
    """
    template = template_of(fields, templates)
    needed = [one.name for one in needed_properties(template) if not one.has_default] if template else []
    if found := checklist(fields, needed=needed):
        return found
    campaign, settings = campaign_from(fields), context.settings
    checks: list[Callable[[], None]] = [
        lambda: check_schedule(campaign.schedule, now=context.now(), zone=settings.zone),
        lambda: check_quiet(settings.policy, campaign.schedule),
        lambda: check_codes_shown(campaign),
    ]
    if template is not None:
        checks.append(lambda: check_template(template, campaign))
    lacks = []
    for check in checks:
        try:
            check()
        except CampaignError as error:
            lacks.append(lack_of(error))
    return tuple(lacks)
