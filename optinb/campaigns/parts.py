"""What an approval is of: every part that decides who gets what, where and when, in canonical text by its name. Pure.

A campaign's own content is one half, the settings that decide about it are the other. What only says how fast, with
which tool, or whose approval counts is no part: the first two change nothing that a customer sees, and the last is
looked at anew each night. A test holds every setting to one side or the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from optinb.base.settings import Platform
from optinb.campaigns.campaign import Property
from optinb.customers import declared_features
from optinb.customers.attributes import CHANCES, MICRO_SEGMENT, STAGE, VALUE, origins
from optinb.customers.scores import PublishedScore, definitions_of, read_by
from optinb.rules import Rule, Uses, attributes_of, nodes_of, tables_behind, tables_read

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from optinb.appboy import Template, TemplateRules
    from optinb.base.settings import AppGroupSettings, Settings
    from optinb.campaigns.campaign import Campaign
    from optinb.campaigns.schedule import Schedule

# What [lifecycle] decides about; everything else that the package makes is made the same way in every workspace.
STAGED = frozenset({*(a.name for a in (*STAGE, *VALUE, *CHANCES)), MICRO_SEGMENT, "comeback_pause_days"})
# Whoever a rule chooses: their consent stands in one, their apps in the other.
ALWAYS_READ = frozenset({"customers", "app_users"})
# Who is one person decides whose consent and purchases count. No age of it holds a night: what it said once holds on.
WHO_IS_WHO = frozenset({"customer_ids"})
RULES_OF_TEMPLATE = "rules of the template"
CONTENT = "content of the template"
MESSAGES_PART, VARIANTS, PHONES = "messages", "shares of the variants", "customers with several phones"
LEARNING = "how the shares of variants move"
# Whose approval counts is looked at anew each night, and what a new campaign begins with stands in the campaign.
NOT_APPROVED = frozenset({"approval_days", "keys", "control"})


def canonical(value: object) -> str:
    """A value as text that is the same whenever the value is."""
    return msgspec.json.encode(value, order="sorted").decode()


class PartMessage(Struct, frozen=True):
    """A message of a campaign, as an approval binds it: whose variant, on which platforms, which template."""

    variant: str | None
    platforms: tuple[Platform, ...]
    template: str
    properties: dict[str, Property]


def content_parts(
    campaign: Campaign, *, rule_json: str, templates: Sequence[Template], app_group: AppGroupSettings
) -> dict[str, str]:
    """Every part of what goes out that the campaign itself names, by a name that a marketer knows.

    Args:
        campaign: the one that is approved.
        rule_json: of its target group.
        templates: that of each of its messages, by number.
        app_group: whose apps it goes to.
    """
    apps = app_group.apps_on(frozenset(platform for template in templates for platform in template.platforms))
    return {
        "target group": campaign.group,
        "rule of the target group": rule_json,
        "app group": app_group.id,
        "address of Appboy": app_group.named_api + (f" by {app_group.proxy}" if app_group.proxy else ""),
        "key of the app group": f"{app_group.auth} {app_group.key or ''}".strip(),
        "apps": canonical([(app.id, app.platform, app.sdk_from_version) for app in apps]),
        **_message_parts(campaign, templates),
        "properties": canonical(campaign.properties),
        "schedule": canonical(campaign.schedule),
        "control share": repr(campaign.control),
        "offer": canonical(campaign.offer),
        "priority": str(campaign.priority),
        "exclusion period": str(campaign.exclusion_days),
        "measurement window": str(campaign.measurement_days),
        "ignoring others' exclusion periods": canonical(campaign.ignore_others),
    }


def _message_parts(campaign: Campaign, templates: Sequence[Template]) -> dict[str, str]:
    """The template of a campaign that has one for all; else each message, the shares of variants, and phones."""
    contents = {template.id: template.content_hash for template in templates}
    if not campaign.is_of_several:
        (template,) = templates
        return {"template": template.id, CONTENT: template.content_hash}
    told = [
        PartMessage(message.variant, message.platforms, template.id, message.properties)
        for message, template in zip(campaign.messages, templates, strict=True)
    ]
    return {
        MESSAGES_PART: canonical(told),
        CONTENT: canonical(contents),
        VARIANTS: canonical(list(campaign.shares.items())),
        # none where they stay, as in every approval of before
        **({LEARNING: canonical(campaign.learning)} if campaign.learning is not None else {}),
        PHONES: campaign.phones,
    }


def approved_templates(parts: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of the templates that an approval is of.

    Args:
        parts: of the approval.
    """
    if MESSAGES_PART not in parts:
        return (parts["template"],)
    return tuple(msgspec.json.decode(parts[CONTENT], type=dict[str, str]))


