"""A campaign with everything that its names stand for."""

from __future__ import annotations

from msgspec import Struct

from optinb.appboy import Template
from optinb.campaigns import Campaign, content_parts
from optinb.settings import AppGroupSettings


class Resolved(Struct, frozen=True, kw_only=True):
    """A campaign with everything that its names stand for."""

    campaign: Campaign
    app_group: AppGroupSettings
    template: Template
    rule_json: str
    sentence: str

    def parts(self) -> dict[str, str]:
        """The canonical parts that an approval binds to."""
        return content_parts(self.campaign, rule_json=self.rule_json, template=self.template, app_group=self.app_group)
