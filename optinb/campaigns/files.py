"""Campaigns as files: `campaign.toml` in and out, so that they can be reviewed in git."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import tomli_w

from optinb.campaigns.campaign import Campaign, Offer, OfferField, Property
from optinb.campaigns.schedule import WEEKDAYS, Clock, Schedule
from optinb.errors import CampaignError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CHOICES: dict[str, tuple[str, ...]] = {
    "schedule.clock": get_args(Clock),
    "schedule.days": WEEKDAYS,
    "schedule.every": ("day", "week", "month"),
    "offer.kind": ("discount", "gift", "points", "none"),
    "offer": get_args(OfferField),
}


def read_campaign(path: Path) -> Campaign:
    """Reads `campaign.toml`. Raises CampaignError naming file, field, value and remedy."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CampaignError(f"the campaign file {path} isn't there") from error
    except OSError as error:
        raise CampaignError(f"the campaign file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CampaignError(f"{path} isn't valid TOML: {error}; texts need quotes") from error
    return campaign_from(raw, source=str(path))


def campaign_toml(campaign: Campaign) -> str:
    """The text of a `campaign.toml` that reads back as the same campaign; what is left to its default isn't in it."""
    return tomli_w.dumps(msgspec.to_builtins(campaign, builtin_types=(date,)))


def campaign_from(raw: Mapping[str, Any], *, source: str = "campaign") -> Campaign:
    """Checks the fields of a campaign. Raises CampaignError naming the field, the value and the remedy."""
    try:
        return msgspec.convert(dict(raw), Campaign)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        place = where.strip("`").lstrip(".")
        raise CampaignError(f"{source}: {place + ': ' if place else ''}{_remedy(message, place)}") from error


def _remedy(message: str, place: str) -> str:
    """What to write instead of a field that can't be read."""
    unknown = re.search(r"unknown field `(.+?)`", message)
    if unknown:
        kinds = {"schedule": Schedule, "offer": Offer, "": Campaign}
        known = getattr(kinds.get(place, Property), "__struct_fields__", ())
        return f"{unknown[1]!r} is no field here{did_you_mean(unknown[1], known)}"
    if place == "schedule.at":
        return 'the time must be written as "HH:MM", such as "18:30"'
    if place == "control":
        return "the control share must be at least 0 and less than 1, such as 0.1 for ten percent"
    choice = re.search(r"[Ii]nvalid enum value (.*)", message)
    if choice:
        field = re.sub(r"\[.*?\]", "", place)
        allowed = _CHOICES.get(field) or _CHOICES.get(field.rpartition(".")[2], ())
        return f"{choice[1]} isn't known here; write one of {', '.join(map(repr, allowed))}"
    return message
