"""A campaign with everything that its names stand for, and why no night could send it: its template, codes, tables."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import UNSTATED, StatedRules, Template, TemplateRules, Templates, needed_properties
from optinb.base.settings import AppGroupSettings, Platform
from optinb.campaigns import (
    Campaign,
    CampaignMessage,
    Competitor,
    TemplateSending,
    content_parts,
    deciding_parts,
    rebuilt_parts,
    rules_part,
    tables_for,
)
from optinb.campaigns.eligibility import why_not_again
from optinb.customers.scores import scores_of
from optinb.errors import CampaignError
from optinb.planning.offers import in_place
from optinb.rules import from_json, is_bound, sentence, to_json
from optinb.warehouse import TableAge, Warehouse, table_ages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.base.context import Context
    from optinb.campaigns import Schedule
    from optinb.campaigns.offer_store import OfferStore
    from optinb.delivery.journal.codes import CodeStore
    from optinb.delivery.journal.origins import Origins
    from optinb.segments import Groups
    from optinb.segments.tables_view import TablesView


class ResolvedMessage(Struct, frozen=True, kw_only=True):
    """A message of a campaign with its template, and what people have stated of that."""

    message: CampaignMessage
    template: Template
    rules: TemplateRules = UNSTATED

    @property
    def platforms(self) -> frozenset[Platform]:
        """Where it goes: where it was chosen for, or wherever the template has a message."""
        return frozenset(self.message.platforms or self.template.platforms)


class Resolved(Struct, frozen=True, kw_only=True):
    """A campaign with everything that its names stand for; a saved offer is in its place.

    `messages` are in the order of their numbers; `decided` are the parts that the settings decide, and the audiences of
    its nights that were rebuilt.
    """

    campaign: Campaign
    app_group: AppGroupSettings
    messages: tuple[ResolvedMessage, ...]
    rule_json: str
    sentence: str
    decided: dict[str, str]

    def parts(self) -> dict[str, str]:
        """The canonical parts that an approval binds to."""
        templates = self.each_template
        content = content_parts(self.campaign, rule_json=self.rule_json, templates=templates, app_group=self.app_group)
        stated = rules_part([one.rules for one in self.messages], [template.id for template in templates])
        return {**content, **stated, **self.decided}

    @property
    def each_template(self) -> tuple[Template, ...]:
        """The template of each message."""
        return tuple(one.template for one in self.messages)

    def of_variant(self, variant: str | None) -> tuple[ResolvedMessage, ...]:
        """The messages of a variant, or of a campaign without any.

        Args:
            variant: its name; None where there are none.
        """
        return tuple(one for one in self.messages if one.message.variant == variant)

    @property
    def by_template(self) -> dict[str, ResolvedMessage]:
        """The first message of each template, by the template's id."""
        return {one.template.id: one for one in reversed(self.messages)}

    @property
    def template_names(self) -> str:
        """The names of its templates, for a line of text."""
        return ", ".join(dict.fromkeys(template.name for template in self.each_template))

    def why_over(self, night: date) -> str | None:
        """Why its offer is over on the day when what a night schedules goes out, or None.

        Args:
            night: the one that schedules it.
        """
        offer = self.campaign.own_offer
        return offer.why_over(self.campaign.schedule.day_of(night)) if offer else None

    def competitor(self, night: date) -> Competitor:
        """The campaign as the contact policy sees it.

        Args:
            night: the one that schedules it.
        """
        schedule = self.campaign.schedule
        day = schedule.day_of(night)
        sendings = tuple(
            TemplateSending(
                app_group_id=self.app_group.id,
                template_id=one.template.id,
                clock=schedule.clock,
                wall=datetime.combine(day, schedule.time),
                rules=one.rules,
            )
            for one in self.messages
        )
        return Competitor.of(self.campaign, app_group_id=self.app_group.id, day=day, sendings=sendings)


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
        offers: OfferStore,
        origins: Origins,
    ) -> None:
        self._context, self._settings, self._tables, self._warehouse = context, context.settings, tables, warehouse
        self._groups, self._templates, self._codes, self._offers = groups, templates, codes, offers
        self._origins = origins

    def resolve(self, campaign: Campaign) -> Resolved:
        """Finds app group, template, rule and offer of a campaign. Raises CampaignError or SettingsError."""
        campaign = in_place(campaign, self._offers)
        app_group = self._settings.app_group(campaign.app_group)
        if lacking := campaign.why_no_message:
            raise CampaignError(f"{campaign.name!r} can't go out: {lacking}")
        templates = {name: self._templates.get(app_group.name, name) for name in campaign.template_names}
        rules = {name: self._templates.rules_of(template) for name, template in templates.items()}
        group = self._groups.get(campaign.group)
        # what the group names is part of what is approved, so that its change is one of the campaign's too; a rule that
        # names nothing stays as it was stored, also in an older form
        bound = self._groups.bound(campaign.group)
        named = not is_bound(from_json(group.rule_json))
        imports = self._codes.imports(campaign.codes) if campaign.codes is not None else ()
        snapshot = self._tables.snapshot() if self._warehouse.current is not None else None
        decided = deciding_parts(
            self._settings,
            campaign,
            bound,
            delivered=snapshot.schema("customers") if snapshot is not None else (),
            scores=scores_of(snapshot) if snapshot is not None else (),
            imports=[(file.sha256, file.codes) for file in imports],
        )
        rebuilt = self._origins.rebuilt(campaign.id, late_minutes=self._settings.send.late_minutes)
        return Resolved(
            campaign=campaign,
            app_group=app_group,
            messages=tuple(
                ResolvedMessage(message=one, template=templates[one.template], rules=rules[one.template])
                for one in campaign.messages
            ),
            rule_json=to_json(bound) if named else group.rule_json,
            sentence=sentence(from_json(group.rule_json)),  # not as it's stored, which nothing binds
            decided=decided | rebuilt_parts(rebuilt),
        )

    def to_show(self, campaign: Campaign) -> Resolved:
        """The same for eyes that approve it: with a template that is stored as it was imported.

        Who approves it sees its texts, and approves what Appboy's own have as their hash. Raises CampaignError.
        """
        resolved = self.resolve(campaign)
        for one in resolved.by_template.values():
            self._templates.check_imported(one.template)
        return resolved

    def to_send(self, campaign: Campaign) -> Resolved:
        """The same for a send. Raises CampaignError for a campaign that no night could send."""
        resolved = self.to_show(campaign)
        campaign = resolved.campaign
        check_messages(resolved)
        if campaign.codes is not None:
            self._codes.get(campaign.codes)
        check_codes_shown(campaign)
        return resolved

    def stated(self, resolved: Resolved) -> dict[str, StatedRules | None]:
        """What people have said of each template of a campaign, with who and when, by its id; None where nobody has."""
        return {template: self._templates.rules(resolved.app_group.id, template) for template in resolved.by_template}

    def why_not_again(self, resolved: Resolved) -> str | None:
        """Why a campaign that recurs would reach customers once only, or miss some again and again, or None."""
        found = (
            why_not_again(
                resolved.campaign,
                one.rules,
                from_json(resolved.rule_json),
                template=one.template.name,
                since=self._context.today(),
                zone=self._settings.zone,
            )
            for one in resolved.by_template.values()
        )
        return next(filter(None, found), None)

    def why_over(self, resolved: Resolved) -> str | None:
        """Why a campaign would go out next when its offer is over, or None."""
        return resolved.why_over(next_night(resolved.campaign.schedule, self._context.today()))

    def check_again(self, resolved: Resolved) -> None:
        """Refuses a campaign that recurs sooner than its template may be had again, or whose offer is over.

        Raises CampaignError.
        """
        if why := self.why_not_again(resolved) or self.why_over(resolved):
            raise CampaignError(why)


