"""What the planner's controls say, as the fields of a campaign, and back. Pure."""

from __future__ import annotations

import re
from datetime import date, time
from typing import TYPE_CHECKING, Any, Literal, get_args

from msgspec import Struct

from optinb.campaigns import CHANNEL, Campaign, Offer, Property, Schedule
from optinb.campaigns.campaign import OfferField

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.appboy import Template

FIXED, TEMPLATES_OWN = "fixed", "template"
Often = Literal["once", "day", "days", "week", "month"]
OFFER_FIELDS: tuple[OfferField, ...] = get_args(OfferField)
SCHEDULED = time(18, 30)


class PropertySource(Struct, frozen=True):
    """Where a property comes from: a text for all, the template's own, the offer, or an attribute with a default.

    `leave_out` says of an attribute that customers without it get no message.
    """

    kind: str
    text: str = ""
    leave_out: bool = False

    @classmethod
    def of(cls, given: Property) -> PropertySource:
        """The source that a campaign gives a property."""
        if given.attribute is not None:
            text = "" if given.default is None else str(given.default)
            return cls(attribute(given.attribute), text, given.exclude_empty)
        if given.offer is not None:
            return cls(from_offer(given.offer))
        return cls(FIXED, str(given.value))

    def field(self) -> dict[str, Any] | None:
        """The property as a field of the campaign; None where it is left to the template."""
        kind, _, name = self.kind.partition(" ")
        if kind == "attribute":
            if self.leave_out:
                return {"attribute": name, "exclude_empty": True}
            return {"attribute": name, "default": self.text} if self.text else {"attribute": name}
        if kind == "offer":
            return {"offer": name}
        return {"value": self.text} if kind == FIXED and self.text else None


class Timing(Struct, frozen=True, kw_only=True):
    """The days and the time, as controls have them; those that don't belong to `often` are ignored."""

    often: Often = "once"
    on: date | None = None
    at: time | None = SCHEDULED
    clock: str = "workspace"
    step: int = 2
    weekdays: tuple[str, ...] = ()
    day: str = "1"
    start: date | None = None
    end: date | None = None
    blackout: str = ""

    @classmethod
    def of(cls, schedule: Schedule) -> Timing:
        """The timing of a schedule."""
        often: Often = "once" if schedule.every is None else schedule.every
        return cls(
            often="days" if schedule.step > 1 else often,
            on=schedule.date,
            at=schedule.time,
            clock=schedule.clock,
            step=max(schedule.step, 2),
            weekdays=schedule.days,
            day=str(schedule.day or 1),
            start=schedule.start,
            end=schedule.end,
            blackout=", ".join(map(str, schedule.blackout)),
        )

    def field(self) -> dict[str, Any]:
        """The schedule as a field of the campaign."""
        found: dict[str, Any] = {"at": f"{self.at:%H:%M}" if self.at else ""}
        if self.clock != "workspace":
            found["clock"] = self.clock
        if self.often == "once":
            return found | ({"date": self.on} if self.on else {})
        found["every"] = "day" if self.often == "days" else self.often
        if self.often == "days":
            found["step"] = self.step
        if self.often == "week":
            found["days"] = list(self.weekdays)
        if self.often == "month":
            found["day"] = "last" if self.day == "last" else int(self.day)
        more = {"start": self.start, "end": self.end, "blackout": re.findall(r"[^\s,;]+", self.blackout)}
        return found | {name: value for name, value in more.items() if value}


