"""The parts of an approval in words, and what is different from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from optinb.appboy.template_rules import TemplateRules, rules_words
from optinb.base.figures import amount, share
from optinb.base.settings import PLATFORM_NAMES, PolicySection
from optinb.campaigns.campaign import Offer, Property
from optinb.campaigns.learning import Learning
from optinb.campaigns.parts import (
    CONTENT,
    LEARNING,
    MESSAGES_PART,
    PHONES,
    RULES_OF_TEMPLATE,
    VARIANTS,
    PartMessage,
    differences,
)
from optinb.campaigns.rebuilt import REBUILT, read_rebuilt
from optinb.campaigns.schedule import Schedule
from optinb.errors import OptinbError
from optinb.rules import InList, from_json, nodes_of, sentence

NONE = "none"
MOST_LETTERS = 80  # of both values of a part, where a sentence names them


def part_words(part: str, text: str) -> str:
    """The canonical text of a part of an approval, in words; as it is where there are none."""
    try:
        match part:
            case "rule of the target group":
                return _rule_words(text)
            case "schedule":
                return msgspec.json.decode(text, type=Schedule).sentence()
            case "control share":
                return share(float(text))
            case "offer":
                offer = msgspec.json.decode(text, type=Offer | None)
                return offer_words(offer) if offer else NONE
            case "properties":
                given = msgspec.json.decode(text, type=dict[str, Property])
                return "; ".join(f"{name}: {property_words(one)}" for name, one in sorted(given.items())) or NONE
            case "exclusion period" | "measurement window":
                return f"{text} {'day' if text == '1' else 'days'}"
            case "ignoring others' exclusion periods":
                return "yes" if text == "true" else "no"
            case _ if part == MESSAGES_PART:
                return "; ".join(map(_message_words, msgspec.json.decode(text, type=list[PartMessage])))
            case _ if part == VARIANTS:
                shares = msgspec.json.decode(text, type=list[tuple[str, float]])
                return ", ".join(f"{name} {share(part)}" for name, part in shares) or NONE
            case _ if part == LEARNING:
                return msgspec.json.decode(text, type=Learning).sentence()
            case _ if part == PHONES:
                return "the one that they used last" if text == "last_used" else "all of them"
            case _ if part == CONTENT:
                versions = msgspec.json.decode(text, type=dict[str, str]) if text.startswith("{") else {"": text}
                return "version " + ", ".join(version[:8] for version in versions.values())
            case "latest start":
                return f"at most {text} minutes late"
            case "policy":
                return _policy_words(msgspec.json.decode(text, type=PolicySection))
            case "promotion codes":
                files = msgspec.json.decode(text, type=list[tuple[str, int]])
                return ", ".join(f"{codes:,} codes of import {sha256[:8] or '?'}" for sha256, codes in files) or NONE
            case _ if part == RULES_OF_TEMPLATE:
                return _rules_words(text)
            case _ if part == REBUILT:
                return "; ".join(one.sentence() for one in read_rebuilt(text)) or NONE
            case "apps" | "definitions of figures" | "platforms of apps" | "oldest data" | "how deliveries are read":
                return _plain(msgspec.json.decode(text)) or NONE
            case _:
                return text
    except (msgspec.MsgspecError, OptinbError, ValueError):
        return text  # of an older form; better told as it is than not at all


def _message_words(message: PartMessage) -> str:
    """A message, with the template that goes where."""
    where = " and ".join(PLATFORM_NAMES[platform] for platform in message.platforms)
    told = f"template {message.template}" + (f" to {where}" if where else "")
    given = ", ".join(f"{name}: {property_words(one)}" for name, one in sorted(message.properties.items()))
    return (f"{message.variant}: " if message.variant else "") + told + (f" with {given}" if given else "")


def _rules_words(text: str) -> str:
    """What is stated of one template, or of several by their ids."""
    try:
        return rules_words(msgspec.json.decode(text, type=TemplateRules))
    except msgspec.ValidationError:
        several = msgspec.json.decode(text, type=dict[str, TemplateRules])
        return "; ".join(f"template {template}: {rules_words(rules)}" for template, rules in several.items())


def offer_words(offer: Offer) -> str:
    """What an offer is, in a line."""
    given = {**offer.fields(), "codes": offer.codes}
    cost = [f"{amount(offer.cost_of_one)} for each redemption"] if offer.cost_of_one is not None else []
    return ", ".join([*(str(value) for value in given.values() if value is not None), *cost])


def property_words(given: Property) -> str:
    """Where a property comes from."""
    if given.offer is not None:
        return f"the offer's {given.offer.replace('_', ' ')}"
    if given.attribute is None:
        return f"“{given.value}”"
    tail = f", else “{given.default}”" if given.default is not None else ""
    return f"attribute {given.attribute}{tail}"


def why_different(approver: str, approved: Mapping[str, str], current: Mapping[str, str]) -> str | None:
    """What differs from an approval, in a sentence; None where nothing does.

    What it says nothing about was added by a later release: nobody has approved that, whatever its value is. The rules
    of a template are no part of it as long as nobody has stated any.
    """
    changed = differences(approved, current)
    known = [name for name in changed if name in approved or name == RULES_OF_TEMPLATE]
    if known:
        moved = [told for name in known if (told := _moved(name, approved.get(name), current.get(name)))]
        tail = f" ({'; '.join(moved)})" if moved else ""
        return f"changed since {approver} approved it: {', '.join(known)}; approve it again{tail}"
    if changed:
        return (
            f"{approver} approved it before these were a part of an approval: {', '.join(changed)}; look at them and "
            "approve it again"
        )
    return None


def _moved(part: str, before: str | None, now: str | None) -> str | None:
    """What a part was and is, where that is short; a longer text is compared on the desk."""
    values = [NONE if text is None else part_words(part, text) for text in (before, now)]
    return f"{part} was {values[0]} and is {values[1]}" if sum(map(len, values)) <= MOST_LETTERS else None


def _rule_words(text: str) -> str:
    rule = from_json(text)
    lists = [f"“{node.name}” in version {node.sha256[:8]}" for node in nodes_of(rule, InList) if node.sha256]
    return sentence(rule) + (f" (list {', '.join(lists)})" if lists else "")


def _policy_words(policy: PolicySection) -> str:
    found = [f"global control {share(policy.global_control)}"] if policy.global_control else []
    if policy.quiet_from is not None:
        found.append(f"no message from {policy.quiet_from} to {policy.quiet_until}")
    for cap in policy.caps:
        span = f"any {cap.days} days" if cap.days is not None else f"a {cap.per}"
        found.append(f"at most {cap.messages} in {span}" + (f" of app group {cap.app_group}" if cap.app_group else ""))
    if policy.template_edited == "tell":
        found.append("an edited template is told, not recalled")
    if policy.refuse_live_content:
        found.append(f"no template with {', '.join(policy.refuse_live_content)}")
    return "; ".join(found) or NONE


def _plain(value: Any) -> str:
    """A value of lists and tables in a line; what is empty is left out."""
    match value:
        case dict():
            told = {name: _plain(item) for name, item in sorted(value.items())}
            return "; ".join(f"{name} {text}" for name, text in told.items() if text)
        case list():
            return ", ".join(text for text in map(_plain, value) if text)
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