def next_night(schedule: Schedule, today: date) -> date:
    """The night that schedules it next, or would for a date that has passed."""
    return next(schedule.nights(today), schedule.night_of(schedule.date or today))


def check_messages(resolved: Resolved) -> None:
    """Refuses messages that no night could send as they are chosen. Raises CampaignError."""
    for one in resolved.messages:
        check_template(one)
        _check_platforms(one, resolved.app_group)
    _check_variants(resolved)
    _check_phones(resolved)


def check_template(one: ResolvedMessage) -> None:
    """Refuses a template that can't be used, or that needs what the campaign doesn't give. Raises CampaignError."""
    template = one.template
    if not template.usable:
        raise CampaignError(
            f"template {template.name!r} can't be used: {'; '.join(template.problems)}", field="template"
        )
    for needed in needed_properties(template):
        if needed.name not in one.message.properties and not needed.has_default:
            of = f" for its variant {one.message.variant!r}" if one.message.variant else ""
            raise CampaignError(
                f"template {template.name!r} needs the property {needed.name!r}, which the campaign doesn't give{of}; "
                f"add it under [properties]",
                field=f"properties.{needed.name}",
            )


def _check_platforms(one: ResolvedMessage, app_group: AppGroupSettings) -> None:
    """Refuses a template that was chosen for other platforms than those that Appboy would send it to."""
    chosen, template = one.message.platforms, one.template
    lacking = [platform for platform in chosen if platform not in template.platforms]
    if lacking:
        raise CampaignError(
            f"template {template.name!r} has no message for {lacking[0]}, only for {', '.join(template.platforms)}; "
            f"choose another one for {lacking[0]}, or none"
        )
    beyond = [p for p in template.platforms if chosen and p not in chosen and p in app_group.platforms()]
    if beyond:
        raise CampaignError(
            f"template {template.name!r} has a message for {beyond[0]}, too, which Appboy would send to whoever has "
            f"both; choose it for {beyond[0]}, too, or one that is for {', '.join(chosen)} alone"
        )


