"""What a campaign in the making still lacks, and what of it can't be meant, by field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from optinb.campaigns.campaign import Campaign, Property
from optinb.campaigns.files import campaign_from, remedy, value_at
from optinb.errors import CampaignError

HOLES: tuple[Any, ...] = (None, "", (), [], {})
# What is asked for first comes first.
NAMES = {
    "app_group": "an app group",
    "template": "a template",
    "group": "a target group",
    "schedule.days": "days of the week",
    "schedule.date": "a date",
    "schedule.day": "a day of the month",
    "schedule.at": "a time",
    "schedule.start": "a first day",
    "name": "a name",
}
# A schedule is checked as a whole: which of its fields a refusal is about.
ABOUT = {"days and every": "schedule.days", "day and every": "schedule.day", "it ends on": "schedule.end"}


class Lack(Struct, frozen=True, kw_only=True):
    """Something that keeps a campaign from being submitted.

    Attributes:
        field: where it is, such as `schedule.at`; empty for the campaign as a whole.
        words: what is missing, such as "a time", or a sentence about what is wrong, without a full stop.
        is_missing: whether nothing is there yet, which is no mistake of anybody.
    """

    field: str
    words: str
    is_missing: bool = False


def checklist(fields: Mapping[str, Any], *, needed: Iterable[str] = ()) -> tuple[Lack, ...]:
    """What a campaign lacks before it can be one.

    Args:
        fields: as a form or a `campaign.toml` has them, with holes for what isn't written yet.
        needed: the properties that its template can't do without.

    Returns:
        what is missing in the order of the form, then what is wrong; nothing for fields that make a campaign.
    """
    given = fields.get("properties") or {}
    variants = fields.get("variants") or ()
    missing = [
        *(name for name in NAMES if name in _asked(fields) and _at(fields, name) in HOLES),
        *(f"variants[{n}].name" for n, one in enumerate(variants) if _at(one, "name") in HOLES),
        *(f"properties.{name}" for name in needed if name not in given),
    ]
    found = [Lack(field=name, words=_named(name), is_missing=True) for name in missing]
    found += _wrong(fields, missing)
    if not found:
        found += [refused] if (refused := _refused(fields)) else []
    return tuple(found)


def lack_of(error: CampaignError) -> Lack:
    """A refusal as a part of the list."""
    text = str(error)
    return Lack(field=error.field, words=f"{text[:1].upper()}{text[1:]}")


def what_is_missing(lacks: Iterable[Lack]) -> str:
    """The list in a sentence; empty where nothing is missing or wrong."""
    missing = [one.words for one in lacks if one.is_missing]
    wrong = [one.words for one in lacks if not one.is_missing]
    told = [f"Still missing: {', '.join(missing)}."] if missing else []
    return " ".join([*told, *(f"{words}." for words in wrong)])


def _asked(fields: Mapping[str, Any]) -> set[str]:
    """The fields without which this campaign has no sense; those of a schedule are its kind's."""
    schedule = fields.get("schedule") or {}
    kinds = {None: ("date",), "day": (), "week": ("days",), "month": ("day",)}
    step = ("start",) if schedule.get("step", 1) not in (1, None, "") else ()
    asked = (*kinds.get(schedule.get("every"), ()), *step, *(() if schedule.get("clock") == "optimal" else ("at",)))
    variants = fields.get("variants") or ()
    is_own = bool(variants) and all(one.get("template") or one.get("templates") for one in variants)
    template = () if fields.get("templates") or is_own else ("template",)
    return {"app_group", *template, "group", "name", *(f"schedule.{name}" for name in asked)}


def _named(place: str) -> str:
    kind, _, name = place.partition(".")
    if kind.startswith("variants"):
        return "a name for each variant"
    return f"what {name} says" if kind == "properties" else NAMES[place]


def _at(fields: Mapping[str, Any], place: str) -> Any:
    found: Any = fields
    for part in place.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _wrong(fields: Mapping[str, Any], missing: Iterable[str]) -> Iterator[Lack]:
    """What of each field can't be read, so that all of it is known at once; what is missing is none of it."""
    left_out = tuple(missing)
    kinds = {one.name: one.type for one in msgspec.structs.fields(Campaign)}
    parts = [(name, kinds.get(name), value) for name, value in fields.items() if name != "properties"]
    parts += [(f"properties.{name}", Property, value) for name, value in (fields.get("properties") or {}).items()]
    for place, kind, value in parts:
        if kind is None or any(name == place or name.startswith(f"{place}.") for name in left_out):
            continue
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            whole = f"{place}{where.strip('`')}"
            about = next((field for start, field in ABOUT.items() if message.startswith(start)), whole)
            words = remedy(message, whole, value_at(fields, whole))
            yield Lack(field=about, words=f"{words[:1].upper()}{words[1:]}")


def _refused(fields: Mapping[str, Any]) -> Lack | None:
    """What is wrong with the campaign as a whole."""
    try:
        campaign_from(fields)
    except CampaignError as error:
        return lack_of(error)
    return None
