"""What no night could send is refused before it's approved, with the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.appboy import Template, needed_properties
from optinb.campaigns import Campaign, waterfall
from optinb.delivery import why_too_large
from optinb.errors import CampaignError

if TYPE_CHECKING:
    import polars as pl


def check_template(template: Template, campaign: Campaign) -> None:
    """Refuses a template that can't be used, or that needs what the campaign doesn't give. Raises CampaignError."""
    if not template.usable:
        raise CampaignError(f"template {template.name!r} can't be used: {'; '.join(template.problems)}")
    for needed in needed_properties(template):
        if needed.name not in campaign.properties and not needed.has_default:
            raise CampaignError(
                f"template {template.name!r} needs the property {needed.name!r}, which the campaign doesn't give; "
                f"add it under [properties]"
            )


def check_codes_shown(campaign: Campaign) -> None:
    """Refuses an offer with codes that no message shows. Raises CampaignError."""
    if campaign.codes is not None and not campaign.code_properties:
        raise CampaignError(
            f"the offer has codes from {campaign.codes!r}, but no property shows them; write "
            'NAME = { offer = "code" } under [properties], or take codes out of [offer]'
        )


def check_audience(campaign: Campaign, audience: pl.DataFrame) -> None:
    """Refuses an audience with properties that are too large, or with attributes that are empty for some.

    The latter unless the marketer has chosen what becomes of those. Raises CampaignError.
    """
    check_size(audience)
    missing = waterfall(audience).excluded.get("property_missing", 0)
    undecided = [
        f"{name!r} (attribute {source.attribute!r})"
        for name, source in campaign.properties.items()
        if source.attribute and source.default is None and not source.exclude_empty
    ]
    if missing and undecided:
        raise CampaignError(
            f"{missing:,} customers of the target group have no value for {' or '.join(undecided)}; give it a "
            "default, or exclude_empty = true to leave them out"
        )


def check_size(audience: pl.DataFrame) -> None:
    """Refuses properties that are too large for a request. Raises CampaignError."""
    large = why_too_large(audience)
    if large:
        raise CampaignError(large)
