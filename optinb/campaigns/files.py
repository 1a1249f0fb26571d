"""Campaigns as files: `campaign.toml` in and out, so that they can be reviewed in git."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
import tomli_w
from msgspec import Struct

from optinb.base.settings import PLATFORMS
from optinb.campaigns.campaign import Campaign, Offer, OfferField, Phones, Property, Variant
from optinb.campaigns.learning import Learning, LearningFigure
from optinb.campaigns.schedule import WEEKDAYS, Clock, Schedule
from optinb.errors import CampaignError, did_you_mean

S = TypeVar("S", bound=Struct)
_CHOICES: dict[str, tuple[str, ...]] = {
    "schedule.clock": get_args(Clock),
    "schedule.days": WEEKDAYS,
    "schedule.every": ("day", "week", "month"),
    "offer.kind": ("discount", "gift", "points", "none"),
    "offer": get_args(OfferField),
    "templates": PLATFORMS,
    "phones": get_args(Phones),
    "learning.figure": get_args(LearningFigure),
}


def read_campaign(path: Path) -> Campaign:
    """Reads `campaign.toml`. Raises CampaignError naming file, field, value and remedy."""
    return campaign_from(_toml(path, "campaign file"), source=str(path))


def read_offer(path: Path) -> Offer:
    """Reads an offer from a TOML file: its fields, or those under `[offer]`. Raises CampaignError."""
    raw = _toml(path, "offer's file")
    inner = raw.get("offer")
    return offer_from(inner if isinstance(inner, dict) else raw, source=str(path))


def campaign_toml(campaign: Campaign) -> str:
    """The text of a `campaign.toml` that reads back as the same campaign; what is left to its default isn't in it."""
    return tomli_w.dumps(msgspec.to_builtins(campaign, builtin_types=(date,)))


def campaign_from(raw: Mapping[str, Any], *, source: str = "campaign") -> Campaign:
    """Checks the fields of a campaign. Raises CampaignError naming the field, the value and the remedy."""
    return _checked(raw, Campaign, source=source)


def offer_from(raw: Mapping[str, Any], *, source: str = "offer") -> Offer:
    """Checks the fields of an offer. Raises CampaignError naming the field, the value and the remedy."""
    return _checked({"offer": dict(raw)}, _OfferFile, source=source).offer


class _OfferFile(Struct):
    """An offer at the place that it has in a campaign, so that its fields are named as there."""

    offer: Offer


def _toml(path: Path, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CampaignError(f"the {what} {path} isn't there") from error
    except OSError as error:
        raise CampaignError(f"the {what} {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CampaignError(f"{path} isn't UTF-8 text (byte {error.start}): save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise CampaignError(f"{path} isn't valid TOML: {error}; texts need quotes") from error


def _checked(raw: Mapping[str, Any], kind: type[S], *, source: str) -> S:
    try:
        return msgspec.convert(dict(raw), kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `")
        # a name that isn't known is told of as the key in its table
        place = where.removeprefix("key` in `").strip("`").lstrip("$.")
        value = value_at(raw, place)
        raise CampaignError(
            f"{source}: {place + ': ' if place else ''}{remedy(message, place, value)}", field=place
        ) from error


def value_at(raw: Mapping[str, Any], place: str) -> str:
    """What stands at a place such as `schedule.at`, shortened; empty where it is no single value."""
    found: Any = raw
    for part in place.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str) and len(found) > 40:
        return f"{found[:40]!r}…"
    return "" if found is None or isinstance(found, (Mapping, list)) else repr(found)


def remedy(message: str, place: str, value: str) -> str:
    """What to write instead of a field that can't be read."""
    unknown = re.search(r"unknown field `(.+?)`", message)
    if unknown:
        kinds = {"schedule": Schedule, "offer": Offer, "variants[]": Variant, "learning": Learning, "": Campaign}
        known = getattr(kinds.get(re.sub(r"\d+", "", place), Property), "__struct_fields__", ())
        return f"{unknown[1]!r} is no field here{did_you_mean(unknown[1], known)}"
    given = f", not {value}" if value else ""
    if place == "offer" and "`str | object | null`" in message:
        return f'write the name of a saved offer, such as offer = "Spring 20 %", or its fields under [offer]{given}'
    if place == "schedule.at":
        return f'the time must be written as "HH:MM", such as "18:30"{given}'
    if place == "control":
        return f"the control share must be at least 0 and less than 1, such as 0.1 for ten percent{given}"
    if "RFC3339 encoded date" in message:
        return f'a date must be one of the calendar and written as "YYYY-MM-DD", such as "2026-11-23"{given}'
    if re.fullmatch(r"variants\[\d+\]\.share", place):
        return f"the share of a variant must be more than 0, such as 1 for each of two halves{given}"
    bound = re.fullmatch(r"Expected `(int|float|str)`(?: of length)? (>=|<=) (\d+)(?:\.0)?", message)
    if bound:
        what = "it must have" if bound[1] == "str" else "it must be"
        limit = f"at {'least' if bound[2] == '>=' else 'most'} {bound[3]}"
        unit = "" if bound[1] != "str" else " character" if bound[3] == "1" else " characters"
        return f"{what} {limit}{unit}{given}"
    choice = re.search(r"[Ii]nvalid enum value (.*)", message)
    if choice:
        field = re.sub(r"\[.*?\]", "", place)
        allowed = _CHOICES.get(field) or _CHOICES.get(field.rpartition(".")[2], ())
        return f"{choice[1]} isn't known here; write one of {', '.join(map(repr, allowed))}"
    return f"{message}{given}" if message.startswith("Expected") else message
