"""What the planner's controls say, as the fields of a campaign. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, time

    from optinb.appboy import Template

FIXED, TEMPLATES_OWN = "fixed", "template"


class Source(Struct, frozen=True):
    """Where a property comes from: a text for all, the template's own, or an attribute with a default."""

    kind: str
    text: str = ""

    def field(self) -> dict[str, str] | None:
        """The property as a field of the campaign; None where it is left to the template."""
        if self.kind == TEMPLATES_OWN:
            return None
        if self.kind == FIXED:
            return {"value": self.text} if self.text else None
        name = self.kind.removeprefix("attribute ")
        return {"attribute": name, "default": self.text} if self.text else {"attribute": name}


def attribute(name: str) -> str:
    """The kind of a source that is an attribute."""
    return f"attribute {name}"


def first_kind(name: str, *, attributes: Iterable[str], has_default: bool) -> str:
    """What a property starts with: the attribute of its name, else the template's own default, else a text."""
    if name in attributes:
        return attribute(name)
    return TEMPLATES_OWN if has_default else FIXED


def suggested_name(group: str | None, template: str | None) -> str:
    """A name for a campaign of a group and a template."""
    return ", ".join(part for part in (group, template) if part)[:120].strip()


def named(templates: Iterable[Template]) -> dict[str, str]:
    """How each usable template is called in a campaign: its name, or its id where another one bears the name too."""
    usable = [t for t in templates if t.usable]
    names = [t.name for t in usable]
    return {t.id: t.name if names.count(t.name) == 1 else t.id for t in usable}


def fields(
    *,
    name: str,
    channel: str,
    app_group: str | None,
    template: str | None,
    group: str | None,
    every_day: bool,
    on: date | None,
    at: time | None,
    control_percent: float,
    properties: dict[str, Source],
    notes: str,
) -> dict[str, Any]:
    """The fields of a campaign, as in a `campaign.toml`; the workspace judges them."""
    schedule: dict[str, Any] = {"at": f"{at:%H:%M}" if at else ""}
    if every_day:
        schedule["every"] = "day"
    elif on is not None:
        schedule["date"] = on
    given = {property_name: source.field() for property_name, source in properties.items()}
    return {
        "name": name.strip(),
        "channel": channel,
        "app_group": app_group or "",
        "template": template or "",
        "group": group or "",
        "schedule": schedule,
        "control": round(control_percent / 100, 6),
        "properties": {name: field for name, field in given.items() if field is not None},
        "notes": notes.strip(),
    }
