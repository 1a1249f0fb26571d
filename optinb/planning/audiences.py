"""Who gets a campaign: the members of its target group, as far as the contact policy and their consent let them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from optinb.appboy import UNSTATED
from optinb.campaigns import (
    AudienceMessage,
    Campaign,
    Competitor,
    ContactPolicyState,
    PlacedCustomers,
    Sent,
    TemplateSending,
    VendorState,
    build_audience,
    days_back,
    quiet_zones,
    waterfall,
)
from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.delivery import ContactHistory, counting, sending_day, why_too_large
from optinb.errors import CampaignError
from optinb.rules import Rule, from_json
from optinb.segments import SharedGroups, members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from zoneinfo import ZoneInfo

    from optinb.appboy import StatedRules, Templates
    from optinb.base.context import Context
    from optinb.campaigns import Waterfall
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.campaigns.learning import Mix
    from optinb.delivery import FrozenAudience
    from optinb.planning.resolved import Resolved
    from optinb.segments import VendorControl
    from optinb.segments.tables_view import TablesView

KEPT = ("customer_id", "external_user_id", "variant")


class Audiences:
    """Builds audiences of campaigns, and finds where every customer stands with the contact policy before."""

    def __init__(
        self,
        context: Context,
        tables: TablesView,
        *,
        campaigns: CampaignStore,
        contacts: ContactHistory,
        templates: Templates,
        vendor_control: VendorControl,
        mix: Callable[[Campaign, date], Mix | None],
    ) -> None:
        """Args: `mix`: the mix of a campaign that learns, in a night."""
        self._settings, self._tables = context.settings, tables
        self.mix: Callable[[Campaign, date], Mix | None] = mix
        self._campaigns, self._contacts, self._templates = campaigns, contacts, templates
        self.vendor_control = vendor_control

    def policy_state(
        self, night: date, due: Iterable[Campaign], *, tables_of: date | None = None, but: str | None = None
    ) -> ContactPolicyState:
        """Where every customer stands with the contact policy, and with Appboy's filters, before campaigns choose.

        What earlier nights sent or held out counts, and what this one has frozen already; under whatever id it was, it
        counts for the person, and once for a campaign's night, however many of its messages they got. `but`: the id of
        a campaign whose own audience of this night doesn't count.

        Raises StateError when a frozen audience that counts can't be read or was changed.
        """
        known = {record.id: record.campaign for record in self._campaigns.list()}
        found = self.uncontested(night, due, tables_of=tables_of)
        nights = [a for a in self._contacts.nights() if (a.of_campaign, a.run_date) != (but, night)]
        found.vendor = self._vendor_state(found.placed, nights)
        oldest = night - timedelta(days=days_back(self._settings.contact_policy(), known.values()))
        by_night: dict[tuple[str, date], list[FrozenAudience]] = {}
        for audience in nights:
            if audience.run_date >= oldest:
                by_night.setdefault((audience.of_campaign, audience.run_date), []).append(audience)
        for (campaign_id, _), (audience, *others) in by_night.items():
            campaign = known.get(campaign_id)
            who = Competitor(
                campaign_id=campaign_id,
                app_group_id=audience.app_group_id,
                day=sending_day(audience),
                exclusion_days=campaign.exclusion_days if campaign else 0,
                measurement_days=campaign.measurement_days if campaign else 0,
            )
            rows = self._contacts.rows(audience)
            sent = [counting(rows, "recipient")]
            sent += [counting(self._contacts.rows(other), "recipient") for other in others]
            found.add(pl.concat(sent).unique() if others else sent[0], who)
            found.add(counting(rows, "control"), who, control=True)
        return found

    def _vendor_state(self, placed: PlacedCustomers, nights: Iterable[FrozenAudience]) -> VendorState:
        """What is stated of Appboy's filters, with all that was sent; nothing of it is read before a campaign asks."""
        stated, zone = self._templates.stated(), self._settings.zone

        nights = tuple(nights)
        # the control group of a night is listed with its first message, and is that of all of them
        first = {audience.night: audience for audience in nights}

        def rows_of(audience: FrozenAudience) -> Callable[[bool], pl.DataFrame]:
            controls = first.get((audience.of_campaign, audience.run_date), audience)
            return lambda of_control: (
                counting(self._contacts.rows(controls), "control")
                if of_control
                else counting(self._contacts.rows(audience), "recipient")
            )

        sent = (
            Sent(audience.of_campaign, sending_of(audience, stated=stated, zone=zone), rows_of(audience))
            for audience in nights
        )
        return VendorState(placed, zone=zone.key, sent=sent, controls=self.vendor_control.members)

    def uncontested(self, night: date, due: Iterable[Campaign], *, tables_of: date | None = None) -> ContactPolicyState:
        """Where every customer stands with the contact policy as if no campaign had contacted anybody."""
        tables = self._tables.tables(tables_of)
        days = {night, *(campaign.schedule.day_of(night) for campaign in due)}
        customers, app_users = tables.customers.to_native(), tables.app_users.to_native()
        placed = PlacedCustomers(customers, app_users, identity=tables.identity())
        return ContactPolicyState(placed, days=days, policy=self._settings.contact_policy())

    def share(self, rules: Iterable[Rule], *, run_date: date) -> SharedGroups:
        """The members of some rules, found together."""
        return SharedGroups(self._tables, rules, run_date=run_date)

    def build(
        self,
        resolved: Resolved,
        *,
        run_date: date | None = None,
        night: date | None = None,
        among: ContactPolicyState | None = None,
        shared: SharedGroups | None = None,
        people: pl.LazyFrame | None = None,
    ) -> pl.DataFrame:
        """The audience of a campaign as of a date; see `Campaigns.audience`."""
        rule, campaign, settings = from_json(resolved.rule_json), resolved.campaign, self._settings
        tables = self._tables.tables_for(rule, run_date=run_date)
        group = shared.members(self._tables, rule, run_date=run_date) if shared is not None else people
        quiet: frozenset[str] = frozenset()
        if among is not None and night is not None:
            zones = among.placed.zones(unknown=settings.workspace.time_zone)
            quiet = quiet_zones(settings.policy, campaign.schedule, night, zone=settings.zone, zones=zones)
        mix = self.mix(campaign, night or run_date or tables.run_date) if campaign.learning is not None else None
        return build_audience(
            members(rule, tables).to_native() if group is None else group,
            tables.customers.to_native(),
            tables.app_users.to_native(),
            messages=messages_for(resolved),
            # in the order by which messages are numbered, which a mix that was kept before may not have
            shares=campaign.shares if mix is None else {name: mix.shares[name] for name in campaign.shares},
            kept=self._kept(campaign, mix.night) if mix is not None else None,
            phones=campaign.phones,
            offer=campaign.offered,
            control=campaign.control,
            salt=campaign.id,
            not_modelled=tables.not_modelled,
            quiet=quiet,
            zone=settings.workspace.time_zone,
            policy_state=among,
            who=resolved.competitor(night) if among is not None and night is not None else None,
            identity=tables.identity(),
        )

    def _kept(self, campaign: Campaign, night: date) -> pl.DataFrame:
        """Who got which variant of a campaign in the nights before one, the first night first."""
        before = [one for one in self._contacts.nights() if one.of_campaign == campaign.id and one.run_date < night]
        rows = self._contacts.rows_of(before[::-1], [*KEPT, "role"], but_excluded=True)
        kept = rows.filter(pl.col("role") == "recipient").select(KEPT)
        return kept.unique("customer_id", keep="first", maintain_order=True)