class OfferText(Struct, frozen=True, kw_only=True):
    """The offer, as controls have it; without a name there is none."""

    name: str = ""
    kind: str = "discount"
    value: str = ""
    valid_until: date | None = None
    terms: str = ""
    codes: str = ""

    @classmethod
    def of(cls, offer: Offer | None) -> OfferText:
        """The texts of an offer."""
        if offer is None:
            return cls()
        value = "" if offer.value is None else str(offer.value)
        return cls(
            name=offer.name,
            kind=offer.kind,
            value=value,
            valid_until=offer.valid_until,
            terms=offer.terms,
            codes=offer.codes or "",
        )

    def field(self) -> dict[str, Any] | None:
        """The offer as a field of the campaign."""
        if not self.name.strip():
            return None
        more = {
            "value": self.value.strip(),
            "valid_until": self.valid_until,
            "terms": self.terms.strip(),
            "codes": self.codes,
        }
        return {"name": self.name.strip(), "kind": self.kind} | {name: value for name, value in more.items() if value}


class PlannerPlan(Struct, frozen=True, kw_only=True):
    """Everything that the planner's controls say."""

    name: str = ""
    channel: str = CHANNEL
    app_group: str | None = None
    template: str | None = None
    group: str | None = None
    timing: Timing = Timing()
    offer: OfferText = OfferText()
    control_percent: float = 10.0
    priority: int = 50
    exclusion_days: int = 0
    measurement_days: int = 0
    ignore_others: bool = False
    properties: dict[str, PropertySource] = {}
    notes: str = ""

    @classmethod
    def of(cls, campaign: Campaign) -> PlannerPlan:
        """The plan of a campaign, for the controls."""
        return cls(
            name=campaign.name,
            channel=campaign.channel,
            app_group=campaign.app_group or None,
            template=campaign.template or None,
            group=campaign.group or None,
            timing=Timing.of(campaign.schedule),
            offer=OfferText.of(campaign.offer),
            control_percent=round(campaign.control * 100, 4),
            priority=campaign.priority,
            exclusion_days=campaign.exclusion_days,
            measurement_days=campaign.measurement_days,
            ignore_others=campaign.ignore_others,
            properties={name: PropertySource.of(given) for name, given in campaign.properties.items()},
            notes=campaign.notes,
        )

    def fields(self) -> dict[str, Any]:
        """The fields of a campaign, as in a `campaign.toml`; the workspace judges them."""
        given = {name: source.field() for name, source in self.properties.items()}
        offer = self.offer.field()
        return {
            "name": self.name.strip(),
            "channel": self.channel,
            "app_group": self.app_group or "",
            "template": self.template or "",
            "group": self.group or "",
            "schedule": self.timing.field(),
            "control": round(self.control_percent / 100, 6),
            "priority": self.priority,
            "exclusion_days": self.exclusion_days,
            "measurement_days": self.measurement_days,
            "ignore_others": self.ignore_others,
            "properties": {name: field for name, field in given.items() if field is not None},
            "notes": self.notes.strip(),
        } | ({"offer": offer} if offer else {})


def attribute(name: str) -> str:
    """The kind of a source that is an attribute."""
    return f"attribute {name}"


def from_offer(name: str) -> str:
    """The kind of a source that is a field of the offer."""
    return f"offer {name}"


def first_kind(name: str, *, attributes: Iterable[str], has_default: bool) -> str:
    """What a property starts with: the attribute of its name, else the template's own default, else a text."""
    if name in attributes:
        return attribute(name)
    return TEMPLATES_OWN if has_default else FIXED


def suggested_name(group: str | None, template: str | None, *, taken: Iterable[str] = ()) -> str:
    """A name for a campaign of a group and a template, with a number where another one bears it."""
    plain = ", ".join(part for part in (group, template) if part)[:110].strip()
    others = {name.casefold() for name in taken}
    names = (plain if n == 1 else f"{plain} {n}" for n in range(1, len(others) + 2))
    return next(name for name in names if name.casefold() not in others)


def named(templates: Iterable[Template]) -> dict[str, str]:
    """How each usable template is called in a campaign: its name, or its id where another one bears the name too."""
    usable = [t for t in templates if t.usable]
    names = [t.name for t in usable]
    return {t.id: t.name if names.count(t.name) == 1 else t.id for t in usable}