def approved_content(parts: Mapping[str, str], template_id: str) -> str | None:
    """The hash of a template's content that an approval is of; None where it is of none.

    Args:
        parts: of the approval.
        template_id: of a template that the campaign sends.
    """
    content = parts.get(CONTENT)
    if MESSAGES_PART not in parts:
        return content if parts.get("template") == template_id else None
    return msgspec.json.decode(content or "{}", type=dict[str, str]).get(template_id)


def rules_part(rules: Sequence[TemplateRules], templates: Sequence[str]) -> dict[str, str]:
    """The part for what is stated of the templates; none where nothing is, as in every approval of before.

    Args:
        rules: of each message's template, by number.
        templates: their ids.
    """
    stated = {template: one for template, one in zip(templates, rules, strict=True) if one}
    if not stated:
        return {}
    return {RULES_OF_TEMPLATE: canonical(rules[0] if len(rules) == 1 else stated)}


def deciding_parts(
    settings: Settings,
    campaign: Campaign,
    rule: Rule,
    *,
    delivered: Collection[str],
    scores: Sequence[PublishedScore],
    imports: Sequence[tuple[str, int]],
) -> dict[str, str]:
    """Every part that the settings decide, by a name that a marketer knows.

    Args:
        settings: of the workspace.
        campaign: whose app group, offer and schedule are looked at.
        rule: one in which the groups and lists that it names are in their places.
        delivered: the columns of the delivered customers, which no figure of the models hides.
        scores: what was learned and published as attributes.
        imports: the SHA-256 and the number of codes of each file that the offer's pool was imported from.
    """
    read = tables_for(settings, campaign, rule, delivered=delivered, scores=scores)
    figures = asked(campaign, rule) - set(delivered)
    limits = settings.imports
    policy = msgspec.to_builtins(settings.contact_policy())
    sources = [msgspec.to_builtins(source) for source in settings.sources if source.table in read | WHO_IS_WHO]
    return {
        "who says who works": settings.workspace.hub or settings.workspace.identity,
        "time zone": _clock(campaign.schedule, settings.zone),
        "latest start": str(settings.send.late_minutes),
        "policy": canonical({k: v for k, v in policy.items() if k not in NOT_APPROVED}),
        "promotion codes": canonical(imports),
        "definitions of figures": canonical(_definitions(settings, figures) | definitions_of(scores, figures)),
        "platforms of apps": canonical(_platforms(settings) if nodes_of(rule, Uses) else {}),
        "oldest data": canonical(
            {"days": limits.max_age_days, **{t: d for t, d in limits.max_age.items() if t in read}}
        ),
        "how deliveries are read": canonical(
            {
                "currency": settings.workspace.currency,
                "no value": limits.missing,
                "headers": limits.columns,
                "repeated events left out": limits.drop_repeated_events,
                "sources": [{k: v for k, v in source.items() if k != "batch_rows"} for source in sources],
            }
        ),
    }


def asked(campaign: Campaign, rule: Rule) -> frozenset[str]:
    """The attributes of customers that choose them, or that their messages show."""
    given = [campaign.properties, *(message.properties for message in campaign.messages)]
    return attributes_of(rule) | {p.attribute for one in given for p in one.values() if p.attribute is not None}


def tables_for(
    settings: Settings, campaign: Campaign, rule: Rule, *, delivered: Collection[str], scores: Sequence[PublishedScore]
) -> frozenset[str]:
    """The delivered tables that a campaign reads: by its rule, by its properties, and what every audience needs."""
    made = {**read_by(scores), **origins(declared_features(settings.features, taken=delivered))}
    # A delivered attribute is never hidden by one of the models.
    made = {name: tables for name, tables in made.items() if name not in delivered}
    return ALWAYS_READ | tables_read(rule, made) | tables_behind(asked(campaign, rule), made)


def differences(approved: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the parts that changed since the approval."""
    return tuple(name for name in {**approved, **current} if approved.get(name) != current.get(name))


def _clock(schedule: Schedule, zone: ZoneInfo) -> str:
    """The zone of the wall times; of a single date also its moment, which a law on summer time may move."""
    if schedule.date is None:
        return zone.key
    return f"{zone.key}, {schedule.send_at(schedule.night_of(schedule.date), zone):%Y-%m-%d %H:%M} UTC"


def _definitions(settings: Settings, names: Collection[str]) -> dict[str, Any]:
    """How the settings define the figures of these names."""
    found: dict[str, Any] = {
        feature.name: {k: v for k, v in msgspec.to_builtins(feature).items() if k not in ("name", "sentence")}
        for feature in settings.features
        if feature.name in names
    }
    for name in STAGED & set(names):
        found[name] = msgspec.to_builtins(settings.lifecycle)
    if MICRO_SEGMENT in names:
        found[MICRO_SEGMENT] |= msgspec.to_builtins(settings.models)
    return found


def _platforms(settings: Settings) -> dict[str, str]:
    return {app.id: app.platform for group in settings.app_groups for app in group.apps}