def messages_for(resolved: Resolved) -> tuple[AudienceMessage, ...]:
    """The messages of a campaign, as its audience has to know them."""
    variants = list(resolved.campaign.shares)
    return tuple(
        AudienceMessage(
            apps=resolved.app_group.apps_on(one.platforms),
            properties=one.message.properties,
            variant=variants.index(one.message.variant) if one.message.variant else 0,
        )
        for one in resolved.messages
    )


def sending_of(
    audience: FrozenAudience, *, stated: Mapping[tuple[str, str], StatedRules], zone: ZoneInfo
) -> TemplateSending:
    """As what, and when, a frozen audience goes out; `stated`: what is stated of templates, `zone`: the workspace's."""
    if audience.clock == "workspace":
        wall = audience.send_at.astimezone(zone).replace(tzinfo=None)
    else:
        wall = (audience.send_at + EARLIEST_ZONE).replace(tzinfo=None)
    said = stated.get((audience.app_group_id, audience.template_id))
    return TemplateSending(
        app_group_id=audience.app_group_id,
        template_id=audience.template_id,
        clock=audience.clock,
        wall=wall,
        rules=UNSTATED if said is None else said.rules,
        recipients=audience.recipients,
    )


def check_audience(campaign: Campaign, audience: pl.DataFrame) -> None:
    """Refuses an audience with properties that are too large, or with attributes that are empty for some.

    The latter unless the marketer has chosen what becomes of those. Raises CampaignError.
    """
    check_size(audience)
    check_decided(campaign, waterfall(audience))


def check_decided(campaign: Campaign, figures: Waterfall) -> None:
    """Refuses attributes that are empty for some customers, without a choice of what becomes of those.

    Raises CampaignError.
    """
    missing = figures.excluded.get("property_missing", 0)
    undecided = {
        name: f"{name!r} (attribute {source.attribute!r})"
        for message in campaign.messages
        for name, source in message.properties.items()
        if source.attribute and source.default is None and not source.exclude_empty
    }
    if missing and undecided:
        raise CampaignError(
            f"{missing:,} customers of the target group have no value for {' or '.join(undecided.values())}; give it a "
            "default, or exclude_empty = true to leave them out",
            field=f"properties.{next(iter(undecided))}",
        )


def check_size(audience: pl.DataFrame) -> None:
    """Refuses properties that are too large for a request. Raises CampaignError."""
    large = why_too_large(audience)
    if large:
        raise CampaignError(large)