def _check_variants(resolved: Resolved) -> None:
    """Refuses variants that don't go to the same platforms, whose customers couldn't be compared."""
    reached: dict[str | None, frozenset[Platform]] = {}
    for one in resolved.messages:
        mine = one.platforms & resolved.app_group.platforms()
        reached[one.message.variant] = reached.get(one.message.variant, frozenset()) | mine
    first, *others = reached
    for other in others:
        if missing := sorted(reached[first] ^ reached[other]):
            has, lacks = (first, other) if missing[0] in reached[first] else (other, first)
            raise CampaignError(
                f"variant {has!r} goes to {missing[0]} and variant {lacks!r} doesn't, so that nobody could compare "
                f"them; give both a template for {missing[0]}, or none"
            )


def _check_phones(resolved: Resolved) -> None:
    """Refuses what can't be kept: one phone of each where one template goes to several, and one code on two phones."""
    campaign = resolved.campaign
    if campaign.phones == "last_used":
        for one in resolved.messages:
            together = sorted(one.platforms & resolved.app_group.platforms())
            if len(together) > 1:
                raise CampaignError(
                    f"Appboy sends template {one.template.name!r} to all of a customer's phones, {together[0]} and "
                    f"{together[1]}; give each platform a template of its own under [templates], or leave phones out"
                )
    of_one = [one.message.variant for one in resolved.messages]
    if campaign.codes is not None and campaign.phones == "all" and len(of_one) != len(set(of_one)):
        raise CampaignError(
            'a customer with several phones would get a promotion code on each; write phones = "last_used", so that '
            "everybody gets one, or choose one template for all platforms"
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
        rule, snapshot = from_json(resolved.rule_json), self._tables.snapshot()
        delivered, scores = snapshot.schema("customers"), scores_of(snapshot)
        read = tables_for(self._settings, resolved.campaign, rule, delivered=delivered, scores=scores)
        return "; ".join(age.stale for age in stale if age.stale and age.table in read) or None
