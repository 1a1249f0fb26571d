"""What follows for the campaigns on a template from what people state of it: held, refused, or as approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.campaigns import ALIVE, CampaignRecord, why_held
from optinb.campaigns.part_words import why_different
from optinb.errors import OptinbError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optinb.appboy import Template
    from optinb.base.settings import AppGroupSettings, Settings
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.planning.resolved import Resolved, Resolver


class TemplateUses:
    """Finds the campaigns that go out with a template, and what the rules that are stated now do to each."""

    def __init__(self, settings: Settings, campaigns: CampaignStore, resolver: Resolver) -> None:
        self._settings, self._campaigns, self._resolver = settings, campaigns, resolver

    def follows(self, template: Template) -> tuple[str, ...]:
        """What follows for each campaign on a template that is submitted, approved, running, held or paused.

        Args:
            template: as it is stored, with what is stated of it now.

        Returns:
            a sentence for each, by the campaigns' names, without a full stop.
        """
        group = next((one for one in self._settings.app_groups if one.id == template.app_group_id), None)
        if group is None:
            return ()
        found: list[str] = []
        for record in self._campaigns.list():
            plan = record.campaign
            named = {template.id, template.name} & {*plan.template_names}
            if not named or plan.app_group not in (group.id, group.name):
                continue
            if record.archived or record.state not in (*ALIVE, "submitted", "paused"):
                continue
            try:
                resolved = self._resolver.resolve(plan)
            except OptinbError as error:
                found.append(f"{plan.name!r} can't go out: {error}")
                continue
            if template.id in resolved.by_template:  # another one of its name may be the one that is meant
                found.append(self._told(record, resolved))
        return tuple(found)

    def not_again(self, group: AppGroupSettings) -> Iterator[tuple[str, str]]:
        """The templates that campaigns of an app group would reach customers with once only, or miss them with.

        Args:
            group: whose campaigns are looked at, those that a night looks at and that go out again and again.

        Yields:
            the template as the campaign names it, and the reason with the remedies, for each campaign, by their names.
        """
        for record in self._campaigns.list():
            plan = record.campaign
            if plan.app_group not in (group.id, group.name) or record.state not in ALIVE or plan.schedule.every is None:
                continue
            try:
                resolved = self._resolver.resolve(plan)
            except OptinbError as error:
                yield ", ".join(plan.template_names), f"{plan.name!r} can't go out: {error}"
                continue
            if why := self._resolver.why_not_again(resolved):
                yield resolved.template_names, why

    def _told(self, record: CampaignRecord, resolved: Resolved) -> str:
        name, refused = record.campaign.name, self._resolver.why_not_again(resolved)
        if record.state == "submitted":
            return (
                f"{name!r} waits for approval, which it can't get as it stands: {refused}"
                if refused
                else (f"{name!r} waits for approval: whoever saw it before looks at it again")
            )
        if record.state == "paused":
            approval = record.approval
            held = why_different(approval.approver, approval.parts, resolved.parts()) if approval else None
            when = "is paused, and is held once it is resumed"
        else:
            held = why_held(record, resolved.parts())
            when = "is held from its next night on"
        if held is None and refused is None:
            return f"{name!r} stays as it was approved"
        if held is None:  # approved before the rule was checked; the night warns of it
            return f"{name!r} stays as it was approved, and won't reach everybody: {refused}"
        # a second approval would be refused, so the remedy comes first
        return f"{name!r} {when}: {held}" + (f". Before it can be approved again: {refused}" if refused else "")
