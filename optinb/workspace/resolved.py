"""A campaign with everything that its names stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import Template
from optinb.campaigns import Campaign, content_parts, deciding_parts, rebuilt_parts
from optinb.rules import from_json, is_bound, sentence, to_json
from optinb.settings import AppGroupSettings

if TYPE_CHECKING:
    from optinb.workspace.handle import Workspace


class Resolved(Struct, frozen=True, kw_only=True):
    """A campaign with everything that its names stand for; `decided` are the parts that the settings decide, and
    the audiences of its nights that were rebuilt."""

    campaign: Campaign
    app_group: AppGroupSettings
    template: Template
    rule_json: str
    sentence: str
    decided: dict[str, str]

    def parts(self) -> dict[str, str]:
        """The canonical parts that an approval binds to."""
        content = content_parts(
            self.campaign, rule_json=self.rule_json, template=self.template, app_group=self.app_group
        )
        return {**content, **self.decided}


def resolve(ws: Workspace, campaign: Campaign) -> Resolved:
    """Finds app group, template and rule of a campaign. Raises CampaignError or SettingsError."""
    app_group = ws.settings.app_group(campaign.app_group)
    template = ws.templates.get(app_group.name, campaign.template)
    group = ws.groups.get(campaign.group)
    # what the group names is part of what is approved, so that its change is one of the campaign's too; a rule that
    # names nothing stays as it was stored, also in an older form
    bound = ws.groups.bound(campaign.group)
    named = not is_bound(from_json(group.rule_json))
    imports = ws.store.codes.imports(campaign.codes) if campaign.codes is not None else ()
    decided = deciding_parts(
        ws.settings,
        campaign,
        bound,
        delivered=ws.snapshot().schema("customers") if ws.warehouse.current is not None else (),
        imports=[(file.sha256, file.codes) for file in imports],
    )
    rebuilt = ws.store.origins.rebuilt(campaign.id, late_minutes=ws.settings.send.late_minutes)
    return Resolved(
        campaign=campaign,
        app_group=app_group,
        template=template,
        rule_json=to_json(bound) if named else group.rule_json,
        sentence=sentence(from_json(group.rule_json)),  # not as it's stored, which nothing binds
        decided=decided | rebuilt_parts(rebuilt),
    )
