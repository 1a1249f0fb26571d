"""A campaign with everything that its names stand for, and why no night could send it: its template, codes, tables."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import UNSTATED, StatedRules, Template, TemplateRules, Templates, needed_properties
from optinb.base.settings import AppGroupSettings
from optinb.campaigns import (
    Campaign,
    Competitor,
    TemplateSending,
    content_parts,
    deciding_parts,
    rebuilt_parts,
    rules_part,
    tables_for,
)
from optinb.campaigns.eligibility import why_not_again
from optinb.errors import CampaignError
from optinb.rules import from_json, is_bound, sentence, to_json
from optinb.warehouse import TableAge, Warehouse, table_ages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.base.context import Context
    from optinb.delivery.journal.codes import CodeStore
    from optinb.delivery.journal.origins import Origins
    from optinb.segments import Groups
    from optinb.segments.tables_view import TablesView


class Resolved(Struct, frozen=True, kw_only=True):
    """A campaign with everything that its names stand for.

    `decided` are the parts that the settings decide, and the audiences of its nights that were rebuilt; `rules` are
    what people have stated of the template.
    """

    campaign: Campaign
    app_group: AppGroupSettings
    template: Template
    rules: TemplateRules = UNSTATED
    rule_json: str
    sentence: str
    decided: dict[str, str]

    def parts(self) -> dict[str, str]:
        """The canonical parts that an approval binds to."""
        content = content_parts(
            self.campaign, rule_json=self.rule_json, template=self.template, app_group=self.app_group
        )
        return {**content, **rules_part(self.rules), **self.decided}

    def competitor(self, night: date) -> Competitor:
        """The campaign as the contact policy sees it.

        Args:
            night: the one that schedules it.
        """
        schedule = self.campaign.schedule
        day = schedule.day_of(night)
        sending = TemplateSending(
            app_group_id=self.app_group.id,
            template_id=self.template.id,
            clock=schedule.clock,
            wall=datetime.combine(day, schedule.time),
            rules=self.rules,
        )
        return Competitor.of(self.campaign, app_group_id=self.app_group.id, day=day, sending=sending)


class Resolver:
    """Finds what the names in campaigns stand for, as it is now."""

    def __init__(
        self,
        context: Context,
        tables: TablesView,
        *,
        groups: Groups,
        warehouse: Warehouse,
        templates: Templates,
        codes: CodeStore,
        origins: Origins,
    ) -> None:
        self._context, self._settings, self._tables, self._warehouse = context, context.settings, tables, warehouse
        self._groups, self._templates, self._codes, self._origins = groups, templates, codes, origins

    def resolve(self, campaign: Campaign) -> Resolved:
        """Finds app group, template and rule of a campaign. Raises CampaignError or SettingsError."""
        app_group = self._settings.app_group(campaign.app_group)
        template = self._templates.get(app_group.name, campaign.template)
        group = self._groups.get(campaign.group)
        # what the group names is part of what is approved, so that its change is one of the campaign's too; a rule that
        # names nothing stays as it was stored, also in an older form
        bound = self._groups.bound(campaign.group)
        named = not is_bound(from_json(group.rule_json))
        imports = self._codes.imports(campaign.codes) if campaign.codes is not None else ()
        decided = deciding_parts(
            self._settings,
            campaign,
            bound,
            delivered=self._tables.snapshot().schema("customers") if self._warehouse.current is not None else (),
            imports=[(file.sha256, file.codes) for file in imports],
        )
        rebuilt = self._origins.rebuilt(campaign.id, late_minutes=self._settings.send.late_minutes)
        return Resolved(
            campaign=campaign,
            app_group=app_group,
            template=template,
            rules=self._templates.rules_of(template),
            rule_json=to_json(bound) if named else group.rule_json,
            sentence=sentence(from_json(group.rule_json)),  # not as it's stored, which nothing binds
            decided=decided | rebuilt_parts(rebuilt),
        )

    def to_show(self, campaign: Campaign) -> Resolved:
        """The same for eyes that approve it: with a template that is stored as it was imported.

        Who approves it sees its texts, and approves what Appboy's own have as their hash. Raises CampaignError.
        """
        resolved = self.resolve(campaign)
        self._templates.check_imported(resolved.template)
        return resolved

    def to_send(self, campaign: Campaign) -> Resolved:
        """The same for a send. Raises CampaignError for a campaign that no night could send."""
        resolved = self.to_show(campaign)
        check_template(resolved.template, campaign)
        if campaign.codes is not None:
            self._codes.get(campaign.codes)
        check_codes_shown(campaign)
        return resolved

    def stated(self, resolved: Resolved) -> StatedRules | None:
        """What people have said of the template of a campaign, with who and when; None where nobody has."""
        return self._templates.rules(resolved.app_group.id, resolved.template.id)

    def why_not_again(self, resolved: Resolved) -> str | None:
        """Why a campaign that recurs would reach customers once only, or miss some again and again, or None."""
        return why_not_again(
            resolved.campaign,
            resolved.rules,
            from_json(resolved.rule_json),
            template=resolved.template.name,
            since=self._context.today(),
            zone=self._settings.zone,
        )

    def check_again(self, resolved: Resolved) -> None:
        """Refuses a campaign that recurs sooner than its template may be had again. Raises CampaignError."""
        if why := self.why_not_again(resolved):
            raise CampaignError(why)


def check_template(template: Template, campaign: Campaign) -> None:
    """Refuses a template that can't be used, or that needs what the campaign doesn't give. Raises CampaignError."""
    if not template.usable:
        raise CampaignError(
            f"template {template.name!r} can't be used: {'; '.join(template.problems)}", field="template"
        )
    for needed in needed_properties(template):
        if needed.name not in campaign.properties and not needed.has_default:
            raise CampaignError(
                f"template {template.name!r} needs the property {needed.name!r}, which the campaign doesn't give; "
                f"add it under [properties]",
                field=f"properties.{needed.name}",
            )


def check_codes_shown(campaign: Campaign) -> None:
    """Refuses an offer with codes that no message shows. Raises CampaignError."""
    if campaign.codes is not None and not campaign.code_properties:
        raise CampaignError(
            f"the offer has codes from {campaign.codes!r}, but no property shows them; write "
            'NAME = { offer = "code" } under [properties], or take codes out of [offer]',
            field="offer.codes",
        )


class Freshness:
    """`ws.freshness`: how old the published tables are, and which campaigns that holds."""

    def __init__(self, context: Context, tables: TablesView, warehouse: Warehouse) -> None:
        self._settings, self._tables, self._warehouse = context.settings, tables, warehouse

    def ages_on(self, run_date: date) -> tuple[TableAge, ...]:
        """How old each published table is on a night; nothing before the first import."""
        if self._warehouse.current is None:
            return ()
        contents, settings = self._tables.snapshot().contents, self._settings
        return table_ages(contents, run_date=run_date, limits=settings.imports, zone=settings.zone)

    def why_stale(self, resolved: Resolved, ages: Iterable[TableAge]) -> str | None:
        """Why a campaign must not be sent from the tables as they are, or None."""
        stale = [age for age in ages if age.stale is not None]
        if not stale:
            return None
        rule, delivered = from_json(resolved.rule_json), self._tables.snapshot().schema("customers")
        read = tables_for(self._settings, resolved.campaign, rule, delivered=delivered)
        return "; ".join(age.stale for age in stale if age.stale and age.table in read) or None
