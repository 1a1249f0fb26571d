"""The messages of a campaign: which template goes to which platforms in which variant, and who gets which. Pure.

A campaign has one message for each template of each variant. A night delivers and journals each of them apart: the
first under the campaign's id, the others under that id with their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.base.settings import PLATFORMS, Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optinb.campaigns.campaign import Campaign, Property

MESSAGES = "messages"
"""Of a row of an audience: the numbers of the messages that a recipient gets, as bits; 0 for everybody else."""
MOST_VARIANTS = 8
BITS = pl.UInt32()


class CampaignMessage(Struct, frozen=True, kw_only=True):
    """One template of a campaign, with those who may get it.

    Attributes:
        number: from 0, in the order of the variants, then of the platforms.
        template: its name or id.
        platforms: those that it was chosen for; empty for all that the template has a message for.
        variant: the name of the variant that it belongs to; None where the campaign has none.
        properties: where each of its trigger properties comes from.
    """

    number: int
    template: str
    platforms: tuple[Platform, ...] = ()
    variant: str | None = None
    properties: Mapping[str, Property]


def messages_of(campaign: Campaign) -> tuple[CampaignMessage, ...]:
    """The messages of a campaign in the order of their numbers; a campaign of one template has one."""
    found: list[CampaignMessage] = []
    for variant in campaign.variants or (None,):
        own = variant is not None and (variant.template or variant.templates)
        template, templates = (variant if variant is not None and own else campaign).chosen_templates
        by_template: dict[str, list[Platform]] = {template: []} if template else {}
        for platform in PLATFORMS:
            if platform in templates:
                by_template.setdefault(templates[platform], []).append(platform)
        for name, platforms in by_template.items():
            found.append(
                CampaignMessage(
                    number=len(found),
                    template=name,
                    platforms=tuple(platforms),
                    variant=variant.name if variant else None,
                    properties={**campaign.properties, **(variant.properties if variant else {})},
                )
            )
    return tuple(found)


def message_key(campaign_id: str, number: int) -> str:
    """What a message's nights are journalled under; the first message has the campaign's own id.

    Args:
        campaign_id: 12 hexadecimal digits.
        number: of the message, from 0.
    """
    return f"{campaign_id}.{number}" if number else campaign_id


def campaign_of(key: str) -> str:
    """The id of the campaign whose message a key is of."""
    return key.partition(".")[0]


def number_of(key: str) -> int:
    """The number of the message that a key is of."""
    return int(key.partition(".")[2] or 0)


def split(audience: pl.DataFrame, count: int) -> tuple[pl.DataFrame, ...]:
    """The rows of each message of an audience.

    Args:
        audience: with AUDIENCE_SCHEMA and, where there are several messages, MESSAGES.
        count: how many messages the campaign has.

    Returns:
        for the first message everybody but the recipients of others alone, so that each customer who was considered is
        there or in another; for each further message its recipients. A customer who gets two is in both.
    """
    if count == 1:
        return (audience,)
    is_sent = pl.col("outcome") == "recipient"
    mine = [audience.filter(is_sent & _gets(number)) for number in range(1, count)]
    return (audience.filter(~is_sent | _gets(0)), *mine)


def gets(audience: pl.DataFrame, number: int) -> pl.DataFrame:
    """The recipients of one message of an audience; of all of them where it doesn't tell messages apart."""
    is_sent = pl.col("outcome") == "recipient"
    return audience.filter(is_sent & _gets(number) if MESSAGES in audience.columns else is_sent)


def _gets(number: int) -> pl.Expr:
    return pl.col(MESSAGES) & pl.lit(1 << number, BITS) != 0
